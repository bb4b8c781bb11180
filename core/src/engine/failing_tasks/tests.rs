use std::sync::Arc;

use jiff::SignedDuration;

use super::*;
use crate::decide::DecisionId;
use crate::firing::{FiringState, Origin};
use crate::job::{JobId, JobUid, Revision};
use crate::task::{TaskId, TaskPhase, TaskSpec, TaskState};

/// Returns a firing that was decided at this second, of which each task ended with one of these exit codes; `None` runs.
fn firing(second: i64, exit_codes: &[Option<i32>]) -> Firing {
    let observed = Timestamp::from_second(1_800_000_000 + second).unwrap();
    let job = JobId::new("job").unwrap();
    let uid = JobUid::derived("ledger", &job);
    let tasks = exit_codes.iter().map(|code| {
        let phase = if code.is_some() { TaskPhase::Stopped } else { TaskPhase::Running };
        let mut task = TaskState::new(TaskId::new("task"), None, phase);
        task.exit_code = *code;
        task
    });
    let is_over = exit_codes.iter().all(Option::is_some);
    Firing {
        id: FiringId::for_tick(&uid, observed),
        job,
        uid,
        revision: Revision::FIRST,
        origin: Origin::Tick,
        nominal: observed,
        observed,
        decision: DecisionId::default(),
        state: if is_over { FiringState::Finished } else { FiringState::Launched },
        requested: 1,
        task: Arc::new(TaskSpec::new("worker")),
        definition: "worker:7".to_owned(),
        deadline: observed + SignedDuration::from_mins(10),
        replace: false,
        replaces: Vec::new(),
        timeout_secs: None,
        start_timeout_secs: None,
        budgets: Vec::new(),
        size: crate::task::TaskSize::default(),
        retry: crate::firing::FiringRetry::default(),
        attempts: Vec::new(),
        tasks: tasks.collect(),
        explanation: String::new(),
        note: None,
    }
}

fn stopped(second: i64) -> Firing {
    let mut firing = firing(second, &[Some(143)]);
    firing.tasks[0].stop_code = Some("UserInitiated".to_owned());
    firing
}

#[test]
fn one_failed_task_fails_its_firing() {
    assert_eq!(firing(0, &[Some(0), Some(3)]).end(), Some(TaskEnd::Failed));
    assert_eq!(firing(0, &[Some(0), Some(0)]).end(), Some(TaskEnd::Succeeded));
    assert_eq!(firing(0, &[Some(3), None]).end(), None, "a task runs");
    assert_eq!(stopped(0).end(), Some(TaskEnd::Stopped));
}

#[test]
fn failures_in_row_end_at_the_newest_success() {
    let newest_first = [
        firing(50, &[None]),
        firing(40, &[Some(3)]),
        stopped(30),
        firing(20, &[Some(1)]),
        firing(10, &[Some(0)]),
    ];
    let failing = FailingTasks::in_row(newest_first.iter()).unwrap();
    assert_eq!((failing.firings, failing.since), (2, newest_first[3].observed));
    assert_eq!(
        (failing.firing, failing.diagnosis.text.as_ref()),
        (newest_first[1].id.clone(), "the program exited with code 3")
    );
}

#[test]
fn newest_success_means_that_no_tasks_fail() {
    let newest_first = [stopped(30), firing(20, &[Some(0)]), firing(10, &[Some(3)])];
    assert_eq!(FailingTasks::in_row(newest_first.iter()), None);
}
