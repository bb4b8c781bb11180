//! Errors that several modules return.

use ecs_scheduler_core::{FaultKind, StoreError};

/// Returns the error for an operation that met concurrent writes until its retries ended. `action` is what failed: `edit job "nightly"`.
pub(crate) fn contention(action: &str) -> StoreError {
    let message = format!("could not {action}: other writers kept changing the same items; try again");
    StoreError::fault(FaultKind::Unavailable, message)
}
