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
/// How long a tick may have waited at the start without a report.
const MAX_GAP: SignedDuration = SignedDuration::from_hours(24);
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
    /// The oldest tick that waited at the start, if it waited for long, the start, and its moment.
    gap: Option<(Timestamp, Timestamp, Instant)>,
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

    /// Compares the clock at the start with the oldest tick that has no outcome. If it has waited for more than a day, the scheduler
    /// stood still, or the clock is ahead.
    pub(crate) fn check_start(&self, waiting_since: Timestamp, now: Timestamp) {
        if now.duration_since(waiting_since) <= MAX_GAP {
            return;
        }
        let mut state = self.0.lock();
        if state.gap.replace((waiting_since, now, Instant::now())).is_none() {
            tracing::warn!(
                %waiting_since, %now,
                "a tick has waited for more than a day: unless the scheduler stood still for so long, correct the clock"
            );
        }
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

    /// Describes a recent step, or a long gap before the start.
    pub(crate) fn fault(&self) -> Option<String> {
        let state = self.0.lock();
        let step = state.newest.map(|Step { by, to, at }| {
            let (direction, seconds) = (direction(by), by.abs().as_secs());
            (format!("the clock was moved {direction} by {seconds} s to {to:.0}; check its source"), at)
        });
        let gap = state.gap.map(|(since, now, at)| {
            let text = format!(
                "a tick had waited since {since:.0} at the start ({now:.0}); check the clock, unless the scheduler stood still"
            );
            (text, at)
        });
        step.or(gap).filter(|(_, at)| at.elapsed() < STEP_REPORT_TTL).map(|(text, _)| text)
    }
}

fn direction(by: SignedDuration) -> &'static str {
    if by.is_negative() { "back" } else { "forward" }
}
