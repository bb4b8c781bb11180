//! `/jobs/{id}`: one job.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::job::{
    FieldError, JobContext, Prepared, messages, prepare_patch, prepare_update, replacement,
};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{JobId, StoreError, StoredJob, Timestamp};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::api::dto::{JobChange, JobView, Reference, Removed};
use crate::api::etag;
use crate::api::preflight::ValidationLevel;
use crate::api::problem::{Problem, ProblemType, WrongField};
use crate::api::request::{self, Name, Query};
use crate::api::state::{App, AppState};
use crate::api::{respond, view};

/// How often an edit is retried after a concurrent edit of the same job.
const MAX_EDIT_ATTEMPTS: usize = 5;

/// Returns a job.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs", operation_id = "getJob",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("If-None-Match" = Option<String>, Header, description = "Returns 304 if the entity tag still matches"),
    ),
    responses((status = 200, description = "The job", body = JobView)),
)]
pub(in crate::api) async fn read(State(app): State<App>, name: Name) -> Result<Response, Problem> {
    let job = app.job(&name).await?;
    app.engine.recall_failing(&job).await;
    Ok(view::job(&app, &job))
}

/// Changes the fields that are given; `null` removes one.
#[utoipa::path(
    put, path = "/jobs/{id}", tag = "jobs", operation_id = "updateJob",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("validate" = Option<String>, Query, description = "`aws` also checks the AWS resources of the changed job before it is written: its task definition and the sources of its trigger", pattern = "^aws$"),
        ("If-Match" = Option<String>, Header, description = "Entity tag of the version to change"),
    ),
    request_body(content = JobChange, content_type = "application/json"),
    responses((status = 200, description = "Job changed", body = Reference)),
)]
pub(in crate::api) async fn update(
    State(app): State<App>,
    name: Name,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    change(&app, &name, ValidationLevel::from_query(query)?, &headers, body, prepare_update).await
}

/// Changes a job by a JSON merge patch (RFC 7396): objects are merged, `null` removes.
#[utoipa::path(
    patch, path = "/jobs/{id}", tag = "jobs", operation_id = "patchJob",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("validate" = Option<String>, Query, description = "`aws` also checks the AWS resources of the changed job before it is written: its task definition and the sources of its trigger", pattern = "^aws$"),
        ("If-Match" = Option<String>, Header, description = "Entity tag of the version to change"),
    ),
    request_body(content(
        (JobChange = "application/merge-patch+json"),
        (JobChange = "application/json"),
    )),
    responses((status = 200, description = "Job changed", body = Reference)),
)]
pub(in crate::api) async fn patch(
    State(app): State<App>,
    name: Name,
    query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    change(&app, &name, ValidationLevel::from_query(query)?, &headers, body, prepare_patch).await
}

async fn change(
    app: &App,
    name: &Name,
    validate: ValidationLevel,
    headers: &HeaderMap,
    body: Body,
    prepare: Prepare,
) -> Result<Response, Problem> {
    request::ensure_json(headers)?;
    let job = app.job(name).await?;
    let change = Value::Object(request::object(headers, body).await?);
    if validate == ValidationLevel::Resources {
        let (cx, now) = (app.context(Strictness::Strict), app.clock.now());
        let prepared = prepare(&job.id, &document(&job), change.clone(), &cx, now);
        validate.check(app, &prepared.map_err(|errors| refusal(&errors))?.job).await?;
    }
    let stored = edit(app, name, headers, |job| apply(app, job, &change, prepare)).await?;
    let written = stored.parse(&app.context(Strictness::Lenient));
    let warnings = written.map(|job| app.warnings(&job, app.clock.now())).unwrap_or_default();
    Ok(view::reference(app, StatusCode::OK, &stored, &warnings))
}

/// Removes a job. Running tasks continue and the history remains.
#[utoipa::path(
    delete, path = "/jobs/{id}", tag = "jobs", operation_id = "deleteJob",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("If-Match" = Option<String>, Header, description = "Entity tag of the version to remove"),
    ),
    responses((status = 200, description = "Job removed", body = Removed)),
)]
pub(in crate::api) async fn remove(
    State(app): State<App>,
    name: Name,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    for _ in 0..MAX_EDIT_ATTEMPTS {
        let job = app.job(&name).await?;
        etag::ensure_unchanged(&headers, &job)?;
        match app.store.remove(&job.id, Some(job.revision)).await {
            Err(StoreError::Conflict(_)) => {}
            Err(StoreError::NotFound(_)) => return Err(Problem::no_job(&name.0)),
            other => {
                other?;
                app.engine.nudge(&job.id);
                return Ok(respond::json(StatusCode::OK, &Removed { id: job.id.to_string() }));
            }
        }
    }
    Err(contended(&name))
}

/// Applies a change of a client to a job's document.
pub(in crate::api) type Prepare =
    fn(&JobId, &Map<String, Value>, Value, &JobContext<'_>, Timestamp) -> Result<Prepared, Vec<FieldError>>;

/// Returns the document of a changed job, which is checked as strictly as a new one.
///
/// # Errors
///
/// Fails with the errors of the change or of the changed job.
pub(in crate::api) fn apply(
    app: &AppState,
    job: &StoredJob,
    change: &Value,
    prepare: Prepare,
) -> Result<Map<String, Value>, Vec<FieldError>> {
    let (cx, now) = (app.context(Strictness::Strict), app.clock.now());
    Ok(prepare(&job.id, &document(job), change.clone(), &cx, now)?.document)
}

/// Replaces a job's document by the result of `change`, and retries after a concurrent edit. A change without effect
/// creates no new version.
///
/// # Errors
///
/// 404, 400 by `change`, 412 by the conditions in the headers, 409 after too many concurrent edits.
pub(in crate::api) async fn edit(
    app: &AppState,
    name: &Name,
    headers: &HeaderMap,
    change: impl Fn(&StoredJob) -> Result<Map<String, Value>, Vec<FieldError>>,
) -> Result<StoredJob, Problem> {
    for _ in 0..MAX_EDIT_ATTEMPTS {
        let job = app.job(name).await?;
        // An invalid change is an error independent of the condition (RFC 9110, section 13.2.1).
        let document = change(&job).map_err(|errors| refusal(&errors))?;
        etag::ensure_unchanged(headers, &job)?;
        let now = app.clock.now();
        let changed = replacement(&job, document, &app.context(Strictness::Lenient), now);
        let Some(document) = changed.map_err(|error| refusal(&[error]))? else { return Ok(job) };
        match app.store.replace(&job.id, job.revision, raw(&document), now).await {
            Err(StoreError::Conflict(_)) => {}
            Err(StoreError::NotFound(_)) => return Err(Problem::no_job(&name.0)),
            other => {
                let stored = other?;
                app.engine.nudge(&stored.id);
                return Ok(stored);
            }
        }
    }
    Err(contended(name))
}

fn contended(name: &Name) -> Problem {
    Problem::new(
        ProblemType::Contended,
        format!("Job {} was modified concurrently {MAX_EDIT_ATTEMPTS} times in a row.", name.0),
    )
}

/// Returns a stored document; one that is not an object counts as empty, so that an update can repair it.
pub(in crate::api) fn document(job: &StoredJob) -> Map<String, Value> {
    serde_json::from_str(job.document.get()).unwrap_or_default()
}

/// Returns the text of a document.
pub(in crate::api) fn raw(document: &Map<String, Value>) -> Box<RawValue> {
    serde_json::value::to_raw_value(document).expect("a JSON object can be written")
}

/// Lists the errors of a document.
pub(in crate::api) fn refusal(errors: &[FieldError]) -> Problem {
    Problem::invalid(messages(errors), errors.iter().map(WrongField::from).collect())
}
