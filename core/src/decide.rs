//! From demand to a number of tasks: one pure function, and the steps that explain its result.

mod outcome;
mod record;

pub use outcome::TickOutcome;
pub use record::{DecisionDetails, DecisionDraft, DecisionRecord, FoldKey, TickSpan};

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::id::DecisionId;
use crate::policy::{Mode, Overlap};
use crate::queue::{QueueFacts, TaskDemand};
use crate::scaling::{Demand, Scaling};

#[cfg(test)]
mod tests;

/// Everything that a decision depends on.
#[derive(Debug, Clone)]
pub struct DecisionInput<'a> {
    /// The trigger's demand.
    pub demand: Demand,
    /// The trigger's reason for it.
    pub reason: &'a str,
    /// The job's bounds.
    pub scaling: Scaling,
    /// How demand becomes a number of tasks.
    pub mode: Mode,
    /// The state of the queue. Without it (a manual firing, an assumed demand after errors) every mode counts as
    /// `total`.
    pub queue: Option<&'a QueueFacts>,
    /// The policy for tasks that still run.
    pub overlap: Overlap,
    /// How many of the job's own tasks are pending, running or being started.
    pub busy: u32,
    /// The rest of the job's cooldown, if it is cooling down.
    pub cooldown: Option<Duration>,
    /// The bound that the job's breaker sets, while it is open.
    pub breaker: Option<OpenBreaker>,
    /// The room that the job's budgets leave; without it, no budget bounds the job.
    pub budget: Option<BudgetRoom>,
}

/// The room that the budgets of a job leave to one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetRoom {
    /// The number of tasks that may start.
    pub left: u32,
    /// The reason for the step, if fewer are left than the decision asks for.
    pub reason: String,
}

/// The bound that an open breaker sets to one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBreaker {
    /// Whether one task may start now, as a canary.
    pub is_canary_due: bool,
    /// The reason for the step.
    pub reason: String,
}

/// The number of tasks to launch, its reasons, and the tick's outcome if all tasks start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// How many tasks to start.
    pub launch: u32,
    /// Whether running tasks must be stopped first.
    pub replace: bool,
    /// The outcome: [`TickOutcome::Pending`] when something is to be launched.
    pub outcome: TickOutcome,
    /// The steps, in the order in which the rules were applied. A rule that changes nothing adds no step.
    pub steps: Vec<Step>,
}

/// A rule that changes the number of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// The trigger's demand.
    Demand,
    /// `taskCount`.
    Floor,
    /// `maxCount`, or the installation's bound.
    Cap,
    /// The arithmetic of the mode.
    Mode,
    /// The policy for tasks that already run.
    Overlap,
    /// Too soon after the last firing.
    Cooldown,
    /// The breaker is open: one task or none, whatever the demand.
    Breaker,
    /// The room that the budgets of the job leave.
    Budget,
    /// The number of tasks to launch. [Reserved](Self::is_reserved).
    Need,
}

impl Rule {
    /// Every rule, in the order in which they are applied.
    pub const ALL: [Self; 9] = [
        Self::Demand,
        Self::Floor,
        Self::Cap,
        Self::Mode,
        Self::Overlap,
        Self::Cooldown,
        Self::Breaker,
        Self::Budget,
        Self::Need,
    ];

    /// Tells whether the rule has a name in stored formats, but no decision applies it. The API does not list it.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        matches!(self, Self::Need)
    }

    /// Returns the rules that decisions apply: all but the [reserved](Self::is_reserved) ones.
    pub fn occurring() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|rule| !rule.is_reserved())
    }

    /// Returns the name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Demand => "demand",
            Self::Floor => "floor",
            Self::Cap => "cap",
            Self::Mode => "mode",
            Self::Overlap => "overlap",
            Self::Cooldown => "cooldown",
            Self::Breaker => "breaker",
            Self::Budget => "budget",
            Self::Need => "need",
        }
    }
}

/// One step of a decision: a rule, and the number before and after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The rule that was applied.
    pub rule: Rule,
    /// The number before it.
    pub before: u32,
    /// The number after it.
    pub after: u32,
    /// Why.
    #[serde(rename = "because")]
    pub reason: String,
}

impl fmt::Display for Decision {
    /// Writes the steps in one line: `1150 messages ÷ 100 per task, rounded up → 12; at most maxCount 10 → 10; …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{} → {}", step.reason, step.after)?;
        }
        Ok(())
    }
}

/// Decides how many tasks to launch: the only place that computes this number.
///
/// The rules are applied in the order demand, floor, cap, mode, overlap, cooldown, breaker, budget. `busy` counts the job's own tasks
/// only. The modes `oneShot` and `drain` compute the number from the queue's counts and the job's own tasks; floor and
/// cap limit it afterwards, the floor only while the job has no busy task.
///
/// # Example
///
/// ```
/// use std::num::NonZeroU32;
/// use ecs_scheduler_core::{decide, DecisionInput, Demand, Mode, Overlap, Scaling};
/// let decision = decide(&DecisionInput {
///     demand: Demand::Tasks(NonZeroU32::new(12).unwrap()),
///     reason: "1150 messages ÷ 100 per task, rounded up",
///     scaling: Scaling { cap: NonZeroU32::new(10), ..Scaling::default() },
///     mode: Mode::Total,
///     queue: None,
///     overlap: Overlap::TopUp,
///     busy: 4,
///     cooldown: None,
///     breaker: None,
///     budget: None,
/// });
/// assert_eq!(decision.launch, 6);
/// assert_eq!(
///     decision.to_string(),
///     "1150 messages ÷ 100 per task, rounded up → 12; at most maxCount 10 → 10; less 4 already pending or running → 6"
/// );
/// ```
#[must_use]
pub fn decide(input: &DecisionInput<'_>) -> Decision {
    let mut builder = DecisionBuilder::new(input);
    if builder.count == 0 {
        return builder.finish(TickOutcome::Idle, false);
    }
    let demand = input.queue.and_then(|facts| TaskDemand::new(input.mode, facts, input.busy));
    let (outcome, replace) = match demand {
        Some(demand) => (builder.apply_queue_rule(input, demand), false),
        None => builder.apply_total(input),
    };
    if builder.count == 0 {
        return builder.finish(outcome, false);
    }
    if let Some(left) = input.cooldown {
        let seconds = left.as_secs_f64().ceil();
        builder.add_step(Rule::Cooldown, 0, format!("cooling down for another {seconds} s"));
        return builder.finish(TickOutcome::Cooldown, false);
    }
    if let Some(open) = &input.breaker
        && !builder.apply_breaker(open, replace)
    {
        return builder.finish(TickOutcome::Cooldown, false);
    }
    if let Some(room) = &input.budget
        && !builder.apply_budget(room, replace)
    {
        return builder.finish(TickOutcome::Budget, false);
    }
    builder.finish(TickOutcome::Pending, replace)
}

/// Applies the rules one by one, and collects their steps.
struct DecisionBuilder {
    count: u32,
    steps: Vec<Step>,
}

impl DecisionBuilder {
    fn new(input: &DecisionInput<'_>) -> Self {
        let floor = input.scaling.floor;
        let demanded = match input.demand {
            Demand::Idle => 0,
            Demand::Floor => floor.get(),
            Demand::Tasks(n) => n.get(),
        };
        let mut builder = Self { count: 0, steps: Vec::with_capacity(3) };
        builder.add_step(Rule::Demand, demanded, input.reason.to_owned());
        builder
    }

    fn apply_floor(&mut self, floor: NonZeroU32) {
        if self.count > 0 && self.count < floor.get() {
            self.add_step(Rule::Floor, floor.get(), format!("at least taskCount {floor}"));
        }
    }

    /// Applies floor, cap and overlap, without the queue. Returns the outcome in case no task is left, and whether
    /// running tasks are replaced.
    fn apply_total(&mut self, input: &DecisionInput<'_>) -> (TickOutcome, bool) {
        self.apply_floor(input.scaling.floor);
        let limit = input.scaling.limit();
        let capped = self.count > limit;
        if capped {
            self.add_step(Rule::Cap, limit, format!("at most {} {limit}", input.scaling.limit_name()));
        }
        self.apply_overlap(input, limit, capped)
    }

    /// Applies the queue rule, then floor and cap. Returns the outcome in case no task is left.
    fn apply_queue_rule(&mut self, input: &DecisionInput<'_>, demand: TaskDemand<'_>) -> TickOutcome {
        self.add_step(Rule::Mode, demand.tasks, demand.to_string());
        let busy = input.busy;
        if busy == 0 {
            self.apply_floor(input.scaling.floor);
        }
        let limit = input.scaling.limit();
        let room = limit.saturating_sub(busy);
        if self.count <= room {
            return TickOutcome::Satisfied;
        }
        let name = input.scaling.limit_name();
        let suffix = if busy == 0 { String::new() } else { format!(", less {busy} pending or running") };
        self.add_step(Rule::Cap, room, format!("at most {name} {limit}{suffix}"));
        TickOutcome::Capped
    }

    fn add_step(&mut self, rule: Rule, after: u32, reason: String) {
        self.steps.push(Step { rule, before: self.count, after, reason });
        self.count = after;
    }

    /// Applies the overlap policy. Returns the outcome in case no task is left, and whether running tasks are replaced.
    fn apply_overlap(&mut self, input: &DecisionInput<'_>, limit: u32, capped: bool) -> (TickOutcome, bool) {
        let busy = input.busy;
        if busy == 0 {
            return (TickOutcome::Satisfied, false);
        }
        match input.overlap {
            Overlap::TopUp => {
                let need = self.count.saturating_sub(busy);
                self.add_step(Rule::Overlap, need, format!("less {busy} already pending or running"));
                (if capped { TickOutcome::Capped } else { TickOutcome::Satisfied }, false)
            }
            Overlap::Skip => {
                self.add_step(Rule::Overlap, 0, format!("skipped, {busy} still pending or running"));
                (TickOutcome::SkippedOverlap, false)
            }
            Overlap::Allow => {
                let room = limit.saturating_sub(busy);
                if room < self.count {
                    self.add_step(
                        Rule::Overlap,
                        room,
                        format!("beside {busy} pending or running, at most {limit}"),
                    );
                }
                (TickOutcome::Capped, false)
            }
            Overlap::Replace => {
                self.add_step(Rule::Overlap, self.count, format!("replacing {busy} pending or running"));
                (TickOutcome::Satisfied, true)
            }
        }
    }

    /// Starts one task or none. A canary replaces no running tasks, but waits for their end: they work, and it may fail.
    /// Returns whether something may start.
    fn apply_breaker(&mut self, open: &OpenBreaker, replace: bool) -> bool {
        if open.is_canary_due && !replace {
            self.add_step(Rule::Breaker, 1, open.reason.clone());
            return true;
        }
        let waits = if open.is_canary_due { ", which waits for the end of the running tasks" } else { "" };
        self.add_step(Rule::Breaker, 0, format!("{}{waits}", open.reason));
        false
    }

    /// Starts at most what the budgets leave. A replacement starts all of its tasks or none: it stops those that run. Returns whether
    /// something may start.
    fn apply_budget(&mut self, room: &BudgetRoom, replace: bool) -> bool {
        if room.left >= self.count {
            return true;
        }
        let (left, note) = match (replace, room.left) {
            (true, 1..) => (0, "; a replacement starts all of its tasks or none"),
            _ => (room.left, ""),
        };
        self.add_step(Rule::Budget, left, format!("{}{note}", room.reason));
        left > 0
    }

    fn finish(self, outcome: TickOutcome, replace: bool) -> Decision {
        Decision { launch: self.count, replace, outcome, steps: self.steps }
    }
}
