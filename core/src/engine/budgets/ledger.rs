//! The use of budgets by the jobs of this process, in memory: what each firing holds, and which jobs wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use tokio::time::Instant;

use super::register::{PartUse, WaitingJob, step_of};
use crate::decide::DecisionId;
use crate::engine::store_calls::MAX_LATE_SETTLEMENT;
use crate::firing::{Firing, FiringId, FiringState};
use crate::id::{JobId, JobUid};
use crate::store::Shard;
use crate::task::TaskPhase;

/// How long a reservation lasts whose settlement never begins, because its evaluation was dropped.
const RESERVED_TTL: Duration = Duration::from_mins(10);

/// The use of budgets by the jobs of this process.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) parts: BTreeMap<Shard, ShardUse>,
}

/// The use of budgets by the jobs of one shard.
#[derive(Debug)]
pub(super) struct ShardUse {
    /// The number of the engine that runs the jobs.
    engine: u64,
    /// The version of the shard's ownership; 0 for the only process of its scheduler.
    pub(super) owner: u64,
    /// Whether the open firings of the journal are known.
    is_recovered: bool,
    /// Whether launches and waiting jobs of earlier owners are known.
    pub(super) is_loaded: bool,
    /// Whether a newer owner has written its part.
    pub(super) is_lost: bool,
    firings: HashMap<FiringId, Held>,
    /// Launches and waiting jobs of each budget, by its number. The tasks follow from the firings.
    pub(super) uses: Vec<PartUse>,
    sequence: u64,
}

/// The share of a firing in its budgets.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) uid: JobUid,
    /// The budgets, by number.
    pub(super) budgets: Vec<usize>,
    /// The tasks that it may still start, and those that run.
    pub(super) tasks: u32,
    /// Whether it starts nothing before all earlier tasks of the job have stopped.
    pub(super) replaces: bool,
    /// The launches that were counted for it, while some of them may not happen.
    pub(super) launches: u32,
    /// The step in which they were counted.
    pub(super) step: i64,
    /// Its place in the order of the job's firings.
    sequence: u64,
    /// Whether the journal has it.
    is_recorded: bool,
    /// Until when it counts without a settlement.
    reserved_until: Option<Instant>,
    /// Until when a settlement without an answer may become durable: a search of the journal that begins later tells.
    uncertain_until: Option<Instant>,
}

impl Held {
    /// Makes a reservation.
    pub(super) fn reserve(uid: JobUid, budgets: Vec<usize>, tasks: u32, replaces: bool, step: i64) -> Self {
        Self {
            uid,
            budgets,
            tasks,
            replaces,
            launches: tasks,
            step,
            sequence: 0,
            is_recorded: false,
            reserved_until: Some(Instant::now() + RESERVED_TTL),
            uncertain_until: None,
        }
    }

    /// Adds an earlier reservation of the same firing whose settlement had no answer: one of the two may be durable.
    pub(super) fn with_earlier(mut self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier {
            self.tasks = self.tasks.max(earlier.tasks);
            self.launches = self.launches.max(earlier.launches);
            (self.step, self.uncertain_until) = (earlier.step, earlier.uncertain_until);
        }
        self
    }

    pub(super) const fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    const fn counts(&self) -> bool {
        self.is_recorded || self.reserved_until.is_some() || self.uncertain_until.is_some()
    }
}

impl Ledger {
    /// Begins to count the jobs of these shards, of which nothing is known yet.
    pub(super) fn open(&mut self, engine: u64, owner: u64, shards: &[Shard], budgets: usize) {
        for shard in shards {
            let part = ShardUse {
                engine,
                owner,
                is_recovered: false,
                is_loaded: false,
                is_lost: false,
                firings: HashMap::new(),
                uses: vec![PartUse::default(); budgets],
                sequence: 0,
            };
            self.parts.insert(*shard, part);
        }
    }

    /// Counts the open firings of an engine's jobs from now on instead of the number in the register.
    pub(super) fn end_recovery(&mut self, engine: u64) {
        for part in self.parts.values_mut().filter(|part| part.engine == engine) {
            part.is_recovered = true;
        }
    }

    /// Ends the count of an engine's jobs. Their use stays in the register until the next owner writes it.
    pub(super) fn close(&mut self, engine: u64) {
        self.parts.retain(|_, part| part.engine != engine);
    }

    /// Returns the part of a job, if this engine counts it.
    pub(super) fn part_of(&mut self, engine: u64, job: &JobId) -> Option<&mut ShardUse> {
        self.parts.get_mut(&Shard::from_job(job)).filter(|part| part.engine == engine)
    }

    /// Drops reservations whose settlement never began.
    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        for part in self.parts.values_mut() {
            part.end(|held| held.reserved_until = held.reserved_until.filter(|until| *until > now));
        }
    }

    /// Drops what an engine's search of the journal, which began at this moment, has not found; returns whether there was anything.
    pub(super) fn end_search(&mut self, engine: u64, began: Instant) -> bool {
        let mut has_ended = false;
        for part in self.parts.values_mut().filter(|part| part.engine == engine) {
            has_ended |=
                part.end(|held| held.uncertain_until = held.uncertain_until.filter(|until| *until > began));
        }
        has_ended
    }

    /// Iterates over the jobs that wait for a budget.
    pub(super) fn waiting(&self, budget: usize) -> impl Iterator<Item = &WaitingJob> {
        let parts = self.parts.values().filter(|part| part.is_active());
        parts.flat_map(move |part| &part.uses[budget].waiting)
    }
}

impl ShardUse {
    /// Tells whether this process knows what the jobs use: their firings are known, and no newer owner has appeared.
    pub(super) const fn is_active(&self) -> bool {
        self.is_recovered && self.is_loaded && !self.is_lost
    }

    /// Tells whether the part can become active.
    pub(super) const fn is_recovered(&self) -> bool {
        self.is_recovered
    }

    pub(super) fn held(&self, firing: &FiringId) -> Option<&Held> {
        self.firings.get(firing)
    }

    /// Holds tasks for a firing.
    pub(super) fn hold(&mut self, firing: &FiringId, mut held: Held) {
        self.sequence += 1;
        held.sequence = self.firings.get(firing).map_or(self.sequence, |known| known.sequence);
        self.firings.insert(firing.clone(), held);
    }

    /// Undoes a reservation that was not written, unless its firing was found in the journal meanwhile.
    pub(super) fn restore(&mut self, firing: &FiringId, before: Option<Held>) {
        if self.firings.get(firing).is_some_and(Held::is_recorded) {
            return;
        }
        match before {
            Some(before) => drop(self.firings.insert(firing.clone(), before)),
            None => drop(self.firings.remove(firing)),
        }
    }

    /// Counts tasks as launched.
    pub(super) fn count_launches(&mut self, budgets: &[usize], step: i64, tasks: u32) {
        for budget in budgets.iter().filter(|_| tasks > 0) {
            let count = self.uses[*budget].launches.entry(step).or_default();
            *count = count.saturating_add(tasks);
        }
    }

    /// Takes back counted launches that do not happen.
    pub(super) fn refund(&mut self, budgets: &[usize], step: i64, tasks: u32) {
        for budget in budgets {
            if let Some(count) = self.uses[*budget].launches.get_mut(&step) {
                *count = count.saturating_sub(tasks);
            }
        }
    }

    /// Returns the number of tasks that the firings of this part hold of a budget.
    pub(super) fn tasks(&self, budget: usize) -> u32 {
        let held = || self.firings.values().filter(|held| held.budgets.contains(&budget));
        let replaced: HashSet<JobUid> = held().filter(|held| held.replaces).map(|held| held.uid).collect();
        let others = held().filter(|held| !replaced.contains(&held.uid)).map(|held| held.tasks);
        let replaced = replaced.iter().map(|uid| self.tasks_of_job(uid, budget));
        others.chain(replaced).fold(0, u32::saturating_add)
    }

    /// Returns the number of tasks of a job that exist at any moment at most. A replacement takes the place of everything earlier.
    pub(super) fn tasks_of_job(&self, uid: &JobUid, budget: usize) -> u32 {
        let held = self.firings.values().filter(|held| held.uid == *uid && held.budgets.contains(&budget));
        let ordered: BTreeMap<u64, &Held> = held.map(|held| (held.sequence, held)).collect();
        ordered.values().fold(0, |tasks, held| {
            if held.replaces { tasks.max(held.tasks) } else { tasks.saturating_add(held.tasks) }
        })
    }

    /// Ends a reservation for which nothing was sent to the store.
    pub(super) fn release(&mut self, firing: &FiringId) {
        self.end_one(firing, |held| held.reserved_until = None);
    }

    /// Keeps a reservation whose settlement had no answer until the journal tells.
    pub(super) fn keep_uncertain(&mut self, firing: &FiringId) {
        self.end_one(firing, |held| {
            (held.reserved_until, held.uncertain_until) = (None, Some(Instant::now() + MAX_LATE_SETTLEMENT));
        });
    }

    /// Extends a reservation whose settlement begins.
    pub(super) fn touch(&mut self, firing: &FiringId) {
        if let Some(held) = self.firings.get_mut(firing) {
            held.reserved_until = held.reserved_until.map(|_| Instant::now() + RESERVED_TTL);
        }
    }

    /// Forgets a firing that another writer has changed.
    pub(super) fn forget(&mut self, firing: &FiringId) {
        self.firings.remove(firing);
    }

    /// Holds the tasks of a firing that was found in the journal.
    pub(super) fn bind(&mut self, firing: &Firing, budgets: Vec<usize>) {
        if budgets.is_empty() || self.firings.contains_key(&firing.id) {
            return;
        }
        let step = step_of(firing.observed);
        let mut held = Held::reserve(firing.uid, budgets, firing.requested, firing.is_replacement(), step);
        held.launches = if is_launching(firing) { firing.requested } else { 0 };
        self.hold(&firing.id, held);
    }

    /// Follows a firing that the journal has. Returns whether it holds fewer tasks than before.
    pub(super) fn record(&mut self, firing: &Firing) -> bool {
        if firing.decision == DecisionId::default() {
            self.touch(&firing.id);
            return false;
        }
        let Some(held) = self.firings.get_mut(&firing.id) else { return false };
        let tasks = count_tasks(firing);
        let is_less = tasks < held.tasks;
        (held.tasks, held.is_recorded) = (tasks, true);
        (held.reserved_until, held.uncertain_until) = (None, None);
        // It is not known how many tasks an unknown launch has started.
        let is_known = !is_launching(firing) && firing.state != FiringState::Unknown;
        let unused =
            if is_known { std::mem::take(&mut held.launches).saturating_sub(firing.started()) } else { 0 };
        if unused > 0 {
            let (budgets, step) = (held.budgets.clone(), held.step);
            self.refund(&budgets, step, unused);
        }
        if tasks == 0 && !is_launching(firing) {
            self.firings.remove(&firing.id);
        }
        is_less
    }

    /// Changes a reservation, and drops it if it does not count any more.
    fn end_one(&mut self, firing: &FiringId, change: impl FnOnce(&mut Held)) {
        let Some(held) = self.firings.get_mut(firing) else { return };
        change(held);
        if !held.counts() {
            let ended = self.firings.remove(firing);
            ended.into_iter().for_each(|held| self.refund(&held.budgets, held.step, held.launches));
        }
    }

    /// Changes all reservations, and drops those that do not count any more; returns whether there were any.
    fn end(&mut self, change: impl Fn(&mut Held)) -> bool {
        self.firings.values_mut().for_each(&change);
        let ended: Vec<Held> =
            self.firings.extract_if(|_, held| !held.counts()).map(|(_, held)| held).collect();
        ended.iter().for_each(|held| self.refund(&held.budgets, held.step, held.launches));
        !ended.is_empty()
    }

    /// Adds a job to those that wait for these budgets, or moves its next moment.
    pub(super) fn wait(&mut self, budgets: &[usize], job: &WaitingJob) {
        for budget in budgets {
            let waiting = &mut self.uses[*budget].waiting;
            match waiting.iter_mut().find(|known| known.job == job.job) {
                Some(known) => *known = WaitingJob { since: known.since, ..job.clone() },
                None => waiting.push(job.clone()),
            }
        }
    }

    /// Removes a job from those that wait, and returns its places.
    pub(super) fn end_wait(&mut self, budgets: &[usize], job: u64) -> Vec<(usize, WaitingJob)> {
        let mut ended = Vec::new();
        for budget in budgets {
            let of_job = self.uses[*budget].waiting.extract_if(.., |known| known.job == job);
            ended.extend(of_job.map(|known| (*budget, known)));
        }
        ended
    }
}

const fn is_launching(firing: &Firing) -> bool {
    matches!(firing.state, FiringState::Planned | FiringState::Launching)
}

/// Returns the number of tasks that run or that a firing may still start.
fn count_tasks(firing: &Firing) -> u32 {
    let live = firing.tasks.iter().filter(|task| task.phase != TaskPhase::Stopped).count();
    let reserved = if is_launching(firing) { firing.shortfall() } else { 0 };
    reserved.saturating_add(u32::try_from(live).unwrap_or(u32::MAX))
}

/// Returns the numbers of budgets with these names.
pub(super) fn numbers_of(names: &BTreeSet<&str>, all: &[crate::budget::Budget]) -> Vec<usize> {
    let named = all.iter().enumerate().filter(|(_, budget)| names.contains(budget.name.as_str()));
    named.map(|(number, _)| number).collect()
}
