//! The use of budgets by the jobs of this process, in memory: what each firing holds, and which jobs wait.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;
use tokio::time::Instant;

use super::held::{BudgetShare, Held};
use super::register::{BudgetPart, BudgetRegister, MAX_WAITING, PartUse, WaitingJob, step_of};
use crate::budget::{Amounts, Budget, BudgetLimit};
use crate::decide::DecisionId;
use crate::engine::store_waits::MAX_LATE_SETTLEMENT;
use crate::firing::{Firing, FiringId};
use crate::id::{JobId, JobUid};
use crate::store::Shard;

/// The use of budgets by the jobs of this process.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) parts: BTreeMap<Shard, ShardUse>,
}

/// The change of a firing that its budgets see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordedChange {
    None,
    /// Tasks were launched.
    Launched,
    /// Tasks have ended.
    Freed,
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
    /// The past since the recovery and the waiting jobs of each budget, by its number. The rest follows from the firings.
    pub(super) uses: Vec<PartUse>,
    /// The past of earlier owners.
    inherited: Vec<PartUse>,
    /// The amounts that the open firings held at the end of the recovery.
    recovered: Vec<Amounts>,
    sequence: u64,
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
                inherited: vec![PartUse::default(); budgets],
                recovered: vec![Amounts::default(); budgets],
                sequence: 0,
            };
            self.parts.insert(*shard, part);
        }
    }

    /// Counts the open firings of an engine's jobs from now on instead of the number in the register.
    pub(super) fn end_recovery(&mut self, engine: u64) {
        for part in self.parts.values_mut().filter(|part| part.engine == engine && !part.is_recovered) {
            part.is_recovered = true;
            part.uses.fill(PartUse::default());
            part.recovered = (0..part.uses.len()).map(|budget| part.held_of(budget)).collect();
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

    /// Writes the parts of this process into the register.
    pub(super) fn render(&self, known: &BudgetRegister, list: &[Budget]) -> BudgetRegister {
        let mut register = known.clone();
        for (shard, part) in self.parts.iter().filter(|(_, part)| part.is_active()) {
            let mut budgets = BTreeMap::new();
            for (number, budget) in list.iter().enumerate() {
                let mut part_use = part.part_use(number);
                part_use.waiting.sort_by_key(|job| job.since);
                part_use.waiting.truncate(MAX_WAITING);
                if !part_use.is_empty() {
                    budgets.insert(budget.name.clone(), part_use);
                }
            }
            let is_absent = budgets.is_empty() && part.owner == 0;
            if is_absent {
                register.parts.remove(&shard.number());
            } else {
                register.parts.insert(shard.number(), BudgetPart { owner: part.owner, budgets });
            }
        }
        register
    }

    /// Tells whether the past of a part is still to be read.
    pub(super) fn is_incomplete(&self) -> bool {
        self.parts.values().any(|part| part.is_recovered && !part.is_loaded)
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

    /// Takes over the past and the waiting jobs of earlier owners. Amounts that they held and no open firing holds may
    /// have been used after they wrote them.
    pub(super) fn load(&mut self, known: Vec<PartUse>, now: Timestamp) {
        self.is_loaded = true;
        for (number, mut part) in known.into_iter().enumerate() {
            let lost = part.held.minus(self.recovered[number]);
            let (launches, price) = (BudgetLimit::LaunchesPerHour, BudgetLimit::DollarsPerDay);
            part.launches.add(step_of(launches, now), lost[launches]);
            part.prices.add(step_of(price, now), lost[price]);
            self.uses[number].waiting = std::mem::take(&mut part.waiting);
            self.inherited[number] = part;
        }
    }

    pub(super) fn prune(&mut self, now: Timestamp) {
        self.uses.iter_mut().chain(&mut self.inherited).for_each(|part_use| part_use.prune(now));
    }

    /// Returns the use of a budget as the register has it.
    pub(super) fn part_use(&self, budget: usize) -> PartUse {
        let mut part_use = self.uses[budget].clone();
        part_use.add_past(&self.inherited[budget]);
        part_use.held = self.held_of(budget);
        part_use
    }

    /// Returns what counts of the use of a budget.
    pub(super) fn used(&self, budget: usize, now: Timestamp) -> Amounts {
        let past = self.uses[budget].past(now).plus(self.inherited[budget].past(now));
        self.held_of(budget).plus(past)
    }

    /// Returns what the firings of this part hold of a budget.
    fn held_of(&self, budget: usize) -> Amounts {
        let held = || self.firings.values().filter_map(|held| Some((held, held.amounts(budget)?)));
        let replaced: HashSet<JobUid> =
            held().filter(|(held, _)| held.replaces).map(|(held, _)| held.uid).collect();
        let others = held().filter(|(held, _)| !replaced.contains(&held.uid)).map(|(_, amounts)| amounts);
        let replaced = replaced.iter().map(|uid| self.held_of_job(uid, budget));
        others.chain(replaced).fold(Amounts::default(), Amounts::plus)
    }

    /// Returns what the firings of a job hold at any moment at most. A replacement takes the place of everything earlier.
    pub(super) fn held_of_job(&self, uid: &JobUid, budget: usize) -> Amounts {
        let held = self.firings.values().filter(|held| held.uid == *uid);
        let ordered: BTreeMap<u64, (bool, Amounts)> =
            held.filter_map(|held| Some((held.sequence, (held.replaces, held.amounts(budget)?)))).collect();
        ordered.values().fold(Amounts::default(), |sum, (replaces, amounts)| {
            if *replaces { sum.replaced_by(*amounts) } else { sum.plus(*amounts) }
        })
    }

    /// Ends a reservation for which nothing was sent to the store.
    pub(super) fn release(&mut self, firing: &FiringId) -> bool {
        let was_held = self.firings.contains_key(firing);
        self.end_one(firing, |held| held.reserved_until = None);
        was_held
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
            held.extend();
        }
    }

    /// Forgets a firing that another writer has changed.
    pub(super) fn forget(&mut self, firing: &FiringId) -> bool {
        self.firings.remove(firing).is_some()
    }

    /// Holds the tasks of a firing that was found in the journal.
    pub(super) fn bind(&mut self, firing: &Firing, shares: Vec<BudgetShare>, now: Timestamp) {
        let held = Held::found(firing, shares, now);
        if held.budgets.is_empty() || held.has_ended(firing) || self.firings.contains_key(&firing.id) {
            return;
        }
        self.hold(&firing.id, held);
    }

    /// Follows a firing that the journal has. Returns what changed.
    pub(super) fn record(&mut self, firing: &Firing, now: Timestamp) -> RecordedChange {
        if firing.decision == DecisionId::default() {
            self.touch(&firing.id);
            return RecordedChange::None;
        }
        let Some(held) = self.firings.get_mut(&firing.id) else { return RecordedChange::None };
        let before = (held.tasks, held.paid_seconds);
        let launched = held.follow(firing, now);
        let is_less = held.tasks < before.0 || held.paid_seconds != before.1;
        let step = step_of(BudgetLimit::LaunchesPerHour, now);
        for share in &held.budgets {
            self.uses[share.number].launches.add(step, launched.into());
        }
        if held.has_ended(firing) {
            let step = step_of(BudgetLimit::DollarsPerDay, now);
            for share in &held.budgets {
                self.uses[share.number].prices.add(step, share.unit.price_of(held.paid_seconds));
            }
            self.firings.remove(&firing.id);
        }
        match (is_less, launched) {
            (true, _) => RecordedChange::Freed,
            (false, 1..) => RecordedChange::Launched,
            (false, 0) => RecordedChange::None,
        }
    }

    /// Changes a reservation, and drops it if it does not count any more.
    fn end_one(&mut self, firing: &FiringId, change: impl FnOnce(&mut Held)) {
        let Some(held) = self.firings.get_mut(firing) else { return };
        change(held);
        if !held.counts() {
            self.firings.remove(firing);
        }
    }

    /// Changes all reservations, and drops those that do not count any more; returns whether there were any.
    fn end(&mut self, change: impl Fn(&mut Held)) -> bool {
        let before = self.firings.len();
        self.firings.retain(|_, held| {
            change(held);
            held.counts()
        });
        self.firings.len() < before
    }

    /// Adds a job to those that wait for a budget, or moves its next moment.
    pub(super) fn wait(&mut self, budget: usize, job: &WaitingJob) {
        let waiting = &mut self.uses[budget].waiting;
        match waiting.iter_mut().find(|known| known.job == job.job) {
            Some(known) => *known = WaitingJob { since: known.since, ..job.clone() },
            None => waiting.push(job.clone()),
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

/// Returns the numbers of budgets with these names.
pub(super) fn numbers_of(names: &BTreeSet<&str>, all: &[Budget]) -> Vec<usize> {
    let named = all.iter().enumerate().filter(|(_, budget)| names.contains(budget.name.as_str()));
    named.map(|(number, _)| number).collect()
}
