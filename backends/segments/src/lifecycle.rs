//! Whether the store may still be used.

use ecs_scheduler_core::{FaultKind, StoreError};
use parking_lot::Mutex;

use crate::error::Site;

/// Open, closed, or lost to another process.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) site: Site,
    shut: Mutex<Option<Shut>>,
}

#[derive(Debug)]
enum Shut {
    Closed,
    Taken(String),
}

impl Gate {
    /// Makes an open one.
    pub(crate) fn new(site: Site) -> Self {
        Self { site, shut: Mutex::new(None) }
    }

    /// Lets a call pass while the store may be used.
    ///
    /// # Errors
    ///
    /// Fails when the store is closed, or when another process writes to the same place.
    pub(crate) fn pass(&self) -> Result<(), StoreError> {
        match &*self.shut.lock() {
            None => Ok(()),
            Some(Shut::Closed) => Err(self.site.closed()),
            Some(Shut::Taken(message)) => Err(taken(message)),
        }
    }

    /// Lets the writer write while no other process does; what waits is still written when the store closes.
    ///
    /// # Errors
    ///
    /// Fails when another process writes to the same place.
    pub(crate) fn still_ours(&self) -> Result<(), StoreError> {
        match &*self.shut.lock() {
            None | Some(Shut::Closed) => Ok(()),
            Some(Shut::Taken(message)) => Err(taken(message)),
        }
    }

    /// Closes the store.
    pub(crate) fn close(&self) {
        self.shut.lock().get_or_insert(Shut::Closed);
    }

    /// Notes that another process writes to the same place; returns what every call is answered from now on.
    pub(crate) fn lose(&self, by: &str) -> StoreError {
        let message = self.site.taken(by);
        let mut shut = self.shut.lock();
        if !matches!(*shut, Some(Shut::Taken(_))) {
            tracing::error!("{message}");
            *shut = Some(Shut::Taken(message.clone()));
        }
        taken(&message)
    }
}

/// Another process may answer the same call, so this is not for good.
fn taken(message: &str) -> StoreError {
    StoreError::fault(FaultKind::Unavailable, message)
}
