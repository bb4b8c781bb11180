//! Trouble of before the start: how the newest ticks of one job failed, read from the journal when somebody asks.
//!
//! A million jobs are not asked about at the start. A tick of this process makes the question needless.

use std::num::NonZeroUsize;

use super::faults::{FailedTicks, Failing};
use super::inner::Core;
use crate::decide::{DecisionId, DecisionRecord, Outcome};
use crate::firing::Firing;
use crate::job::{Job, StoredJob};
use crate::store::{DecisionQuery, FiringQuery, StoreError};

/// How many rows of a job's history are read.
const ROWS: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not zero");

impl Core {
    /// Reads how the newest ticks of a job failed, unless this process knows already.
    pub(super) async fn recall_failing(&self, job: &StoredJob) {
        let key = (job.uid, job.revision);
        if self.has_settled(job) || self.recalled.lock().put(key, ()).is_some() {
            return;
        }
        let failed = self.read_failing(job).await;
        match failed {
            Ok(Some(failed)) if !self.has_settled(job) && self.commons.faults.get(&job.uid).is_none() => {
                self.commons.faults.failed(self.number, job.uid, failed);
            }
            Ok(_) => {}
            Err(_) => {
                self.recalled.lock().pop(&key);
            }
        }
    }

    /// Tells whether this process has settled ticks of this version of the job.
    fn has_settled(&self, job: &StoredJob) -> bool {
        let hot = self.hot.get(&job.id).filter(|hot| hot.uid == job.uid && hot.revision == job.revision);
        hot.is_some_and(|hot| *hot.last_row.lock() != DecisionId::default())
    }

    async fn read_failing(&self, job: &StoredJob) -> Result<Option<FailedTicks>, StoreError> {
        let query = DecisionQuery { job: Some(job.id.clone()), limit: ROWS, ..DecisionQuery::default() };
        let rows = self.store.decisions(&query).await?;
        let of_version =
            rows.iter().take_while(|row| row.uid == job.uid && row.draft.observed >= job.changed);
        let Some((mut failing, newest)) = failing(of_version) else { return Ok(None) };
        if let Some(id) = &newest.firing {
            let query = FiringQuery { id: Some(id.clone()), ..FiringQuery::default() };
            let note = self.store.firings(&query).await?.pop().and_then(|firing| firing.note);
            failing.reason = note.unwrap_or(failing.reason);
        }
        let later = |job: &Job| job.ticks().and_then(|ticks| ticks.next_after(newest.draft.span.last));
        let is_last = self.parse(job).is_ok_and(|job| later(&job).is_none());
        Ok(Some(FailedTicks::new(failing, newest.draft.observed, is_last)))
    }

    /// Tells whether the job of a firing has no later tick.
    pub(super) fn is_last_tick(&self, firing: &Firing) -> bool {
        let Some(hot) = self.hot.get(&firing.job).filter(|hot| hot.uid == firing.uid) else { return false };
        let ticks = hot.job.as_ref().ok().and_then(Job::ticks);
        ticks.is_some_and(|ticks| ticks.next_after(firing.nominal).is_none())
    }
}

/// Returns how the newest of these decisions failed, newest first, and the newest such row. It is what notes of each of them
/// would have left: a decided tick shows that sources can be read, and only a launch that launches work.
fn failing<'a>(rows: impl Iterator<Item = &'a DecisionRecord>) -> Option<(Failing, &'a DecisionRecord)> {
    let mut found: Option<(Failing, &DecisionRecord)> = None;
    let mut decided = false;
    for row in rows {
        let (outcome, span) = (row.draft.outcome, row.draft.span);
        if matches!(outcome, Outcome::Launched | Outcome::Partial) {
            break;
        }
        if span.count == 0 {
            continue;
        }
        let of_launch = matches!(outcome, Outcome::LaunchFailed | Outcome::Unknown);
        let is_failure = of_launch || matches!(outcome, Outcome::SourceError | Outcome::LiveUnknown);
        match &mut found {
            _ if !is_failure => decided |= outcome.is_decided(),
            // A decided tick that came later ended it.
            _ if decided && !of_launch => break,
            Some((failing, _)) if failing.outcome != outcome => break,
            Some((failing, _)) => (failing.since, failing.ticks) = (span.first, failing.ticks + span.count),
            None => {
                let reason = row.draft.explanation.clone();
                found = Some((Failing { outcome, reason, since: span.first, ticks: span.count }, row));
            }
        }
    }
    found
}
