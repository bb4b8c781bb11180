//! Waits after calls to the store that failed or had no answer.

use std::time::Duration;

/// How long to wait after a failed call to the store, before work in the background calls it again.
pub(super) const STORE_RETRY: Duration = Duration::from_secs(10);
/// How long a settlement without an answer may still become durable, in the store's queue or on its way.
pub(super) const MAX_LATE_SETTLEMENT: Duration = Duration::from_mins(1);
