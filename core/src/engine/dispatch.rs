//! Dispatch: drives each firing to its end. Only this module launches tasks and retries launches.
//!
//! A durable record precedes every call. A call without an answer is retried with the same token while the launcher
//! remembers the token, and never after that. A refused call that may succeed later gets a new attempt number, and so a
//! new token, for the missing tasks only.

mod definition;
mod launch_attempt;
mod replace;

use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::faults::{FailedTicks, Failing, FaultyAction};
use super::inner::EngineInner;
use super::notices::Notice;
use super::spans::firing_span;
use super::status::Counters;
use super::strip_details;
use crate::backoff::Backoff;
use crate::clock::is_ahead;
use crate::decide::TickOutcome;
use crate::fault;
use crate::firing::{Firing, FiringState, Origin};
use crate::store::{FiringQuery, StoreError};
use launch_attempt::{AttemptFlow, Interruption, is_unattended};

/// The waits before the retries of a launch, and before those of a write of the journal.
const RETRY_BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
/// How long a firing keeps its permit of dispatch while it waits for the store.
const MAX_PERMIT_WRITE: Duration = Duration::from_secs(1);

/// Hands a journalled firing to dispatch; waits while the backlog is full.
pub(super) async fn enqueue(engine: &EngineInner, firing: Firing) {
    // The firing is durable: firings that it supersedes may end.
    engine.record_tasks(&firing, engine.clock.now());
    engine.record_start(&firing).await;
    // The receiver is gone only when the engine stops. The journal has the firing, and the next start resumes it.
    let _ = engine.backlog.send(firing).await;
}

/// Launches the firings of the backlog, oldest first and up to the limit of dispatch, until the engine stops.
pub(super) async fn run(engine: Arc<EngineInner>, mut backlog: mpsc::Receiver<Firing>) {
    loop {
        let next = async {
            let firing = backlog.recv().await?;
            let permit = Arc::clone(&engine.process.limits.dispatch).acquire_owned().await;
            Some((firing, permit.expect("the semaphore is never closed")))
        };
        let taken = tokio::select! {
            biased;
            () = engine.stop.cancelled() => return,
            taken = next => taken,
        };
        let Some((firing, permit)) = taken else { return };
        let task_engine = Arc::clone(&engine);
        let span = firing_span(&firing);
        engine.spawn(FiringDriver::new(task_engine, firing, permit).run().instrument(span));
    }
}

/// Drives one firing to its end.
struct FiringDriver {
    engine: Arc<EngineInner>,
    firing: Firing,
    /// The permit of dispatch, released while the firing waits for a retry or for a slow store.
    permit: Option<OwnedSemaphorePermit>,
    backoff: Backoff,
    /// The call without an answer may have launched tasks.
    outcome_unknown: bool,
    /// The reason why that call last failed, when it surely launched none.
    failure: Option<String>,
    /// The last logged reason of a failed call.
    logged_failure: Option<String>,
    /// When the driver started. The wall clock may have been ahead when the deadline was set.
    started: Instant,
}

impl FiringDriver {
    fn new(engine: Arc<EngineInner>, firing: Firing, permit: OwnedSemaphorePermit) -> Self {
        // A call that an earlier run recorded may have been made or not.
        let outcome_unknown = firing.unanswered().is_some();
        Self {
            engine,
            firing,
            permit: Some(permit),
            backoff: RETRY_BACKOFF,
            outcome_unknown,
            failure: None,
            logged_failure: None,
            started: Instant::now(),
        }
    }

    async fn run(mut self) {
        if self.firing.state == FiringState::Planned && !self.stop_replaced_tasks().await {
            self.hand_off();
            return;
        }
        loop {
            let proceed = match self.attempt().await {
                Continue(()) => true,
                Break(Interruption::Retry) => self.wait_backoff().await,
                Break(Interruption::Done) => false,
            };
            if !proceed {
                break;
            }
        }
        self.hand_off();
    }

    /// Releases the permit and waits before the next attempt; returns whether to continue. A superseded firing does not wait,
    /// unless the outcome of a call is unknown.
    async fn wait_backoff(&mut self) -> bool {
        self.permit = None;
        let (engine, wait) = (Arc::clone(&self.engine), self.backoff.next_delay());
        if let Some(reason) = &self.logged_failure {
            engine.retries.record_launch(&self.firing, reason, wait, engine.clock.now());
        }
        tokio::select! {
            biased;
            proceed = engine.sleep(wait) => if !proceed {
                return false;
            },
            () = engine.task_tracker.superseded(&self.firing), if !self.outcome_unknown => {}
        }
        self.acquire_permit().await
    }

    /// Acquires the permit of dispatch again; returns whether to continue.
    async fn acquire_permit(&mut self) -> bool {
        if self.permit.is_none() {
            let permit = Arc::clone(&self.engine.process.limits.dispatch).acquire_owned().await;
            self.permit = Some(permit.expect("the semaphore is never closed"));
        }
        !self.engine.stop.is_cancelled()
    }

    /// Ends the firing without further tasks.
    async fn end(&mut self, state: FiringState, outcome: TickOutcome, note: String) -> Interruption {
        if outcome == TickOutcome::Coalesced {
            tracing::info!(state = state.as_str(), note, "a firing ended");
        } else if self.is_repeated(&note) {
            tracing::debug!(state = state.as_str(), note, "a firing ended");
        } else {
            tracing::warn!(state = state.as_str(), note, "a firing ended");
        }
        let to = Firing { state, note: Some(note), ..self.firing.clone() };
        self.finish(to, outcome).await
    }

    /// Makes the firing's last state of dispatch durable, with the outcome of its tick.
    async fn finish(&mut self, to: Firing, outcome: TickOutcome) -> Interruption {
        self.advance(to, Some(outcome)).await.break_value().unwrap_or(Interruption::Done)
    }

    /// Makes the firing's next state durable, and retries while the store does not answer. Done when the firing has another
    /// writer, or the engine stops. When the store refuses the state for good, the state without details is written.
    async fn advance(&mut self, mut to: Firing, outcome: Option<TickOutcome>) -> AttemptFlow {
        let mut backoff = RETRY_BACKOFF;
        let mut logged = false;
        loop {
            match self.write_or_shrink(&mut to, outcome, &mut logged).await {
                Ok(()) => {
                    self.firing = to;
                    self.record_outcome(outcome).await;
                    self.engine.after_move(&self.firing).await;
                    return Continue(());
                }
                Err(error @ (StoreError::Conflict(_) | StoreError::NotFound(_) | StoreError::Exists(_))) => {
                    tracing::error!(error = %fault::chain(&error), "a firing was changed by another writer");
                    self.engine.forget_tasks(&self.firing);
                    return Break(Interruption::Done);
                }
                Err(StoreError::Fenced(_)) => return Break(Interruption::Done), // The new owner found the firing in the journal.
                Err(StoreError::Fault { .. }) => {
                    self.permit = None;
                    if !self.engine.sleep(backoff.next_delay()).await {
                        return Break(Interruption::Done);
                    }
                }
            }
        }
    }

    /// Writes the firing's next state. When the store refuses it for good, takes the state without details instead, if that
    /// can be written. `logged` tells whether the refusal was logged.
    async fn write_or_shrink(
        &mut self,
        to: &mut Firing,
        outcome: Option<TickOutcome>,
        logged: &mut bool,
    ) -> Result<(), StoreError> {
        let refused = match self.write(to, outcome).await {
            Err(error) if error.is_lasting() => error,
            answer => return answer,
        };
        let first = !std::mem::replace(logged, true);
        if first {
            tracing::error!(error = %fault::chain(&refused), "the store refuses a firing; writing it without details");
        }
        let smaller = strip_details::firing(to);
        match self.write(&smaller, outcome).await {
            Ok(()) => {
                *to = smaller;
                Ok(())
            }
            // If the refused write had its effect all the same, its repetition finds that.
            Err(StoreError::Conflict(_)) => Err(refused),
            answer => {
                if let Err(error) = &answer
                    && error.is_lasting()
                {
                    self.engine.record_refused((&to.job, to.uid), FaultyAction::RecordFiring, error, 1);
                }
                if first {
                    self.engine.store.record_lasting_fault(&answer);
                }
                answer
            }
        }
    }

    /// Writes a state of the firing. While the store does not answer, other firings may use the permit.
    async fn write(&mut self, to: &Firing, outcome: Option<TickOutcome>) -> Result<(), StoreError> {
        let engine = Arc::clone(&self.engine);
        let mut write = std::pin::pin!(engine.store.try_advance(self.firing.state, to, outcome));
        match tokio::time::timeout(MAX_PERMIT_WRITE, &mut write).await {
            Ok(answer) => answer,
            Err(_) => {
                self.permit = None;
                write.await
            }
        }
    }

    /// Counts the tick of the firing when its outcome is final, and records whether launches of the job fail. A past tick that a backfill
    /// fires is in no count of ticks, but a failure of the job.
    async fn record_outcome(&self, outcome: Option<TickOutcome>) {
        let Some(outcome) = outcome else { return };
        let (engine, firing) = (&self.engine, &self.firing);
        let of_tick = firing.origin == Origin::Tick;
        if of_tick {
            engine.process.counters.count_ticks(outcome, 1);
        }
        if outcome == TickOutcome::Unknown {
            engine.notices.push(|| Notice::unknown(firing));
        }
        if matches!(outcome, TickOutcome::Launched | TickOutcome::Partial) {
            engine.process.faults.record_decided(&firing.uid, true);
            engine.process.faults.record_launched(engine.number, firing);
        } else if is_unattended(firing) && matches!(outcome, TickOutcome::LaunchFailed | TickOutcome::Unknown)
        {
            let reason = firing.note.clone().unwrap_or_default();
            let since = if of_tick { firing.nominal } else { firing.observed };
            let failing = Failing { outcome, reason, since, ticks: 1 };
            // The last refused tick of a backfill is followed by none.
            let is_last = !of_tick || engine.is_last_tick(firing).await;
            let now = engine.clock.now();
            let failed = FailedTicks::new(firing.job.clone(), failing, now, is_last);
            engine.process.faults.record_failed_ticks(engine.number, firing.uid, failed);
        } else if let Some(failed) = &firing.retry.of {
            // The tasks that it was to start again stay failed.
            let query = FiringQuery { id: Some(failed.clone()), ..FiringQuery::default() };
            for failed in engine.store.firings(&query).await.unwrap_or_default() {
                engine.process.faults.record_failed_tasks(engine.number, &failed);
            }
        }
    }

    /// Tells whether the launch of the job's tick before failed for the same reason. A firing by hand and a retry repeat nothing.
    fn is_repeated(&self, reason: &str) -> bool {
        let Self { engine, firing, .. } = self;
        is_unattended(firing) && engine.process.faults.is_repeated(&firing.uid, reason)
    }

    /// Hands the firing off to the task monitor, or forgets it.
    fn hand_off(self) {
        let Self { engine, firing, .. } = self;
        engine.retries.end_launch(&firing);
        if firing.state == FiringState::Launched {
            let cached = engine.job_cache.get(&firing.job);
            if cached.is_none_or(|cached| cached.revision != firing.revision) {
                engine.edited.lock().insert(firing.job.clone());
            }
            engine.monitored.lock().insert(firing.id.clone(), firing);
            engine.monitor_wakeup.notify_one();
            return;
        }
        engine.in_flight.end(&firing.id);
        engine.backfills.wake(&firing.uid);
    }

    fn expired(&self) -> bool {
        let max_age = self.firing.deadline.duration_since(self.firing.observed);
        let running = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.engine.clock.now() > self.firing.deadline || running > max_age
    }

    fn count_report(&self, report: &crate::LaunchReport) {
        let counters = &self.engine.process.counters;
        Counters::add(&counters.tasks_started, report.started.len() as u64);
        Counters::add(&counters.tasks_refused, report.refused.len() as u64);
    }

    fn is_token_valid(&self, sent_at: jiff::Timestamp) -> bool {
        let life =
            SignedDuration::try_from(self.engine.launcher.limits().token_life).unwrap_or(SignedDuration::MAX);
        let now = self.engine.clock.now();
        // The age of a token is unknown when it was made while the clock was ahead.
        now.duration_since(sent_at) <= life && !is_ahead(sent_at, now)
    }
}
