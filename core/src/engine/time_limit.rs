//! The limits on the time of tasks: how long a task may be pending, and how long it may run.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::clock::is_ahead;
use crate::diagnosis::Diagnosis;
use crate::firing::Firing;
use crate::task::{TaskId, TaskPhase, TaskState};

/// The fields of a job that limit the time of its tasks. Diagnoses have the same names.
pub(super) const START_TIMEOUT: &str = "startTimeout";
const TIMEOUT: &str = "timeout";

/// A limit on the time of a firing's tasks.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimit {
    /// The field of the job.
    field: &'static str,
    phase: TaskPhase,
    secs: u64,
}

impl TimeLimit {
    /// The reason that is given to the launcher with the stop.
    pub(super) fn reason(self) -> String {
        format!("{} of {} s exceeded", self.field, self.secs)
    }

    pub(super) fn diagnosis(self) -> Diagnosis {
        let secs = self.secs;
        if self.phase == TaskPhase::Pending {
            return Diagnosis::new(
                START_TIMEOUT,
                "",
                "look for missing capacity or a slow pull of the image, or raise the job's startTimeout",
                None,
            )
            .with_text(format!("the task did not start within {secs} s, and was stopped"));
        }
        Diagnosis::new(TIMEOUT, "", "look for work that hangs, or raise the job's timeout", None)
            .with_text(format!("the task ran for more than {secs} s, and was stopped"))
    }
}

/// Returns the limits on the time of a firing's tasks.
pub(super) fn time_limits(firing: &Firing) -> impl Iterator<Item = TimeLimit> {
    let limits = [
        (START_TIMEOUT, TaskPhase::Pending, firing.start_timeout_secs),
        (TIMEOUT, TaskPhase::Running, firing.timeout_secs),
    ];
    limits.into_iter().filter_map(|(field, phase, secs)| Some(TimeLimit { field, phase, secs: secs? }))
}

/// Moments of tasks that lie in the future, because the clock was ahead. Each counts from when it was first seen there: the clock
/// may need years to get to it.
#[derive(Debug, Default)]
pub(super) struct FutureTimes(HashMap<TaskId, (Timestamp, Instant)>);

impl FutureTimes {
    /// Returns how long ago a task was accepted, or started.
    fn age(&mut self, task: &TaskId, since: Timestamp, now: Timestamp) -> SignedDuration {
        if !is_ahead(since, now) {
            self.0.remove(task);
            return now.duration_since(since);
        }
        let new = || (since, Instant::now());
        let seen = self.0.entry(task.clone()).or_insert_with(new);
        if seen.0 != since {
            *seen = new();
        }
        SignedDuration::try_from(seen.1.elapsed()).unwrap_or(SignedDuration::MAX)
    }

    /// Forgets the moments of tasks that are not followed any more.
    pub(super) fn retain_followed<'f>(&mut self, firings: impl Iterator<Item = &'f Firing>) {
        if self.0.is_empty() {
            return;
        }
        let tasks = firings.flat_map(|firing| &firing.tasks);
        let live = tasks.filter(|task| task.phase != TaskPhase::Stopped);
        let live: HashSet<&TaskId> = live.map(|task| &task.task_id).collect();
        self.0.retain(|task, _| live.contains(task));
    }
}

/// Returns the firing's tasks that exceed a time limit, each with the reason. A task has exceeded `startTimeout` only if it was
/// `seen` as pending at a moment after the limit: a record may be old while ECS or the store cannot be reached, and so may an
/// answer while other calls hang. A state without a moment is from a cache.
pub(super) fn overdue<'s>(
    firing: &Firing,
    seen: impl Fn(&TaskId) -> Option<(Option<Timestamp>, &'s TaskState)>,
    future: &mut FutureTimes,
    now: Timestamp,
) -> Vec<(TaskId, String)> {
    let mut tasks = Vec::new();
    for limit in time_limits(firing) {
        let allowed =
            SignedDuration::try_from(Duration::from_secs(limit.secs)).unwrap_or(SignedDuration::MAX);
        for recorded in &firing.tasks {
            let seen = seen(&recorded.task_id);
            let task = seen.map_or(recorded, |(_, state)| state);
            let at = match limit.phase {
                TaskPhase::Pending => seen.and_then(|(at, _)| at),
                TaskPhase::Running | TaskPhase::Stopped => Some(now),
            };
            let Some(at) = at.filter(|_| task.phase == limit.phase) else { continue };
            // Firings that an earlier version stored have no `accepted_at`.
            let accepted = recorded.accepted_at.unwrap_or_else(|| firing.last_sent());
            let since = task.started_at.filter(|_| task.phase == TaskPhase::Running).unwrap_or(accepted);
            if future.age(&recorded.task_id, since, at) > allowed {
                tasks.push((recorded.task_id.clone(), limit.reason()));
            }
        }
    }
    tasks
}

#[cfg(test)]
mod tests;
