//! Prunes old history in the background, in small steps.
//!
//! The wall clock gives the age of history, and removal is final. So nothing is removed when the clock made a step since
//! the last pruning: a clock that is years ahead for a moment would make all history old. If the clock is far ahead of the
//! newest history at the start, it may be wrong, or the scheduler stood still: nothing is removed for a day.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{EngineOptions, ProcessState};
use crate::clock::{Clock, TOLERANCE};
use crate::fault;
use crate::job::JobId;
use crate::policy::HistoryRule;
use crate::store::{DecisionQuery, ListFrom, PrunedJobs, Retention, Store, StoreError, answer_within};

/// How long after the start history is first pruned: not while open firings are resumed.
const START_DELAY: Duration = Duration::from_secs(60);
/// How far the clock may be ahead of the newest history at the start.
const MAX_GAP: SignedDuration = SignedDuration::from_hours(24);
/// How many of the newest rows are read to compare them.
const CHECKED_ROWS: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is not zero");
/// How long nothing is removed if it is further ahead: a wrong clock is noticed and set meanwhile.
const DOUBT_DELAY: Duration = Duration::from_hours(24);
/// How often history is pruned.
const INTERVAL: Duration = Duration::from_secs(3_600);
/// The maximum number of rows that one step removes.
const BATCH_ROWS: usize = 500;
/// The number of jobs that are read at once: documents may be long.
const PAGE_JOBS: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not zero");
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
    age: Duration,
    keep: usize,
    /// The moments by both clocks at which it was made.
    since: (Timestamp, Instant),
    /// How long after the start history is first pruned.
    start_delay: Duration,
}

impl HistoryPruner {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        process: Arc<ProcessState>,
        options: &EngineOptions,
    ) -> Self {
        let since = (clock.now(), Instant::now());
        let (age, keep, start_delay) = (options.history_age, options.history_keep, START_DELAY);
        Self { store, clock, process, age, keep, since, start_delay }
    }

    /// Compares the clock with the newest history, before this process adds to it.
    pub(crate) async fn check_newest(mut self) -> Self {
        // A row into which ticks are folded keeps its place, so that the newest moment need not be in the newest row.
        let query = DecisionQuery { limit: CHECKED_ROWS, ..DecisionQuery::default() };
        let newest = answer_within(BATCH_TIMEOUT, self.store.decisions(&query)).await;
        let Ok(Some(newest)) =
            newest.map(|rows| rows.iter().map(|row| row.draft.observed.max(row.draft.span.last)).max())
        else {
            return self;
        };
        let gap = self.since.0.duration_since(newest);
        if gap > MAX_GAP {
            tracing::warn!(
                %newest, days = gap.as_hours() / 24,
                "the newest history is old; pruning pauses for a day; check the clock, unless the scheduler was stopped"
            );
            self.start_delay = DOUBT_DELAY;
        }
        self
    }

    /// Prunes at intervals until it is stopped. `is_responsible` returns whether this process prunes now.
    pub(crate) async fn run(self, stop: CancellationToken, is_responsible: impl Fn() -> bool + Send) {
        let (mut wait, mut since) = (self.start_delay, self.since);
        loop {
            if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
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
            } else if is_responsible() && stop.run_until_cancelled(self.prune(now)).await.is_none() {
                return;
            }
        }
    }

    /// Removes all rows that are old at this moment, and logs the result.
    async fn prune(&self, now: Timestamp) {
        let mut removed: u64 = 0;
        let outcome = self.prune_all(now, &mut removed).await;
        if removed > 0 {
            tracing::info!(rows = removed, "removed old history");
        }
        if let Err(error) = outcome {
            let error = fault::chain(&error);
            tracing::warn!(error, "could not remove old history; retrying within an hour");
        }
    }

    /// Prunes the jobs without a rule of their own, then the others one by one.
    async fn prune_all(&self, now: Timestamp, removed: &mut u64) -> Result<(), StoreError> {
        let rules = self.read_rules().await?;
        let before = now.saturating_sub(signed(self.age)).unwrap_or(Timestamp::MIN);
        let jobs = PrunedJobs::AllBut(Arc::new(rules.keys().cloned().collect()));
        let retention = Retention { before, keep: self.keep, now, batch: BATCH_ROWS, jobs };
        self.prune_steps(&retention, removed).await?;
        for (job, rule) in rules {
            self.prune_steps(&retention.of_job(job, rule), removed).await?;
        }
        Ok(())
    }

    /// Reads the rules of the jobs that have some. The engine reads all jobs more often than history is pruned.
    async fn read_rules(&self) -> Result<BTreeMap<JobId, HistoryRule>, StoreError> {
        let (mut rules, mut from) = (BTreeMap::new(), ListFrom::Skip(0));
        loop {
            let page = answer_within(BATCH_TIMEOUT, self.store.list(from, PAGE_JOBS)).await?;
            for job in &page.jobs {
                let rule = HistoryRule::of_document(job.document.get());
                rules.extend(rule.map(|rule| (job.id.clone(), rule)));
            }
            let Some(last) = page.jobs.last().filter(|_| page.jobs.len() == PAGE_JOBS.get()) else {
                return Ok(rules);
            };
            from = ListFrom::After(last.id.clone());
        }
    }

    async fn prune_steps(&self, retention: &Retention, removed: &mut u64) -> Result<(), StoreError> {
        loop {
            let rows = answer_within(BATCH_TIMEOUT, self.store.prune(retention.clone())).await? as u64;
            self.process.counters.rows_pruned.fetch_add(rows, Ordering::Relaxed);
            *removed += rows;
            if rows == 0 {
                return Ok(());
            }
            tokio::time::sleep(BATCH_PAUSE).await;
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
