//! Counts events by time, within a horizon.

use std::collections::VecDeque;

use jiff::Timestamp;

/// Counts events in order of time. Events before the horizon are kept as a sum.
///
/// The events of one second share an entry, at the latest of their moments, so that a day has at most 86,400 entries.
#[derive(Debug, Clone, Default)]
pub(super) struct EventCounter {
    evicted: u64,
    entries: VecDeque<(Timestamp, u32)>,
}

impl EventCounter {
    /// Counts an event at this moment, which may be earlier than others.
    pub(super) fn add(&mut self, at: Timestamp) {
        let index = self.entries.partition_point(|(moment, _)| *moment <= at);
        if let Some((moment, count)) = index.checked_sub(1).and_then(|before| self.entries.get_mut(before))
            && moment.as_second() == at.as_second()
        {
            (*moment, *count) = (at, count.saturating_add(1));
            return;
        }
        self.entries.insert(index, (at, 1));
    }

    /// Returns the number of events up to and including this moment.
    pub(super) fn until(&self, at: Timestamp) -> u64 {
        let entries = self.entries.iter().take_while(|(moment, _)| *moment <= at);
        self.evicted + entries.map(|(_, count)| u64::from(*count)).sum::<u64>()
    }

    /// Returns the number of events after `from` and up to `to`.
    pub(super) fn between(&self, from: Timestamp, to: Timestamp) -> u32 {
        let entries = self.entries.iter().rev().take_while(|(moment, _)| *moment > from);
        let counts = entries.filter(|(moment, _)| *moment <= to).map(|(_, count)| *count);
        counts.fold(0, u32::saturating_add)
    }

    /// Replaces the entries before this moment by their sum.
    pub(super) fn evict(&mut self, before: Timestamp) {
        while let Some((_, count)) = self.entries.front().filter(|(moment, _)| *moment < before) {
            self.evicted += u64::from(*count);
            self.entries.pop_front();
        }
    }
}
