//! The breakers of jobs, in memory: the starts of the newest firings of each job that has one.
//!
//! The journal has them too. They are read from there when a job is first evaluated or shown, and forgotten with an edit of the job.

mod starts;

use std::num::NonZeroUsize;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use serde::Serialize;

use crate::firing::Firing;
use crate::id::{FiringId, JobId, JobUid, Revision};
use crate::policy::Breaker;

pub(super) use starts::{MAX_STARTS, StartHistory};

/// The beginning of the last step of a canary's decision; the journal has no other mark of a canary.
pub(super) const CANARY: &str = "canary ";

/// Whether a breaker lets launches pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BreakerPhase {
    /// Every launch passes.
    Closed,
    /// Single tasks, the canaries, take the place of launches.
    Open,
}

/// The state of a job's breaker, as its newest firings show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BreakerState {
    /// Whether it is open.
    pub state: BreakerPhase,
    /// How many tasks in a row failed to start since one started. A launch that was refused for good counts as one.
    pub failures: u64,
    /// When it opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many canaries failed since it opened.
    pub canaries: u32,
    /// The firing of the canary that may still start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<FiringId>,
    /// The moment from which a tick starts the next canary; absent while one is open, and after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_canary: Option<Timestamp>,
    /// Why the newest task failed to start, while the breaker is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl BreakerState {
    /// Tells whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == BreakerPhase::Open
    }

    /// Returns the reason to suspend the job, when the last canary has failed.
    pub(super) fn exhausted(&self) -> Option<String> {
        if self.canaries < Breaker::MAX_CANARIES {
            return None;
        }
        let (failures, canaries) = (self.failures, self.canaries);
        let since = self.since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
        let reason = self.reason.as_deref().unwrap_or_default();
        Some(format!(
            "the breaker is open{since}, and all {canaries} canaries failed; {failures} start failures in a row: {reason}"
        ))
    }

    fn closed() -> Self {
        Self {
            state: BreakerPhase::Closed,
            failures: 0,
            since: None,
            canaries: 0,
            canary: None,
            next_canary: None,
            reason: None,
        }
    }
}

/// The breakers of the jobs that were evaluated or shown lately.
#[derive(Debug)]
pub(super) struct Breakers(Mutex<LruCache<JobUid, JobBreaker>>);

#[derive(Debug)]
struct JobBreaker {
    job: JobId,
    revision: Revision,
    breaker: Breaker,
    starts: StartHistory,
    /// Whether the journal was read.
    is_complete: bool,
    /// Whether the log says that it is open.
    is_logged: bool,
}

impl JobBreaker {
    /// Writes a line to the log if it has opened or closed; returns the state, and whether it has opened.
    fn log_change(&mut self, now: Timestamp) -> (BreakerState, bool) {
        let (state, job) = (self.starts.state(&self.breaker, now), &self.job);
        let was_open = std::mem::replace(&mut self.is_logged, state.is_open());
        let BreakerState { failures, next_canary, reason, .. } = &state;
        match (was_open, state.is_open()) {
            (false, true) => {
                let (next, reason) = (next_canary.map(tracing::field::display), reason.as_deref());
                tracing::warn!(%job, failures, next_canary = next, reason, "the breaker of a job opened");
            }
            (true, false) => tracing::info!(%job, "the breaker of a job closed"),
            (false, false) | (true, true) => {}
        }
        let has_opened = !was_open && state.is_open();
        (state, has_opened)
    }
}

impl Breakers {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self(Mutex::new(LruCache::new(capacity)))
    }

    /// Begins to collect the starts of a version of a job.
    pub(super) fn begin(&self, job: &JobId, (uid, revision): (JobUid, Revision), breaker: Breaker) {
        let mut known = self.0.lock();
        if known.get(&uid).is_none_or(|known| known.revision != revision) {
            let (job, starts) = (job.clone(), StartHistory::default());
            let new = JobBreaker { job, revision, breaker, starts, is_complete: false, is_logged: false };
            known.put(uid, new);
        }
    }

    /// Adds the starts of the journal; returns whether the breaker is found open.
    pub(super) fn complete(
        &self,
        (uid, revision): (JobUid, Revision),
        journal: StartHistory,
        now: Timestamp,
    ) -> bool {
        let mut known = self.0.lock();
        let Some(known) = known.get_mut(&uid).filter(|known| known.revision == revision) else {
            return false;
        };
        if !std::mem::replace(&mut known.is_complete, true) {
            known.starts.add_older(journal);
        }
        known.log_change(now).1
    }

    /// Records the newest state of a durable firing. Returns the state of the job's breaker, if it has one, and whether it has opened.
    pub(super) fn record(&self, firing: &Firing, now: Timestamp) -> Option<(BreakerState, bool)> {
        let mut known = self.0.lock();
        let known = known.peek_mut(&firing.uid).filter(|known| known.revision == firing.revision)?;
        known.starts.record(firing);
        // Without the journal, a failure may be the first or the last one.
        known.is_complete.then(|| known.log_change(now))
    }

    /// Returns the state of the breaker of a version of a job, if the journal was read.
    pub(super) fn state(&self, (uid, revision): (JobUid, Revision), now: Timestamp) -> Option<BreakerState> {
        let mut known = self.0.lock();
        let known = known.get(&uid).filter(|known| known.revision == revision && known.is_complete)?;
        Some(known.starts.state(&known.breaker, now))
    }

    /// Forgets a job that was edited or removed.
    pub(super) fn forget(&self, uid: &JobUid) {
        self.0.lock().pop(uid);
    }

    /// Returns the number of open breakers.
    pub(super) fn count_open(&self) -> usize {
        self.0.lock().iter().filter(|(_, known)| known.is_logged).count()
    }
}
