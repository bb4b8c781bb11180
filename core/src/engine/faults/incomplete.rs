//! Jobs whose ticks start fewer tasks than requested, or whose launches are refused and retried. The log has one line when that begins
//! for a reason. It has one when a tick of a job starts all of its tasks again.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::firing::{Firing, Origin};
use crate::id::JobUid;

/// The jobs whose newest launch was not complete, and the numbers of their engines.
#[derive(Debug, Default)]
pub(super) struct IncompleteLaunches {
    partial: HashMap<JobUid, (u64, PartialLaunch)>,
    /// Why a call was last retried.
    retried: HashMap<JobUid, (u64, String)>,
}

/// Partial launches of one job in a row.
#[derive(Debug)]
struct PartialLaunch {
    reason: String,
    since: Timestamp,
    firings: u64,
}

impl IncompleteLaunches {
    /// Records why a call is retried; returns whether the last one was for another reason.
    pub(super) fn record_retry(&mut self, engine: u64, uid: JobUid, reason: &str) -> bool {
        let last = self.retried.insert(uid, (engine, reason.to_owned()));
        last.is_none_or(|(_, last)| last != reason)
    }

    /// Records that a firing started fewer tasks than requested. A firing by hand is logged in any case.
    pub(super) fn record_partial(&mut self, engine: u64, firing: &Firing) {
        let (reason, by_tick) = (firing.note.clone().unwrap_or_default(), firing.origin == Origin::Tick);
        let (started, requested) = (firing.started(), firing.requested);
        if by_tick && self.is_repeated(&firing.uid, &reason) {
            tracing::debug!(reason, started, requested, "a firing started fewer tasks than requested");
        } else {
            tracing::warn!(reason, started, requested, "a firing started fewer tasks than requested");
        }
        if by_tick {
            let new = PartialLaunch { reason: String::new(), since: firing.observed, firings: 0 };
            let (_, partial) = self.partial.entry(firing.uid).or_insert((engine, new));
            (partial.reason, partial.firings) = (reason, partial.firings + 1);
        }
    }

    /// Records that a firing started all of its tasks.
    pub(super) fn record_complete(&mut self, uid: &JobUid) {
        self.retried.remove(uid);
        if let Some((_, PartialLaunch { since, firings, .. })) = self.partial.remove(uid) {
            tracing::warn!(%since, partial_firings = firings, "a job starts all of its tasks again");
        }
    }

    /// Tells whether the newest launch of a job was partial for this reason, or for one that ends with it.
    pub(super) fn is_repeated(&self, uid: &JobUid, reason: &str) -> bool {
        self.partial.get(uid).is_some_and(|(_, partial)| partial.reason.ends_with(reason))
    }

    pub(super) fn forget(&mut self, uid: &JobUid) {
        self.partial.remove(uid);
        self.retried.remove(uid);
    }

    pub(super) fn forget_engine(&mut self, engine: u64) {
        self.partial.retain(|_, (of, _)| *of != engine);
        self.retried.retain(|_, (of, _)| *of != engine);
    }
}
