use std::time::Duration;

use ecs_scheduler_core::{TaskId, TaskPhase, TaskState};

use super::{Book, From};
use crate::task_snapshot::{Progress, TaskView};

const FRESH: Duration = Duration::from_mins(5);

fn at(phase: TaskPhase) -> TaskState {
    TaskState { phase, ..TaskState::pending(TaskId::new("a"), None) }
}

/// How far a task has come: a version, and no state.
fn version(version: i64) -> Progress {
    TaskView { version, ..TaskView::default() }.progress()
}

#[tokio::test(start_paused = true)]
async fn a_late_event_does_not_take_a_task_back() {
    let book = Book::default();
    book.enter(version(3), at(TaskPhase::Stopped), From::Event);
    assert_eq!(book.enter(version(2), at(TaskPhase::Running), From::Event).phase, TaskPhase::Stopped);
    assert_eq!(book.enter(version(2), at(TaskPhase::Running), From::Answer).phase, TaskPhase::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_live_task_is_asked_for_again_without_events_and_after_a_while() {
    let book = Book::default();
    let task = TaskId::new("a");
    book.enter(version(1), at(TaskPhase::Running), From::Event);
    assert_eq!(book.known(&task, FRESH), None, "ECS was never asked");
    book.enter(version(1), at(TaskPhase::Running), From::Answer);
    assert!(book.known(&task, FRESH).is_some());
    assert_eq!(book.known(&task, Duration::ZERO), None, "no events are heard");
    tokio::time::advance(FRESH).await;
    assert_eq!(book.known(&task, FRESH), None);
}

#[tokio::test(start_paused = true)]
async fn an_end_is_known_for_good() {
    let book = Book::default();
    book.enter(version(5), at(TaskPhase::Stopped), From::Event);
    tokio::time::advance(FRESH * 10).await;
    assert!(book.known(&TaskId::new("a"), Duration::ZERO).is_some());
}

#[tokio::test(start_paused = true)]
async fn states_that_nobody_asks_for_are_forgotten() {
    let book = Book::default();
    for number in 0..=super::TIDY {
        let state = TaskState::pending(TaskId::new(format!("t{number}")), None);
        book.enter(version(1), state, From::Event);
    }
    tokio::time::advance(Duration::from_hours(2)).await;
    book.enter(version(1), at(TaskPhase::Running), From::Event);
    assert_eq!(book.inner.lock().states.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_without_a_version_goes_on_by_its_states_and_never_back() {
    let seen = |version: i64, status: &str, phase: TaskPhase| {
        let last_status = status.to_owned();
        (TaskView { version, last_status, ..TaskView::default() }.progress(), at(phase))
    };
    let book = Book::default();
    for (status, told, known) in [
        ("PROVISIONING", TaskPhase::Pending, TaskPhase::Pending),
        ("PENDING", TaskPhase::Pending, TaskPhase::Pending),
        ("RUNNING", TaskPhase::Running, TaskPhase::Running),
        ("ACTIVATING", TaskPhase::Pending, TaskPhase::Running),
        ("STOPPING", TaskPhase::Running, TaskPhase::Running),
        ("DEPROVISIONING", TaskPhase::Running, TaskPhase::Running),
        ("STOPPED", TaskPhase::Stopped, TaskPhase::Stopped),
        ("RUNNING", TaskPhase::Running, TaskPhase::Stopped),
    ] {
        let (progress, state) = seen(0, status, told);
        assert_eq!(book.enter(progress, state, From::Answer).phase, known, "{status}");
    }

    let book = Book::default();
    let (progress, state) = seen(5, "RUNNING", TaskPhase::Running);
    book.enter(progress, state, From::Event);
    let (progress, state) = seen(0, "STOPPED", TaskPhase::Stopped);
    let known = book.enter(progress, state, From::Answer);
    assert_eq!(known.phase, TaskPhase::Stopped, "only the event told a version");
}
