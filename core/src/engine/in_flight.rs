//! The firings that a part of the engine works on, so that recovery does not resume them twice.

use hashbrown::HashSet;
use parking_lot::Mutex;

use crate::id::FiringId;

#[cfg(test)]
mod tests;

/// The firings that a part of the engine works on.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<InFlightState>);

#[derive(Debug, Default)]
struct InFlightState {
    firings: HashSet<FiringId>,
    /// The firings whose work has ended since the search under way began.
    ended: Option<HashSet<FiringId>>,
}

impl InFlight {
    /// Adds a firing; returns false when a part of the engine works on it already.
    pub(super) fn insert(&self, id: &FiringId) -> bool {
        self.0.lock().firings.insert(id.clone())
    }

    /// Tells whether a part of the engine works on a firing.
    pub(super) fn contains(&self, id: &FiringId) -> bool {
        self.0.lock().firings.contains(id)
    }

    /// Removes a firing that is not known to be durable. If it is, recovery resumes it.
    pub(super) fn remove(&self, id: &FiringId) {
        self.0.lock().firings.remove(id);
    }

    /// Removes a firing that needs no further work.
    pub(super) fn end(&self, id: &FiringId) {
        let mut state = self.0.lock();
        state.firings.remove(id);
        if let Some(ended) = &mut state.ended {
            ended.insert(id.clone());
        }
    }

    /// Begins a search of the journal for open firings. There is one at a time.
    pub(super) fn begin_search(&self) -> JournalSearch<'_> {
        self.0.lock().ended = Some(HashSet::new());
        JournalSearch(self)
    }
}

/// A search of the journal for open firings, until it is dropped. Its answer may have firings that have ended meanwhile.
#[derive(Debug)]
pub(super) struct JournalSearch<'a>(&'a InFlight);

impl JournalSearch<'_> {
    /// Adds a firing of the answer; returns false when a part of the engine works on it, or has ended its work since the search
    /// began.
    pub(super) fn claim(&self, id: &FiringId) -> bool {
        let mut state = self.0.0.lock();
        let has_ended = state.ended.as_ref().is_some_and(|ended| ended.contains(id));
        !has_ended && state.firings.insert(id.clone())
    }
}

impl Drop for JournalSearch<'_> {
    fn drop(&mut self) {
        self.0.0.lock().ended = None;
    }
}
