//! The backfills that an engine drives, for the parts that wake them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::backfill::Backfill;
use crate::id::JobUid;

/// The backfills that an engine drives.
#[derive(Debug, Default)]
pub(super) struct Backfills {
    pub(super) driven: Mutex<BTreeMap<JobUid, Arc<Driven>>>,
    /// Held while a backfill begins or leaves the list.
    pub(super) listing: tokio::sync::Mutex<()>,
}

/// A backfill that is driven.
#[derive(Debug, Default)]
pub(super) struct Driven {
    pub(super) wake: Notify,
    /// The register as it was last written or read; held during a step.
    pub(super) kept: tokio::sync::Mutex<Option<KeptBackfill>>,
}

/// A backfill, and the version of its register.
#[derive(Debug, Clone)]
pub(super) struct KeptBackfill {
    pub(super) version: u64,
    pub(super) backfill: Backfill,
}

impl Backfills {
    /// Lets the backfill of a job look again: a firing has ended, or the job has changed.
    pub(super) fn wake(&self, uid: &JobUid) {
        if let Some(driven) = self.driven.lock().get(uid) {
            driven.wake.notify_one();
        }
    }
}
