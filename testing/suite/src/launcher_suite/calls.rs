//! Calls of a launcher that must succeed, and waits for a state.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{LauncherFixture, Sample};
use crate::sample;
pub(super) use crate::sample::name as job;
use ecs_scheduler_core::firing::FiringId;
use ecs_scheduler_core::job::JobUid;
use ecs_scheduler_core::launcher::{LaunchReport, LaunchRequest, LaunchToken, Launcher};
use ecs_scheduler_core::task::{TaskId, TaskPhase, TaskState};

/// The timeout of every wait; long, because emulators and loaded machines are slow.
const DEADLINE: Duration = Duration::from_mins(1);

/// The polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Makes a request for `count` tasks whose token depends on `key` alone.
pub(super) fn request(
    subject: &impl LauncherFixture,
    sample: Sample,
    key: &str,
    count: u32,
) -> LaunchRequest {
    let uid = JobUid::derived("launcher suite", &job("suite"));
    let nominal = "2027-03-01T09:00:00Z".parse().expect("the suite's moment is one");
    let firing = FiringId::for_manual(&uid, nominal, key);
    let definition = subject.definition(sample);
    let token = LaunchToken::derive("launcher suite", &uid, &firing, 0, 1);
    let mut request = LaunchRequest::new(
        job("suite"),
        firing,
        token,
        sample::task(&definition),
        NonZeroU32::new(count).expect("the suite starts at least one task"),
        nominal,
    );
    request.started_by = "launcher-suite/suite".to_owned();
    request.definition = definition.clone();
    request
}

pub(super) fn ids(report: &LaunchReport) -> Vec<TaskId> {
    report.started.iter().map(|task| task.task_id.clone()).collect()
}

/// Launches and expects exactly the requested tasks.
pub(super) async fn launch(launcher: &dyn Launcher, request: &LaunchRequest) -> Vec<TaskId> {
    let report = launcher.launch(request).await.expect("a launch without a fault succeeds");
    assert_eq!(report.refused, [], "nothing is refused");
    let ids = ids(&report);
    assert_eq!(ids.len(), usize::try_from(request.count.get()).expect("a small count"));
    ids
}

pub(super) async fn state(launcher: &dyn Launcher, id: &TaskId) -> Option<TaskState> {
    let states = launcher.observe(std::slice::from_ref(id)).await.expect("observing succeeds").states;
    assert!(states.len() <= 1, "one task has one state");
    states.into_iter().next()
}

/// Waits until a task is in a phase.
pub(super) async fn wait_for_phase(launcher: &dyn Launcher, id: &TaskId, phase: TaskPhase) -> TaskState {
    let asking = async {
        loop {
            if let Some(state) = state(launcher, id).await
                && state.phase == phase
            {
                return state;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.unwrap_or_else(|_| panic!("{id} is not {phase:?} in time"))
}

/// Returns the live tasks of the request's job, sorted.
pub(super) async fn live(launcher: &dyn Launcher, request: &LaunchRequest) -> Vec<TaskId> {
    let population =
        launcher.population(&request.job, &request.task).await.expect("the population is learnt");
    let mut tasks = population.tasks;
    tasks.sort();
    tasks
}

/// Stops tasks and waits for their end, so that none outlives the test.
pub(super) async fn stop_all(launcher: &dyn Launcher, ids: &[TaskId]) {
    for id in ids {
        launcher.stop(id, "the test is over").await.expect("a stop succeeds");
    }
    for id in ids {
        wait_for_phase(launcher, id, TaskPhase::Stopped).await;
    }
}
