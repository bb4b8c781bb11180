//! Errors that several modules return.

use ecs_scheduler_core::{FaultKind, JobId, StoreError};

/// Returns the error for a job that does not exist.
pub(crate) fn job_not_found(job: &JobId) -> StoreError {
    StoreError::NotFound(format!("job \"{job}\""))
}

/// Returns the error for a job that was modified concurrently.
pub(crate) fn job_conflict(job: &JobId) -> StoreError {
    StoreError::Conflict(format!("job \"{job}\""))
}

/// Returns the error for an operation that met concurrent writes until its retries ended. `action` is what failed: `edit job "nightly"`.
pub(crate) fn contention(action: &str) -> StoreError {
    let message = format!("could not {action}: other writers kept changing the same items; try again");
    StoreError::fault(FaultKind::Unavailable, message)
}
