//! Carrying a firing to its end: the only place that launches, and the only one that retries a launch.
//!
//! Every call is preceded by a durable note of it. A call without an answer is repeated with the same token while the
//! launcher remembers the token, and never after that. What was refused and may succeed later gets a new attempt
//! number, hence a new token, for the shortfall only.

mod attempt;
mod definition;
mod replace;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::clock_check::is_ahead;
use super::faults::{FailedTicks, Failing};
use super::inner::Core;
use super::status::Counters;
use crate::decide::Outcome;
use crate::event::Event;
use crate::fault;
use crate::firing::{Firing, FiringState, Origin};
use crate::store::StoreError;
use attempt::Next;

/// The first wait before a repetition; doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait before a repetition.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Hands a journalled firing to dispatch; waits while the backlog is full.
pub(super) async fn enqueue(core: &Core, firing: Firing) {
    // It is durable: firings whose place it takes may end.
    core.ledger.enter(&firing, core.clock.now());
    // The other end is gone only when the engine stops. The journal has the firing, and the next start takes it up.
    let _ = core.backlog.send(firing).await;
}

/// Carries firings of the backlog, oldest first and as many at once as dispatch takes, until the engine stops.
pub(super) async fn run(core: Arc<Core>, mut backlog: mpsc::Receiver<Firing>) {
    loop {
        let next = async {
            let firing = backlog.recv().await?;
            let permit = Arc::clone(&core.commons.dispatch).acquire_owned().await;
            Some((firing, permit.expect("the semaphore is never closed")))
        };
        let taken = tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            taken = next => taken,
        };
        let Some((firing, permit)) = taken else { return };
        let task_core = Arc::clone(&core);
        core.spawn(async move {
            Carrier::new(task_core, firing, permit).carry().await;
        });
    }
}

/// One firing on its way.
struct Carrier {
    core: Arc<Core>,
    firing: Firing,
    /// A place in the dispatch queue, given back while the firing waits to be tried again.
    permit: Option<OwnedSemaphorePermit>,
    backoff: Duration,
    /// Whether the call without an answer may have had its effect.
    doubt: bool,
    /// Why that call last failed, when it surely had none then.
    failure: Option<String>,
    /// The last reason of failed calls that was logged.
    complained: Option<String>,
    /// When it was taken up. The wall clock may have been ahead when the deadline was set.
    begun: Instant,
}

impl Carrier {
    fn new(core: Arc<Core>, firing: Firing, permit: OwnedSemaphorePermit) -> Self {
        // Of a call that an earlier run noted it is not known whether it was made.
        let doubt = firing.unanswered().is_some();
        Self {
            core,
            firing,
            permit: Some(permit),
            backoff: FIRST_BACKOFF,
            doubt,
            failure: None,
            complained: None,
            begun: Instant::now(),
        }
    }

    async fn carry(mut self) {
        if self.firing.state == FiringState::Planned && !self.clear_the_way().await {
            self.let_go();
            return;
        }
        loop {
            let next = self.attempt().await;
            let go_on = match next {
                Next::Again => true,
                Next::Wait => self.wait().await,
                Next::Done => false,
            };
            if !go_on {
                break;
            }
        }
        self.let_go();
    }

    /// Waits before the next attempt without a place in the queue; tells whether to go on. What a later replacement makes
    /// needless does not wait, unless it must learn what became of a call.
    async fn wait(&mut self) -> bool {
        self.permit = None;
        let core = Arc::clone(&self.core);
        tokio::select! {
            biased;
            go_on = core.pause(self.backoff) => if !go_on {
                return false;
            },
            () = core.ledger.superseded(&self.firing), if !self.doubt => {}
        }
        self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
        self.take_place().await
    }

    /// Takes a place in the queue again; tells whether to go on.
    async fn take_place(&mut self) -> bool {
        if self.permit.is_none() {
            let permit = Arc::clone(&self.core.commons.dispatch).acquire_owned().await;
            self.permit = Some(permit.expect("the semaphore is never closed"));
        }
        !self.core.stop.is_cancelled()
    }

    /// Ends the firing without (further) tasks.
    async fn end(&mut self, state: FiringState, outcome: Outcome, note: String) {
        let (job, firing) = (&self.firing.job, &self.firing.id);
        if outcome == Outcome::Coalesced {
            tracing::info!(%job, %firing, state = state.as_str(), note, "a firing ended");
        } else {
            tracing::warn!(%job, %firing, state = state.as_str(), note, "a firing ended");
        }
        let to = Firing { state, note: Some(note), ..self.firing.clone() };
        self.advance(to, Some(outcome)).await;
    }

    /// Makes the firing's next state durable; tells whether it is. Goes on trying while the store does not answer.
    async fn advance(&mut self, to: Firing, outcome: Option<Outcome>) -> bool {
        let mut backoff = FIRST_BACKOFF;
        loop {
            match self.core.advance(self.firing.state, &to, outcome).await {
                Ok(()) => {
                    self.firing = to;
                    self.note_outcome(outcome);
                    self.core.ledger.enter(&self.firing, self.core.clock.now());
                    self.core.tell(|| Event::Firing(Box::new(self.firing.clone())));
                    return true;
                }
                Err(error @ (StoreError::Conflict(_) | StoreError::NotFound(_) | StoreError::Exists(_))) => {
                    tracing::error!(firing = %self.firing.id, error = %fault::chain(&error), "a firing was moved by someone else");
                    return false;
                }
                Err(StoreError::Fenced(_)) => return false, // The new owner found the firing in the journal.
                Err(StoreError::Fault { .. }) => {
                    if !self.core.pause(backoff).await {
                        return false;
                    }
                    backoff = (backoff * 2).min(LONGEST_BACKOFF);
                }
            }
        }
    }

    /// Counts the tick of the firing when its outcome is final, and notes whether launches of the job fail.
    fn note_outcome(&self, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        let (core, firing) = (&self.core, &self.firing);
        let of_tick = firing.origin == Origin::Tick;
        if of_tick {
            core.commons.counters.settled(outcome, 1);
        }
        if matches!(outcome, Outcome::Launched | Outcome::Partial) {
            core.commons.faults.decided(&firing.uid, true);
        } else if of_tick && matches!(outcome, Outcome::LaunchFailed | Outcome::Unknown) {
            let (reason, since) = (firing.note.clone().unwrap_or_default(), core.clock.now());
            let failing = Failing { outcome, reason, since, ticks: 1 };
            let failed = FailedTicks::new(failing, since, core.is_last_tick(firing));
            core.commons.faults.failed(core.number, firing.uid, failed);
        }
    }

    /// Hands the firing on to the watch, or forgets it.
    fn let_go(self) {
        let Self { core, firing, .. } = self;
        if firing.state == FiringState::Launched {
            core.watched.lock().insert(firing.id.clone(), firing);
            core.watch_more.notify_one();
            return;
        }
        core.in_hand.lock().remove(&firing.id);
    }

    fn expired(&self) -> bool {
        let max_age = self.firing.deadline.duration_since(self.firing.observed);
        let carried = SignedDuration::try_from(self.begun.elapsed()).unwrap_or(SignedDuration::MAX);
        self.core.clock.now() > self.firing.deadline || carried > max_age
    }

    fn count_report(&self, report: &crate::LaunchReport) {
        let counters = &self.core.commons.counters;
        Counters::add(&counters.tasks_started, report.started.len() as u64);
        Counters::add(&counters.tasks_refused, report.refused.len() as u64);
    }

    fn token_lives(&self, sent_at: jiff::Timestamp) -> bool {
        let life =
            SignedDuration::try_from(self.core.launcher.limits().token_life).unwrap_or(SignedDuration::MAX);
        let now = self.core.clock.now();
        // How old a token is cannot be told when it was made while the clock was ahead.
        now.duration_since(sent_at) <= life && !is_ahead(sent_at, now)
    }
}
