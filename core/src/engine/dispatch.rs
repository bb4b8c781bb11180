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

use super::core::Core;
use super::status::Counters;
use crate::decide::Outcome;
use crate::event::Event;
use crate::fault;
use crate::firing::{Firing, FiringState};
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
}

impl Carrier {
    fn new(core: Arc<Core>, firing: Firing, permit: OwnedSemaphorePermit) -> Self {
        // Of a call that an earlier run noted it is not known whether it was made.
        let doubt = firing.unanswered().is_some();
        Self { core, firing, permit: Some(permit), backoff: FIRST_BACKOFF, doubt, failure: None }
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

    /// Hands the firing on to the watch, or forgets it.
    fn let_go(self) {
        let Self { core, firing, .. } = self;
        if firing.state == FiringState::Launched {
            core.watched.lock().insert(firing.id.clone(), firing);
            core.watch_more.notify_one();
            return;
        }
        if !firing.state.is_open() {
            core.ledger.enter(&firing, core.clock.now());
        }
        core.in_hand.lock().remove(&firing.id);
    }

    fn expired(&self) -> bool {
        self.core.clock.now() > self.firing.deadline
    }

    fn count_report(&self, report: &crate::LaunchReport) {
        let counters = &self.core.commons.counters;
        Counters::add(&counters.tasks_started, report.started.len() as u64);
        Counters::add(&counters.tasks_refused, report.refused.len() as u64);
    }

    fn token_lives(&self, sent_at: jiff::Timestamp) -> bool {
        let life =
            SignedDuration::try_from(self.core.launcher.limits().token_life).unwrap_or(SignedDuration::MAX);
        self.core.clock.now().duration_since(sent_at) <= life
    }
}
