//! `/brake`: stops all launches at once.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::text;
use serde_json::{Map, Value};

use super::dto::{BrakeRequest, BrakeView};
use super::problem::Problem;
use super::request::{JsonBody, Parsers, ensure_known};
use super::respond;

/// The maximum length of a reason, in characters.
const MAX_REASON: usize = 1_024;

/// Returns whether the brake is on, and why.
#[utoipa::path(
    get, path = "/brake", tag = "brake", operation_id = "getBrake",
    responses((status = 200, description = "Whether the brake is on", body = BrakeView)),
)]
pub(super) async fn read(State(engine): State<SchedulerNode>) -> Response {
    respond::json(StatusCode::OK, &BrakeView::from(engine.status().brake))
}

/// Stops all launches at once. Running tasks continue; ticks are recorded as suspended.
#[utoipa::path(
    post, path = "/brake", tag = "brake", operation_id = "pullBrake",
    request_body(content = BrakeRequest, content_type = "application/json"),
    responses((status = 200, description = "The brake is on", body = BrakeView)),
)]
pub(super) async fn engage(
    State(engine): State<SchedulerNode>,
    State(parsers): State<Parsers>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let reason = JsonBody::read(&parsers, &headers, body).await?.parse(reason).await?;
    let brake = engine.brake(reason).await?;
    Ok(respond::json(StatusCode::OK, &BrakeView::from(Some(brake))))
}

/// Allows launches again. Missed ticks are not fired.
#[utoipa::path(
    delete, path = "/brake", tag = "brake", operation_id = "releaseBrake",
    responses((status = 200, description = "The brake is off", body = BrakeView)),
)]
pub(super) async fn release(State(engine): State<SchedulerNode>) -> Result<Response, Problem> {
    engine.release().await?;
    Ok(respond::json(StatusCode::OK, &BrakeView::from(None)))
}

fn reason(given: Map<String, Value>) -> Result<String, Problem> {
    ensure_known(&given, &["reason"])?;
    let wrong = |message: &str| Err(Problem::field("/reason", message));
    match given.get("reason") {
        None => wrong("Missing data for required field."),
        Some(Value::String(text)) if text.trim().is_empty() => wrong("A reason must be given."),
        Some(Value::String(text)) if text.chars().nth(MAX_REASON).is_some() => {
            wrong("Longer than maximum length 1024.")
        }
        Some(Value::String(text)) => {
            text::refusal(text).map_or_else(|| Ok(text.clone()), |refusal| wrong(&refusal))
        }
        Some(_) => wrong("Not a valid string."),
    }
}
