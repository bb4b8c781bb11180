//! The share of one firing in its budgets.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::budget::{Amounts, Budget, BudgetLimit, DAY, MIN_PAID, TaskShare};
use crate::firing::{Firing, FiringState};
use crate::id::JobUid;
use crate::task::{TaskPhase, TaskSize, TaskState};

/// How long a reservation lasts whose settlement never begins, because its evaluation was dropped.
const RESERVED_TTL: Duration = Duration::from_mins(10);
/// How long a task may be pending without a `startTimeout`, in seconds, for the price of the longest time that it may run on.
const PENDING: u64 = 600;
/// How much later than its time limit a task may end, in seconds: its limit is noticed late, and it has time to stop.
const STOPPING: u64 = 300;

/// A budget of a firing, by number, and what each of its tasks takes.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct BudgetShare {
    pub(super) number: usize,
    pub(super) unit: TaskShare,
}

impl BudgetShare {
    pub(super) fn new(number: usize, budget: &Budget, size: &TaskSize) -> Self {
        Self { number, unit: TaskShare::new(budget, size) }
    }
}

/// The share of a firing in its budgets.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) uid: JobUid,
    pub(super) budgets: Vec<BudgetShare>,
    /// The tasks that it may still start, and those that run.
    pub(super) tasks: u32,
    /// The launches that may still happen.
    launches: u32,
    /// The launches that were counted.
    launched: u32,
    /// The longest time in which each task counts towards a day, in seconds.
    longest: u64,
    /// The time of its ended tasks, in seconds.
    pub(super) paid_seconds: u64,
    /// Whether it starts nothing before all earlier tasks of the job have stopped.
    pub(super) replaces: bool,
    /// Its place in the order of the job's firings.
    pub(super) sequence: u64,
    /// Whether the journal has it.
    is_recorded: bool,
    /// Until when it counts without a settlement.
    pub(super) reserved_until: Option<Instant>,
    /// Until when a settlement without an answer may become durable: a search of the journal that begins later tells.
    pub(super) uncertain_until: Option<Instant>,
}

impl Held {
    /// Makes a reservation.
    pub(super) fn reserve(
        uid: JobUid,
        budgets: Vec<BudgetShare>,
        tasks: u32,
        longest: u64,
        replaces: bool,
    ) -> Self {
        Self {
            uid,
            budgets,
            tasks,
            launches: tasks,
            launched: 0,
            longest,
            paid_seconds: 0,
            replaces,
            sequence: 0,
            is_recorded: false,
            reserved_until: Some(Instant::now() + RESERVED_TTL),
            uncertain_until: None,
        }
    }

    /// Makes the share of a firing that was found in the journal. Its past launches were counted before.
    pub(super) fn found(firing: &Firing, budgets: Vec<BudgetShare>, now: Timestamp) -> Self {
        let mut held = Self::reserve(firing.uid, budgets, 0, 0, firing.is_replacement());
        held.follow(firing, now);
        held.is_recorded = false;
        held.reserved_until = Some(Instant::now() + RESERVED_TTL);
        held
    }

    /// Adds an earlier reservation of the same firing whose settlement had no answer: one of the two may be durable.
    pub(super) fn with_earlier(mut self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier {
            self.tasks = self.tasks.max(earlier.tasks);
            self.launches = self.launches.max(earlier.launches);
            self.uncertain_until = earlier.uncertain_until;
        }
        self
    }

    /// Extends a reservation whose settlement begins.
    pub(super) fn extend(&mut self) {
        self.reserved_until = self.reserved_until.map(|_| Instant::now() + RESERVED_TTL);
    }

    pub(super) const fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    pub(super) const fn counts(&self) -> bool {
        self.is_recorded || self.reserved_until.is_some() || self.uncertain_until.is_some()
    }

    /// Returns what it holds of a budget.
    pub(super) fn amounts(&self, budget: usize) -> Option<Amounts> {
        let share = self.budgets.iter().find(|share| share.number == budget)?;
        let mut amounts = share.unit.of_tasks(self.tasks, self.longest);
        amounts[BudgetLimit::LaunchesPerHour] = self.launches.into();
        let price = &mut amounts[BudgetLimit::DollarsPerDay];
        *price = price.saturating_add(share.unit.price_of(self.paid_seconds));
        Some(amounts)
    }

    /// Follows a firing that the journal has. Returns the number of launches since the last time.
    pub(super) fn follow(&mut self, firing: &Firing, now: Timestamp) -> u32 {
        (self.tasks, self.is_recorded) = (count_tasks(firing), true);
        (self.reserved_until, self.uncertain_until) = (None, None);
        self.longest = longest_time(firing.timeout_secs, firing.start_timeout_secs);
        self.launches = if is_launching(firing) { firing.shortfall() } else { 0 };
        // It is not known how many tasks an unknown launch has started.
        let is_unknown = firing.state == FiringState::Unknown;
        let launched = if is_unknown { firing.requested } else { firing.started() }.max(self.launched);
        let ended = firing.tasks.iter().filter(|task| task.phase == TaskPhase::Stopped);
        self.paid_seconds = ended.map(|task| paid_seconds(task, firing.observed, now)).sum();
        launched - std::mem::replace(&mut self.launched, launched)
    }

    /// Tells whether all tasks of its firing have ended, as it was last followed.
    pub(super) fn has_ended(&self, firing: &Firing) -> bool {
        self.tasks == 0 && !is_launching(firing)
    }
}

/// Returns the longest time in which a task counts towards a day, in seconds, from its time limits.
pub(in crate::engine) fn longest_time(timeout: Option<u64>, start_timeout: Option<u64>) -> u64 {
    let Some(timeout) = timeout else { return DAY };
    let pending = start_timeout.unwrap_or(PENDING);
    timeout.saturating_add(pending).saturating_add(STOPPING).clamp(MIN_PAID, DAY)
}

/// Returns the time for which an ended task is paid, in seconds: from the pull of its images on.
fn paid_seconds(task: &TaskState, observed: Timestamp, now: Timestamp) -> u64 {
    let began = task.pull_started_at.or(task.started_at).or(task.created_at).or(task.accepted_at);
    let seconds = task.stopped_at.unwrap_or(now).duration_since(began.unwrap_or(observed)).as_secs_f64();
    let seconds = Duration::try_from_secs_f64(seconds.ceil()).map_or(0, |paid| paid.as_secs());
    seconds.clamp(MIN_PAID, DAY)
}

pub(super) const fn is_launching(firing: &Firing) -> bool {
    matches!(firing.state, FiringState::Planned | FiringState::Launching)
}

/// Returns the number of tasks that run or that a firing may still start.
fn count_tasks(firing: &Firing) -> u32 {
    let live = firing.tasks.iter().filter(|task| task.phase != TaskPhase::Stopped).count();
    let reserved = if is_launching(firing) { firing.shortfall() } else { 0 };
    reserved.saturating_add(u32::try_from(live).unwrap_or(u32::MAX))
}
