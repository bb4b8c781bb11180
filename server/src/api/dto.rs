//! Data transfer objects: requests and responses, apart from the domain types.

mod aws_stats;
mod backfill;
mod bulk;
mod decision;
mod dry_run;
mod enums;
mod firing;
mod job;
mod job_row;
mod log;
mod named_schema;
mod numbers;
mod requests;

pub(super) use aws_stats::AwsStats;
pub(super) use backfill::{BackfillBody, BackfillPreview, BackfillView, PreviewedTick};
pub(super) use bulk::{BulkAction, BulkBody, BulkResult, BulkView};
pub(super) use decision::{DecisionPage, DecisionView, EvaluationView};
pub(super) use dry_run::{ChangeAnswer, Difference, DryRunView, WriteEffect};
pub(super) use enums::{FiringStateName, JobStateName, OutcomeName, TaskOutcomeName};
pub(super) use firing::{FiringPage, FiringView};
pub(super) use job::{JobChange, JobDocument, JobPage, JobView, Link, Reference, Removed};
pub(super) use job_row::JobRow;
pub(super) use log::LogPageView;
pub(super) use requests::{
    BrakeRequest, BrakeView, EvaluateJobRequest, EvaluateRequest, FireBody, GivenBody, GivenObservations,
    Preview, PreviewRequest, SuspendRequest,
};

use serde_json::{Map, Value};

/// Returns the schemas that no type here is derived from, by name.
pub(super) fn schemas(max_tasks: u32) -> Map<String, Value> {
    let mut schemas = job::schemas(max_tasks);
    schemas.extend(aws_stats::schemas());
    // Only a parameter names it, and parameters bring no schemas along.
    schemas.insert("JobState".to_owned(), enums::job_state());
    schemas
}
