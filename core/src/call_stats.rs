//! Counts of the calls that plugins make to a provider, and their cost.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Counts the calls that this process makes to AWS.
pub trait CallMeter: fmt::Debug + Send + Sync + 'static {
    /// Returns the counts up to now.
    fn report(&self) -> CallStats;
}

/// The calls of this process to AWS.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CallStats {
    /// The start of the count: the start of the process.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub since: Timestamp,
    /// Per operation, by service and name.
    pub operations: Vec<OperationStats>,
    /// Per job and operation: the number of the job's evaluations and launches that used a call. A reading that several
    /// jobs share is one call, and counts for each of them.
    pub jobs: Vec<JobStats>,
}

impl CallStats {
    /// Makes a report without calls.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self { since, operations: Vec::new(), jobs: Vec::new() }
    }
}

/// The calls of one operation. Every attempt counts, retries included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OperationStats {
    /// The service: `SQS`.
    pub service: String,
    /// The operation: `GetQueueAttributes`.
    pub operation: String,
    /// Attempts made.
    pub calls: u64,
    /// Attempts that AWS throttled.
    pub throttles: u64,
    /// Attempts that failed otherwise.
    pub failures: u64,
    /// The cost of a month (30 days) at this rate in US dollars, by list prices without the free tier.
    pub dollars_per_month: f64,
}

impl OperationStats {
    /// Makes the counts of an operation without calls.
    #[must_use]
    pub fn new(service: impl Into<String>, operation: impl Into<String>) -> Self {
        Self { service: service.into(), operation: operation.into(), ..Self::default() }
    }
}

/// The usage of one operation by one job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct JobStats {
    /// The job's name.
    pub job: String,
    /// The operation.
    pub operation: String,
    /// The number of the job's evaluations and launches that used a call of this operation.
    pub reads: u64,
    /// Its share of the operation's cost, in proportion to its uses.
    pub dollars_per_month: f64,
}

impl JobStats {
    /// Makes the usage of an operation by a job, without its cost.
    #[must_use]
    pub fn new(job: impl Into<String>, operation: impl Into<String>, reads: u64) -> Self {
        Self { job: job.into(), operation: operation.into(), reads, dollars_per_month: 0.0 }
    }
}
