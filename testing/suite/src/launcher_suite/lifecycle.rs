//! The lifecycle of tasks.

use super::calls::{job, launch, live, request, state, stop_all, wait_for_phase};
use super::{LauncherFixture, Sample};
use ecs_scheduler_core::task::{TaskEnd, TaskId, TaskPhase};

/// Exit code 0 is a success.
pub async fn a_successful_task_reports_exit_code_zero(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let ids = launch(&*launcher, &request(subject, Sample::Succeeds, "a", 1)).await;
    let state = wait_for_phase(&*launcher, &ids[0], TaskPhase::Stopped).await;
    assert!(state.succeeded(), "{state:?}");
    assert_eq!(state.stop_code.as_deref(), Some("EssentialContainerExited"));
}

/// Another exit code is reported unchanged, with the times of start and end.
pub async fn a_failed_task_reports_its_exit_code(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let ids = launch(&*launcher, &request(subject, Sample::Fails, "a", 1)).await;
    let state = wait_for_phase(&*launcher, &ids[0], TaskPhase::Stopped).await;
    assert_eq!(state.exit_code, Some(3), "{state:?}");
    assert!(!state.succeeded());
    let (started, stopped) = (state.started_at.expect("it ran"), state.stopped_at.expect("it ended"));
    assert!(started <= stopped, "{started} is not after {stopped}");
}

/// A task that never ran has no exit code and a reason.
pub async fn a_task_that_cannot_start_stops_with_a_reason_and_without_an_exit_code(
    subject: &impl LauncherFixture,
) {
    let launcher = subject.open().await;
    let ids = launch(&*launcher, &request(subject, Sample::Unstartable, "a", 1)).await;
    let state = wait_for_phase(&*launcher, &ids[0], TaskPhase::Stopped).await;
    assert_eq!((state.exit_code, state.started_at), (None, None), "{state:?}");
    assert_eq!(state.stop_code.as_deref(), Some("TaskFailedToStart"));
    assert!(state.reason.is_some_and(|reason| !reason.is_empty()));
}

/// A running task is observed as running; an ended one remains observable.
pub async fn a_task_is_observable_until_its_end_and_afterwards(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let ids = launch(&*launcher, &request(subject, Sample::Lasts, "a", 1)).await;
    let running = wait_for_phase(&*launcher, &ids[0], TaskPhase::Running).await;
    assert_eq!(
        (running.exit_code, running.stopped_at, &running.stop_code),
        (None, None, &None),
        "{running:?}"
    );
    stop_all(&*launcher, &ids).await;
    let ended = state(&*launcher, &ids[0]).await.expect("an ended task is known");
    assert_eq!(state(&*launcher, &ids[0]).await, Some(ended), "an end does not change any more");
}

/// A task that was stopped on request has its own stop code, and the requester's reason.
pub async fn a_stopped_task_has_the_reason(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Lasts, "a", 1);
    let ids = launch(&*launcher, &request).await;
    wait_for_phase(&*launcher, &ids[0], TaskPhase::Running).await;
    launcher.stop(&ids[0], "it took too long").await.expect("a stop succeeds");
    let state = wait_for_phase(&*launcher, &ids[0], TaskPhase::Stopped).await;
    assert_eq!(state.stop_code.as_deref(), Some("UserInitiated"), "{state:?}");
    assert_eq!(state.end(), Some(TaskEnd::Stopped), "{state:?}");
    assert!(state.reason.is_some_and(|reason| reason.contains("it took too long")));
    assert!(state.stopped_at.is_some());
    assert_eq!(live(&*launcher, &request).await, []);
}

/// Stopping a stopped or unknown task is no error and does not change its end.
pub async fn stopping_a_stopped_or_unknown_task_changes_nothing(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let ids = launch(&*launcher, &request(subject, Sample::Fails, "a", 1)).await;
    let before = wait_for_phase(&*launcher, &ids[0], TaskPhase::Stopped).await;
    launcher.stop(&ids[0], "too late").await.expect("a stop of a stopped task is no error");
    assert_eq!(state(&*launcher, &ids[0]).await, Some(before));
    launcher.stop(&unknown_id(&ids[0]), "unknown").await.expect("a stop of an unknown task is no error");
}

/// Unknown ids are left out.
pub async fn observing_leaves_out_unknown_tasks(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let ids = launch(&*launcher, &request(subject, Sample::Succeeds, "a", 1)).await;
    wait_for_phase(&*launcher, &ids[0], TaskPhase::Stopped).await;
    let states =
        launcher.observe(&[unknown_id(&ids[0]), ids[0].clone()]).await.expect("observing succeeds").states;
    assert_eq!(states.into_iter().map(|state| state.task_id).collect::<Vec<_>>(), ids);
    assert_eq!(launcher.observe(&[]).await.expect("observing nothing succeeds").states, []);
}

/// Ended tasks and those of other jobs do not count.
pub async fn the_population_is_the_live_tasks_of_one_job(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let mine = request(subject, Sample::Lasts, "mine", 2);
    let mut other = request(subject, Sample::Lasts, "other", 1);
    other.job = job("suite-2");
    other.started_by = "launcher-suite/suite-2".to_owned();
    let mut lasting = launch(&*launcher, &mine).await;
    let others = launch(&*launcher, &other).await;
    let ended = launch(&*launcher, &request(subject, Sample::Succeeds, "ends", 1)).await;
    wait_for_phase(&*launcher, &ended[0], TaskPhase::Stopped).await;
    lasting.sort();
    assert_eq!(live(&*launcher, &mine).await, lasting);
    assert_eq!(live(&*launcher, &other).await, others);
    stop_all(&*launcher, &lasting).await;
    stop_all(&*launcher, &others).await;
    assert_eq!(live(&*launcher, &mine).await, []);
}

/// Tasks continue without the scheduler, and count after its restart.
pub async fn the_population_survives_a_restart(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let request = request(subject, Sample::Lasts, "a", 2);
    let mut ids = launch(&*launcher, &request).await;
    ids.sort();
    wait_for_phase(&*launcher, &ids[0], TaskPhase::Running).await;
    drop(launcher);
    let launcher = subject.open().await;
    assert_eq!(live(&*launcher, &request).await, ids);
    stop_all(&*launcher, &ids).await;
}

/// The end of a task is observed even if it happened while the launcher was closed.
pub async fn the_end_of_a_task_is_observed_after_a_restart(subject: &impl LauncherFixture) {
    let launcher = subject.open().await;
    let ids = launch(&*launcher, &request(subject, Sample::Fails, "a", 1)).await;
    drop(launcher);
    let launcher = subject.open().await;
    let ended = wait_for_phase(&*launcher, &ids[0], TaskPhase::Stopped).await;
    assert_eq!(ended.exit_code, Some(3), "{ended:?}");
    drop(launcher);
    let launcher = subject.open().await;
    assert_eq!(state(&*launcher, &ids[0]).await, Some(ended), "a restart does not change an end");
}

/// Makes a valid id that no task has.
fn unknown_id(id: &TaskId) -> TaskId {
    let (front, name) = id.as_str().rsplit_once('/').unwrap_or(("", id.as_str()));
    TaskId::new(format!("{front}/{}", "f".repeat(name.len())))
}
