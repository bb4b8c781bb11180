//! Exponential backoff with jitter between the attempts of one operation, up to a timeout.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

/// The delay before the second attempt.
const INITIAL_DELAY: Duration = Duration::from_millis(10);
/// The longest delay between two attempts.
const MAX_DELAY: Duration = Duration::from_millis(800);
/// How long a write is retried. Only then does the store report that the result is unknown.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a read is retried. It is shorter than that of writes because the caller can repeat a read without risk.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// The retries of one operation: when they end, and the next delay.
#[derive(Debug)]
pub(crate) struct Backoff {
    deadline: Instant,
    next_delay: Duration,
}

impl Backoff {
    /// Makes the backoff of a write: 10 s.
    pub(crate) fn for_writes() -> Self {
        Self::with_timeout(WRITE_TIMEOUT)
    }

    /// Makes the backoff of a read: 3 s.
    pub(crate) fn for_reads() -> Self {
        Self::with_timeout(READ_TIMEOUT)
    }

    /// Makes a backoff that ends after this time.
    pub(crate) fn with_timeout(timeout: Duration) -> Self {
        Self { deadline: Instant::now() + timeout, next_delay: INITIAL_DELAY }
    }

    /// Waits before the next attempt, for at least half of the delay; returns `false` when no time is left for one.
    pub(crate) async fn wait(&mut self) -> bool {
        let delay = self.next_delay;
        if Instant::now() + delay > self.deadline {
            return false;
        }
        self.next_delay = (delay * 2).min(MAX_DELAY);
        let jitter = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
        tokio::time::sleep(delay.mul_f64(0.5 + jitter / 2.0)).await;
        true
    }
}
