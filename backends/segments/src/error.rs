//! Where a store is, in the words of its messages, and what is said when something is wrong there.

use ecs_scheduler_core::{FaultKind, StoreError};

/// What to do about an object that cannot be read.
const REMEDY: &str = "restore it from a backup or an earlier version of the object, or, to begin a new history with the jobs as \
                      they are, move away everything that lies beside it";

/// A place, for messages.
#[derive(Debug)]
pub(crate) struct Site {
    /// Where it is: `bucket "jobs"`.
    pub(crate) place: String,
}

impl Site {
    /// Says that an object is damaged.
    pub(crate) fn damaged(&self, name: &str, how: impl Into<ecs_scheduler_core::fault::Cause>) -> StoreError {
        let message = format!("the journal's object \"{name}\" in {} is damaged; {REMEDY}", self.place);
        StoreError::caused(FaultKind::Config, message, how)
    }

    /// Says that an object is not there although a later one is.
    pub(crate) fn missing(&self, name: &str) -> StoreError {
        let message = format!("the journal's object \"{name}\" in {} is missing; {REMEDY}", self.place);
        StoreError::fault(FaultKind::Config, message)
    }

    /// Says that an object was written by a version that came later.
    pub(crate) fn newer(&self, name: &str, format: u32, known: u32) -> StoreError {
        let message = format!(
            "the journal's object \"{name}\" in {} has format {format}, and this version knows formats up to {known}; use \
             the newer version that wrote it, or restore a backup",
            self.place
        );
        StoreError::fault(FaultKind::Config, message)
    }

    /// Says that somebody else writes to the same place.
    pub(crate) fn taken(&self, by: &str) -> String {
        format!(
            "another process writes to {} ({by}), and only one may: this one has stopped writing; stop one of the two, and \
             restart this one if it is to go on",
            self.place
        )
    }

    /// The answer of a store that was closed.
    pub(crate) fn closed(&self) -> StoreError {
        StoreError::fault(FaultKind::Unavailable, format!("the store in {} is closed", self.place))
    }
}
