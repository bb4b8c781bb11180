//! New jobs: `POST /jobs`, and `PUT /jobs/{id}` with `If-None-Match: *`.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::job::{Prepared, prepare_create};
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{JobUid, NewJob, StoreError};
use serde_json::{Map, Value};

use crate::api::caller::Caller;
use crate::api::dto::{DryRunView, JobDocument, Reference};
use crate::api::idempotency::Claim;
use crate::api::job_document::{raw, refusal};
use crate::api::preflight::ValidationLevel;
use crate::api::problem::Problem;
use crate::api::request::{JsonBody, Name, Query};
use crate::api::state::App;
use crate::api::{dry_run, if_match, view};

/// Creates a job. A dry run only shows it.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs", operation_id = "createJob",
    params(
        ("validate" = Option<String>, Query, description = "`aws` also checks the AWS resources of the job before it is created: its task definition and the sources of its trigger", pattern = "^aws$"),
        ("dryRun" = Option<bool>, Query, description = "`true` writes nothing and shows the job that would be created. The `Idempotency-Key` is ignored"),
        ("Idempotency-Key" = Option<String>, Header, description = "Idempotency key: the same key and body get the same response for 24 hours", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
    ),
    request_body(content = JobDocument, content_type = "application/json"),
    responses(
        (status = 200, description = "The result of a dry run", body = DryRunView),
        (status = 201, description = "Job created", body = Reference),
    ),
)]
pub(in crate::api) async fn create(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let is_dry_run = query.flag("dryRun");
    let validate = ValidationLevel::from_query(query)?;
    let body = JsonBody::read(&app.parsers, &headers, body).await?;
    if is_dry_run {
        return preview(&app, &caller, &body, None, validate).await;
    }
    match app.idempotency.claim(&headers, caller.id(), "create", &body).await? {
        Claim::NoKey => store(&app, &caller, &body, None, JobUid::random(), validate).await,
        Claim::Answered(response) => Ok(response),
        Claim::Claimed(key) => {
            let answer = store(&app, &caller, &body, None, key.uid(), validate).await;
            key.store_response(answer).await
        }
    }
}

/// Creates the job of this name, as `PUT` with `If-None-Match: *` asks, or shows it.
///
/// # Errors
///
/// 412 if the job exists by now; otherwise as [`create`] fails.
pub(super) async fn create_named(
    app: &App,
    caller: &Caller,
    name: &Name,
    mut query: Query,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let is_dry_run = query.flag("dryRun");
    let validate = ValidationLevel::from_query(query)?;
    let body = JsonBody::read(&app.parsers, headers, body).await?;
    if is_dry_run {
        return preview(app, caller, &body, Some(name), validate).await;
    }
    store(app, caller, &body, Some(name), JobUid::random(), validate).await
}

/// Shows the job that a body would create.
async fn preview(
    app: &App,
    caller: &Caller,
    body: &JsonBody,
    name: Option<&Name>,
    validate: ValidationLevel,
) -> Result<Response, Problem> {
    let (state, named, _kept) = (App::clone(app), name.cloned(), body.keep().await);
    let prepared = body.parse(move |document| prepare(&state, named, document)).await?;
    caller.ensure_own(raw(&prepared.document).get())?;
    if app.has_job(&Name(prepared.job.id.to_string())).await? {
        if name.is_some() {
            return Err(if_match::exists(prepared.job.id.as_str()));
        }
        return Err(StoreError::Exists(prepared.job.id).into());
    }
    dry_run::respond(app, None, prepared, validate).await
}

async fn store(
    app: &App,
    caller: &Caller,
    body: &JsonBody,
    name: Option<&Name>,
    uid: JobUid,
    validate: ValidationLevel,
) -> Result<Response, Problem> {
    let kept = validate.keep(body).await;
    let (now, state, named) = (app.clock.now(), App::clone(app), name.cloned());
    let (job, document, mut warnings) = body
        .parse(move |document| {
            let prepared = prepare(&state, named, document)?;
            let warnings = state.warnings(&prepared.job, now);
            Ok((prepared.job, raw(&prepared.document), warnings))
        })
        .await?;
    caller.ensure_own(document.get())?;
    validate.check(app, &job).await?;
    let new = NewJob { id: job.id.clone(), uid, document, at: now };
    let task = job.task.clone();
    drop((job, kept));
    warnings.extend(validate.platform_warnings(app, &task).await);
    let stored = match app.store.create(new).await {
        Err(StoreError::Exists(id)) if name.is_some() => return Err(if_match::exists(id.as_str())),
        // An earlier request with the same idempotency key created it, and its answer was lost.
        Err(StoreError::Exists(id)) => {
            let found = app.store.get(std::slice::from_ref(&id)).await?;
            let mine = found.into_iter().find(|job| job.uid == uid);
            mine.ok_or_else(|| StoreError::Exists(id))?
        }
        other => other?,
    };
    app.job_written(&stored.id);
    let mut response = view::reference(app, StatusCode::CREATED, &stored, &warnings);
    let place =
        HeaderValue::try_from(format!("/jobs/{}", stored.id)).expect("a job's name is a header value");
    response.headers_mut().insert(LOCATION, place);
    Ok(response)
}

/// Checks the document of a new job, whose name may be in the path.
fn prepare(app: &App, name: Option<Name>, mut document: Map<String, Value>) -> Result<Prepared, Problem> {
    if let Some(Name(name)) = name {
        let given = document.entry("id").or_insert_with(|| name.as_str().into());
        if *given != name.as_str() {
            return Err(Problem::field("/id", format!("Must be \"{name}\", as in the path, or left out.")));
        }
    }
    let cx = app.context(Strictness::Strict);
    prepare_create(document.into(), &cx, app.clock.now()).map_err(|errors| refusal(&errors))
}
