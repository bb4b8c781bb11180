//! The next tick of every job, in order of time.

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};
use jiff::Timestamp;

use crate::job::{JobId, JobUid, Revision};

/// A job's place in the agenda; reused after the job is gone.
pub(super) type Place = u32;

/// The keeper's record of a job, without its document. It is small, because there may be a million.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: JobId,
    pub(super) uid: JobUid,
    pub(super) revision: Revision,
    /// `Progress::settled`, as compare-and-set wants it.
    pub(super) settled: Option<Timestamp>,
    /// Ticks up to here do not count: when this version was written, or an earlier one that has ticks without an outcome.
    pub(super) since: Timestamp,
    /// Whether the job is in a round now.
    pub(super) busy: bool,
    /// Whether it was nudged while it was in a round.
    pub(super) nudged: bool,
    /// The stored document is not a valid job.
    pub(super) invalid: bool,
    /// Seen by the scan under way.
    pub(super) seen: bool,
    /// When it is looked at next, as far as ticks are settled.
    pub(super) due: Option<Timestamp>,
    /// Where it stands in the order of the agenda; a job in a round stands nowhere.
    listed: Option<Timestamp>,
}

impl Entry {
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
            due: None,
            listed: None,
        }
    }

    /// Returns the moment after which ticks are still to be settled.
    pub(super) fn after(&self) -> Timestamp {
        self.settled.map_or(self.since, |settled| settled.max(self.since))
    }
}

/// All jobs, and the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: Vec<Option<Entry>>,
    free: Vec<Place>,
    /// Places by the hash of the name that stands there: a fifth of the memory of a map that has the names too.
    by_id: HashTable<Place>,
    hasher: DefaultHashBuilder,
    due: BTreeSet<(Timestamp, Place)>,
}

impl Agenda {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        let Self { entries, by_id, hasher, .. } = self;
        by_id.reserve(more, |place| hash_at(entries, hasher, *place));
    }

    pub(super) fn place(&self, id: &JobId) -> Option<Place> {
        let is_it = |place: &Place| self.get(*place).is_some_and(|entry| entry.id == *id);
        self.by_id.find(self.hasher.hash_one(id), is_it).copied()
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

    /// Adds a job that is not there yet, in the order of its `due`.
    pub(super) fn insert(&mut self, entry: Entry) -> Place {
        let due = entry.due;
        let place = self.insert_unlisted(entry);
        self.list(place, due);
        place
    }

    /// Adds a job that is not there yet without giving it a place in the order; [`Self::list_all`] does.
    pub(super) fn insert_unlisted(&mut self, entry: Entry) -> Place {
        let hash = self.hasher.hash_one(&entry.id);
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
        let Self { entries, by_id, hasher, .. } = self;
        by_id.insert_unique(hash, place, |place| hash_at(entries, hasher, *place));
        place
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Entry> {
        let entry = self.entries.get_mut(place as usize)?.take()?;
        if let Some(due) = entry.listed {
            self.due.remove(&(due, place));
        }
        if let Ok(found) = self.by_id.find_entry(self.hasher.hash_one(&entry.id), |found| *found == place) {
            found.remove();
        }
        self.free.push(place);
        Some(entry)
    }

    /// Puts every job in the order of its `due`: much faster for very many than one after the other.
    pub(super) fn list_all(&mut self) {
        let mut order = Vec::with_capacity(self.by_id.len());
        for (place, entry) in self.entries_mut() {
            entry.listed = entry.due;
            order.extend(entry.due.map(|due| (due, place)));
        }
        // The set would keep equal ones in their order while it sorts, which takes memory and is not needed.
        order.sort_unstable();
        self.due = order.into_iter().collect();
    }

    /// Puts every job that is in no round in the order of its `due` again.
    pub(super) fn list_again(&mut self) {
        let busy: Vec<Place> =
            self.entries_mut().filter(|(_, entry)| entry.busy).map(|(place, _)| place).collect();
        self.list_all();
        busy.into_iter().for_each(|place| self.list(place, None));
    }

    /// Sets where in the order the job stands.
    pub(super) fn list(&mut self, place: Place, moment: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(place as usize).and_then(Option::as_mut) else { return };
        if let Some(old) = std::mem::replace(&mut entry.listed, moment) {
            self.due.remove(&(old, place));
        }
        self.due.extend(moment.map(|moment| (moment, place)));
    }

    /// Returns when the first job is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Takes at most `most` jobs that are due at `now`, oldest first; they stand nowhere until they are listed again.
    pub(super) fn take_due(&mut self, now: Timestamp, most: usize) -> Vec<Place> {
        let mut taken = Vec::new();
        while taken.len() < most {
            match self.due.first() {
                Some(&(due, place)) if due <= now => {
                    self.due.pop_first();
                    if let Some(entry) = self.get_mut(place) {
                        entry.listed = None;
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

fn hash_at(entries: &[Option<Entry>], hasher: &DefaultHashBuilder, place: Place) -> u64 {
    let entry = entries.get(place as usize).and_then(Option::as_ref);
    hasher.hash_one(&entry.expect("a place that is listed by name is taken").id)
}
