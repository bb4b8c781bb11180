//! Makes notifications of what happens to jobs, keeps them in the store until they are delivered, and delivers them.
//!
//! ```text
//!  settle, dispatch ──notice──┐                    ┌──▶ register notifications/NN
//!  failing jobs ──────────────┼──▶ derive ──▶ outbox of the shard ──▶ channel ──▶ receiver
//!  journal, at the start ─────┘                    └──◀ delivered, or failed for 24 h
//! ```
//!
//! The journal is the source: whatever a notification is about is durable before, so that a process which ends between the two
//! finds it there at the next start. The id of a notification follows from the job and the event, so that one that is made again is
//! the same. An event is delivered after the register has it, and is removed from the register after the channel has confirmed it: at
//! least once. Only the owner of a shard has its outbox.

mod delivery;
mod derive;
mod grouping;
mod recovery;
mod startup;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::inner::EngineInner;
use super::store_waits::STORE_RETRY;
use crate::fault;
use crate::id::{JobId, JobUid};
use crate::notify::{JobEpisodes, Notifier, Outbox, ReportedEvents, register_of};
use crate::store::{Shard, StoreError};
use delivery::{Channel, Delivered};

/// How long events are gathered before notifications are made of them: many jobs may fail at once.
const GATHER: Duration = Duration::from_secs(2);
/// How often late jobs are looked for, and jobs that work again.
const PASS_INTERVAL: Duration = Duration::from_secs(30);
/// How often an outbox is written although nothing has changed: at a start, the journal is read from the last write on.
const TOUCH_INTERVAL: SignedDuration = SignedDuration::from_mins(10);

/// An outbox, and its register.
#[derive(Debug)]
struct KeptOutbox {
    /// The version of the register; absent before there is one.
    version: Option<u64>,
    outbox: Outbox,
    /// The events that the register knows as reported.
    reported: ReportedEvents,
    /// Whether it differs from the register.
    is_changed: bool,
    /// Whether it has notifications that the register has not.
    has_new: bool,
}

/// The notifications of one engine.
struct Notifications {
    engine: Arc<EngineInner>,
    notifier: Arc<dyn Notifier>,
    outboxes: BTreeMap<Shard, KeptOutbox>,
    channels: HashMap<String, Channel>,
    delivering: JoinSet<Delivered>,
    next_pass: Instant,
    /// No write before this moment, because one failed.
    write_after: Instant,
    /// Events of the journal from before this moment were reported by an earlier process.
    reported_until: Timestamp,
}

/// Makes and delivers notifications until the engine stops. Does nothing without a notifier.
pub(super) async fn run(engine: Arc<EngineInner>, shards: Vec<Shard>) {
    let Some(notifier) = engine.options.notifier.clone() else { return };
    let stop = engine.stop.clone();
    let work = async {
        let mut notifications = Notifications::open(engine, notifier, shards).await;
        notifications.find_untold().await;
        notifications.run().await;
    };
    stop.run_until_cancelled(work).await;
}

impl Notifications {
    async fn run(&mut self) {
        let mut failures = self.engine.process.faults.subscribe();
        let engine = Arc::clone(&self.engine);
        loop {
            if Instant::now() >= self.next_pass {
                self.pass().await;
            }
            self.write().await;
            self.start_deliveries();
            self.count_pending();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                Some(Ok(delivered)) = self.delivering.join_next() => self.record_delivery(delivered),
                _ = failures.changed() => self.pass_soon(),
                () = engine.notices.changed.notified() => self.pass_soon(),
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Makes notifications of what has happened since the last pass.
    async fn pass(&mut self) {
        self.next_pass = Instant::now() + PASS_INTERVAL;
        if let Err(error) = self.derive().await {
            tracing::warn!(error = %fault::chain(&error), "could not read jobs for notifications; retrying");
            self.next_pass = Instant::now() + STORE_RETRY;
        }
    }

    fn pass_soon(&mut self) {
        self.next_pass = self.next_pass.min(Instant::now() + GATHER);
    }

    /// Changes what the channels know about a job; none if another engine has its outbox.
    fn edit_episodes<R>(
        &mut self,
        uid: JobUid,
        job: &JobId,
        change: impl FnOnce(&mut JobEpisodes) -> R,
    ) -> Option<R> {
        let kept = self.outboxes.get_mut(&Shard::from_job(job))?;
        let (result, is_changed) = kept.outbox.edit_episodes(uid, job, change);
        kept.is_changed |= is_changed;
        Some(result)
    }

    /// Writes the outboxes that have changed. A group has events of several of them: all notifications are written before an outbox
    /// says that an event was reported.
    async fn write(&mut self) {
        let now = self.engine.clock.now();
        for kept in self.outboxes.values_mut() {
            let written = kept.outbox.derived_until.unwrap_or(Timestamp::MIN);
            kept.is_changed |= now.duration_since(written) >= TOUCH_INTERVAL;
        }
        if Instant::now() < self.write_after {
            return;
        }
        let is_one = self.outboxes.values().filter(|kept| kept.is_changed).count() == 1;
        let steps = if is_one { &[Content::All][..] } else { &[Content::Pending, Content::All] };
        for step in steps {
            for (shard, kept) in &mut self.outboxes {
                if !kept.is_changed || *step == Content::Pending && !kept.has_new {
                    continue;
                }
                if let Err(error) = kept.write(&self.engine, *shard, now, *step).await {
                    tracing::warn!(%shard, error = %fault::chain(&error), "could not record notifications; retrying");
                    self.write_after = Instant::now() + STORE_RETRY;
                    return;
                }
            }
        }
    }

    /// Publishes how many notifications wait.
    fn count_pending(&self) {
        let pending = self.outboxes.values().map(|kept| kept.outbox.pending.len()).sum();
        self.engine.notices.pending.store(pending, Ordering::Relaxed);
    }

    /// Returns when there is something to do, if nothing happens before.
    fn next_wake(&self) -> Instant {
        let is_changed = self.outboxes.values().any(|kept| kept.is_changed);
        let write = is_changed.then_some(self.write_after.max(Instant::now()));
        [write, self.next_delivery()].into_iter().flatten().fold(self.next_pass, Instant::min)
    }
}

/// The part of an outbox that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Its notifications, without the events reported since the last write of all.
    Pending,
    All,
}

impl KeptOutbox {
    async fn write(
        &mut self,
        engine: &EngineInner,
        shard: Shard,
        now: Timestamp,
        content: Content,
    ) -> Result<(), StoreError> {
        let name = register_of(shard);
        let value = match content {
            Content::Pending => self.outbox.register_value_knowing(&self.reported),
            Content::All => self.outbox.register_value(now),
        };
        let written = engine.store.put_register(&name, &value, self.version).await;
        self.version = Some(match written {
            // An earlier write had no answer, or an earlier owner still writes: only the owner's content counts.
            Err(StoreError::Conflict(_)) => {
                let register = engine.store.get_register(&name).await?;
                let version = register.map(|register| register.version);
                engine.store.put_register(&name, &value, version).await?
            }
            version => version?,
        });
        if content == Content::All {
            (self.reported, self.is_changed, self.has_new) = (self.outbox.reported(), false, false);
        }
        Ok(())
    }
}
