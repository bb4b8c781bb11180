//! Steps of the wall clock: it moved otherwise than time passed.
//!
//! A step is found by comparison with the monotonic clock. Which of two times is right cannot be known, so nothing is
//! stopped: a step forward counts as downtime, and a step back makes no tick launch again. What rests on the old time is
//! put right once the clock has run evenly for a while.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

/// By how much the clock, or a settled tick, may be off without a word.
pub(crate) const TOLERANCE: SignedDuration = SignedDuration::from_mins(1);
/// For how long the clock must have run evenly to be relied on.
const EVEN_FOR: Duration = Duration::from_mins(1);
/// For how long a step is reported.
const REPORTED_FOR: Duration = Duration::from_mins(10);

/// Tells whether a moment that has passed lies in the future of the clock.
pub fn is_ahead(moment: Timestamp, now: Timestamp) -> bool {
    moment.duration_since(now) > TOLERANCE
}

/// Returns the latest moment that does not lie in the future of the clock.
pub(super) fn latest_past(now: Timestamp) -> Timestamp {
    now.saturating_add(TOLERANCE).unwrap_or(Timestamp::MAX)
}

/// Watches the wall clock of the process.
#[derive(Debug, Default)]
pub(crate) struct ClockCheck(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
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
    /// Takes in what the clock shows, and returns how many steps there were until now.
    pub(crate) fn look(&self, now: Timestamp) -> u64 {
        let at = Instant::now();
        let mut seen = self.0.lock();
        seen.first.get_or_insert(at);
        let Some((last, looked)) = seen.last.replace((now, at)) else { return seen.steps };
        let passed = SignedDuration::try_from(at.saturating_duration_since(looked));
        let by = now.duration_since(last) - passed.unwrap_or(SignedDuration::MAX);
        if by.abs() > TOLERANCE {
            seen.steps += 1;
            seen.newest = Some(Step { by, to: now, at });
            let (seconds, direction) = (by.abs().as_secs(), direction(by));
            tracing::warn!(seconds, %now, "the clock was moved {direction}");
        }
        seen.steps
    }

    /// Returns how many steps there were.
    pub(crate) fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// Returns for how long the clock still has to run evenly before it is relied on.
    pub(crate) fn uneven_for(&self) -> Duration {
        let newest = self.0.lock().newest;
        newest.map_or(Duration::ZERO, |step| EVEN_FOR.saturating_sub(step.at.elapsed()))
    }

    /// The same for ticks that are settled in the future, where the time before the first look is uneven, too.
    pub(crate) fn doubted_for(&self) -> Duration {
        let seen = self.0.lock();
        let since = seen.newest.map(|step| step.at).or(seen.first);
        since.map_or(EVEN_FOR, |at| EVEN_FOR.saturating_sub(at.elapsed()))
    }

    /// Says which step there was a short while ago.
    pub(crate) fn fault(&self) -> Option<String> {
        let Step { by, to, at } = self.0.lock().newest?;
        let text = || {
            format!(
                "the clock was moved {} by {} s to {to:.0}; check its source",
                direction(by),
                by.abs().as_secs()
            )
        };
        (at.elapsed() < REPORTED_FOR).then(text)
    }
}

fn direction(by: SignedDuration) -> &'static str {
    if by.is_negative() { "back" } else { "forward" }
}
