//! Events of the live stream.

use serde::Serialize;

use crate::decide::DecisionRecord;
use crate::firing::Firing;
use crate::job::{JobId, Revision};

/// How many events a subscriber may lag behind before it must refetch.
pub const EVENT_BUFFER: usize = 1024;

/// An event, for subscribers of the live stream.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// A tick got its outcome.
    Decision(Box<DecisionRecord>),
    /// A firing, or one of its tasks, changed its state.
    Firing(Box<Firing>),
    /// A job was created, replaced or removed.
    Job {
        /// The job's name.
        id: JobId,
        /// Its new version; absent when it was removed.
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
