//! The room that budgets leave to one firing, and its reservation.

use jiff::Timestamp;

use super::ledger::{Held, Ledger};
use super::register::{BudgetRegister, WaitingJob, step_of};
use crate::budget::{Budget, BudgetLimit, BudgetUse};
use crate::decide::BudgetRoom;
use crate::firing::FiringId;
use crate::hash::stable;
use crate::id::{JobId, JobUid};
use crate::store::Shard;

/// A firing that asks for tasks.
#[derive(Debug, Clone)]
pub(in crate::engine) struct BudgetRequest {
    /// The number of the engine.
    pub(in crate::engine) engine: u64,
    pub(in crate::engine) job: JobId,
    pub(in crate::engine) uid: JobUid,
    pub(in crate::engine) firing: FiringId,
    /// The budgets of the job, by number.
    pub(in crate::engine) budgets: Vec<usize>,
    /// The number of tasks that it asks for.
    pub(in crate::engine) tasks: u32,
    /// Whether it replaces everything earlier of the job, and so takes all of its tasks or none.
    pub(in crate::engine) replaces: bool,
    /// Whether it takes all of its tasks or none for another reason.
    pub(in crate::engine) is_whole: bool,
    /// When the job asks again if it gets nothing; it does not wait when absent.
    pub(in crate::engine) next: Option<Timestamp>,
    pub(in crate::engine) now: Timestamp,
}

/// Returns the name of a job in the queue of those that wait.
pub(super) fn key_of(uid: &JobUid) -> u64 {
    stable(&[uid.to_string().as_bytes()])
}

impl BudgetRequest {
    fn key(&self) -> u64 {
        key_of(&self.uid)
    }

    /// Returns since when the job waits; now, if it does not.
    pub(super) fn since(&self, ledger: &Ledger) -> i64 {
        let (key, now) = (self.key(), self.now.as_second());
        let known = self.budgets.iter().flat_map(|budget| ledger.waiting(*budget));
        known.filter(|known| known.job == key).map(|known| known.since).fold(now, i64::min)
    }
}

/// The use of every budget by all jobs.
#[derive(Debug)]
pub(super) struct Totals {
    tasks: Vec<u32>,
    launches: Vec<u32>,
    /// The jobs of other processes that wait for each budget.
    foreign: Vec<Vec<WaitingJob>>,
}

/// The undo of a reservation that could not be written.
#[derive(Debug)]
pub(super) struct Undo {
    engine: u64,
    job: JobId,
    firing: FiringId,
    before: Option<Held>,
    budgets: Vec<usize>,
    step: i64,
    launches: u32,
    waited: Vec<(usize, WaitingJob)>,
}

impl Totals {
    /// Adds the parts of this process, as they are now, to those of others in the register.
    pub(super) fn new(
        budgets: &[Budget],
        ledger: &Ledger,
        register: &BudgetRegister,
        now: Timestamp,
    ) -> Self {
        let mut totals =
            Self { tasks: Vec::new(), launches: Vec::new(), foreign: vec![Vec::new(); budgets.len()] };
        for (number, budget) in budgets.iter().enumerate() {
            let (mut tasks, mut launches) = (0_u32, 0_u32);
            for shard in Shard::all() {
                let own = ledger.parts.get(&shard).filter(|own| own.is_active());
                if let Some(own) = own {
                    launches = launches.saturating_add(own.uses[number].launched(now));
                    tasks = tasks.saturating_add(own.tasks(number));
                } else if let Some(known) = register.part_use(shard, &budget.name) {
                    launches = launches.saturating_add(known.launched(now));
                    tasks = tasks.saturating_add(known.tasks);
                    totals.foreign[number].extend(known.waiting.iter().cloned());
                }
            }
            totals.tasks.push(tasks);
            totals.launches.push(launches);
        }
        totals
    }

    /// Returns the use of every budget.
    pub(super) fn uses(&self, budgets: &[Budget], ledger: &Ledger, now: Timestamp) -> Vec<BudgetUse> {
        let uses = budgets.iter().enumerate().map(|(number, budget)| {
            let all = ledger.waiting(number).chain(&self.foreign[number]);
            let live: Vec<i64> =
                all.filter(|job| job.is_live(now.as_second())).map(|job| job.since).collect();
            let since = live.iter().min().and_then(|since| Timestamp::from_second(*since).ok());
            BudgetUse {
                budget: budget.clone(),
                tasks: self.tasks[number],
                launches: self.launches[number],
                waiting: live.len(),
                waiting_since: since,
            }
        });
        uses.collect()
    }

    /// Returns what the budgets leave to a request.
    pub(super) fn room(
        &self,
        budgets: &[Budget],
        ledger: &mut Ledger,
        request: &BudgetRequest,
    ) -> BudgetRoom {
        let (key, now, since) = (request.key(), request.now.as_second(), request.since(ledger));
        let mut room = BudgetRoom { left: u32::MAX, reason: String::new() };
        for number in &request.budgets {
            let budget = &budgets[*number];
            for limit in BudgetLimit::ALL {
                let Some(most) = budget.limit(limit) else { continue };
                let own = own_use(ledger, request, limit, *number);
                let free = most.saturating_sub(self.used(limit, *number).saturating_sub(own));
                let waiting = ledger.waiting(*number).chain(&self.foreign[*number]);
                let ahead = waiting.filter(|job| job.job != key && job.since < since && job.holds(now));
                let kept = ahead.map(|job| job.tasks.min(most)).fold(0, u32::saturating_add);
                // Room is kept of what is free, not of what the job has.
                let left = free.min(own) + free.saturating_sub(own).saturating_sub(kept);
                if left < room.left {
                    room = BudgetRoom { left, reason: reason(budget, limit, most, free, left) };
                }
            }
        }
        room
    }

    fn used(&self, limit: BudgetLimit, number: usize) -> u32 {
        match limit {
            BudgetLimit::MaxTasks => self.tasks[number],
            BudgetLimit::LaunchesPerHour => self.launches[number],
        }
    }

    /// Reserves what is left for a request, or lets its job wait. Returns what is left, and the undo.
    pub(super) fn grant(
        &mut self,
        budgets: &[Budget],
        ledger: &mut Ledger,
        request: &BudgetRequest,
    ) -> Option<(BudgetRoom, Option<Undo>)> {
        let BudgetRequest { engine, job, firing, budgets: numbers, .. } = request;
        let room = self.room(budgets, ledger, request);
        let least = if request.replaces || request.is_whole { request.tasks } else { 1 };
        // It waits for these only: room that is kept in another budget would be lost to others.
        let since = request.since(ledger);
        let (short, others): (Vec<usize>, Vec<usize>) = numbers.iter().partition(|number| {
            let alone = BudgetRequest { budgets: vec![**number], ..request.clone() };
            room.left < least && self.room(budgets, ledger, &alone).left < least
        });
        let part = ledger.part_of(*engine, job).filter(|part| part.is_active())?;
        let before = part.held(firing).cloned();
        if before.as_ref().is_some_and(Held::is_recorded) {
            // The store refuses a second firing of this name.
            return Some((BudgetRoom { left: u32::MAX, ..room }, None));
        }
        let is_whole = request.replaces || request.is_whole;
        let granted = if is_whole && room.left < request.tasks { 0 } else { room.left.min(request.tasks) };
        if is_whole && let Some(reason) = never_fits(budgets, request) {
            part.end_wait(numbers, request.key());
            return Some((BudgetRoom { reason, ..room }, None));
        }
        if granted == 0 {
            if let Some(next) = request.next {
                let (asked, next) = (request.now.as_second(), next.as_second());
                let waiting = WaitingJob { job: request.key(), since, asked, next, tasks: request.tasks };
                part.end_wait(&others, request.key());
                part.wait(&short, &waiting);
            }
            return Some((room, None));
        }
        let tasks_before: Vec<u32> =
            numbers.iter().map(|number| part.tasks_of_job(&request.uid, *number)).collect();
        let step = step_of(request.now);
        let held = Held::reserve(request.uid, numbers.clone(), granted, request.replaces, step)
            .with_earlier(before.as_ref());
        let (step, counted) = (held.step, before.as_ref().map_or(0, |before| before.launches));
        let launches = held.launches.saturating_sub(counted);
        part.hold(firing, held);
        part.count_launches(numbers, step, launches);
        for (number, before) in numbers.iter().zip(tasks_before) {
            let more = part.tasks_of_job(&request.uid, *number).saturating_sub(before);
            self.tasks[*number] = self.tasks[*number].saturating_add(more);
            self.launches[*number] = self.launches[*number].saturating_add(launches);
        }
        let waited = part.end_wait(numbers, request.key());
        let (budgets, firing, job) = (numbers.clone(), firing.clone(), job.clone());
        Some((room, Some(Undo { engine: *engine, job, firing, before, budgets, step, launches, waited })))
    }
}

impl Undo {
    pub(super) fn apply(self, ledger: &mut Ledger) {
        let Some(part) = ledger.part_of(self.engine, &self.job) else { return };
        part.restore(&self.firing, self.before);
        part.refund(&self.budgets, self.step, self.launches);
        for (budget, job) in &self.waited {
            part.wait(&[*budget], job);
        }
    }
}

/// Returns the part of the use that a request does not add to: an earlier reservation of its firing, and what it replaces.
fn own_use(ledger: &mut Ledger, request: &BudgetRequest, limit: BudgetLimit, number: usize) -> u32 {
    let Some(part) = ledger.part_of(request.engine, &request.job) else { return 0 };
    let held = part.held(&request.firing);
    match limit {
        BudgetLimit::MaxTasks if request.replaces => part.tasks_of_job(&request.uid, number),
        BudgetLimit::MaxTasks => held.map_or(0, |held| held.tasks),
        BudgetLimit::LaunchesPerHour => held.map_or(0, |held| held.launches),
    }
}

/// Returns why the limits can never hold all tasks of a request. Room that was kept for it would be lost to others.
fn never_fits(budgets: &[Budget], request: &BudgetRequest) -> Option<String> {
    let limits = request.budgets.iter().flat_map(|number| {
        let budget = &budgets[*number];
        BudgetLimit::ALL.into_iter().filter_map(move |limit| Some((budget, limit, budget.limit(limit)?)))
    });
    let (budget, limit, most) = limits.min_by_key(|(_, _, most)| *most)?;
    let (name, limit, tasks) = (&budget.name, limit.as_str(), request.tasks);
    (most < tasks)
        .then(|| format!("budget \"{name}\" never has room for {tasks} tasks together: {limit} {most}"))
}

/// Returns the reason of the step. It stays the same while nothing is left, so that equal decisions share a row.
fn reason(budget: &Budget, limit: BudgetLimit, most: u32, free: u32, left: u32) -> String {
    let (name, limit) = (&budget.name, limit.as_str());
    match (free, left) {
        (0, _) => format!("budget \"{name}\" is used up: {limit} {most}"),
        (_, 0) => {
            format!("budget \"{name}\" keeps the rest of {limit} {most} for jobs that have waited longer")
        }
        _ => format!("budget \"{name}\" leaves {left} of {limit} {most}"),
    }
}
