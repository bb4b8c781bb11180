//! The breaker of a job (`breaker`): after how many start failures single tasks take the place of launches, and when.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;

/// The breaker of a job (`breaker`). A task that ended without having started is a start failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// How many start failures in a row open it; 1…[`Self::MAX_FAILURES`].
    pub failures: NonZeroU32,
    /// The time from the newest start failure to the first canary, 1 s…[`Self::MAX_DELAY`]. It doubles after each canary that
    /// failed, up to the maximum.
    pub delay: Duration,
}

impl Breaker {
    /// The greatest number of `failures`. The state is read from the 100 newest firings of the job.
    pub const MAX_FAILURES: u32 = 100;
    /// How many canaries in a row fail before the job is suspended.
    pub const MAX_CANARIES: u32 = 5;
    /// The `delay` of a job that gives none.
    pub const DEFAULT_DELAY: Duration = Duration::from_mins(1);
    /// The longest time before a canary.
    pub const MAX_DELAY: Duration = Duration::from_hours(1);

    /// Returns the time before the next canary, after this number of canaries that failed.
    #[must_use]
    pub fn delay_after(&self, failed_canaries: u32) -> Duration {
        Backoff::new(self.delay, Self::MAX_DELAY).delay_after(failed_canaries.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_doubles_after_each_failed_canary_up_to_an_hour() {
        let breaker = Breaker { failures: NonZeroU32::MIN, delay: Duration::from_mins(5) };
        let minutes = [0, 1, 2, 3, 4, u32::MAX].map(|failed| breaker.delay_after(failed).as_secs() / 60);
        assert_eq!(minutes, [5, 10, 20, 40, 60, 60]);
    }
}
