//! Exponential backoff: the delays between the attempts at one operation.
//!
//! Each delay is twice as long as the one before, up to a maximum. A place that retries owns its numbers; the arithmetic,
//! the jitter and the ends of the attempts are here only.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::hash::scale;

/// The delays between the attempts at one operation. Each is twice as long as the one before, up to a maximum.
///
/// Without [`Self::with_max_attempts`] and [`Self::with_timeout`] there is no last attempt. Delays are exact unless
/// [`Self::with_jitter`] shortens them.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use ecs_scheduler_core::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_millis(500)).with_max_attempts(4);
/// let mut delays = Vec::new();
/// while backoff.may_retry() {
///     delays.push(backoff.next_delay().as_millis());
/// }
/// assert_eq!(delays, [200, 400, 500]);
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    jitter_percent: u32,
    max_attempts: u32,
    deadline: Option<Instant>,
    /// The number of the present attempt, from 1.
    attempt: u32,
}

impl Backoff {
    /// Makes a backoff of delays from `initial` up to `max`; `max` is also the bound of the first delay.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, jitter_percent: 0, max_attempts: u32::MAX, deadline: None, attempt: 1 }
    }

    /// Shortens each delay by a random part of up to this percentage of it, so that callers that failed together do not
    /// retry together. More than 100 counts as 100.
    #[must_use]
    pub const fn with_jitter(mut self, percent: u32) -> Self {
        self.jitter_percent = if percent > 100 { 100 } else { percent };
        self
    }

    /// Ends the attempts after this number of them, the first one included.
    #[must_use]
    pub const fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Ends the attempts when the next delay would last beyond this time from now.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// Returns the number of the present attempt, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns the delay after this number of failures in a row, without jitter; no delay after 0 failures.
    #[must_use]
    pub fn delay_after(&self, failures: u32) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        let mut delay = self.initial.min(self.max);
        for _ in 1..failures {
            if delay.is_zero() || delay == self.max {
                break;
            }
            delay = delay.saturating_mul(2).min(self.max);
        }
        delay
    }

    /// Returns the delay after this number of failures in a row, with the jitter that `random` selects: 0 for the whole
    /// delay. The same number always gives the same delay.
    #[must_use]
    pub fn jittered_delay_after(&self, failures: u32, random: u64) -> Duration {
        let delay = self.delay_after(failures);
        let part = delay.as_nanos() * u128::from(self.jitter_percent) / 100;
        delay - Duration::from_nanos(scale(random, u64::try_from(part).unwrap_or(u64::MAX)))
    }

    /// Tells whether there is another attempt: the last one was not reached, and the whole next delay ends in time.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        let delay = self.delay_after(self.attempt);
        let is_late = |deadline| Instant::now().checked_add(delay).is_none_or(|retry_at| retry_at > deadline);
        self.attempt < self.max_attempts && !self.deadline.is_some_and(is_late)
    }

    /// Returns the delay after the present attempt, and counts the next one.
    pub fn next_delay(&mut self) -> Duration {
        let (random, _) = Uuid::new_v4().as_u64_pair();
        let delay = self.jittered_delay_after(self.attempt, random);
        self.attempt = self.attempt.saturating_add(1);
        delay
    }

    /// Waits before the next attempt; returns `false`, without a wait, when there is none.
    #[must_use = "there may be no further attempt"]
    pub async fn wait(&mut self) -> bool {
        let may_retry = self.may_retry();
        if may_retry {
            tokio::time::sleep(self.next_delay()).await;
        }
        may_retry
    }

    /// Starts again with the first attempt and the first delay. A timeout stays as it is.
    pub const fn reset(&mut self) {
        self.attempt = 1;
    }
}

#[cfg(test)]
mod tests;
