//! `/stats/aws`: what was asked of AWS, and what that costs.

use std::fmt;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use ecs_scheduler_core::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::respond;
use super::state::App;

/// Counts the calls that this process makes to AWS.
pub trait CallStats: fmt::Debug + Send + Sync + 'static {
    /// Says what was counted up to now.
    fn report(&self) -> AwsStats;
}

/// What was asked of AWS by this process.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsStats {
    /// Since when it was counted: the start of the process.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Per operation, by service and name.
    pub operations: Vec<OperationStats>,
    /// Per job and operation: how many of its evaluations and launches used one. A reading that several jobs share is
    /// one call, and counts as used by each.
    pub jobs: Vec<JobStats>,
}

/// The calls of one operation. Every attempt counts, repetitions too.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationStats {
    /// The service: `SQS`.
    pub service: String,
    /// The operation: `GetQueueAttributes`.
    pub operation: String,
    /// Attempts made.
    pub calls: u64,
    /// Attempts that AWS refused because there were too many.
    pub throttles: u64,
    /// Attempts that failed otherwise.
    pub failures: u64,
    /// What a month (30 days) at this rate costs in US dollars, by list prices without the free tier.
    pub dollars_per_month: f64,
}

/// What one job used of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobStats {
    /// The job's name.
    pub job: String,
    /// The operation.
    pub operation: String,
    /// How many of its evaluations or launches used a call of that operation.
    pub reads: u64,
    /// Its share of the operation's cost, by its part in all uses.
    pub dollars_per_month: f64,
}

/// Shows what was asked of AWS since the start, per operation and per job.
#[utoipa::path(
    get, path = "/stats/aws", tag = "operation", operation_id = "awsStats",
    responses((status = 200, description = "Calls, throttles and estimated dollars a month", body = AwsStats)),
)]
pub(super) async fn aws(State(app): State<App>) -> Response {
    let report = match &app.aws {
        Some(stats) => stats.report(),
        None => AwsStats { since: app.started, operations: Vec::new(), jobs: Vec::new() },
    };
    respond::json(StatusCode::OK, &report)
}
