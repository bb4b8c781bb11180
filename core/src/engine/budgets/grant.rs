//! The room that budgets leave to one firing, and its reservation.

use jiff::Timestamp;

use super::held::{BudgetShare, Held};
use super::ledger::Ledger;
use super::register::{BudgetRegister, WaitingJob};
use crate::budget::{Amounts, Budget, BudgetLimit, BudgetUse};
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
    /// The budgets of the job.
    pub(in crate::engine) budgets: Vec<BudgetShare>,
    /// The longest time in which each task counts towards a day, in seconds.
    pub(in crate::engine) longest: u64,
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
        let known = self.budgets.iter().flat_map(|share| ledger.waiting(share.number));
        known.filter(|known| known.job == key).map(|known| known.since).fold(now, i64::min)
    }

    /// Tells whether it takes all of its tasks or none.
    const fn takes_all(&self) -> bool {
        self.replaces || self.is_whole
    }

    fn numbers(&self) -> Vec<usize> {
        self.budgets.iter().map(|share| share.number).collect()
    }
}

/// The use of every budget by all jobs.
#[derive(Debug)]
pub(super) struct Totals {
    used: Vec<Amounts>,
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
        let mut totals = Self { used: Vec::new(), foreign: vec![Vec::new(); budgets.len()] };
        for (number, budget) in budgets.iter().enumerate() {
            let mut used = Amounts::default();
            for shard in Shard::all() {
                let own = ledger.parts.get(&shard).filter(|own| own.is_active());
                if let Some(own) = own {
                    used = used.plus(own.used(number, now));
                } else if let Some(known) = register.part_use(shard, &budget.name) {
                    used = used.plus(known.used(now));
                    totals.foreign[number].extend(known.waiting.iter().cloned());
                }
            }
            totals.used.push(used);
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
                used: self.used[number],
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
        for share in &request.budgets {
            let (number, budget) = (share.number, &budgets[share.number]);
            let (unit, own) = (share.unit.of_tasks(1, request.longest), own_use(ledger, request, number));
            for limit in BudgetLimit::ALL {
                let Some(most) = budget.limit(limit).filter(|_| unit[limit] > 0) else { continue };
                let own = own[limit];
                let free = most.saturating_sub(self.used[number][limit].saturating_sub(own));
                let waiting = ledger.waiting(number).chain(&self.foreign[number]);
                let ahead = waiting.filter(|job| job.job != key && job.since < since && job.holds(now));
                let kept = ahead.map(|job| job.wanted[limit].min(most)).fold(0, u64::saturating_add);
                // Room is kept of what is free, not of what the job has.
                let left = free.min(own) + free.saturating_sub(own).saturating_sub(kept);
                let tasks = u32::try_from(left / unit[limit]).unwrap_or(u32::MAX);
                if tasks < room.left {
                    let limited = LimitedRoom { budget, limit, most, unit: unit[limit], free, left };
                    room = BudgetRoom { left: tasks, reason: limited.reason() };
                }
            }
        }
        room
    }

    /// Reserves what is left for a request, or lets its job wait. Returns what is left, and the undo.
    pub(super) fn grant(
        &mut self,
        budgets: &[Budget],
        ledger: &mut Ledger,
        request: &BudgetRequest,
    ) -> Option<(BudgetRoom, Option<Undo>)> {
        let BudgetRequest { engine, job, firing, .. } = request;
        let (room, numbers) = (self.room(budgets, ledger, request), request.numbers());
        let least = if request.takes_all() { request.tasks } else { 1 };
        // It waits for these only: room that is kept in another budget would be lost to others.
        let since = request.since(ledger);
        let (short, others): (Vec<BudgetShare>, Vec<BudgetShare>) =
            request.budgets.iter().partition(|share| {
                let alone = BudgetRequest { budgets: vec![**share], ..request.clone() };
                room.left < least && self.room(budgets, ledger, &alone).left < least
            });
        let part = ledger.part_of(*engine, job).filter(|part| part.is_active())?;
        let before = part.held(firing).cloned();
        if before.as_ref().is_some_and(Held::is_recorded) {
            // The store refuses a second firing of this name.
            return Some((BudgetRoom { left: u32::MAX, ..room }, None));
        }
        let granted =
            if request.takes_all() && room.left < request.tasks { 0 } else { room.left.min(request.tasks) };
        // The rest is nothing to who starts all tasks or none. A replacement starts none because of what its note says is left.
        let left = if request.is_whole && granted == 0 { 0 } else { room.left };
        if let Some(reason) = never_fits(budgets, request, least) {
            part.end_wait(&numbers, request.key());
            return Some((BudgetRoom { left, reason }, None));
        }
        if granted == 0 {
            if let Some(next) = request.next {
                let others: Vec<usize> = others.iter().map(|share| share.number).collect();
                part.end_wait(&others, request.key());
                let (asked, next) = (request.now.as_second(), next.as_second());
                for share in short {
                    let wanted = share.unit.of_tasks(request.tasks, request.longest);
                    let waiting = WaitingJob { job: request.key(), since, asked, next, wanted };
                    part.wait(share.number, &waiting);
                }
            }
            return Some((BudgetRoom { left, ..room }, None));
        }
        let held_before: Vec<Amounts> =
            numbers.iter().map(|number| part.held_of_job(&request.uid, *number)).collect();
        let shares = request.budgets.clone();
        let held = Held::reserve(request.uid, shares, granted, request.longest, request.replaces);
        part.hold(firing, held.with_earlier(before.as_ref()));
        for (number, before) in numbers.iter().zip(held_before) {
            let more = part.held_of_job(&request.uid, *number).minus(before);
            self.used[*number] = self.used[*number].plus(more);
        }
        let waited = part.end_wait(&numbers, request.key());
        Some((room, Some(Undo { engine: *engine, job: job.clone(), firing: firing.clone(), before, waited })))
    }
}

impl Undo {
    pub(super) fn apply(self, ledger: &mut Ledger) {
        let Some(part) = ledger.part_of(self.engine, &self.job) else { return };
        part.restore(&self.firing, self.before);
        for (budget, job) in &self.waited {
            part.wait(*budget, job);
        }
    }
}

/// Returns the part of the use that a request does not add to: an earlier reservation of its firing, and what it replaces.
fn own_use(ledger: &mut Ledger, request: &BudgetRequest, number: usize) -> Amounts {
    let Some(part) = ledger.part_of(request.engine, &request.job) else { return Amounts::default() };
    let mut own = part.held(&request.firing).and_then(|held| held.amounts(number)).unwrap_or_default();
    if request.replaces {
        let of_job = part.held_of_job(&request.uid, number);
        for limit in BudgetLimit::ALL.into_iter().filter(|limit| limit.is_at_once()) {
            own[limit] = of_job[limit];
        }
    }
    own
}

/// Returns why the limits can never hold the least tasks of a request. Room that was kept for it would be lost to others.
fn never_fits(budgets: &[Budget], request: &BudgetRequest, least: u32) -> Option<String> {
    let shares = request.budgets.iter().flat_map(|share| {
        let (budget, wanted) = (&budgets[share.number], share.unit.of_tasks(least, request.longest));
        BudgetLimit::ALL.into_iter().map(move |limit| (budget, limit, wanted[limit]))
    });
    let mut too_large =
        shares.filter(|(budget, limit, wanted)| budget.limit(*limit).is_some_and(|most| most < *wanted));
    let (budget, limit, wanted) = too_large.next()?;
    let tasks = if least == 1 { "a task".to_owned() } else { format!("{least} tasks together") };
    let takes = match limit {
        BudgetLimit::MaxTasks | BudgetLimit::LaunchesPerHour => String::new(),
        BudgetLimit::MaxVcpu | BudgetLimit::MaxMemory | BudgetLimit::DollarsPerDay => {
            format!(" of {}", limit.shown(wanted))
        }
    };
    let (name, most) = (&budget.name, limit.shown(budget.limit(limit)?));
    let (limit, remedy) =
        (limit.as_str(), if limit == BudgetLimit::DollarsPerDay { TIMEOUT_REMEDY } else { "" });
    Some(format!("budget \"{name}\" never has room for {tasks}{takes}: {limit} {most}{remedy}"))
}

/// The remedy for a task that may cost more than a budget has for a day.
const TIMEOUT_REMEDY: &str =
    "; a task counts with the longest time that its timeout allows, or a day without one";

/// The room that one limit leaves, in its smallest unit.
struct LimitedRoom<'a> {
    budget: &'a Budget,
    limit: BudgetLimit,
    most: u64,
    /// The amount of one task.
    unit: u64,
    /// The rest of the limit.
    free: u64,
    /// The rest less what is kept for others.
    left: u64,
}

impl LimitedRoom<'_> {
    /// Returns the reason of the step. It stays the same while nothing is left, so that equal decisions share a row.
    fn reason(&self) -> String {
        let (name, limit, shown) =
            (&self.budget.name, self.limit.as_str(), |amount| self.limit.shown(amount));
        let most = shown(self.most);
        if self.free < self.unit {
            return match self.unit {
                1 => format!("budget \"{name}\" is used up: {limit} {most}"),
                unit => format!(
                    "budget \"{name}\" has too little left for a task of {}: {limit} {most}",
                    shown(unit)
                ),
            };
        }
        if self.left < self.unit {
            return format!(
                "budget \"{name}\" keeps the rest of {limit} {most} for jobs that have waited longer"
            );
        }
        let each = if self.unit == 1 { String::new() } else { format!(" for tasks of {}", shown(self.unit)) };
        format!("budget \"{name}\" leaves {} of {limit} {most}{each}", shown(self.left))
    }
}
