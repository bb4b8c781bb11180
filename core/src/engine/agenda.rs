//! A timer queue: the next tick of every job, in order of time.

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use jiff::Timestamp;

use crate::job::{JobId, JobUid, Revision};

/// The index of a job in the agenda; reused after the job is gone.
pub(super) type SlotId = u32;

/// The scheduler loop's record of a job, without its document. It is small, because there may be a million.
#[derive(Debug)]
pub(super) struct AgendaEntry {
    pub(super) id: JobId,
    pub(super) uid: JobUid,
    pub(super) revision: Revision,
    /// `Progress::settled`, as compare-and-set requires it.
    pub(super) settled: Option<Timestamp>,
    /// Ticks up to here do not count: when this version was written, or an earlier one that has ticks without an
    /// outcome.
    pub(super) since: Timestamp,
    /// The job is in a round now.
    pub(super) busy: bool,
    /// The job was nudged while it was in a round.
    pub(super) nudged: bool,
    /// The stored document is not a valid job.
    pub(super) invalid: bool,
    /// The scan under way has read the job.
    pub(super) seen: bool,
    /// The document has a suspension, which may be over.
    pub(super) suspended: bool,
    /// When its next unsettled tick is due.
    pub(super) due: Option<Timestamp>,
    /// Its moment in the queue; none while the job is in a round.
    queued_at: Option<Timestamp>,
}

impl AgendaEntry {
    pub(super) fn new(id: JobId, uid: JobUid, revision: Revision, since: Timestamp) -> Self {
        Self {
            id,
            uid,
            revision,
            settled: None,
            since,
            busy: false,
            nudged: false,
            invalid: false,
            seen: true,
            suspended: false,
            due: None,
            queued_at: None,
        }
    }

    /// Tells whether it waits in the queue for a round now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.queued_at.is_some_and(|moment| moment <= now)
    }

    /// Returns the moment after which ticks are still to be settled.
    pub(super) fn after(&self) -> Timestamp {
        self.settled.map_or(self.since, |settled| settled.max(self.since))
    }
}

/// All jobs, and the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: Vec<Option<AgendaEntry>>,
    free: Vec<SlotId>,
    /// Slots by the hash of the job's name: a fifth of the memory of a map that has the names too.
    by_id: HashTable<SlotId>,
    hasher: DefaultHashBuilder,
    due: BTreeSet<(Timestamp, SlotId)>,
}

impl Agenda {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        let Self { entries, by_id, hasher, .. } = self;
        by_id.reserve(more, |slot| hash_at(entries, hasher, *slot));
    }

    pub(super) fn find_slot(&self, id: &JobId) -> Option<SlotId> {
        let is_it = |slot: &SlotId| self.get(*slot).is_some_and(|entry| entry.id == *id);
        self.by_id.find(self.hasher.hash_one(id), is_it).copied()
    }

    pub(super) fn get(&self, slot: SlotId) -> Option<&AgendaEntry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: SlotId) -> Option<&mut AgendaEntry> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = (SlotId, &mut AgendaEntry)> {
        self.entries.iter_mut().enumerate().filter_map(|(index, entry)| {
            Some((u32::try_from(index).expect("a slot is a u32"), entry.as_mut()?))
        })
    }

    /// Adds a new job, and queues it at its `due`.
    pub(super) fn insert(&mut self, entry: AgendaEntry) -> SlotId {
        let due = entry.due;
        let slot = self.insert_unscheduled(entry);
        self.schedule_at(slot, due);
        slot
    }

    /// Adds a new job without queueing it; [`Self::schedule_all`] does that.
    pub(super) fn insert_unscheduled(&mut self, entry: AgendaEntry) -> SlotId {
        let hash = self.hasher.hash_one(&entry.id);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = Some(entry);
                slot
            }
            None => {
                self.entries.push(Some(entry));
                u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 jobs fit into memory")
            }
        };
        let Self { entries, by_id, hasher, .. } = self;
        by_id.insert_unique(hash, slot, |slot| hash_at(entries, hasher, *slot));
        slot
    }

    pub(super) fn remove(&mut self, slot: SlotId) -> Option<AgendaEntry> {
        let entry = self.entries.get_mut(slot as usize)?.take()?;
        if let Some(due) = entry.queued_at {
            self.due.remove(&(due, slot));
        }
        if let Ok(found) = self.by_id.find_entry(self.hasher.hash_one(&entry.id), |found| *found == slot) {
            found.remove();
        }
        self.free.push(slot);
        Some(entry)
    }

    /// Queues every job at its `due`: much faster for very many jobs than one after the other.
    pub(super) fn schedule_all(&mut self) {
        let mut order = Vec::with_capacity(self.by_id.len());
        for (slot, entry) in self.entries_mut() {
            entry.queued_at = entry.due;
            order.extend(entry.due.map(|due| (due, slot)));
        }
        // A stable sort takes memory, and the order of equal elements does not matter.
        order.sort_unstable();
        self.due = order.into_iter().collect();
    }

    /// Queues every job that is in no round at its `due` again.
    pub(super) fn reschedule_all(&mut self) {
        let busy: Vec<SlotId> =
            self.entries_mut().filter(|(_, entry)| entry.busy).map(|(slot, _)| slot).collect();
        self.schedule_all();
        for slot in busy {
            self.schedule_at(slot, None);
        }
    }

    /// Queues a job at a moment, or takes it out of the queue. Returns its earlier moment.
    pub(super) fn schedule_at(&mut self, slot: SlotId, moment: Option<Timestamp>) -> Option<Timestamp> {
        let entry = self.entries.get_mut(slot as usize)?.as_mut()?;
        let earlier = std::mem::replace(&mut entry.queued_at, moment);
        if let Some(earlier) = earlier {
            self.due.remove(&(earlier, slot));
        }
        self.due.extend(moment.map(|moment| (moment, slot)));
        earlier
    }

    /// Returns at most `limit` jobs that wait in the queue although they were due at this moment.
    pub(super) fn overdue(&self, at: Timestamp, limit: usize) -> Vec<JobId> {
        let overdue = self.due.range(..=(at, SlotId::MAX)).filter_map(|(_, slot)| self.get(*slot));
        overdue.take(limit).map(|entry| entry.id.clone()).collect()
    }

    /// Returns when the first job is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Removes at most `limit` jobs that are due at `now` from the queue, oldest first, until they are queued again.
    pub(super) fn pop_due(&mut self, now: Timestamp, limit: usize) -> Vec<SlotId> {
        let mut popped = Vec::new();
        while popped.len() < limit {
            match self.due.first() {
                Some(&(due, slot)) if due <= now => {
                    self.due.pop_first();
                    if let Some(entry) = self.get_mut(slot) {
                        entry.queued_at = None;
                    }
                    popped.push(slot);
                }
                Some(_) | None => break,
            }
        }
        popped
    }

    /// Returns at most `limit` jobs that are due after `from` and not after `until`.
    pub(super) fn due_between(&self, from: Timestamp, until: Timestamp, limit: usize) -> Vec<JobId> {
        let range =
            (std::ops::Bound::Excluded((from, SlotId::MAX)), std::ops::Bound::Included((until, SlotId::MAX)));
        let entries = self.due.range(range).filter_map(|(_, slot)| self.get(*slot));
        entries.take(limit).map(|entry| entry.id.clone()).collect()
    }
}

fn hash_at(entries: &[Option<AgendaEntry>], hasher: &DefaultHashBuilder, slot: SlotId) -> u64 {
    let entry = entries.get(slot as usize).and_then(Option::as_ref);
    hasher.hash_one(&entry.expect("a slot that is listed by name has an entry").id)
}
