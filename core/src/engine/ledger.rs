//! What the scheduler itself knows of its tasks: launched, and not seen to end.

mod account;
mod tally;
mod track;

use std::sync::Arc;

use hashbrown::HashMap;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::firing::{Firing, FiringId};
use crate::job::{JobUid, Revision};
use crate::queue::{OwnTasks, QueueFacts, Sample};
use crate::task::{Population, TaskId};
use crate::trigger::QueueReading;
use account::Account;
use track::Track;

#[cfg(test)]
mod tests;

/// How often records of queues at which nobody looks any more are looked for.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// Counts, per job, what was launched and has not ended.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    jobs: Mutex<Accounts>,
}

#[derive(Debug, Default)]
struct Accounts {
    by_job: HashMap<JobUid, Account>,
    swept: Option<Timestamp>,
}

/// A look at a job's queue, to be taken in together with what the ledger knows at this moment.
#[derive(Debug)]
pub(super) struct QueueLook<'a> {
    pub(super) uid: &'a JobUid,
    pub(super) revision: Revision,
    /// When the counts were asked for.
    pub(super) asked: Timestamp,
    pub(super) now: Timestamp,
    pub(super) settle: SignedDuration,
    pub(super) reading: &'a QueueReading,
    pub(super) reported: &'a Population,
    /// Whether the look is remembered. What nobody acts on is not.
    pub(super) remember: bool,
}

/// Tasks and firings of a job that were decided before a firing and have not ended.
#[derive(Debug, Default)]
pub(super) struct Older {
    /// How many firings may still start tasks.
    pub(super) firings: usize,
    /// The tasks that are pending or running.
    pub(super) tasks: Vec<TaskId>,
}

impl Ledger {
    /// Enters what a firing still is to start and what it has started.
    pub(super) fn enter(&self, firing: &Firing, now: Timestamp) {
        let mut jobs = self.jobs.lock();
        let account = jobs.by_job.entry(firing.uid).or_default();
        account.enter(firing, now);
        if account.is_empty() {
            jobs.by_job.remove(&firing.uid);
        }
    }

    /// Takes back what a firing was to start, when it was not recorded.
    pub(super) fn cancel(&self, firing: &Firing) {
        let mut jobs = self.jobs.lock();
        if let Some(account) = jobs.by_job.get_mut(&firing.uid) {
            account.coming.remove(&firing.id);
            if account.is_empty() {
                jobs.by_job.remove(&firing.uid);
            }
        }
    }

    /// Returns how many tasks of the job are pending, running or coming: the ledger united with what the launcher
    /// reports, less what is known to have ended.
    pub(super) fn busy(&self, uid: &JobUid, reported: &Population, now: Timestamp) -> u32 {
        match self.jobs.lock().by_job.get_mut(uid) {
            None => u32::try_from(reported.tasks.len()).unwrap_or(u32::MAX),
            Some(account) => account.busy(reported, now),
        }
    }

    /// Tells whether the job's launches and exits are recorded for the queue rule.
    pub(super) fn tracks(&self, uid: &JobUid) -> bool {
        let jobs = self.jobs.lock();
        let track = jobs.by_job.get(uid).and_then(|account| account.track.as_ref());
        track.is_some_and(|track| !track.is_outdated())
    }

    /// Begins to record the job's launches and exits, with what the journal knows of them.
    pub(super) fn track(&self, uid: &JobUid, journalled: &[Firing], now: Timestamp) {
        let mut jobs = self.jobs.lock();
        if jobs.swept.is_none_or(|swept| now.duration_since(swept) >= SWEEP_EVERY) {
            jobs.swept = Some(now);
            for account in jobs.by_job.values_mut() {
                account.track.take_if(|track| track.is_stale(now));
            }
            jobs.by_job.retain(|_, account| !account.is_empty());
        }
        let account = jobs.by_job.entry(*uid).or_default();
        if account.track.as_ref().is_none_or(|track| track.is_outdated()) {
            let past = account.past(journalled, now);
            account.track = Some(Box::new(Track::new(past, now)));
        }
    }

    /// Takes in a look at the queue: what follows from it and, from the same moment, how many tasks are busy.
    ///
    /// A job that is not [tracked](Self::track) has no tasks of its own.
    pub(super) fn look(&self, look: &QueueLook<'_>) -> (QueueFacts, u32) {
        let mut jobs = self.jobs.lock();
        let mut stranger = Account::default();
        let account = jobs.by_job.get_mut(look.uid).unwrap_or(&mut stranger);
        let busy = account.busy(look.reported, look.now);
        let unclaimed = account.unclaimed(look.now).min(busy);
        let coming = account.coming();
        let mut passing = Box::new(Track::new(Vec::new(), look.now));
        let track = account.track.as_mut().unwrap_or(&mut passing);
        let tasks = OwnTasks { busy, not_started: unclaimed, ..track.own_tasks(look, coming) };
        let sample =
            Sample { requested: look.asked, reading: look.reading, tasks: &tasks, settle: look.settle };
        let mut memory = track.memory(look.revision);
        let facts = memory.record(&sample);
        if look.remember {
            track.remember(look.revision, memory, look.now);
        }
        (facts, busy)
    }

    /// Returns the later replacement that takes this firing's place, if there is one.
    pub(super) fn superseding(&self, firing: &Firing) -> Option<FiringId> {
        self.jobs.lock().by_job.get(&firing.uid)?.superseding(firing.decision)
    }

    /// Waits until a later replacement takes this open firing's place.
    pub(super) async fn superseded(&self, firing: &Firing) {
        let changed = self.changed(firing);
        loop {
            let change = changed.notified();
            if self.superseding(firing).is_some() {
                return;
            }
            change.await;
        }
    }

    /// Returns what of the job was decided before this firing and has not ended.
    pub(super) fn older(&self, firing: &Firing) -> Older {
        let jobs = self.jobs.lock();
        jobs.by_job.get(&firing.uid).map(|account| account.older(firing.decision)).unwrap_or_default()
    }

    /// Returns how many tasks of the job there are, or may be at any moment, beside those that this firing is still to
    /// start. Where they are fewer than the limit, those count for every other firing from the same moment.
    pub(super) fn claim(&self, firing: &Firing, limit: u32) -> u32 {
        self.jobs.lock().by_job.get_mut(&firing.uid).map_or(0, |account| account.claim(firing, limit))
    }

    /// Returns what wakes those who wait for a change in the account of an open firing's job.
    pub(super) fn changed(&self, firing: &Firing) -> Arc<Notify> {
        self.jobs.lock().by_job.entry(firing.uid).or_default().changed()
    }

    /// Returns the tasks of the job that have not ended, as far as the ledger knows.
    pub(super) fn live(&self, uid: &JobUid) -> Vec<TaskId> {
        let jobs = self.jobs.lock();
        jobs.by_job.get(uid).map(|account| account.live.keys().cloned().collect()).unwrap_or_default()
    }

    /// Names the tasks of the job that are pending, running or coming, and since when; a few of them.
    pub(super) fn named(&self, uid: &JobUid, reported: &Population) -> String {
        let jobs = self.jobs.lock();
        match jobs.by_job.get(uid) {
            None => Account::default().named(reported),
            Some(account) => account.named(reported),
        }
    }

    /// Lets the memory of every queue be built again from the journal, when its job is next asked about.
    pub(super) fn forget_queues(&self) {
        let mut jobs = self.jobs.lock();
        jobs.by_job
            .values_mut()
            .filter_map(|account| account.track.as_mut())
            .for_each(|track| track.outdate());
    }

    /// Returns how many tasks are pending or running, over all jobs.
    pub(super) fn total_live(&self) -> usize {
        self.jobs.lock().by_job.values().map(|account| account.live.len()).sum()
    }
}
