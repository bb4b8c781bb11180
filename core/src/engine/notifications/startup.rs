//! The start: reads the outboxes, and finds in the journal what an earlier process had no time to tell.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{KeptOutbox, Notifications};
use crate::decide::TickOutcome;
use crate::engine::inner::EngineInner;
use crate::engine::notices::{Notice, reported_until};
use crate::engine::store_waits::STORE_RETRY;
use crate::fault;
use crate::firing::{Firing, FiringState};
use crate::id::JobId;
use crate::notify::{Notifier, Outbox, register_of};
use crate::store::{DecisionQuery, FiringQuery, MAX_PAGE, Shard, StoreError};
use crate::task::TaskEnd;

/// The number of jobs whose journal is read at once.
const CONCURRENT_RECALLS: usize = 4;
/// The number of firings with an unknown result that are read.
const MAX_UNKNOWN: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not zero");
/// How long after its decision the result of a firing may turn out to be unknown.
const UNKNOWN_AFTER: SignedDuration = SignedDuration::from_hours(2);

impl Notifications {
    /// Reads the outboxes of these shards. Nothing is derived before all of them were read.
    pub(super) async fn open(
        engine: Arc<EngineInner>,
        notifier: Arc<dyn Notifier>,
        shards: Vec<Shard>,
    ) -> Self {
        let mut outboxes = BTreeMap::new();
        for shard in shards {
            outboxes.insert(shard, read_outbox(&engine, shard).await);
        }
        let (now, wall) = (Instant::now(), engine.clock.now());
        let written = outboxes.values().filter_map(|kept: &KeptOutbox| kept.outbox.derived_until).min();
        Self {
            // One that was written while the clock was ahead says nothing about later events.
            reported_until: written.map_or(wall, |written| reported_until(written.min(wall))),
            engine,
            notifier,
            outboxes,
            channels: HashMap::new(),
            delivering: JoinSet::new(),
            next_pass: now,
            write_after: now,
        }
    }

    /// Finds in the newest part of the journal what happened since the outboxes were last written. Jobs that are known to fail are
    /// read as well.
    pub(super) async fn find_untold(&mut self) {
        let known = self.outboxes.values().flat_map(|kept| kept.outbox.jobs.values());
        let mut failing: BTreeSet<JobId> = known.map(|episodes| episodes.job.clone()).collect();
        while let Err(error) = self.read_journal(&mut failing).await {
            tracing::warn!(error = %fault::chain(&error), "could not read the journal for notifications; retrying");
            tokio::time::sleep(STORE_RETRY).await;
        }
        let ids: Vec<JobId> = failing.into_iter().collect();
        let mut jobs = Vec::new();
        for ids in ids.chunks(MAX_PAGE.get()) {
            // A job that cannot be read now is known as failing when it fails again.
            jobs.extend(self.engine.store.get(ids).await.unwrap_or_default());
        }
        let engine = Arc::clone(&self.engine);
        for stored in &jobs {
            // A suspension that has ended since then is over: the next one is new.
            let job = engine.parse(stored);
            if job.is_ok_and(|job| job.suspension_of(engine.clock.now()).is_none()) {
                self.edit_episodes(stored.uid, &stored.id, |known| known.suspension = None);
            }
        }
        let engine = &engine;
        let recalls = futures::stream::iter(jobs);
        recalls
            .for_each_concurrent(CONCURRENT_RECALLS, |job| async move { engine.recall_failing(&job).await })
            .await;
    }

    /// Reads the newest decisions and firings, and gives notice of what is worth it. Adds the jobs that failed.
    pub(super) async fn read_journal(&self, failing: &mut BTreeSet<JobId>) -> Result<(), StoreError> {
        let (store, since) = (&self.engine.store, self.reported_until);
        let oldest = since.saturating_sub(UNKNOWN_AFTER).unwrap_or(Timestamp::MIN);
        // A firing that has started tasks and has lost the answer of a call is not in the state `unknown`.
        let mut lost = Vec::new();
        for row in store.decisions(&DecisionQuery::default()).await? {
            let outcome = row.draft.outcome;
            if outcome == TickOutcome::Unknown && row.draft.observed >= oldest && self.owns(&row.job) {
                lost.extend(row.firing.clone());
            }
            if row.draft.observed < since || !self.owns(&row.job) {
                continue;
            }
            if outcome == TickOutcome::Missed {
                self.engine.notices.push(|| Notice::missed(&row.job, row.uid, row.draft.span));
            } else if matches!(
                outcome,
                TickOutcome::SourceError | TickOutcome::LiveUnknown | TickOutcome::LaunchFailed
            ) {
                failing.insert(row.job);
            }
        }
        for firing in store.firings(&FiringQuery::default()).await? {
            if self.owns(&firing.job) && firing.end() == Some(TaskEnd::Failed) && ended_after(&firing, since)
            {
                failing.insert(firing.job);
            }
        }
        let unknown =
            FiringQuery { state: Some(FiringState::Unknown), limit: MAX_UNKNOWN, ..FiringQuery::default() };
        let mut unknown = store.firings(&unknown).await?;
        lost.retain(|id| !unknown.iter().any(|firing| firing.id == *id));
        for id in lost {
            unknown.extend(store.firings(&FiringQuery { id: Some(id), ..FiringQuery::default() }).await?);
        }
        for firing in unknown {
            if self.owns(&firing.job) && firing.observed >= oldest {
                self.engine.notices.push(|| Notice::unknown(&firing));
                failing.insert(firing.job);
            }
        }
        Ok(())
    }

    pub(super) fn owns(&self, job: &JobId) -> bool {
        self.outboxes.contains_key(&Shard::from_job(job))
    }
}

/// Reads an outbox, and retries until the store answers.
async fn read_outbox(engine: &EngineInner, shard: Shard) -> KeptOutbox {
    loop {
        match engine.store.get_register(&register_of(shard)).await {
            Ok(register) => {
                let version = register.as_ref().map(|register| register.version);
                let outbox = register.map(|register| Outbox::parse(&register.value)).unwrap_or_default();
                let reported = outbox.reported();
                return KeptOutbox { version, outbox, reported, is_changed: false, has_new: false };
            }
            Err(error) => {
                tracing::warn!(%shard, error = %fault::chain(&error), "could not read notifications; retrying");
                tokio::time::sleep(STORE_RETRY).await;
            }
        }
    }
}

fn ended_after(firing: &Firing, moment: Timestamp) -> bool {
    firing.tasks.iter().filter_map(|task| task.stopped_at).any(|at| at >= moment)
}
