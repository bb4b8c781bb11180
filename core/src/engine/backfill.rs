//! Drives backfills: fires the past ticks of a job, oldest first, and follows their firings.
//!
//! ```text
//!  register ──next tick──▶ order ──▶ scheduler loop ──▶ decision and firing in the journal
//!      ▲                                                          │ recorded
//!      └────── compare-and-set: the tick is fired ◀───────────────┘
//! ```
//!
//! The firing is durable first, and its id follows from the backfill and the tick: a process that ends between the two writes finds
//! it in the journal, and does not fire the tick again. Memory holds what the register had at the last write, so that a write without
//! an answer is repeated with the same result, or fails because the register has another version, and is then read again.

mod follow;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::driven_backfills::{Driven, KeptBackfill};
use super::inner::EngineInner;
use super::message::{BackfillOrder, FireError, FireKind, FireOrder, Message};
use super::store_waits::STORE_RETRY;
use super::task_retry::is_recorded;
use crate::backfill::{Backfill, BackfillState, BackfillWait, ENDED_TTL, ListedBackfill, register_of};
use crate::backoff::Backoff;
use crate::decide::{DecisionDraft, DecisionRecord, TickOutcome};
use crate::fault;
use crate::id::{FiringId, JobId, JobUid};
use crate::store::{Shard, StoreError};

/// How long a backfill that waits pauses before it looks again, if nothing wakes it.
const STEP_BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));
/// How long a backfill that waits for a budget gathers ends of tasks before it asks.
const GATHER: Duration = Duration::from_millis(250);
/// How long a register is looked for that the list names: its write may have had no answer.
const MAX_LATE_REGISTER: Duration = Duration::from_secs(60);

/// Finds the backfills of these shards, and drives them until the engine stops.
pub(super) async fn run(engine: Arc<EngineInner>, shards: Vec<Shard>, commands: mpsc::WeakSender<Message>) {
    for shard in shards {
        loop {
            match engine.read_list(shard).await {
                Ok((_, list)) => {
                    for ListedBackfill { job, uid, .. } in list {
                        drive(&engine, job, uid, &commands);
                    }
                    break;
                }
                Err(error) => {
                    tracing::warn!(%shard, error = %fault::chain(&error), "could not read the list of backfills; retrying");
                    if !engine.sleep(STORE_RETRY).await {
                        return;
                    }
                }
            }
        }
    }
}

/// Drives the backfill of a job; one that is driven already only looks again.
fn drive(
    engine: &Arc<EngineInner>,
    job: JobId,
    uid: JobUid,
    commands: &mpsc::WeakSender<Message>,
) -> Arc<Driven> {
    let mut all = engine.backfills.driven.lock();
    if let Some(driven) = all.get(&uid) {
        driven.wake.notify_one();
        return Arc::clone(driven);
    }
    let driven = Arc::new(Driven::default());
    all.insert(uid, Arc::clone(&driven));
    drop(all);
    let (span, commands, since) = (tracing::info_span!("backfill", %job), commands.clone(), Instant::now());
    let (engine, of_driver) = (Arc::clone(engine), Arc::clone(&driven));
    let driver = BackfillDriver { engine: Arc::clone(&engine), driven: of_driver, job, uid, commands, since };
    engine.spawn(driver.run().instrument(span));
    driven
}

/// Drives one backfill.
struct BackfillDriver {
    engine: Arc<EngineInner>,
    driven: Arc<Driven>,
    job: JobId,
    uid: JobUid,
    commands: mpsc::WeakSender<Message>,
    /// When it began.
    since: Instant,
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DriverStep {
    /// Something was done, and more may be possible.
    Again,
    /// Nothing can be done now.
    Wait,
    /// Nothing can be done until a budget leaves something.
    WaitForBudget,
    /// The backfill has ended, or there is none.
    Ended,
}

/// The answer to an order.
enum Ordered {
    /// The firing is recorded.
    Fired(FiringId),
    /// The tick needs no task.
    Idle,
    /// Something keeps the tick from being fired now.
    Waits(TickOutcome, String),
    JobRemoved,
    /// It is not known whether the firing is recorded.
    Unknown,
}

impl BackfillDriver {
    async fn run(self) {
        let mut backoff = STEP_BACKOFF;
        let engine = Arc::clone(&self.engine);
        let mut freed = engine.process.budgets.freed();
        while !engine.stop.is_cancelled() {
            freed.mark_unchanged();
            let step = {
                let mut kept = self.driven.kept.lock().await;
                self.step(&mut kept).await
            };
            match step {
                DriverStep::Again => {
                    backoff = STEP_BACKOFF;
                    continue;
                }
                DriverStep::Ended if self.leave().await => return,
                DriverStep::Ended | DriverStep::Wait | DriverStep::WaitForBudget => {}
            }
            tokio::select! {
                biased;
                () = engine.stop.cancelled() => return,
                () = self.driven.wake.notified() => backoff = STEP_BACKOFF,
                Ok(()) = freed.changed(), if step == DriverStep::WaitForBudget => {
                    // Tasks often end together.
                    engine.sleep(GATHER).await;
                }
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
        }
    }

    /// Does the next thing that can be done, and writes it.
    async fn step(&self, kept: &mut Option<KeptBackfill>) -> DriverStep {
        let now = self.engine.clock.now();
        let known = match kept {
            Some(known) => known.clone(),
            None => match self.engine.read_backfill(&self.uid).await {
                Err(_) => return DriverStep::Wait,
                Ok(None) if self.since.elapsed() < MAX_LATE_REGISTER => return DriverStep::Wait,
                Ok(None) => return DriverStep::Ended,
                Ok(Some(read)) => kept.insert(read).clone(),
            },
        };
        let mut next = known.backfill.clone();
        self.follow(&mut next).await;
        if next.close(now) {
            let is_written = next == known.backfill || self.write(kept, next).await;
            return if is_written { DriverStep::Ended } else { DriverStep::Wait };
        }
        if next != known.backfill {
            return if self.write(kept, next).await { DriverStep::Again } else { DriverStep::Wait };
        }
        let (free, tick) = (next.unfinished.len() < next.overlap.get() as usize, next.next_tick());
        let Some(tick) = tick.filter(|_| free) else { return DriverStep::Wait };
        match self.fire(&next, tick).await {
            Ordered::Fired(firing) => next.take_tick(Some(firing)),
            Ordered::Idle => next.take_tick(None),
            Ordered::JobRemoved => next.end(BackfillState::JobRemoved),
            Ordered::Unknown => return DriverStep::Wait,
            Ordered::Waits(outcome, reason) => {
                let before = next.waiting.take();
                let since =
                    before.as_ref().filter(|before| before.outcome == outcome).map(|before| before.since);
                if since.is_none() {
                    tracing::info!(%tick, %outcome, reason, "a backfill waits");
                }
                next.waiting = Some(BackfillWait { outcome, reason, since: since.unwrap_or(now) });
                if next.waiting != before {
                    self.write(kept, next).await;
                }
                let is_budget = outcome == TickOutcome::Budget;
                return if is_budget { DriverStep::WaitForBudget } else { DriverStep::Wait };
            }
        }
        if self.write(kept, next).await { DriverStep::Again } else { DriverStep::Wait }
    }

    /// Fires a tick, unless an order before was recorded.
    async fn fire(&self, backfill: &Backfill, nominal: jiff::Timestamp) -> Ordered {
        let id = backfill.firing_of(nominal);
        match is_recorded(&self.engine, &id).await {
            None => return Ordered::Unknown,
            Some(true) => return Ordered::Fired(id),
            Some(false) => {}
        }
        let (answer, answered) = oneshot::channel();
        let order = BackfillOrder { uid: self.uid, id, nominal, is_preview: false };
        let kind = FireKind::Backfill(Box::new(order));
        let order = FireOrder { kind, answer, span: tracing::Span::current() };
        let Some(commands) = self.commands.upgrade() else { return Ordered::Unknown };
        if commands.send(Message::Fire(self.job.clone(), order)).await.is_err() {
            return Ordered::Unknown;
        }
        drop(commands);
        match answered.await {
            Ok(Ok(record)) => result_of(record),
            Ok(Err(FireError::NotFound)) => Ordered::JobRemoved,
            Ok(Err(error @ FireError::Invalid)) => {
                Ordered::Waits(TickOutcome::SourceError, error.to_string())
            }
            // An order before, or one without an answer, may be recorded. The next step finds it.
            Ok(Err(_)) | Err(_) => Ordered::Unknown,
        }
    }

    /// Writes the register if nobody else has; returns whether it was written. Otherwise it is read again, or written again.
    async fn write(&self, kept: &mut Option<KeptBackfill>, next: Backfill) -> bool {
        let Some(version) = kept.as_ref().map(|kept| kept.version) else { return false };
        match self.engine.write_backfill(&next, Some(version)).await {
            Ok(version) => {
                *kept = Some(KeptBackfill { version, backfill: next });
                true
            }
            Err(error) => {
                if !matches!(error, StoreError::Conflict(_)) {
                    tracing::warn!(error = %fault::chain(&error), "could not record the progress of a backfill; retrying");
                }
                *kept = None;
                false
            }
        }
    }

    /// Takes an ended backfill out of the list; returns false if the list could not be written, or another backfill has begun.
    async fn leave(&self) -> bool {
        let engine = &self.engine;
        let _listing = engine.backfills.listing.lock().await;
        let mut kept = self.driven.kept.lock().await;
        let Ok(read) = engine.read_backfill(&self.uid).await else { return false };
        if read.as_ref().is_some_and(|read| read.backfill.is_under_way()) {
            *kept = None;
            self.driven.wake.notify_one();
            return false;
        }
        if engine
            .unlist(&self.job, &self.uid, read.as_ref().map(|read| read.backfill.id.as_str()))
            .await
            .is_err()
        {
            return false;
        }
        engine.backfills.driven.lock().remove(&self.uid);
        true
    }
}

/// Returns what a recorded decision, or one that is not recorded, means for the backfill.
fn result_of(record: DecisionRecord) -> Ordered {
    let DecisionRecord { draft: DecisionDraft { outcome, explanation, .. }, firing, .. } = record;
    match firing {
        Some(firing) => Ordered::Fired(firing),
        None if outcome == TickOutcome::Idle => Ordered::Idle,
        None => Ordered::Waits(outcome, explanation),
    }
}

impl EngineInner {
    async fn read_backfill(&self, uid: &JobUid) -> Result<Option<KeptBackfill>, StoreError> {
        let register = self.store.get_register(&register_of(uid)).await?;
        Ok(register.and_then(|register| {
            Some(KeptBackfill { version: register.version, backfill: Backfill::parse(&register.value)? })
        }))
    }

    async fn write_backfill(&self, backfill: &Backfill, version: Option<u64>) -> Result<u64, StoreError> {
        let expires = backfill.ended.and_then(|ended| ended.checked_add(ENDED_TTL).ok());
        let name = register_of(&backfill.uid);
        self.store.put_expiring_register(&name, &backfill.register_value(), version, expires).await
    }
}
