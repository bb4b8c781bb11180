//! Errors of the store. Each names the location of the log, so that a person finds the object.

use ecs_scheduler_core::{FaultKind, StoreError};

/// The remedy for an object that cannot be read.
const REMEDY: &str = "restore it from a backup or an earlier version of the object; or, to start a new history \
                      with the present jobs, move all objects of the journal away";

/// The location of the log, which makes the errors about it.
#[derive(Debug)]
pub(crate) struct Location {
    /// The location as messages name it: `bucket "jobs"`.
    pub(crate) name: String,
}

impl Location {
    /// Returns the error for a damaged object.
    pub(crate) fn damaged(
        &self,
        object: &str,
        problem: impl Into<ecs_scheduler_core::fault::Cause>,
    ) -> StoreError {
        let message = format!("the journal's object \"{object}\" in {} is damaged; {REMEDY}", self.name);
        StoreError::with_source(FaultKind::Config, message, problem)
    }

    /// Returns the error for an object that does not exist although a later one does.
    pub(crate) fn missing(&self, object: &str) -> StoreError {
        let message = format!("the journal's object \"{object}\" in {} is missing; {REMEDY}", self.name);
        StoreError::fault(FaultKind::Config, message)
    }

    /// Returns the error for an object that a newer version wrote.
    pub(crate) fn newer(&self, object: &str, format: u32, known: u32) -> StoreError {
        let message = format!(
            "the journal's object \"{object}\" in {} has format {format}, and this version knows formats up to \
             {known}; use the newer version that wrote it, or restore a backup",
            self.name
        );
        StoreError::fault(FaultKind::Config, message)
    }

    /// Returns the message for a log that another process writes.
    pub(crate) fn written_by_another(&self, by: &str) -> String {
        format!(
            "another process writes to {} ({by}), so this process has stopped writing: only one may write. Stop \
             one of the two; to keep this one, restart it",
            self.name
        )
    }

    /// Returns the error of a closed store.
    pub(crate) fn closed(&self) -> StoreError {
        StoreError::fault(FaultKind::Unavailable, format!("the store in {} is closed", self.name))
    }
}
