//! The next tick of every job, in order of time.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use crate::job::{JobId, JobUid, Revision};
use crate::schedule::Schedule;

/// A job's place in the agenda; reused after the job is gone.
pub(super) type Place = u32;

/// What the keeper knows about a job without its document.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: JobId,
    pub(super) uid: JobUid,
    pub(super) revision: Revision,
    /// Its ticks; none when the stored document is not a valid job.
    pub(super) schedule: Option<Schedule>,
    pub(super) jitter: Option<std::time::Duration>,
    /// `Progress::settled`, as compare-and-set wants it.
    pub(super) settled: Option<Timestamp>,
    /// When this version was written: ticks up to here are not this version's.
    pub(super) changed: Timestamp,
    /// Whether the job is in a round now.
    pub(super) busy: bool,
    /// Whether it was nudged while it was in a round.
    pub(super) nudged: bool,
    /// The stored document is not a valid job.
    pub(super) invalid: bool,
    /// Seen by the scan under way.
    pub(super) seen: bool,
    due: Option<Timestamp>,
}

impl Entry {
    pub(super) fn new(id: JobId, uid: JobUid, revision: Revision, changed: Timestamp) -> Self {
        Self {
            id,
            uid,
            revision,
            schedule: None,
            jitter: None,
            settled: None,
            changed,
            busy: false,
            nudged: false,
            invalid: false,
            seen: true,
            due: None,
        }
    }

    /// Returns the moment after which ticks are still to be settled.
    pub(super) fn after(&self) -> Timestamp {
        self.settled.map_or(self.changed, |settled| settled.max(self.changed))
    }
}

/// All jobs, and the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: Vec<Option<Entry>>,
    free: Vec<Place>,
    by_id: HashMap<JobId, Place>,
    due: BTreeSet<(Timestamp, Place)>,
}

impl Agenda {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        self.by_id.reserve(more);
    }

    pub(super) fn place(&self, id: &JobId) -> Option<Place> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, place: Place) -> Option<&Entry> {
        self.entries.get(place as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.entries.get_mut(place as usize)?.as_mut()
    }

    pub(super) fn entries_mut(&mut self) -> impl Iterator<Item = (Place, &mut Entry)> {
        self.entries.iter_mut().enumerate().filter_map(|(index, entry)| {
            Some((u32::try_from(index).expect("places are given out as u32"), entry.as_mut()?))
        })
    }

    /// Adds a job that is not there yet.
    pub(super) fn insert(&mut self, entry: Entry) -> Place {
        let id = entry.id.clone();
        let place = match self.free.pop() {
            Some(place) => {
                self.entries[place as usize] = Some(entry);
                place
            }
            None => {
                self.entries.push(Some(entry));
                u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 jobs fit into memory")
            }
        };
        self.by_id.insert(id, place);
        place
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Entry> {
        let entry = self.entries.get_mut(place as usize)?.take()?;
        if let Some(due) = entry.due {
            self.due.remove(&(due, place));
        }
        self.by_id.remove(&entry.id);
        self.free.push(place);
        Some(entry)
    }

    /// Sets when the job is looked at next.
    pub(super) fn schedule(&mut self, place: Place, due: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::as_mut) else { return };
        if let Some(old) = entry.due.take() {
            self.due.remove(&(old, place));
        }
        if let Some(new) = due {
            entry.due = Some(new);
            self.due.insert((new, place));
        }
    }

    /// Returns when the first job is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Takes at most `most` jobs that are due at `now`, oldest first; they have no next tick until they get one.
    pub(super) fn take_due(&mut self, now: Timestamp, most: usize) -> Vec<Place> {
        let mut taken = Vec::new();
        while taken.len() < most {
            match self.due.first() {
                Some(&(due, place)) if due <= now => {
                    self.due.pop_first();
                    if let Some(entry) = self.get_mut(place) {
                        entry.due = None;
                    }
                    taken.push(place);
                }
                Some(_) | None => break,
            }
        }
        taken
    }

    /// Returns the jobs that are due after `from` and not after `until`, at most `most`.
    pub(super) fn due_between(&self, from: Timestamp, until: Timestamp, most: usize) -> Vec<JobId> {
        let range =
            (std::ops::Bound::Excluded((from, Place::MAX)), std::ops::Bound::Included((until, Place::MAX)));
        let entries = self.due.range(range).filter_map(|(_, place)| self.get(*place));
        entries.take(most).map(|entry| entry.id.clone()).collect()
    }
}
