//! The fake's clock: another clock, shifted or held.

use std::sync::Arc;

use ecs_scheduler_core::Clock;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The clock of the fake: it follows another one until it is moved or held.
///
/// Task lifecycles, visibility timeouts, tokens and quotas use this clock. Waits inside a call (long polling, slow
/// answers) use tokio's timer, so that a paused runtime moves them.
#[derive(Debug)]
pub struct MovableClock {
    base: Arc<dyn Clock>,
    position: Mutex<Position>,
    moved: Arc<Notify>,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    Shifted(SignedDuration),
    Held(Timestamp),
}

impl MovableClock {
    pub(crate) fn new(base: Arc<dyn Clock>, moved: Arc<Notify>) -> Self {
        Self { base, position: Mutex::new(Position::Shifted(SignedDuration::ZERO)), moved }
    }

    /// Moves the clock. A held clock stays held, at the later time.
    pub fn advance(&self, by: SignedDuration) {
        {
            let mut position = self.position.lock();
            *position = match *position {
                Position::Shifted(shift) => Position::Shifted(shift.saturating_add(by)),
                Position::Held(at) => Position::Held(later(at, by)),
            };
        }
        self.moved.notify_waiters();
    }

    /// Stops the clock at a moment; from then on only [`MovableClock::advance`] moves it.
    pub fn hold(&self, at: Timestamp) {
        *self.position.lock() = Position::Held(at);
        self.moved.notify_waiters();
    }

    /// Lets a held clock run on from where it stands.
    pub fn release(&self) {
        let now = self.now();
        *self.position.lock() = Position::Shifted(now.duration_since(self.base.now()));
        self.moved.notify_waiters();
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        match *self.position.lock() {
            Position::Shifted(shift) => later(self.base.now(), shift),
            Position::Held(at) => at,
        }
    }
}

/// Adds a span of time, as far as timestamps reach.
pub(crate) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).expect("a signed duration has no calendar units")
}
