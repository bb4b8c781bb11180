//! Retries that got nothing of a budget. They ask again when something became free, or after a while.

use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::firing::FiringId;

/// How long a retry waits at most before it asks again: less than until its next request, before which room is kept for it.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The firings whose retries got nothing, each with the count of ends at that time, and when it asks again at the latest.
#[derive(Debug, Default)]
pub(super) struct Misses(Mutex<HashMap<FiringId, (u64, Instant)>>);

impl Misses {
    pub(super) fn insert(&self, retried: &FiringId, freed: u64) {
        let (mut misses, now) = (self.0.lock(), Instant::now());
        // Another replica may own the others by now.
        misses.retain(|_, (_, until)| *until + MAX_PAUSE > now);
        misses.insert(retried.clone(), (freed, now + MAX_PAUSE));
    }

    /// Removes a firing whose retry asks now; returns false if it is to wait.
    pub(super) fn take_if_due(&self, retried: &FiringId, freed: u64) -> bool {
        let mut misses = self.0.lock();
        if misses.get(retried).is_some_and(|(known, until)| *known == freed && *until > Instant::now()) {
            return false;
        }
        misses.remove(retried);
        true
    }
}
