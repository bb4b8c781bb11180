//! The newest outcomes of a job: read from the journal when a row is shown, and kept until the job has new ones.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ecs_scheduler_core::{
    DecisionId, DecisionQuery, DecisionRecord, FiringId, JobUid, Store, StoreError, StoredJob, TickOutcome,
    Timestamp,
};
use lru::LruCache;
use parking_lot::Mutex;

#[cfg(test)]
mod tests;

/// The number of outcomes of a row.
pub(super) const MAX_OUTCOMES: usize = 60;
/// The number of decisions of the first read: consecutive equal outcomes are one decision.
const FIRST_READ: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not zero");
const WHOLE_READ: NonZeroUsize = NonZeroUsize::new(MAX_OUTCOMES).expect("60 is not zero");
/// The maximum number of jobs whose outcomes are kept.
const MAX_CACHED_OUTCOMES: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not zero");

/// The newest decisions of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecentOutcomes {
    /// The newest settled tick and the newest firing of the job when they were read.
    read_at: (Option<Timestamp>, Option<FiringId>),
    /// Newest first.
    runs: Vec<OutcomeRun>,
    /// The explanation of the newest one.
    pub(super) reason: String,
}

/// Consecutive ticks with one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OutcomeRun {
    id: DecisionId,
    outcome: TickOutcome,
    ticks: usize,
}

/// The outcomes of the jobs that were shown last.
#[derive(Debug)]
pub(super) struct OutcomeCache(Mutex<LruCache<JobUid, Arc<RecentOutcomes>>>);

impl Default for OutcomeCache {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_CACHED_OUTCOMES)))
    }
}

impl OutcomeCache {
    /// Returns the newest outcomes of a job, as it is now.
    ///
    /// # Errors
    ///
    /// Fails when the journal cannot be read.
    pub(super) async fn get(
        &self,
        store: &dyn Store,
        job: &StoredJob,
    ) -> Result<Arc<RecentOutcomes>, StoreError> {
        let read_at = (job.progress.settled, job.progress.last_firing.clone());
        let known = self.0.lock().get(&job.uid).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.read_at == read_at && !known.is_pending()) {
            return Ok(Arc::clone(known));
        }
        let read = async |limit| {
            let query = DecisionQuery { job: Some(job.id.clone()), limit, ..DecisionQuery::default() };
            store.decisions(&query).await
        };
        let mut decisions = read(FIRST_READ).await?;
        let older = known.as_ref().and_then(|known| known.older_than(&decisions));
        let is_whole = decisions.len() < FIRST_READ.get() || covers_row(&decisions) || older.is_some();
        if !is_whole {
            decisions = read(WHOLE_READ).await?;
        }
        // Another job may have had this name.
        decisions.retain(|decision| decision.uid == job.uid);
        let outcomes = RecentOutcomes::new(read_at, decisions, older.unwrap_or_default());
        let outcomes = Arc::new(outcomes);
        self.0.lock().put(job.uid, Arc::clone(&outcomes));
        Ok(outcomes)
    }
}

/// Tells whether decisions are about all ticks of a row.
fn covers_row(decisions: &[DecisionRecord]) -> bool {
    decisions.iter().map(ticks).sum::<usize>() >= MAX_OUTCOMES
}

/// Returns the number of ticks of a decision; a firing by hand counts as one.
fn ticks(decision: &DecisionRecord) -> usize {
    usize::try_from(decision.draft.span.count).unwrap_or(usize::MAX).clamp(1, MAX_OUTCOMES)
}

impl RecentOutcomes {
    fn new(
        read_at: (Option<Timestamp>, Option<FiringId>),
        decisions: Vec<DecisionRecord>,
        older: Vec<OutcomeRun>,
    ) -> Self {
        let reason = decisions.first().map(|newest| newest.draft.explanation.clone()).unwrap_or_default();
        let run =
            |one: &DecisionRecord| OutcomeRun { id: one.id, outcome: one.draft.outcome, ticks: ticks(one) };
        let (mut runs, mut left) = (Vec::new(), MAX_OUTCOMES);
        for run in decisions.iter().map(run).chain(older) {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(run.ticks);
            runs.push(run);
        }
        Self { read_at, runs, reason }
    }

    /// Returns the known runs before the oldest of these decisions, unless that is not known or one of them may still change.
    fn older_than(&self, decisions: &[DecisionRecord]) -> Option<Vec<OutcomeRun>> {
        let oldest = decisions.last()?.id;
        let index = self.runs.iter().position(|run| run.id == oldest)?;
        let older = &self.runs[index + 1..];
        let is_pending = older.iter().any(|run| run.outcome == TickOutcome::Pending);
        (!is_pending).then(|| older.to_vec())
    }

    fn is_pending(&self) -> bool {
        self.runs.iter().any(|run| run.outcome == TickOutcome::Pending)
    }

    /// Returns the newest outcome.
    pub(super) fn newest(&self) -> Option<TickOutcome> {
        self.runs.first().map(|run| run.outcome)
    }

    /// Returns a letter for each outcome, oldest first.
    pub(super) fn letters(&self) -> String {
        let newest_first =
            self.runs.iter().flat_map(|run| std::iter::repeat_n(letter(run.outcome), run.ticks));
        let letters: Vec<char> = newest_first.take(MAX_OUTCOMES).collect();
        letters.into_iter().rev().collect()
    }
}

/// Returns the letter of an outcome in a row. Upper case: something was launched, or should have been.
fn letter(outcome: TickOutcome) -> char {
    match outcome {
        TickOutcome::Launched => 'L',
        TickOutcome::Partial => 'P',
        TickOutcome::Pending => 'p',
        TickOutcome::Satisfied => 's',
        TickOutcome::Idle => 'i',
        TickOutcome::Capped => 'c',
        TickOutcome::Budget => 'b',
        TickOutcome::Cooldown => 'w',
        TickOutcome::SkippedOverlap => 'o',
        TickOutcome::Suspended => 'u',
        TickOutcome::Coalesced => 'f',
        TickOutcome::Missed => 'm',
        TickOutcome::SourceError => 'E',
        TickOutcome::LiveUnknown => 'V',
        TickOutcome::LaunchFailed => 'F',
        TickOutcome::Denied => 'D',
        TickOutcome::Unknown => 'X',
    }
}
