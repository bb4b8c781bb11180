//! The rules that the scheduler is compared with, as their authors document them.

use super::{HOUR, MAX_TASKS, POLL, QueueSetting, QueueSimulation, Report, Scenario};

/// The input of a rule.
#[derive(Debug, Clone, Copy)]
pub struct QueueView {
    /// Visible messages.
    pub visible: u32,
    /// Messages in flight.
    pub in_flight: u32,
    /// Messages per task.
    pub per_task: u32,
    /// Tasks listed that have not ended.
    pub running: u32,
    /// Listed tasks that have not started.
    pub pending: u32,
}

/// A scaling rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelRule {
    /// KEDA's `ScaledJob` with `scalingStrategy: default`.
    KedaDefault,
    /// KEDA's `ScaledJob` with `scalingStrategy: accurate`.
    KedaAccurate,
    /// KEDA's `ScaledJob` with `scalingStrategy: eager`.
    KedaEager,
    /// The Python version.
    Python,
}

impl ModelRule {
    /// Every rule.
    pub const ALL: [Self; 4] = [Self::KedaDefault, Self::KedaAccurate, Self::KedaEager, Self::Python];

    /// Returns the name for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KedaDefault => "KEDA default",
            Self::KedaAccurate => "KEDA accurate",
            Self::KedaEager => "KEDA eager",
            Self::Python => "Python version",
        }
    }

    /// Returns how many tasks to launch.
    #[must_use]
    pub fn tasks_to_launch(self, view: &QueueView) -> u32 {
        match self {
            Self::KedaDefault => keda_default(view),
            Self::KedaAccurate => keda_accurate(view),
            Self::KedaEager => keda_eager(view),
            Self::Python => python(view),
        }
    }
}

/// The queue's length as KEDA's SQS scaler counts it, visible and in flight, over the target, at most the maximum.
///
/// # Source
///
/// <https://keda.sh/docs/latest/scalers/aws-sqs/> (`scaleOnInFlight`) and
/// <https://keda.sh/docs/latest/reference/scaledjob-spec/> (`scalingStrategy`), which has the three formulas below.
fn max_scale(view: &QueueView) -> u32 {
    (view.visible + view.in_flight).div_ceil(view.per_task).min(MAX_TASKS)
}

fn keda_default(view: &QueueView) -> u32 {
    max_scale(view).saturating_sub(view.running)
}

/// Its queue length is the number of messages that are not locked: `scaleOnInFlight: false`.
fn keda_accurate(view: &QueueView) -> u32 {
    let wanted = view.visible.div_ceil(view.per_task).min(MAX_TASKS);
    if wanted + view.running > MAX_TASKS {
        MAX_TASKS.saturating_sub(view.running)
    } else {
        wanted.saturating_sub(view.pending)
    }
}

fn keda_eager(view: &QueueView) -> u32 {
    MAX_TASKS.saturating_sub(view.running + view.pending).min(max_scale(view))
}

fn python(view: &QueueView) -> u32 {
    view.visible.div_ceil(view.per_task).min(MAX_TASKS).saturating_sub(view.running)
}

/// Runs a rule through a scenario.
#[must_use]
pub fn run(rule: ModelRule, scenario: Scenario, setting: QueueSetting, seed: u64) -> Report {
    let mut world = QueueSimulation::new(scenario, setting, seed);
    let mut second = POLL;
    while !world.is_over() && second < 3 * HOUR {
        world.advance(second);
        let (visible, in_flight) = world.counts();
        let seen = world.view();
        let mut view =
            QueueView { visible, in_flight, per_task: scenario.per_task.get(), running: 0, pending: 0 };
        for (_, task) in world.tasks_at(seen).filter(|(_, task)| task.ended.is_none_or(|(at, _)| at > seen)) {
            view.running += 1;
            view.pending += u32::from(task.starts > seen);
        }
        for _ in 0..rule.tasks_to_launch(&view) {
            world.launch();
        }
        second += POLL;
    }
    world.report()
}
