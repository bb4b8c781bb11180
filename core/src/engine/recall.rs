//! Reads from the journal how the newest ticks and tasks of one job failed before the start: of a job that failed when the engine
//! stopped, and of a job that is shown.
//!
//! No journal is read for a million jobs at the start, and that of one job once for each version.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use jiff::Timestamp;

use super::failing_tasks::FailingTasks;
use super::faults::{FailedTicks, Failing};
use super::inner::EngineInner;
use crate::clock::is_ahead;
use crate::decide::{DecisionRecord, TickOutcome};
use crate::firing::{Firing, FiringId, Origin};
use crate::job::{Job, StoredJob};
use crate::store::{DecisionQuery, FiringQuery, StoreError};

/// The number of rows of a job's history that are read.
const MAX_ROWS: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not zero");

/// How often the journal of a job is read, if the engine works on the job meanwhile.
const MAX_RECALLS: usize = 3;

impl EngineInner {
    /// Reads how the newest ticks and tasks of a job failed, unless this process has read them. If the engine decides or ends
    /// something of the job meanwhile, it reads again.
    pub(super) async fn recall_failing(&self, job: &StoredJob) {
        let key = (job.uid, job.revision);
        for _ in 0..MAX_RECALLS {
            if self.recalled.lock().contains(&key) {
                return;
            }
            let faults = &self.process.faults;
            faults.begin_recall(job.uid);
            // A call that ends early, or that cannot read, leaves the job to the next one.
            let Ok(firings) = self.read_newest_firings(job).await else { return };
            let Ok(ticks) = self.read_failing(job, &firings).await else { return };
            let is_same = |firing: &&Firing| firing.uid == job.uid && firing.revision == job.revision;
            let tasks = FailingTasks::in_row(firings.iter().take_while(is_same));
            let has_failed = ticks.is_some() || tasks.is_some();
            let tasks = tasks.map(|tasks| (job.id.clone(), tasks));
            if !faults.end_recall(self.number, job.uid, ticks, tasks) {
                continue;
            }
            self.recalled.lock().put(key, ());
            if has_failed {
                self.forget_if_changed(job).await;
            }
            return;
        }
    }

    /// Forgets how a job failed if it was edited or removed while the journal was read, perhaps before the failures were recorded.
    async fn forget_if_changed(&self, job: &StoredJob) {
        let stored = self.store.get(std::slice::from_ref(&job.id)).await;
        let is_same = |now: &StoredJob| (now.uid, now.revision) == (job.uid, job.revision);
        if stored.is_ok_and(|stored| !stored.iter().any(is_same)) {
            self.process.faults.forget(&job.uid);
        }
    }

    async fn read_newest_firings(&self, job: &StoredJob) -> Result<Vec<Firing>, StoreError> {
        let query = FiringQuery { job: Some(job.id.clone()), limit: MAX_ROWS, ..FiringQuery::default() };
        self.store.firings(&query).await
    }

    async fn read_failing(
        &self,
        job: &StoredJob,
        firings: &[Firing],
    ) -> Result<Option<FailedTicks>, StoreError> {
        let past = firings.iter().filter(|firing| firing.origin == Origin::Backfill);
        let past: HashSet<&FiringId> = past.map(|firing| &firing.id).collect();
        let query = DecisionQuery { job: Some(job.id.clone()), limit: MAX_ROWS, ..DecisionQuery::default() };
        let rows = self.store.decisions(&query).await?;
        // A version that was written while the clock was ahead has rows from before that moment.
        let since = if is_ahead(job.changed, self.clock.now()) { Timestamp::MIN } else { job.changed };
        let of_version = rows.iter().take_while(|row| row.uid == job.uid && row.draft.observed >= since);
        let is_past = |row: &DecisionRecord| row.firing.as_ref().is_some_and(|id| past.contains(id));
        let Some((mut failing, newest)) = newest_failure(of_version, is_past) else { return Ok(None) };
        if let Some(id) = &newest.firing {
            let query = FiringQuery { id: Some(id.clone()), ..FiringQuery::default() };
            let note = self.store.firings(&query).await?.pop().and_then(|firing| firing.note);
            failing.reason = note.unwrap_or(failing.reason);
        }
        let later = |job: &Job| job.ticks().and_then(|ticks| ticks.next_after(newest.draft.span.last));
        let is_last = is_past(newest) || self.parse(job).is_ok_and(|job| later(&job).is_none());
        Ok(Some(FailedTicks::new(job.id.clone(), failing, newest.draft.observed, is_last)))
    }

    /// Returns whether the job of a firing has no later tick.
    pub(super) async fn is_last_tick(&self, firing: &Firing) -> bool {
        let Ok(loaded) = self.load_jobs(std::slice::from_ref(&firing.job)).await else { return false };
        let cached = loaded.into_iter().map(|(_, cached)| cached).find(|cached| cached.uid == firing.uid);
        cached.is_some_and(|cached| {
            let ticks = cached.job.as_ref().ok().and_then(Job::ticks);
            ticks.is_some_and(|ticks| ticks.next_after(firing.nominal).is_none())
        })
    }
}

/// Returns how the newest of these decisions failed, and the newest such row. `rows` is newest first. The result equals that
/// of recording each decision: a decided tick shows that sources can be read, and only a launch shows that launches work. `is_past`
/// tells whether a decision is that of a backfill about a past tick.
fn newest_failure<'a>(
    rows: impl Iterator<Item = &'a DecisionRecord>,
    is_past: impl Fn(&DecisionRecord) -> bool,
) -> Option<(Failing, &'a DecisionRecord)> {
    let mut found: Option<(Failing, &DecisionRecord)> = None;
    let mut decided = false;
    for row in rows {
        let (outcome, span) = (row.draft.outcome, row.draft.span);
        if matches!(outcome, TickOutcome::Launched | TickOutcome::Partial) {
            break;
        }
        if span.count == 0 && !is_past(row) {
            continue;
        }
        let ticks = span.count.max(1);
        let of_launch = matches!(outcome, TickOutcome::LaunchFailed | TickOutcome::Unknown);
        let is_failure = of_launch || matches!(outcome, TickOutcome::SourceError | TickOutcome::LiveUnknown);
        match &mut found {
            _ if !is_failure => decided |= outcome.is_decided(),
            // A later decided tick ended it.
            _ if decided && !of_launch => break,
            Some((failing, _)) if failing.outcome != outcome => break,
            Some((failing, _)) => (failing.since, failing.ticks) = (span.first, failing.ticks + ticks),
            None => {
                let reason = row.draft.explanation.clone();
                found = Some((Failing { outcome, reason, since: span.first, ticks }, row));
            }
        }
    }
    found
}
