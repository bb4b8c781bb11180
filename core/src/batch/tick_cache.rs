//! A short-lived cache of readings, which successive evaluations of one round share.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Reply;
use crate::trigger::Tick;

/// The maximum age of a reading, counted from its request, that an evaluation may share.
const MAX_AGE: Duration = Duration::from_secs(1);

/// How long a reading is kept. Longer than [`MAX_AGE`], because an evaluation may be delayed after its tick was observed.
pub(super) const TTL: Duration = Duration::from_secs(10);

/// Readings that evaluations requested recently, by key.
pub(super) struct TickCache<K, R> {
    readings: HashMap<K, CachedReading<R>>,
}

struct CachedReading<R> {
    /// When the first requesting evaluation observed its tick.
    observed: Timestamp,
    inserted: Instant,
    reply: watch::Receiver<Reply<R>>,
}

impl<K, R> Default for TickCache<K, R> {
    fn default() -> Self {
        Self { readings: HashMap::new() }
    }
}

impl<K: Eq + Hash, R> TickCache<K, R> {
    /// Finds a reading that was requested after this tick was due, and at most [`MAX_AGE`] before it was observed.
    pub(super) fn get(&self, key: &K, tick: Tick) -> Option<watch::Receiver<Reply<R>>> {
        let max_age = SignedDuration::try_from(MAX_AGE).unwrap_or_default();
        let fits = |cached: &&CachedReading<R>| {
            cached.observed >= tick.nominal && tick.observed.duration_since(cached.observed) <= max_age
        };
        self.readings.get(key).filter(fits).map(|cached| cached.reply.clone())
    }

    pub(super) fn insert(&mut self, key: K, tick: Tick, reply: watch::Receiver<Reply<R>>) {
        self.readings.insert(key, CachedReading { observed: tick.observed, inserted: Instant::now(), reply });
    }

    /// Tells whether a caller still waits for this reading; the cache's own receiver does not count.
    pub(super) fn is_waited_for(&self, key: &K, sender: &watch::Sender<Reply<R>>) -> bool {
        let in_cache =
            self.readings.get(key).is_some_and(|cached| cached.reply.same_channel(&sender.subscribe()));
        sender.receiver_count() > usize::from(in_cache)
    }

    /// Tells whether the cache is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// Removes expired readings.
    pub(super) fn evict_expired(&mut self) {
        self.readings.retain(|_, cached| cached.inserted.elapsed() < TTL);
        if self.readings.is_empty() {
            self.readings = HashMap::new();
        }
    }
}
