//! Removing old history, in small steps beside everything else.
//!
//! Age is told by the wall clock, and what is removed does not come back. So nothing is removed when the clock moved by itself
//! since the sweep before: one that is years ahead for a moment would make all history old.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Commons, EngineOptions};
use crate::clock::Clock;
use crate::fault;
use crate::store::{Retention, Store, StoreError};

/// How long after the start the first sweep begins: not while open firings are taken up.
const FIRST: Duration = Duration::from_secs(60);
/// How often old history is looked for.
const EVERY: Duration = Duration::from_secs(3_600);
/// Rows that one step removes at most.
const STEP: usize = 500;
/// How long the store is left alone between two steps.
const PAUSE: Duration = Duration::from_millis(100);
/// How much the wall clock may differ from the time that passed.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// The task that removes old history.
#[derive(Debug, Clone)]
pub(crate) struct Sweeper {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    commons: Arc<Commons>,
    stop: CancellationToken,
    age: Duration,
    keep: usize,
    /// The moments by both clocks at which it was made.
    since: (Timestamp, Instant),
}

impl Sweeper {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        commons: Arc<Commons>,
        options: &EngineOptions,
        stop: CancellationToken,
    ) -> Self {
        let since = (clock.now(), Instant::now());
        Self { store, clock, commons, stop, age: options.history_age, keep: options.history_keep, since }
    }

    /// Sweeps again and again, whenever it is this process that is to do it, until it is stopped.
    pub(crate) async fn run(self, ours: impl Fn() -> bool + Send) {
        let (mut wait, mut since) = (FIRST, self.since);
        loop {
            if !self.pause(wait).await {
                return;
            }
            wait = EVERY;
            let now = self.clock.now();
            let (wall, passed) = std::mem::replace(&mut since, (now, Instant::now()));
            let moved = now.duration_since(wall).saturating_sub(signed(passed.elapsed()));
            if moved.abs() > TOLERANCE {
                tracing::warn!(
                    seconds = moved.as_secs(),
                    "the clock was changed; old history is not removed for an hour"
                );
            } else if ours() {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return,
                    () = self.sweep(now) => {}
                }
            }
        }
    }

    /// Removes all that is old at this moment, and says what came of it.
    async fn sweep(&self, now: Timestamp) {
        let mut removed: u64 = 0;
        let outcome = loop {
            match self.step(now).await {
                Ok(0) => break Ok(()),
                Ok(rows) => removed += rows,
                Err(error) => break Err(error),
            }
            tokio::time::sleep(PAUSE).await;
        };
        if removed > 0 {
            tracing::info!(rows = removed, "removed old history");
        }
        if let Err(error) = outcome {
            let error = fault::chain(&error);
            tracing::warn!(error, "could not remove old history; it is tried again within the hour");
        }
    }

    async fn step(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.saturating_sub(signed(self.age)).unwrap_or(Timestamp::MIN);
        let retention = Retention { before, keep: self.keep, now, batch: STEP };
        let rows = self.store.prune(retention).await? as u64;
        self.commons.counters.rows_pruned.fetch_add(rows, Ordering::Relaxed);
        Ok(rows)
    }

    /// Waits, unless it is stopped meanwhile; tells whether it may go on.
    async fn pause(&self, how_long: Duration) -> bool {
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
