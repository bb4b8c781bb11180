//! The health of the event feed: whether task events arrive.
//!
//! A readable queue proves nothing, because the rule that fills it may be missing. The feed counts as healthy after
//! an event about a task of this scheduler arrived. It counts as broken when no event follows a launch or a stop.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Time without a successful receive after which the feed counts as broken.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Time within which an event must follow a launch or a stop.
pub(crate) const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum number of message shapes that are remembered as reported.
const MAX_SHAPES: usize = 64;

/// The state of the event feed.
#[derive(Debug, Default)]
pub(crate) struct EventHealth(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    received: Option<Instant>,
    newest: Option<Instant>,
    /// Whether events have arrived, and none was missed since.
    confirmed: bool,
    /// The time since which an event is due.
    due: Option<Instant>,
    /// Whether the missing events were reported.
    reported: bool,
    shapes: HashSet<String>,
}

impl EventHealth {
    /// Records that the queue was read.
    pub(crate) fn record_receive(&self) {
        self.0.lock().received = Some(Instant::now());
    }

    /// Records an event about a task of this scheduler.
    pub(crate) fn record_event(&self) {
        let mut state = self.0.lock();
        state.newest = Some(Instant::now());
        state.confirmed = true;
        state.due = None;
        if std::mem::take(&mut state.reported) {
            tracing::info!("task events arrive again");
        }
    }

    /// Records that events must follow a call that began at this moment.
    pub(crate) fn expect_event(&self, began: Instant) {
        let mut state = self.0.lock();
        if state.newest.is_none_or(|newest| newest < began) {
            state.due.get_or_insert_with(Instant::now);
        }
    }

    /// Tells whether events arrive, so that ECS need not be polled.
    pub(crate) fn is_receiving(&self, queue: &str) -> bool {
        let mut state = self.0.lock();
        if state.due.is_some_and(|since| since.elapsed() >= EVENT_TIMEOUT) {
            state.confirmed = false;
            if !std::mem::replace(&mut state.reported, true) {
                tracing::warn!(
                    queue,
                    "no task event arrived within {} s of a launch or stop; polling ECS instead: check the EventBridge rule and the queue's policy, and that no other replica reads this queue",
                    EVENT_TIMEOUT.as_secs()
                );
            }
        }
        state.confirmed && state.received.is_some_and(|at| at.elapsed() < RECEIVE_TIMEOUT)
    }

    /// Records the shape of a message that is no task event. Returns whether the shape is new.
    pub(crate) fn is_new_shape(&self, shape: &str) -> bool {
        let mut state = self.0.lock();
        state.shapes.len() < MAX_SHAPES && state.shapes.insert(shape.to_owned())
    }
}
