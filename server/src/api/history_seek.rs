//! The place of a moment in the history: ids of decisions grow with time, so that a search finds it with some twenty reads of one decision.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{DecisionId, DecisionQuery, DecisionRecord, Store, StoreError, Timestamp};

#[cfg(test)]
mod tests;

/// The search ends when at most this many ids are left.
const MAX_REST: u64 = 64;
/// The first distance from the newest decision at which an older one is read, and the factor from each distance to the next.
const FIRST_DISTANCE: u64 = 64;
const DISTANCE_FACTOR: u64 = 64;
/// A read is this part of the range away from the place that the times suggest.
const MARGIN_PARTS: u64 = 64;

/// A decision, and when it began; nothing begins at the end of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    id: u64,
    at: Option<Timestamp>,
}

/// A search for the oldest decision that began at a moment or later.
#[derive(Debug)]
struct Search {
    moment: Timestamp,
    /// A decision that began before the moment, or an id that is older than all decisions.
    early: Option<Entry>,
    /// The oldest known decision that began at the moment or later.
    late: Entry,
    distance: u64,
    step: u64,
}

/// Returns the moment at which a decision began. One that stands for several ticks began with the first of them.
pub(super) fn begin_of(record: &DecisionRecord) -> Timestamp {
    let (span, observed) = (&record.draft.span, record.draft.observed);
    if span.count > 1 { span.first.min(observed) } else { observed }
}

/// Returns a decision that began at `moment` or later, as all newer ones did if the clock was never stepped back. At most [`MAX_REST`] ids
/// before it are decisions that began earlier. `None` if the newest decision began earlier.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub(super) async fn first_since(
    store: &dyn Store,
    moment: Timestamp,
) -> Result<Option<DecisionId>, StoreError> {
    let newest = newest_before(store, None).await?;
    let Some(mut search) = newest.and_then(|newest| Search::new(moment, newest)) else { return Ok(None) };
    while let Some(end) = search.next_end() {
        let found = newest_before(store, Some(DecisionId(end))).await?;
        search.record(end, found);
    }
    Ok(Some(DecisionId(search.late.id)))
}

/// Reads the newest decision, of those that are older than `end` if it is given.
async fn newest_before(store: &dyn Store, end: Option<DecisionId>) -> Result<Option<Entry>, StoreError> {
    let query = DecisionQuery { before: end, limit: NonZeroUsize::MIN, ..DecisionQuery::default() };
    let found = store.decisions(&query).await?;
    Ok(found.first().map(|record| Entry { id: record.id.0, at: Some(begin_of(record)) }))
}

impl Search {
    /// Begins at the newest decision; `None` if it began before the moment.
    fn new(moment: Timestamp, newest: Entry) -> Option<Self> {
        let search = Self { moment, early: None, late: newest, distance: FIRST_DISTANCE, step: 0 };
        search.is_late(newest).then_some(search)
    }

    fn is_late(&self, entry: Entry) -> bool {
        entry.at.is_some_and(|at| at >= self.moment)
    }

    /// Returns the id below which the newest decision is to be read; `None` at the end of the search.
    fn next_end(&self) -> Option<u64> {
        let Some(early) = self.early else {
            return Some(self.late.id.saturating_sub(self.distance).max(1));
        };
        let rest = self.late.id - early.id;
        (rest > MAX_REST).then(|| early.id + self.offset(early, rest).clamp(1, rest - 1) + 1)
    }

    /// Records what was read.
    fn record(&mut self, end: u64, found: Option<Entry>) {
        let known = self.early.map_or(0, |early| early.id);
        match found.filter(|found| found.id > known) {
            Some(found) if self.is_late(found) => self.late = found,
            Some(found) => self.early = Some(found),
            None => self.early = Some(Entry { id: end - 1, at: self.early.and_then(|early| early.at) }),
        }
        self.step += u64::from(self.early.is_some());
        self.distance = self.distance.saturating_mul(DISTANCE_FACTOR);
    }

    /// Returns the distance from `early` at which to read: in turns before and behind the place that the times suggest, and in the middle, so
    /// that the search is short for any times.
    fn offset(&self, early: Entry, rest: u64) -> u64 {
        let millis =
            |from: Timestamp, to: Timestamp| u128::try_from(to.duration_since(from).as_millis()).ok();
        let times = early.at.zip(self.late.at).filter(|_| !self.step.is_multiple_of(3));
        let times = times.and_then(|(from, to)| millis(from, self.moment).zip(millis(from, to)));
        let Some((part, whole)) = times.filter(|(_, whole)| *whole > 0) else { return rest / 2 };
        let place = u64::try_from(u128::from(rest) * part / whole).unwrap_or(rest);
        let margin = rest / MARGIN_PARTS;
        if self.step % 3 == 1 { place.saturating_add(margin) } else { place.saturating_sub(margin) }
    }
}
