//! The status and the counters of the engine.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::decide::TickOutcome;

/// Upper bounds of the lateness histogram, in milliseconds; a last bucket counts later ticks.
pub const LATENESS_BOUNDS_MS: [u64; 10] = [1, 5, 10, 25, 50, 100, 250, 1_000, 10_000, 60_000];

/// The brake: all launches are stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Brake {
    /// The reason, as its author gave it.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// A moment's view of the engine.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineStatus {
    /// The number of jobs.
    pub jobs: usize,
    /// The number of stored documents that are not valid jobs; they are listed and never evaluated.
    pub invalid_jobs: usize,
    /// The number of jobs that are in a round now.
    pub in_rounds: usize,
    /// The number of jobs with a tick that could not be decided yet and is tried again.
    pub retrying: usize,
    /// The number of firings that are being launched.
    pub dispatching: usize,
    /// The number of tasks that are pending or running.
    pub live_tasks: usize,
    /// When the next tick is due.
    pub next_due: Option<Timestamp>,
    /// The brake, when all launches are stopped.
    pub brake: Option<Brake>,
    /// The fault of the store, when the last write failed.
    pub store_fault: Option<String>,
    /// The reason why tasks cannot be launched or counted: the launcher does not answer, or it refuses launches.
    pub launcher_fault: Option<String>,
    /// The source that cannot be read, and the number of its jobs.
    pub source_fault: Option<String>,
    /// The number of jobs whose newest ticks could not be read, counted, launched or recorded.
    pub failing: usize,
    /// The number of jobs whose newest ended firings had failed tasks.
    pub failing_tasks: usize,
    /// The number of jobs whose breaker is open.
    pub open_breakers: usize,
    /// A recent step of the clock, or ticks that are settled in its future.
    pub clock_fault: Option<String>,
    /// The number of clock steps of more than a minute since the start of the process.
    pub clock_steps: u64,
    /// The number of jobs that are not evaluated because their ticks are settled in the future.
    pub jobs_ahead: usize,
    /// The number of notifications that wait for their delivery.
    pub pending_notifications: usize,
}

impl EngineStatus {
    /// Returns the dependencies of jobs beside store and engine, each with its fault. Readiness shows them and does not
    /// depend on them, because the API and the brake work without them.
    #[must_use]
    pub fn dependencies(&self) -> [(&'static str, Option<String>); 3] {
        [
            ("launcher", self.launcher_fault.clone()),
            ("sources", self.source_fault.clone()),
            ("clock", self.clock_fault.clone()),
        ]
    }

    /// Sets the number of jobs whose ticks are settled in the future, and the fault of the clock.
    pub(crate) fn with_ahead(mut self, step: Option<String>, jobs: usize) -> Self {
        let ahead = || format!("ticks are settled in the future, because the clock was ahead (jobs: {jobs})");
        self.jobs_ahead = jobs;
        self.clock_fault = step.or_else(|| (jobs > 0).then(ahead));
        self
    }
}

/// Counts since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    outcomes: [AtomicU64; TickOutcome::ALL.len()],
    lateness: [AtomicU64; LATENESS_BOUNDS_MS.len() + 1],
    lateness_sum_ms: AtomicU64,
    /// Firings that were journalled.
    pub firings: AtomicU64,
    /// Rows of history written: decisions that were not folded into the one before.
    pub rows_written: AtomicU64,
    /// Rows of old history, and expired registers, that were removed.
    pub rows_pruned: AtomicU64,
    /// Calls made to the launcher to start tasks.
    pub launch_calls: AtomicU64,
    /// Calls to start tasks that failed as a whole.
    pub launch_errors: AtomicU64,
    /// Tasks started.
    pub tasks_started: AtomicU64,
    /// Requested tasks that were refused.
    pub tasks_refused: AtomicU64,
    /// Tasks that ended by themselves with exit code 0.
    pub tasks_succeeded: AtomicU64,
    /// Tasks that failed.
    pub tasks_failed: AtomicU64,
    /// Tasks that were stopped.
    pub tasks_stopped: AtomicU64,
    /// Breakers of jobs that opened, or were found open after a start.
    pub breakers_opened: AtomicU64,
    /// Notifications that a channel has confirmed.
    pub notifications_delivered: AtomicU64,
    /// Attempts to deliver a notification that failed and are repeated.
    pub notifications_retried: AtomicU64,
    /// Notifications that were given up.
    pub notifications_failed: AtomicU64,
}

impl Counters {
    /// Returns the number of ticks with this outcome. A tick is counted when its outcome is final, so none is
    /// `pending`.
    #[must_use]
    pub fn ticks(&self, outcome: TickOutcome) -> u64 {
        self.outcomes[outcome as usize].load(Ordering::Relaxed)
    }

    /// Returns the lateness histogram: a count per bound of [`LATENESS_BOUNDS_MS`] and one for later ticks, not
    /// cumulative, and the sum in milliseconds.
    #[must_use]
    pub fn lateness(&self) -> ([u64; LATENESS_BOUNDS_MS.len() + 1], u64) {
        let counts = std::array::from_fn(|index| self.lateness[index].load(Ordering::Relaxed));
        (counts, self.lateness_sum_ms.load(Ordering::Relaxed))
    }

    pub(super) fn count_ticks(&self, outcome: TickOutcome, ticks: u64) {
        self.outcomes[outcome as usize].fetch_add(ticks, Ordering::Relaxed);
    }

    pub(super) fn record_lateness(&self, by: SignedDuration) {
        let millis = u64::try_from(by.as_millis().max(0)).unwrap_or(u64::MAX);
        let bucket = LATENESS_BOUNDS_MS.iter().position(|bound| millis <= *bound);
        self.lateness[bucket.unwrap_or(LATENESS_BOUNDS_MS.len())].fetch_add(1, Ordering::Relaxed);
        self.lateness_sum_ms.fetch_add(millis, Ordering::Relaxed);
    }

    pub(super) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}
