//! Documents of jobs: reading, writing, and the errors in them.

use ecs_scheduler_core::StoredJob;
use ecs_scheduler_core::job::FieldError;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::problem::Problem;

/// Returns a stored document; one that is not an object counts as empty, so that an update can repair it.
pub(super) fn document(job: &StoredJob) -> Map<String, Value> {
    serde_json::from_str(job.document.get()).unwrap_or_default()
}

/// Returns the text of a document.
pub(super) fn raw(document: &Map<String, Value>) -> Box<RawValue> {
    serde_json::value::to_raw_value(document).expect("a JSON object can be written")
}

/// Lists the errors of a document.
pub(super) fn refusal(errors: &[FieldError]) -> Problem {
    Problem::fields(errors)
}
