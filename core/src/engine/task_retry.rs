//! The retry of failed tasks: a firing whose tasks have failed stays open, until the firing that starts them again is recorded.
//!
//! So a crash at any moment finds the open firing in the journal, and the id of the retry follows from it: it is recorded once.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};

use super::inner::EngineInner;
use super::message::{FireError, FireKind, FireOrder, Message, RetryOrder};
use super::record_firing;
use crate::clock::is_ahead;
use crate::decide::DecisionRecord;
use crate::firing::{Firing, FiringId, FiringState};
use crate::job::{Job, StoredJob};
use crate::policy::{Mode, Overlap, TaskRetry};
use crate::store::{FiringQuery, StoreError};

/// Makes the order to start the failed tasks of a firing again.
fn order(of: &Firing, policy: &TaskRetry) -> RetryOrder {
    let cause = of.failed_task().map(|task| task.cause().text).unwrap_or_default();
    let (number, attempts, id) = (of.retry.number + 1, policy.attempts, &of.id);
    RetryOrder {
        of: of.clone(),
        tasks: policy.count_retried(&of.tasks),
        reason: format!("retry {number} of {attempts} for failed tasks of firing {id}: {cause}"),
    }
}

/// The decision about failed tasks of a firing.
enum NextRetry {
    /// The job does not retry them.
    None,
    /// The job retries them, but not now, for this reason.
    Dropped(String),
    /// The clock was moved, and must be steady before moments are compared.
    Later,
    At(Timestamp),
}

impl EngineInner {
    /// Decides whether the failed tasks of a firing that has just ended start again. If they do, the firing stays open. Returns
    /// whether that could be decided: not if the job cannot be read, or while the clock may be wrong.
    pub(super) async fn plan_retry(&self, ended: &mut Firing) -> bool {
        if ended.failed_task().is_none() {
            return true;
        }
        let next = self.with_job(ended, |stored, job| self.next_retry(ended, stored, job)).await;
        let Ok(next) = next else { return false };
        match next.unwrap_or(NextRetry::None) {
            NextRetry::Later => return false,
            NextRetry::None => {}
            NextRetry::Dropped(note) => ended.retry.note = Some(note),
            NextRetry::At(at) => {
                tracing::info!(%at, number = ended.retry.number + 1, "failed tasks start again");
                (ended.state, ended.retry.at) = (FiringState::Launched, Some(at));
            }
        }
        true
    }

    fn next_retry(&self, ended: &Firing, stored: &StoredJob, job: &Job) -> NextRetry {
        let Some(policy) = policy_of(job) else { return NextRetry::None };
        if policy.count_retried(&ended.tasks) == 0 {
            return NextRetry::None;
        }
        let number = ended.retry.number + 1;
        if number > policy.attempts.get() {
            return NextRetry::Dropped(all_failed(policy));
        }
        let now = self.clock.now();
        self.process.clock.check(now);
        if !self.process.clock.unsteady_for().is_zero() {
            return NextRetry::Later;
        }
        let delay = SignedDuration::try_from(policy.delay(number)).unwrap_or(SignedDuration::MAX);
        let at = now.checked_add(delay).unwrap_or(Timestamp::MAX);
        match self.next_tick(ended, stored, job).filter(|tick| *tick <= at) {
            Some(tick) => NextRetry::Dropped(format!("the tick at {tick} comes before the retry")),
            None => NextRetry::At(at),
        }
    }

    /// Decides at the moment of a retry, after which the job may have been edited. Returns the order, or why nothing starts.
    fn order_retry(&self, ended: &Firing, stored: &StoredJob, job: &Job) -> Result<RetryOrder, String> {
        let policy = policy_of(job).ok_or("the job retries no tasks any more")?;
        let now = self.clock.now();
        if let Some(tick) = self.next_tick(ended, stored, job).filter(|tick| *tick <= now) {
            return Err(format!("the tick at {tick} came before the retry"));
        }
        let order = order(ended, policy);
        if ended.retry.number >= policy.attempts.get() {
            Err(all_failed(policy))
        } else if order.tasks == 0 {
            Err("the rules of the job retry none of these tasks any more".to_owned())
        } else {
            Ok(order)
        }
    }

    /// Returns the next tick of the job after the firing was decided, which ends its retries; none for `overlap: allow`, and none for a
    /// backfill, which waits for its retries.
    fn next_tick(&self, firing: &Firing, stored: &StoredJob, job: &Job) -> Option<Timestamp> {
        if job.policy.overlap == Overlap::Allow || firing.is_of_backfill() {
            return None;
        }
        let (settled, now) = (stored.progress.settled, self.clock.now());
        // A firing that was decided while the clock was ahead counts as decided now.
        let decided = if is_ahead(firing.observed, now) { now } else { firing.observed };
        settled.filter(|tick| *tick > decided && !is_ahead(*tick, now)).or_else(|| {
            // A schedule has no ticks before it was written.
            let counts_from = self.ticks_count_from(settled, job.counts_from(stored.changed));
            job.ticks()?.next_after(decided.max(counts_from))
        })
    }

    /// Reads the job of a firing; nothing if it was removed or is invalid.
    async fn with_job<T>(
        &self,
        firing: &Firing,
        read: impl FnOnce(&StoredJob, &Job) -> T,
    ) -> Result<Option<T>, StoreError> {
        let stored = self.store.get(std::slice::from_ref(&firing.job)).await?;
        let Some(stored) = stored.iter().find(|stored| stored.uid == firing.uid) else { return Ok(None) };
        Ok(self.parse(stored).ok().map(|job| read(stored, &job)))
    }
}

/// Returns the job's rule for failed tasks. Where the queue delivers the message of a failed task again, there is none.
fn policy_of(job: &Job) -> Option<&TaskRetry> {
    job.policy.task_retry.as_ref().filter(|_| job.policy.mode == Mode::Total)
}

fn all_failed(policy: &TaskRetry) -> String {
    format!("all {} retries have failed", policy.attempts)
}

/// Tells whether the moment of a firing's retry has come. A moment that is later than any retry was set while the clock was ahead.
pub(super) fn is_due(firing: &Firing, now: Timestamp) -> bool {
    let latest = now.saturating_add(TaskRetry::MAX_DELAY).unwrap_or(Timestamp::MAX);
    firing.retry.at.is_some_and(|at| at <= now || is_ahead(at, latest))
}

/// Starts the failed tasks of a firing again whose moment has come, and ends the firing. While it is not known whether they start,
/// the firing stays open, and the next poll asks again.
pub(super) async fn run(engine: Arc<EngineInner>, firing: Firing, commands: mpsc::WeakSender<Message>) {
    let Some(known) = find(&engine, &firing.id).await else { return };
    if let Some(known) = known.filter(|known| known.state == FiringState::Finished) {
        // An earlier end was recorded, and its answer was lost.
        return record_firing::record(&engine, firing, known).await;
    }
    let mut ended = firing.clone();
    (ended.state, ended.retry.at) = (FiringState::Finished, None);
    // An earlier order without an answer, or one before a crash, was recorded. A later tick or edit does not undo it, and its own tasks
    // would keep the retry from starting.
    let id = RetryOrder::id_for(&firing);
    let Some(recorded) = is_recorded(&engine, &id).await else { return };
    let started = if recorded {
        Ok(id)
    } else {
        let ordered = engine.with_job(&firing, |stored, job| engine.order_retry(&firing, stored, job));
        match ordered.await {
            Err(_) => return,
            Ok(None) => Err("the job was removed or is invalid".to_owned()),
            Ok(Some(Err(note))) => Err(note),
            Ok(Some(Ok(order))) => match fire(&engine, order, commands).await {
                None => return,
                Some(started) => started,
            },
        }
    };
    match started {
        Ok(id) => ended.retry.by = Some(id),
        Err(note) => ended.retry.note = Some(note),
    }
    record_firing::record(&engine, firing, ended).await;
}

/// Orders a retry. Returns its firing, or why nothing was launched; nothing while that is not known.
async fn fire(
    engine: &EngineInner,
    order: RetryOrder,
    commands: mpsc::WeakSender<Message>,
) -> Option<Result<FiringId, String>> {
    let (id, job) = (order.id(), order.of.job.clone());
    let (answer, answered) = oneshot::channel();
    let kind = FireKind::Retry(Box::new(order));
    let order = FireOrder { kind, answer, span: tracing::Span::current() };
    commands.upgrade()?.send(Message::Fire(job, order)).await.ok()?;
    match answered.await.ok()? {
        Ok(DecisionRecord { firing: Some(id), .. }) => Some(Ok(id)),
        // An earlier order may have been recorded in the meantime.
        Ok(record) => {
            Some(if is_recorded(engine, &id).await? { Ok(id) } else { Err(record.draft.explanation) })
        }
        Err(error @ (FireError::NotFound | FireError::Invalid)) => Some(Err(error.to_string())),
        Err(FireError::Changed | FireError::Unconfirmed) => is_recorded(engine, &id).await?.then_some(Ok(id)),
        Err(FireError::Store | FireError::Elsewhere | FireError::Stopping) => None,
    }
}

/// Tells whether the journal has a firing; nothing if it cannot be read.
pub(super) async fn is_recorded(engine: &EngineInner, id: &FiringId) -> Option<bool> {
    Some(find(engine, id).await?.is_some())
}

/// Reads a firing of the journal; nothing if the journal cannot be read.
pub(super) async fn find(engine: &EngineInner, id: &FiringId) -> Option<Option<Firing>> {
    let query = FiringQuery { id: Some(id.clone()), ..FiringQuery::default() };
    engine.store.firings(&query).await.ok().map(|mut known| known.pop())
}
