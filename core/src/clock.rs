//! The wall clock. Timers are tokio's, so that a paused runtime controls both.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// By how much the clock, or a settled tick, may be off without a report.
pub(crate) const TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// Returns whether a moment that has passed lies in the future of the clock.
#[must_use]
pub fn is_ahead(moment: Timestamp, now: Timestamp) -> bool {
    moment.duration_since(now) > TOLERANCE
}

/// Returns the latest moment that does not lie in the future of the clock.
pub(crate) fn latest_past(now: Timestamp) -> Timestamp {
    now.saturating_add(TOLERANCE).unwrap_or(Timestamp::MAX)
}

/// A source of the wall-clock time.
///
/// Every module that needs the time takes a clock; nothing else may read it (`clippy.toml` bans the calls).
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the only function that reads the real clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
