//! What the scheduler itself knows of its tasks: launched, and not seen to end.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::firing::{Firing, FiringId};
use crate::job::JobUid;
use crate::task::{Population, TaskId, TaskPhase};

/// For how long an ended task is remembered, so that a launcher's late listing does not revive it.
const REMEMBER_ENDED: SignedDuration = SignedDuration::from_mins(10);

/// Counts, per job, what was launched and has not ended.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    jobs: Mutex<HashMap<JobUid, Account>>,
}

#[derive(Debug, Default)]
struct Account {
    /// Tasks that open firings are still to start.
    coming: HashMap<FiringId, u32>,
    live: HashSet<TaskId>,
    ended: VecDeque<(Timestamp, TaskId)>,
}

impl Account {
    fn is_empty(&self) -> bool {
        self.coming.is_empty() && self.live.is_empty() && self.ended.is_empty()
    }

    fn forget(&mut self, now: Timestamp) {
        while self.ended.front().is_some_and(|(at, _)| now.duration_since(*at) > REMEMBER_ENDED) {
            self.ended.pop_front();
        }
    }
}

impl Ledger {
    /// Enters what a firing still is to start and what it has started.
    pub(super) fn enter(&self, firing: &Firing, now: Timestamp) {
        let mut jobs = self.jobs.lock();
        let account = jobs.entry(firing.uid).or_default();
        let coming = if firing.state.is_open() && firing.state != crate::FiringState::Launched {
            firing.shortfall()
        } else {
            0
        };
        if coming > 0 {
            account.coming.insert(firing.id.clone(), coming);
        } else {
            account.coming.remove(&firing.id);
        }
        for task in &firing.tasks {
            if task.phase != TaskPhase::Stopped {
                account.live.insert(task.task_id.clone());
            } else if account.live.remove(&task.task_id) {
                account.ended.push_back((now, task.task_id.clone()));
            }
        }
        account.forget(now);
        if account.is_empty() {
            jobs.remove(&firing.uid);
        }
    }

    /// Takes back what a firing was to start, when it was not recorded.
    pub(super) fn cancel(&self, firing: &Firing) {
        let mut jobs = self.jobs.lock();
        if let Some(account) = jobs.get_mut(&firing.uid) {
            account.coming.remove(&firing.id);
            if account.is_empty() {
                jobs.remove(&firing.uid);
            }
        }
    }

    /// Returns how many tasks of the job are pending, running or coming: the ledger united with what the launcher
    /// reports, less what is known to have ended.
    pub(super) fn busy(&self, uid: &JobUid, reported: &Population, now: Timestamp) -> u32 {
        let mut jobs = self.jobs.lock();
        let total = match jobs.get_mut(uid) {
            None => reported.tasks.len(),
            Some(account) => {
                account.forget(now);
                let ended: HashSet<&TaskId> = account.ended.iter().map(|(_, task)| task).collect();
                let strangers = reported
                    .tasks
                    .iter()
                    .filter(|task| !account.live.contains(task) && !ended.contains(task));
                let coming: u32 = account.coming.values().sum();
                account.live.len() + strangers.count() + coming as usize
            }
        };
        u32::try_from(total).unwrap_or(u32::MAX)
    }

    /// Returns the tasks of the job that have not ended, as far as the ledger knows.
    pub(super) fn live(&self, uid: &JobUid) -> Vec<TaskId> {
        self.jobs.lock().get(uid).map(|account| account.live.iter().cloned().collect()).unwrap_or_default()
    }

    /// Returns how many tasks are pending or running, over all jobs.
    pub(super) fn total_live(&self) -> usize {
        self.jobs.lock().values().map(|account| account.live.len()).sum()
    }
}
