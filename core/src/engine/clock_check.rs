//! Detects steps of the wall clock: changes that differ from the time that passed.
//!
//! A step is found by comparison with the monotonic clock. It is unknown which of two times is right, so nothing is
//! stopped: a step forward counts as downtime, and a step back launches no tick again. State that depends on the old time
//! is corrected once the clock has been steady for a while.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::TOLERANCE;

/// How long the clock must have been steady to be trusted.
const STEADY_AFTER: Duration = Duration::from_mins(1);
/// How long a step is reported.
const STEP_REPORT_TTL: Duration = Duration::from_mins(10);

/// Watches the wall clock of the process.
#[derive(Debug, Default)]
pub(crate) struct ClockCheck(Mutex<ClockState>);

#[derive(Debug, Default)]
struct ClockState {
    first: Option<Instant>,
    last: Option<(Timestamp, Instant)>,
    newest: Option<Step>,
    steps: u64,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    by: SignedDuration,
    to: Timestamp,
    at: Instant,
}

impl ClockCheck {
    /// Compares the clock with the last check, and returns the number of steps until now.
    pub(crate) fn check(&self, now: Timestamp) -> u64 {
        let at = Instant::now();
        let mut state = self.0.lock();
        state.first.get_or_insert(at);
        let Some((last, checked)) = state.last.replace((now, at)) else { return state.steps };
        let passed = SignedDuration::try_from(at.saturating_duration_since(checked));
        let by = now.duration_since(last) - passed.unwrap_or(SignedDuration::MAX);
        if by.abs() > TOLERANCE {
            state.steps += 1;
            state.newest = Some(Step { by, to: now, at });
            let (seconds, direction) = (by.abs().as_secs(), direction(by));
            tracing::warn!(seconds, %now, "the clock was moved {direction}");
        }
        state.steps
    }

    /// Returns the number of steps.
    pub(crate) fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// Returns how long the clock must still be steady to be trusted.
    pub(crate) fn unsteady_for(&self) -> Duration {
        let newest = self.0.lock().newest;
        newest.map_or(Duration::ZERO, |step| STEADY_AFTER.saturating_sub(step.at.elapsed()))
    }

    /// The same for ticks that are settled in the future. Here the time before the first check is not trusted either.
    pub(crate) fn distrusted_for(&self) -> Duration {
        let state = self.0.lock();
        let since = state.newest.map(|step| step.at).or(state.first);
        since.map_or(STEADY_AFTER, |at| STEADY_AFTER.saturating_sub(at.elapsed()))
    }

    /// Describes a recent step.
    pub(crate) fn fault(&self) -> Option<String> {
        let Step { by, to, at } = self.0.lock().newest?;
        let text = || {
            format!(
                "the clock was moved {} by {} s to {to:.0}; check its source",
                direction(by),
                by.abs().as_secs()
            )
        };
        (at.elapsed() < STEP_REPORT_TTL).then(text)
    }
}

fn direction(by: SignedDuration) -> &'static str {
    if by.is_negative() { "back" } else { "forward" }
}
