//! `/jobs/{id}`: one job.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use ecs_scheduler_core::StoredJob;
use ecs_scheduler_core::job::{Prepared, prepare_patch, prepare_update, replacement};
use ecs_scheduler_core::schedule::Strictness;

use super::create;
use super::edit::{self, Prepare};
use crate::api::caller::Caller;
use crate::api::dto::{ChangeAnswer, JobChange, JobView, Reference, Removed};
use crate::api::if_match::IfMatch;
use crate::api::job_document::{document, raw, refusal};
use crate::api::preflight::ValidationLevel;
use crate::api::problem::Problem;
use crate::api::request::{self, JsonBody, Name, Query};
use crate::api::state::App;
use crate::api::{dry_run, respond, view};

/// Returns the methods of a job whose path is that of another operation, too.
pub(in crate::api) fn methods() -> MethodRouter<App> {
    get(read).put(update).patch(patch).delete(remove)
}

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
    app.engine.refresh_failing_names().await;
    app.engine.recall_failing(&job).await;
    Ok(view::job(&app, &job))
}

/// Changes the given fields; `null` removes a field. With `If-None-Match: *`, creates the job.
#[utoipa::path(
    put, path = "/jobs/{id}", tag = "jobs", operation_id = "updateJob",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("validate" = Option<String>, Query, description = "`aws` also checks the AWS resources of the changed job \
            before it is written: its task definition and the sources of its trigger", pattern = "^aws$"),
        ("dryRun" = Option<bool>, Query, description = "`true` writes nothing and shows the effect of the change"),
        ("If-Match" = Option<String>, Header, description = "Entity tag of the version to change"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: the job must not exist, and is created"),
    ),
    request_body(content = JobChange, content_type = "application/json"),
    responses(
        (status = 200, description = "Job changed, or the result of a dry run", body = ChangeAnswer),
        (status = 201, description = "Job created", body = Reference),
    ),
)]
pub(in crate::api) async fn update(
    State(app): State<App>,
    caller: Caller,
    name: Name,
    query: Query,
    conditions: IfMatch,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    // About a job of others, the answer is that of a creation, after the checks of one.
    if conditions.must_be_new()
        && !(app.has_job(&name).await? && caller.sees_job(&*app.store, &name.job()?).await?)
    {
        conditions.check_absent(&name.0)?;
        return create::create_named(&app, &caller, &name, query, &headers, body).await;
    }
    apply(&app, &caller, &name, query, &conditions, &headers, body, prepare_update).await
}

/// Changes a job by a JSON merge patch (RFC 7396): objects are merged, `null` removes.
#[utoipa::path(
    patch, path = "/jobs/{id}", tag = "jobs", operation_id = "patchJob",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("validate" = Option<String>, Query, description = "`aws` also checks the AWS resources of the changed job \
            before it is written: its task definition and the sources of its trigger", pattern = "^aws$"),
        ("dryRun" = Option<bool>, Query, description = "`true` writes nothing and shows the effect of the change"),
        ("If-Match" = Option<String>, Header, description = "Entity tag of the version to change"),
    ),
    request_body(content(
        (JobChange = "application/merge-patch+json"),
        (JobChange = "application/json"),
    )),
    responses((status = 200, description = "Job changed, or the result of a dry run", body = ChangeAnswer)),
)]
pub(in crate::api) async fn patch(
    State(app): State<App>,
    caller: Caller,
    name: Name,
    query: Query,
    conditions: IfMatch,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    apply(&app, &caller, &name, query, &conditions, &headers, body, prepare_patch).await
}

/// Changes a job as a client asks.
#[expect(clippy::too_many_arguments, reason = "they are the parts of one request")]
async fn apply(
    app: &App,
    caller: &Caller,
    name: &Name,
    mut query: Query,
    conditions: &IfMatch,
    headers: &HeaderMap,
    body: Body,
    prepare: Prepare,
) -> Result<Response, Problem> {
    let is_dry_run = query.flag("dryRun");
    let validate = ValidationLevel::from_query(query)?;
    request::ensure_json(headers)?;
    let job = edit::own_job(app, caller, name).await?;
    let change = JsonBody::read(&app.parsers, headers, body).await?;
    if is_dry_run {
        return preview(app, caller, job, conditions, &change, prepare, validate).await;
    }
    if validate == ValidationLevel::Resources {
        let (state, _kept) = (App::clone(app), change.keep().await);
        let changing = change.parse(move |change| {
            let (cx, now) = (state.context(Strictness::Strict), state.clock.now());
            let prepared = prepare(&job.id, &document(&job), change.into(), &cx, now);
            Ok(prepared.map_err(|errors| refusal(&errors))?.job)
        });
        validate.check(app, &changing.await?).await?;
    }
    let stored = edit::edit(app, caller, name, conditions, &change, prepare).await?;
    let mut warnings = Vec::new();
    let written = stored.parse(&app.context(Strictness::Lenient));
    let task = written.map(|job| {
        warnings = app.warnings(&job, app.clock.now());
        job.task.clone()
    });
    if let Ok(task) = task {
        warnings.extend(validate.platform_warnings(app, &task).await);
    }
    Ok(view::reference(app, StatusCode::OK, &stored, &warnings))
}

/// Shows the effect of a change.
async fn preview(
    app: &App,
    caller: &Caller,
    job: StoredJob,
    conditions: &IfMatch,
    change: &JsonBody,
    prepare: Prepare,
    validate: ValidationLevel,
) -> Result<Response, Problem> {
    let (state, conditions, _kept) = (App::clone(app), conditions.clone(), change.keep().await);
    let changing = change.parse(move |change| {
        let now = state.clock.now();
        let prepared =
            prepare(&job.id, &document(&job), change.into(), &state.context(Strictness::Strict), now);
        let prepared: Prepared = prepared.map_err(|errors| refusal(&errors))?;
        conditions.check(&job)?;
        let written = replacement(&job, prepared.document.clone(), &state.context(Strictness::Lenient), now);
        written.map_err(|error| refusal(&[error]))?;
        Ok((job, prepared))
    });
    let (job, prepared) = changing.await?;
    caller.ensure_own(raw(&prepared.document).get())?;
    dry_run::respond(app, Some(&job), prepared, validate).await
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
    caller: Caller,
    name: Name,
    conditions: IfMatch,
) -> Result<Response, Problem> {
    let id = edit::remove(&app, &caller, &name, &conditions).await?;
    Ok(respond::json(StatusCode::OK, &Removed { id: id.to_string() }))
}
