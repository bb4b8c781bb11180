use ecs_scheduler_core::TaskPhase;

use super::task_state;
use crate::task_snapshot::{ContainerSnapshot, TaskSnapshot};

fn container(name: &str, exit_code: Option<i32>, reason: Option<&str>) -> ContainerSnapshot {
    ContainerSnapshot { name: name.to_owned(), exit_code, reason: reason.map(str::to_owned) }
}

fn stopped(stop_code: &str, reason: &str, containers: Vec<ContainerSnapshot>) -> TaskSnapshot {
    TaskSnapshot {
        task_arn: "arn:aws:ecs:eu-central-1:123456789012:task/batch/1".to_owned(),
        last_status: "STOPPED".to_owned(),
        stop_code: Some(stop_code.to_owned()),
        stopped_reason: Some(reason.to_owned()),
        containers,
        ..TaskSnapshot::default()
    }
}

const EXITED: &str = "EssentialContainerExited";

#[test]
fn ecs_statuses_map_to_three_phases() {
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
        let snapshot = TaskSnapshot { last_status: status.to_owned(), started_at, ..TaskSnapshot::default() };
        assert_eq!(task_state(&snapshot, None).phase, phase, "{status}");
    }
}

#[test]
fn task_that_never_started_failed() {
    let state = task_state(&stopped("TaskFailedToStart", "no", vec![container("main", Some(0), None)]), None);
    assert!(!state.succeeded());
    assert_eq!(state.exit_code, None);
}

#[test]
fn lost_infrastructure_is_a_failure_even_after_a_clean_exit() {
    let state =
        task_state(&stopped("SpotInterruption", "taken", vec![container("main", Some(0), None)]), None);
    assert!(!state.succeeded());
    assert_eq!(state.diagnosis.unwrap().code, "spotInterruption");
}

#[test]
fn a_missing_exit_code_is_a_failure() {
    let one = vec![container("main", Some(0), None), container("side", None, None)];
    assert!(!task_state(&stopped(EXITED, "exited", one), None).succeeded());
    assert!(!task_state(&stopped(EXITED, "exited", Vec::new()), None).succeeded());
}

#[test]
fn first_failing_exit_code_is_reported() {
    let all =
        vec![container("a", Some(0), None), container("b", Some(3), None), container("c", Some(4), None)];
    assert_eq!(task_state(&stopped(EXITED, "exited", all), None).exit_code, Some(3));
}

#[test]
fn only_essential_containers_count_if_known() {
    let all = || vec![container("main", Some(0), None), container("side", Some(137), None)];
    let known = [("main".to_owned(), true), ("side".to_owned(), false)];
    assert!(task_state(&stopped(EXITED, "exited", all()), Some(&known)).succeeded());
    assert_eq!(task_state(&stopped(EXITED, "exited", all()), None).exit_code, Some(137));
}

/// Returns the state of a task with two essential containers, of which `main` is the first.
fn pair(main: (i32, Option<&str>), otel: (i32, Option<&str>)) -> ecs_scheduler_core::TaskState {
    let ends = vec![container("otel", Some(otel.0), otel.1), container("main", Some(main.0), main.1)];
    let known = [("main".to_owned(), true), ("otel".to_owned(), true)];
    task_state(&stopped(EXITED, "Essential container in task exited", ends), Some(&known))
}

#[test]
fn sidecar_stopped_after_main_container_is_not_a_failure() {
    for code in [137, 143] {
        let ended = pair((0, None), (code, None));
        assert!(ended.succeeded(), "{ended:?}");
    }
}

#[test]
fn crashed_sidecar_is_a_failure() {
    assert_eq!(pair((0, None), (1, None)).exit_code, Some(1));
    assert_eq!(pair((143, None), (1, None)).exit_code, Some(1));
    assert_eq!(pair((0, None), (137, Some("OutOfMemoryError: killed"))).exit_code, Some(137));
}

#[test]
fn killed_main_container_is_a_failure_despite_sidecar_success() {
    for code in [137, 143] {
        assert_eq!(pair((code, None), (0, None)).exit_code, Some(code));
    }
}

#[test]
fn a_task_that_was_stopped_is_neither_a_success_nor_a_failure() {
    for code in ["UserInitiated", "ServiceSchedulerInitiated"] {
        let ended = task_state(&stopped(code, "enough", vec![container("main", Some(0), None)]), None);
        assert_eq!(ended.end(), Some(ecs_scheduler_core::TaskEnd::Stopped));
    }
}

#[test]
fn cause_is_distinguished_from_the_reason_of_ecs() {
    let killed = vec![container("main", Some(137), Some("OutOfMemoryError: Container killed"))];
    let state = task_state(&stopped(EXITED, "Essential container in task exited", killed), None);
    assert_eq!(
        state.reason.as_deref(),
        Some("Essential container in task exited; container \"main\": OutOfMemoryError: Container killed")
    );
    assert_eq!(state.diagnosis.expect("a known cause").code, "outOfMemory");
}

#[test]
fn running_task_has_no_cause() {
    let mut snapshot = stopped("SpotInterruption", "Your Spot Task was interrupted.", Vec::new());
    assert!(task_state(&snapshot, None).diagnosis.is_some());
    snapshot.last_status = "STOPPING".to_owned();
    assert_eq!(task_state(&snapshot, None).diagnosis, None);
}

#[test]
fn times_inside_a_phase_are_reported_with_its_end() {
    let moment = |second: u32| format!("2026-01-01T10:00:{second:02}Z").parse().ok();
    let mut snapshot = TaskSnapshot {
        last_status: "PENDING".to_owned(),
        capacity_provider_name: Some("FARGATE_SPOT".to_owned()),
        availability_zone: Some("eu-central-1a".to_owned()),
        created_at: moment(0),
        pull_started_at: moment(1),
        pull_stopped_at: moment(2),
        stopping_at: moment(4),
        ..TaskSnapshot::default()
    };
    let pending = task_state(&snapshot, None);
    assert_eq!((pending.created_at, pending.pull_started_at, pending.stopping_at), (moment(0), None, None));
    assert_eq!(pending.capacity_provider.as_deref(), Some("FARGATE_SPOT"));
    assert_eq!(pending.availability_zone.as_deref(), Some("eu-central-1a"));
    (snapshot.last_status, snapshot.started_at) = ("STOPPING".to_owned(), moment(3));
    let running = task_state(&snapshot, None);
    assert_eq!(
        (running.pull_started_at, running.pull_stopped_at, running.stopping_at),
        (moment(1), moment(2), None)
    );
    (snapshot.last_status, snapshot.stopped_at) = ("STOPPED".to_owned(), moment(5));
    let stopped = task_state(&snapshot, None);
    assert_eq!(
        (stopped.started_at, stopped.stopping_at, stopped.stopped_at),
        (moment(3), moment(4), moment(5))
    );
}
