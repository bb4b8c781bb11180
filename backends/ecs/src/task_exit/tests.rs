use ecs_scheduler_core::TaskPhase;

use super::state;
use crate::task_snapshot::{ContainerView, TaskView};

fn container(name: &str, exit_code: Option<i32>, reason: Option<&str>) -> ContainerView {
    ContainerView { name: name.to_owned(), exit_code, reason: reason.map(str::to_owned) }
}

fn stopped(stop_code: &str, reason: &str, containers: Vec<ContainerView>) -> TaskView {
    TaskView {
        task_arn: "arn:aws:ecs:eu-central-1:123456789012:task/batch/1".to_owned(),
        last_status: "STOPPED".to_owned(),
        stop_code: Some(stop_code.to_owned()),
        stopped_reason: Some(reason.to_owned()),
        containers,
        ..TaskView::default()
    }
}

const EXITED: &str = "EssentialContainerExited";

#[test]
fn states_of_ecs_become_three_phases() {
    let started = Some("2026-01-01T00:00:00Z".parse().unwrap());
    for (status, started_at, phase) in [
        ("PROVISIONING", None, TaskPhase::Pending),
        ("PENDING", None, TaskPhase::Pending),
        ("ACTIVATING", None, TaskPhase::Pending),
        ("RUNNING", started, TaskPhase::Running),
        ("STOPPING", started, TaskPhase::Running),
        ("DEPROVISIONING", started, TaskPhase::Running),
        ("DEPROVISIONING", None, TaskPhase::Pending),
        ("STOPPED", started, TaskPhase::Stopped),
    ] {
        let view = TaskView { last_status: status.to_owned(), started_at, ..TaskView::default() };
        assert_eq!(state(&view, None).phase, phase, "{status}");
    }
}

#[test]
fn what_never_started_failed_whatever_its_containers_say() {
    let state = state(&stopped("TaskFailedToStart", "no", vec![container("main", Some(0), None)]), None);
    assert!(!state.succeeded());
    assert_eq!(state.exit_code, None);
}

#[test]
fn lost_infrastructure_is_a_failure_even_after_a_clean_exit() {
    let state = state(&stopped("SpotInterruption", "taken", vec![container("main", Some(0), None)]), None);
    assert!(!state.succeeded());
    assert!(state.reason.unwrap().contains("Spot"));
}

#[test]
fn a_missing_exit_code_is_a_failure() {
    let one = vec![container("main", Some(0), None), container("side", None, None)];
    assert!(!state(&stopped(EXITED, "exited", one), None).succeeded());
    assert!(!state(&stopped(EXITED, "exited", Vec::new()), None).succeeded());
}

#[test]
fn the_first_failing_exit_code_is_told() {
    let all =
        vec![container("a", Some(0), None), container("b", Some(3), None), container("c", Some(4), None)];
    assert_eq!(state(&stopped(EXITED, "exited", all), None).exit_code, Some(3));
}

#[test]
fn only_essential_containers_count_where_they_are_known() {
    let all = || vec![container("main", Some(0), None), container("side", Some(137), None)];
    let known = [("main".to_owned(), true), ("side".to_owned(), false)];
    assert!(state(&stopped(EXITED, "exited", all()), Some(&known)).succeeded());
    assert_eq!(state(&stopped(EXITED, "exited", all()), None).exit_code, Some(137));
}

/// Judges a task with two essential containers, the first of which is `main`.
fn pair(main: (i32, Option<&str>), otel: (i32, Option<&str>)) -> ecs_scheduler_core::TaskState {
    let ends = vec![container("otel", Some(otel.0), otel.1), container("main", Some(main.0), main.1)];
    let known = [("main".to_owned(), true), ("otel".to_owned(), true)];
    state(&stopped(EXITED, "Essential container in task exited", ends), Some(&known))
}

#[test]
fn a_sidecar_that_ecs_ends_after_the_main_container_does_not_make_the_run_a_failure() {
    for code in [137, 143] {
        let ended = pair((0, None), (code, None));
        assert!(ended.succeeded(), "{ended:?}");
        assert!(!ended.reason.unwrap().contains("out of memory"));
    }
}

#[test]
fn a_sidecar_that_crashes_or_runs_out_of_memory_is_a_failure() {
    assert_eq!(pair((0, None), (1, None)).exit_code, Some(1));
    assert_eq!(pair((143, None), (1, None)).exit_code, Some(1));
    assert_eq!(pair((0, None), (137, Some("OutOfMemoryError: killed"))).exit_code, Some(137));
}

#[test]
fn a_main_container_that_was_killed_is_a_failure_although_the_sidecar_ends_well() {
    for code in [137, 143] {
        assert_eq!(pair((code, None), (0, None)).exit_code, Some(code));
    }
}

#[test]
fn a_task_that_was_stopped_is_neither_a_success_nor_a_failure() {
    for code in ["UserInitiated", "ServiceSchedulerInitiated"] {
        let ended = state(&stopped(code, "enough", vec![container("main", Some(0), None)]), None);
        assert_eq!(ended.end(), Some(ecs_scheduler_core::TaskEnd::Stopped));
    }
}

#[test]
fn usual_causes_are_told_in_words() {
    for (code, reason, detail, words) in [
        ("TaskFailedToStart", "CannotPullContainerError: pull access denied", None, "could not be pulled"),
        (EXITED, "exited", Some("OutOfMemoryError: Container killed"), "raise the container's"),
        (
            "TaskFailedToStart",
            "ResourceInitializationError: unable to pull secrets",
            None,
            "secret could not be read",
        ),
        ("TaskFailedToStart", "ECS was unable to assume the role 'x'", None, "trusts ecs-tasks"),
        ("TaskFailedToStart", "Capacity is unavailable at this time", None, "capacityFallback"),
        ("TaskFailedToStart", "ResourceInitializationError: other", None, "network, roles"),
    ] {
        let view = stopped(code, reason, vec![container("main", None, detail)]);
        let told = state(&view, None).reason.unwrap();
        assert!(told.contains(words), "{told}");
        assert!(told.starts_with(reason), "{told}");
    }
}

#[test]
fn exit_code_137_is_explained_unless_somebody_stopped_the_task() {
    let killed = || vec![container("main", Some(137), None)];
    assert!(
        state(&stopped(EXITED, "exited", killed()), None)
            .reason
            .unwrap()
            .contains("most often out of memory")
    );
    assert_eq!(state(&stopped("UserInitiated", "enough", killed()), None).reason.unwrap(), "enough");
}
