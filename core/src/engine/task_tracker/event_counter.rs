//! Counts of what happened when, within a horizon.

use std::collections::VecDeque;

use jiff::Timestamp;

/// How many times something happened, in order of time. What lies behind the horizon is a mere sum.
///
/// What happens within one second is one entry, at the latest of its moments, so that a day has 86,400 at most.
#[derive(Debug, Default)]
pub(super) struct Tally {
    forgotten: u64,
    entries: VecDeque<(Timestamp, u32)>,
}

impl Tally {
    /// Enters that it happened at this moment, which may be earlier than others.
    pub(super) fn add(&mut self, at: Timestamp) {
        let place = self.entries.partition_point(|(moment, _)| *moment <= at);
        if let Some((moment, count)) = place.checked_sub(1).and_then(|before| self.entries.get_mut(before))
            && moment.as_second() == at.as_second()
        {
            (*moment, *count) = (at, count.saturating_add(1));
            return;
        }
        self.entries.insert(place, (at, 1));
    }

    /// Returns how often it happened up to this moment, and it included.
    pub(super) fn until(&self, at: Timestamp) -> u64 {
        let entries = self.entries.iter().take_while(|(moment, _)| *moment <= at);
        self.forgotten + entries.map(|(_, count)| u64::from(*count)).sum::<u64>()
    }

    /// Returns how often it happened after `from`, and up to `to`.
    pub(super) fn between(&self, from: Timestamp, to: Timestamp) -> u32 {
        let entries = self.entries.iter().rev().take_while(|(moment, _)| *moment > from);
        let counts = entries.filter(|(moment, _)| *moment <= to).map(|(_, count)| *count);
        counts.fold(0, u32::saturating_add)
    }

    /// Makes a sum of what happened before this moment.
    pub(super) fn forget(&mut self, before: Timestamp) {
        while let Some((_, count)) = self.entries.front().filter(|(moment, _)| *moment < before) {
            self.forgotten += u64::from(*count);
            self.entries.pop_front();
        }
    }
}
