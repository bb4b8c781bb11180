//! The delays between the attempts of one operation, and how long operations are retried.

use std::time::Duration;

use ecs_scheduler_core::Backoff;

/// The delays; at least half of each is waited.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(800)).with_jitter(50);
/// How long a write is retried. Only then does the store report that the result is unknown.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a read is retried. It is shorter than that of writes because the caller can repeat a read without risk.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes the backoff of a write: 10 s.
pub(crate) fn for_writes() -> Backoff {
    with_timeout(WRITE_TIMEOUT)
}

/// Makes the backoff of a read: 3 s.
pub(crate) fn for_reads() -> Backoff {
    with_timeout(READ_TIMEOUT)
}

/// Makes a backoff that ends after this time.
pub(crate) fn with_timeout(timeout: Duration) -> Backoff {
    BACKOFF.with_timeout(timeout)
}
