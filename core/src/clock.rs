//! The wall clock. Timers are tokio's, so that a paused runtime controls both.

use std::fmt;

use jiff::Timestamp;

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
