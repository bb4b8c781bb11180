use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use ecs_scheduler_core::clock::Clock;

/// A clock that moves with tokio's virtual time, and that a test can step like a wall clock.
#[derive(Debug)]
pub struct SimClock {
    began: Timestamp,
    origin: tokio::time::Instant,
    stepped: Mutex<SignedDuration>,
}

impl SimClock {
    /// Makes a clock that shows `now` at this moment. Must be called on a tokio runtime whose time is paused.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { began: now, origin: tokio::time::Instant::now(), stepped: Mutex::default() }
    }

    /// Steps the wall clock forward or back, while no time passes.
    pub fn step(&self, by: SignedDuration) {
        *self.stepped.lock() += by;
    }

    /// Lets virtual time pass until the clock shows `moment`.
    pub async fn sleep_until(&self, moment: Timestamp) {
        while let Ok(left) = Duration::try_from(moment.duration_since(self.now())) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// A clock that stands still until a test steps it.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// Makes a clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Steps the clock forward or back.
    pub fn step(&self, by: SignedDuration) {
        *self.0.lock() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.origin.elapsed()).unwrap_or(SignedDuration::MAX);
        self.began.saturating_add(passed + *self.stepped.lock()).expect("a signed duration can be added")
    }
}
