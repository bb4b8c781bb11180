//! `/stats/aws`: the calls to AWS and their cost.

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
    /// Returns the counts up to now.
    fn report(&self) -> AwsStats;
}

/// The calls of this process to AWS.
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
    /// The cost of a month (30 days) at this rate in US dollars, by list prices without the free tier.
    pub dollars_per_month: f64,
}

/// The usage of one operation by one job.
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

/// Returns the calls to AWS since the start, per operation and per job.
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
