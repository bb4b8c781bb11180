//! Filters of the history that no store has an index for: each entry that is read is checked, and a request reads a bounded number.
//!
//! Entries are recorded in the order of time, unless the clock was stepped: a list of all jobs begins behind the range, and a list ends
//! before it.

use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::{DecisionId, DecisionRecord, Firing, JobId, JobUid, Labels, StoreError, Timestamp};
use jiff::SignedDuration;

use super::caller::Caller;
use super::history_seek::{begin_of, first_since};
use super::label::Label;
use super::request::Query;
use super::state::AppState;
use crate::access::has_labels;

#[cfg(test)]
mod tests;

/// How much later than at its place in the list an entry may have been recorded: the clock may have been stepped, and the clocks of replicas
/// differ.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_hours(1);

/// A range of time, and a label of the job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HistoryFilter {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    label: Option<Label>,
    /// The labels of the jobs that the caller sees.
    visible: Labels,
}

impl HistoryFilter {
    /// Reads `from`, `to` and `label`.
    pub(super) fn from_query(query: &mut Query) -> Self {
        let (from, to) = (query.moment("from"), query.moment("to"));
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            query.refuse("to", "Must be after from.");
        }
        Self { from, to, label: Label::from_query(query), visible: Labels::new() }
    }

    /// Only passes entries about jobs that a caller sees.
    pub(super) fn only_visible_to(self, caller: &Caller) -> Self {
        Self { visible: caller.labels().cloned().unwrap_or_default(), ..self }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells whether a decision was made in the range. One that stands for several ticks counts from its first to its newest tick.
    pub(super) fn has_decision(&self, record: &DecisionRecord) -> bool {
        self.contains(begin_of(record), record.draft.observed)
    }

    /// Tells whether a firing was decided in the range.
    pub(super) fn has_firing(&self, firing: &Firing) -> bool {
        self.contains(firing.observed, firing.observed)
    }

    /// Returns the decision before which a list of all jobs begins; `None` if it begins with the newest entry.
    pub(super) async fn start(&self, app: &AppState) -> Result<Option<DecisionId>, StoreError> {
        match self.to.and_then(|to| to.checked_add(CLOCK_TOLERANCE).ok()) {
            Some(end) => first_since(&*app.store, end).await,
            None => Ok(None),
        }
    }

    /// Tells whether the list ends before an entry that was recorded at this moment: the older ones are out of the range, too.
    pub(super) fn ends_before(&self, observed: Timestamp) -> bool {
        self.from.is_some_and(|from| observed.saturating_add(CLOCK_TOLERANCE).is_ok_and(|late| late < from))
    }

    /// `from` belongs to the range, `to` does not.
    fn contains(&self, begin: Timestamp, end: Timestamp) -> bool {
        self.from.is_none_or(|from| end >= from) && self.to.is_none_or(|to| begin < to)
    }

    /// Tells whether an entry about a job passes. If the caller is limited, one of an earlier job of the same name does not.
    pub(super) fn passes_labels(
        &self,
        labelled: Option<&HashMap<JobId, JobUid>>,
        job: &JobId,
        uid: JobUid,
    ) -> bool {
        let found = |jobs: &HashMap<JobId, JobUid>| jobs.get(job).copied();
        labelled.is_none_or(|jobs| found(jobs).is_some_and(|known| self.visible.is_empty() || known == uid))
    }

    /// Returns those of these jobs that have the labels at present; `None` if every job passes. A removed job has no labels.
    pub(super) async fn labelled(
        &self,
        app: &AppState,
        jobs: impl Iterator<Item = &JobId> + Send,
    ) -> Result<Option<HashMap<JobId, JobUid>>, StoreError> {
        if self.label.is_none() && self.visible.is_empty() {
            return Ok(None);
        }
        let names: HashSet<JobId> = jobs.cloned().collect();
        let names: Vec<JobId> = names.into_iter().collect();
        let found = app.store.get(&names).await?.into_iter();
        let passes = |document: &str| {
            self.label.as_ref().is_none_or(|label| label.matches(document))
                && has_labels(document, &self.visible)
        };
        let labelled = found.filter(|job| passes(job.document.get()));
        Ok(Some(labelled.map(|job| (job.id, job.uid)).collect()))
    }
}
