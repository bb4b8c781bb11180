//! Prunes old history in the background, in small steps.
//!
//! The wall clock gives the age of history, and removal is final. So nothing is removed when the clock made a step since
//! the last pruning: a clock that is years ahead for a moment would make all history old.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{EngineOptions, ProcessState};
use crate::clock::{Clock, TOLERANCE};
use crate::fault;
use crate::store::{Retention, Store, StoreError, answer_within};

/// How long after the start history is first pruned: not while open firings are resumed.
const START_DELAY: Duration = Duration::from_secs(60);
/// How often history is pruned.
const INTERVAL: Duration = Duration::from_secs(3_600);
/// The maximum number of rows that one step removes.
const BATCH_ROWS: usize = 500;
/// How long to wait between two steps.
const BATCH_PAUSE: Duration = Duration::from_millis(100);
/// How long one step may take.
const BATCH_TIMEOUT: Duration = Duration::from_mins(2);

/// The task that prunes old history.
#[derive(Debug, Clone)]
pub(crate) struct HistoryPruner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    process: Arc<ProcessState>,
    stop: CancellationToken,
    age: Duration,
    keep: usize,
    /// The moments by both clocks at which it was made.
    since: (Timestamp, Instant),
}

impl HistoryPruner {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        process: Arc<ProcessState>,
        options: &EngineOptions,
        stop: CancellationToken,
    ) -> Self {
        let since = (clock.now(), Instant::now());
        Self { store, clock, process, stop, age: options.history_age, keep: options.history_keep, since }
    }

    /// Prunes at intervals until it is stopped. `is_responsible` returns whether this process prunes now.
    pub(crate) async fn run(self, is_responsible: impl Fn() -> bool + Send) {
        let (mut wait, mut since) = (START_DELAY, self.since);
        loop {
            if !self.sleep(wait).await {
                return;
            }
            wait = INTERVAL;
            let now = self.clock.now();
            let (wall, passed) = std::mem::replace(&mut since, (now, Instant::now()));
            let moved = now.duration_since(wall).saturating_sub(signed(passed.elapsed()));
            if moved.abs() > TOLERANCE {
                tracing::warn!(
                    seconds = moved.as_secs(),
                    "the clock was changed; old history is not removed for an hour"
                );
            } else if is_responsible() && self.stop.run_until_cancelled(self.prune(now)).await.is_none() {
                return;
            }
        }
    }

    /// Removes all rows that are old at this moment, and logs the result.
    async fn prune(&self, now: Timestamp) {
        let mut removed: u64 = 0;
        let outcome = loop {
            match self.prune_batch(now).await {
                Ok(0) => break Ok(()),
                Ok(rows) => removed += rows,
                Err(error) => break Err(error),
            }
            tokio::time::sleep(BATCH_PAUSE).await;
        };
        if removed > 0 {
            tracing::info!(rows = removed, "removed old history");
        }
        if let Err(error) = outcome {
            let error = fault::chain(&error);
            tracing::warn!(error, "could not remove old history; retrying within an hour");
        }
    }

    async fn prune_batch(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.saturating_sub(signed(self.age)).unwrap_or(Timestamp::MIN);
        let retention = Retention { before, keep: self.keep, now, batch: BATCH_ROWS };
        let rows = answer_within(BATCH_TIMEOUT, self.store.prune(retention)).await? as u64;
        self.process.counters.rows_pruned.fetch_add(rows, Ordering::Relaxed);
        Ok(rows)
    }

    /// Sleeps; returns false when it is stopped meanwhile.
    async fn sleep(&self, how_long: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(how_long) => true,
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
