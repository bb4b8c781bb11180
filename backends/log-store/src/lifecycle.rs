//! The lifecycle of the store: open, closed, or fenced out by another process.

use ecs_scheduler_core::{FaultKind, StoreError};
use parking_lot::Mutex;

use crate::error::Location;

/// Whether the store may still be used, and why not.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    pub(crate) location: Location,
    ended: Mutex<Option<EndReason>>,
}

#[derive(Debug)]
enum EndReason {
    Closed,
    FencedOut(String),
}

impl Lifecycle {
    /// Makes the lifecycle of an open store.
    pub(crate) fn new(location: Location) -> Self {
        Self { location, ended: Mutex::new(None) }
    }

    /// Checks that the store may be used.
    ///
    /// # Errors
    ///
    /// Fails when the store is closed, or when another process writes to the same location.
    pub(crate) fn ensure_open(&self) -> Result<(), StoreError> {
        match &*self.ended.lock() {
            None => Ok(()),
            Some(EndReason::Closed) => Err(self.location.closed()),
            Some(EndReason::FencedOut(message)) => Err(fenced_out(message)),
        }
    }

    /// Checks that no other process writes. A closed store still writes the operations in its queue.
    ///
    /// # Errors
    ///
    /// Fails when another process writes to the same location.
    pub(crate) fn ensure_not_fenced(&self) -> Result<(), StoreError> {
        match &*self.ended.lock() {
            None | Some(EndReason::Closed) => Ok(()),
            Some(EndReason::FencedOut(message)) => Err(fenced_out(message)),
        }
    }

    /// Closes the store.
    pub(crate) fn close(&self) {
        self.ended.lock().get_or_insert(EndReason::Closed);
    }

    /// Records that another process writes to the same location; returns the error of every call from now on.
    pub(crate) fn fence_out(&self, by: &str) -> StoreError {
        let message = self.location.written_by_another(by);
        let mut ended = self.ended.lock();
        if !matches!(*ended, Some(EndReason::FencedOut(_))) {
            tracing::error!("{message}");
            *ended = Some(EndReason::FencedOut(message.clone()));
        }
        fenced_out(&message)
    }
}

/// Returns the error of a fenced-out store. It is transient, because the other process may answer the same call.
fn fenced_out(message: &str) -> StoreError {
    StoreError::fault(FaultKind::Unavailable, message)
}
