//! Whether task events come.
//!
//! That the queue can be read proves nothing: the rule that fills it may be missing. So events count as heard after one of a
//! task of this scheduler has come, and no longer when a launch or a stop is followed by none.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// Without a good receive for so long, events do not count as heard.
const DEAF: Duration = Duration::from_secs(60);

/// How long an event may take after what it tells of.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many shapes of messages are remembered as reported.
const SHAPES: usize = 64;

/// Knowledge of whether events come.
#[derive(Debug, Default)]
pub(crate) struct Hearing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    received: Option<Instant>,
    newest: Option<Instant>,
    /// Whether events have come, and were not missed since.
    proved: bool,
    /// Since when an event is due.
    due: Option<Instant>,
    /// Whether it was said that events do not come.
    reported: bool,
    shapes: HashSet<String>,
}

impl Hearing {
    /// Notes that the queue was read.
    pub(crate) fn received(&self) {
        self.0.lock().received = Some(Instant::now());
    }

    /// Notes an event of a task of this scheduler.
    pub(crate) fn event(&self) {
        let mut state = self.0.lock();
        state.newest = Some(Instant::now());
        state.proved = true;
        state.due = None;
        if std::mem::take(&mut state.reported) {
            tracing::info!("task events come again");
        }
    }

    /// Notes that events must follow a call, which began at this moment.
    pub(crate) fn expect(&self, began: Instant) {
        let mut state = self.0.lock();
        if state.newest.is_none_or(|newest| newest < began) {
            state.due.get_or_insert_with(Instant::now);
        }
    }

    /// Tells whether events are heard, so that ECS need not be asked.
    pub(crate) fn hears(&self, queue: &str) -> bool {
        let mut state = self.0.lock();
        if state.due.is_some_and(|since| since.elapsed() >= PATIENCE) {
            state.proved = false;
            if !std::mem::replace(&mut state.reported, true) {
                tracing::warn!(
                    queue,
                    "no task event came within {} s of a launch or a stop; asking ECS instead: check the EventBridge rule and the queue's policy, and that no other replica reads this queue",
                    PATIENCE.as_secs()
                );
            }
        }
        state.proved && state.received.is_some_and(|at| at.elapsed() < DEAF)
    }

    /// Notes a message that is no such event; tells whether its shape is news.
    pub(crate) fn is_new(&self, shape: &str) -> bool {
        let mut state = self.0.lock();
        state.shapes.len() < SHAPES && state.shapes.insert(shape.to_owned())
    }
}
