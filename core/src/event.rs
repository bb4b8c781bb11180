//! What the live stream carries.

use serde::Serialize;

use crate::decide::DecisionRecord;
use crate::firing::Firing;
use crate::job::{JobId, Revision};

/// How many events a slow subscriber may be behind before it is told to refetch.
pub const EVENT_BUFFER: usize = 1024;

/// Something that happened, for whoever watches.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Event {
    /// A tick got its outcome.
    Decision(Box<DecisionRecord>),
    /// A firing moved, or one of its tasks did.
    Firing(Box<Firing>),
    /// A job was created, replaced or removed.
    Job {
        /// Which job.
        id: JobId,
        /// Its version now; absent when it was removed.
        revision: Option<Revision>,
    },
    /// All launches were stopped, or allowed again.
    Brake {
        /// Whether they are stopped.
        on: bool,
        /// Why.
        reason: Option<String>,
    },
}
