//! `/stats/aws`: the calls to AWS and their cost.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ecs_scheduler_core::Timestamp;
use ecs_scheduler_core::call_stats::{CallMeter, CallStats};

use super::dto::AwsStats;
use super::respond;

/// The counter of calls to AWS; absent in a build without AWS.
#[derive(Debug, Clone)]
pub(super) struct AwsCalls {
    pub(super) meter: Option<Arc<dyn CallMeter>>,
    /// When the server started.
    pub(super) started: Timestamp,
}

/// Returns the calls to AWS since the start, per operation and per job.
#[utoipa::path(
    get, path = "/stats/aws", tag = "operation", operation_id = "awsStats",
    responses((status = 200, description = "Calls, throttles and the estimated monthly cost in dollars", body = AwsStats)),
)]
pub(super) async fn aws(State(calls): State<AwsCalls>) -> Response {
    let report = calls.meter.map_or_else(|| CallStats::new(calls.started), |meter| meter.report());
    respond::json(StatusCode::OK, &report)
}
