//! `/evaluate` and `/jobs/{id}/evaluate`: what would be decided now. Real sources are read, nothing is launched.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::Evaluation;
use ecs_scheduler_core::engine::Given;
use ecs_scheduler_core::job::{FieldError, prepare_create};
use ecs_scheduler_core::schedule::Dialect;
use serde_json::{Map, Value};

use super::problem::{Kind, Problem};
use super::request::{self, Name};
use super::state::App;
use super::wire::{EvaluateJobRequest, EvaluateRequest, EvaluationView, GivenBody};
use super::{job, respond};

/// Says what would be decided about a job now.
#[utoipa::path(
    post, path = "/jobs/{id}/evaluate", tag = "decisions", operation_id = "evaluateJob",
    params(("id" = String, Path, description = "The job's name")),
    request_body(content = Option<EvaluateJobRequest>, content_type = "application/json"),
    responses((status = 200, description = "The decision", body = EvaluationView)),
)]
pub(super) async fn stored(
    State(app): State<App>,
    name: Name,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let stored = app.job(&name).await?;
    let mut body = request::optional_object(&headers, body).await?;
    request::ensure_known(&body, &["given"])?;
    let given = given(&mut body)?;
    let job = stored.parse(&app.context(Dialect::Stored)).map_err(|errors| {
        let why: Vec<String> = errors.iter().map(FieldError::to_string).collect();
        Problem::new(Kind::Unprocessable, format!("The stored job is not valid: {}.", why.join("; ")))
    })?;
    let draft = app.parts.engine.evaluate(&job, Some(&stored), given).await;
    Ok(respond::json(StatusCode::OK, &EvaluationView::from(draft)))
}

/// Says what would be decided about a job that need not be stored.
#[utoipa::path(
    post, path = "/evaluate", tag = "decisions", operation_id = "evaluate",
    request_body(content = EvaluateRequest, content_type = "application/json"),
    responses((status = 200, description = "The decision", body = EvaluationView)),
)]
pub(super) async fn given_job(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mut body = request::object(&headers, body).await?;
    request::ensure_known(&body, &["job", "given"])?;
    let given = given(&mut body)?;
    let document =
        body.remove("job").ok_or_else(|| Problem::field("/job", "Missing data for required field."))?;
    let now = app.parts.clock.now();
    let prepared = prepare_create(document, &app.context(Dialect::Written), now).map_err(|errors| {
        let errors: Vec<FieldError> = errors.into_iter().map(under_job).collect();
        job::refusal(&errors)
    })?;
    let draft = app.parts.engine.evaluate(&prepared.job, None, given).await;
    Ok(respond::json(StatusCode::OK, &EvaluationView::from(draft)))
}

/// Puts an error about a job where the body has the job.
fn under_job(mut error: FieldError) -> FieldError {
    error.pointer.insert_str(0, "/job");
    error.key.insert(0, "job".to_owned());
    error
}

fn given(body: &mut Map<String, Value>) -> Result<Given, Problem> {
    let Some(value) = body.remove("given").filter(|value| !value.is_null()) else {
        return Ok(Given::default());
    };
    let given: GivenBody = request::member("/given", value)?;
    let evaluation =
        given.demand.map(|demand| Evaluation::tasks(demand, format!("given: {demand} asked for")));
    Ok(Given { evaluation, busy: given.busy })
}
