//! `/jobs/{id}/suspend` and `/jobs/{id}/resume`: suspending a job.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use ecs_scheduler_core::job::{FieldError, JobContext, Prepared, prepare_update};
use ecs_scheduler_core::{JobId, Timestamp};
use serde_json::{Map, Value, json};

use super::caller::Caller;
use super::dto::{JobView, SuspendRequest};
use super::if_match::IfMatch;
use super::jobs::edit::edit;
use super::problem::Problem;
use super::request::{JsonBody, Name, ensure_known};
use super::state::App;
use super::view;

/// The members of the body.
const MEMBERS: [&str; 3] = ["reason", "actor", "until"];

/// Suspends a job until it is resumed or until a given time. Running tasks continue.
#[utoipa::path(
    post, path = "/jobs/{id}/suspend", tag = "jobs", operation_id = "suspendJob",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("If-Match" = Option<String>, Header, description = "Entity tag of the version to change"),
    ),
    request_body(content = Option<SuspendRequest>, content_type = "application/json"),
    responses((status = 200, description = "The updated job", body = JobView)),
)]
pub(super) async fn suspend(
    State(app): State<App>,
    caller: Caller,
    name: Name,
    conditions: IfMatch,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    app.job(&name).await?;
    let given = JsonBody::read_optional(&app.parsers, &headers, body).await?;
    given.parse(|given| ensure_known(&given, &MEMBERS)).await?;
    let stored = edit(&app, &caller, &name, &conditions, &given, prepare_suspension).await?;
    Ok(view::job(&app, &stored))
}

/// Resumes a job from its next tick on. Missed ticks are not fired.
///
/// Ticks that are settled in the future, because the clock was ahead, count again.
#[utoipa::path(
    post, path = "/jobs/{id}/resume", tag = "jobs", operation_id = "resumeJob",
    params(
        ("id" = String, Path, description = "The job's name"),
        ("If-Match" = Option<String>, Header, description = "Entity tag of the version to change"),
    ),
    responses((status = 200, description = "The updated job", body = JobView)),
)]
pub(super) async fn resume(
    State(app): State<App>,
    caller: Caller,
    name: Name,
    conditions: IfMatch,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let empty = JsonBody::read_optional(&app.parsers, &headers, body).await?;
    empty.parse(|object| ensure_known(&object, &[])).await?;
    let stored = edit(&app, &caller, &name, &conditions, &empty, prepare_resumption).await?;
    app.engine.resume(&stored.id);
    Ok(view::job(&app, &stored))
}

/// Applies the end of a suspension.
fn prepare_resumption(
    id: &JobId,
    document: &Map<String, Value>,
    _: Value,
    cx: &JobContext<'_>,
    now: Timestamp,
) -> Result<Prepared, Vec<FieldError>> {
    prepare_update(id, document, json!({"suspended": false}), cx, now)
}

/// Applies a suspension with these fields. Errors point into the body of the request.
fn prepare_suspension(
    id: &JobId,
    document: &Map<String, Value>,
    mut fields: Value,
    cx: &JobContext<'_>,
    now: Timestamp,
) -> Result<Prepared, Vec<FieldError>> {
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let change = json!({"suspended": true, "suspension": fields});
    let prepared = prepare_update(id, document, change, cx, now)
        .map_err(|errors| errors.into_iter().map(inner).collect::<Vec<_>>())?;
    if prepared.job.suspension.as_ref().is_some_and(|suspension| !suspension.holds(now)) {
        let message = format!("Must be in the future; it is {now}.");
        return Err(vec![FieldError {
            pointer: "/until".to_owned(),
            key: vec!["until".to_owned()],
            message,
            hint: None,
        }]);
    }
    Ok(prepared)
}

/// Changes the pointer of an error about the stored `suspension` to its place in the body.
fn inner(mut error: FieldError) -> FieldError {
    if let Some(pointer) = error.pointer.strip_prefix("/suspension/") {
        error.pointer = format!("/{pointer}");
        error.key.remove(0);
    }
    error
}
