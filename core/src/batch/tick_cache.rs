//! Readings that evaluations of one round share, although they come one after the other.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Slot;
use crate::trigger::Tick;

/// How much later than the reading was asked for an evaluation may be and still share it.
const ROUND: Duration = Duration::from_secs(1);

/// For how long what was asked for is kept. Longer than a round: an evaluation may have had to wait for something else
/// first, and its tick stays what it was.
pub(super) const KEPT: Duration = Duration::from_secs(10);

/// What was asked for by evaluations of late.
pub(super) struct Round<K, R> {
    readings: HashMap<K, Asked<R>>,
}

struct Asked<R> {
    /// When the evaluation that asked first got to its tick.
    at: Timestamp,
    since: Instant,
    slot: watch::Receiver<Slot<R>>,
}

impl<K, R> Default for Round<K, R> {
    fn default() -> Self {
        Self { readings: HashMap::new() }
    }
}

impl<K: Eq + Hash, R> Round<K, R> {
    /// Finds a reading that was asked for when this tick was due already, and not long before it was got to.
    pub(super) fn find(&self, key: &K, tick: Tick) -> Option<watch::Receiver<Slot<R>>> {
        let longest = SignedDuration::try_from(ROUND).unwrap_or_default();
        let fits =
            |asked: &&Asked<R>| asked.at >= tick.nominal && tick.observed.duration_since(asked.at) <= longest;
        self.readings.get(key).filter(fits).map(|asked| asked.slot.clone())
    }

    pub(super) fn note(&mut self, key: K, tick: Tick, slot: watch::Receiver<Slot<R>>) {
        self.readings.insert(key, Asked { at: tick.observed, since: Instant::now(), slot });
    }

    /// Tells whether somebody still waits for this reading; what is noted here does not count.
    pub(super) fn is_waited_for(&self, key: &K, sender: &watch::Sender<Slot<R>>) -> bool {
        let noted = self.readings.get(key).is_some_and(|asked| asked.slot.same_channel(&sender.subscribe()));
        sender.receiver_count() > usize::from(noted)
    }

    /// Tells whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }

    /// Forgets what is too old to be shared.
    pub(super) fn forget_old(&mut self) {
        self.readings.retain(|_, asked| asked.since.elapsed() < KEPT);
        if self.readings.is_empty() {
            self.readings = HashMap::new();
        }
    }
}
