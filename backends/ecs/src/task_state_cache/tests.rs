use std::time::Duration;

use ecs_scheduler_core::{TaskId, TaskPhase, TaskState};

use super::{StateSource, TaskStateCache};
use crate::task_snapshot::{TaskProgress, TaskSnapshot};

const FRESH: Duration = Duration::from_mins(5);

fn at(phase: TaskPhase) -> TaskState {
    let mut state = TaskState::pending(TaskId::new("a"), None);
    state.phase = phase;
    state
}

/// The progress of a task that has a version and no status.
fn version(version: i64) -> TaskProgress {
    TaskSnapshot { version, ..TaskSnapshot::default() }.progress()
}

#[tokio::test(start_paused = true)]
async fn late_event_does_not_revert_a_task() {
    let cache = TaskStateCache::default();
    cache.update(version(3), at(TaskPhase::Stopped), StateSource::Event);
    assert_eq!(
        cache.update(version(2), at(TaskPhase::Running), StateSource::Event).phase,
        TaskPhase::Stopped
    );
    assert_eq!(
        cache.update(version(2), at(TaskPhase::Running), StateSource::Response).phase,
        TaskPhase::Stopped
    );
}

#[tokio::test(start_paused = true)]
async fn running_task_is_polled_again_without_events_and_after_ttl() {
    let cache = TaskStateCache::default();
    let task = TaskId::new("a");
    cache.update(version(1), at(TaskPhase::Running), StateSource::Event);
    assert_eq!(cache.get_fresh(&task, FRESH), None, "ECS was never asked");
    cache.update(version(1), at(TaskPhase::Running), StateSource::Response);
    assert!(cache.get_fresh(&task, FRESH).is_some());
    assert_eq!(cache.get_fresh(&task, Duration::ZERO), None, "no events arrive");
    tokio::time::advance(FRESH).await;
    assert_eq!(cache.get_fresh(&task, FRESH), None);
}

#[tokio::test(start_paused = true)]
async fn stopped_state_never_expires() {
    let cache = TaskStateCache::default();
    cache.update(version(5), at(TaskPhase::Stopped), StateSource::Event);
    tokio::time::advance(FRESH * 10).await;
    assert!(cache.get_fresh(&TaskId::new("a"), Duration::ZERO).is_some());
}

#[tokio::test(start_paused = true)]
async fn unused_states_are_evicted() {
    let cache = TaskStateCache::default();
    for number in 0..=super::EVICTION_STEP {
        let state = TaskState::pending(TaskId::new(format!("t{number}")), None);
        cache.update(version(1), state, StateSource::Event);
    }
    tokio::time::advance(Duration::from_hours(2)).await;
    cache.update(version(1), at(TaskPhase::Running), StateSource::Event);
    assert_eq!(cache.inner.lock().states.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn task_without_version_moves_forward_by_status_only() {
    let seen = |version: i64, status: &str, phase: TaskPhase| {
        let last_status = status.to_owned();
        (TaskSnapshot { version, last_status, ..TaskSnapshot::default() }.progress(), at(phase))
    };
    let cache = TaskStateCache::default();
    for (status, reported, known) in [
        ("PROVISIONING", TaskPhase::Pending, TaskPhase::Pending),
        ("PENDING", TaskPhase::Pending, TaskPhase::Pending),
        ("RUNNING", TaskPhase::Running, TaskPhase::Running),
        ("ACTIVATING", TaskPhase::Pending, TaskPhase::Running),
        ("STOPPING", TaskPhase::Running, TaskPhase::Running),
        ("DEPROVISIONING", TaskPhase::Running, TaskPhase::Running),
        ("STOPPED", TaskPhase::Stopped, TaskPhase::Stopped),
        ("RUNNING", TaskPhase::Running, TaskPhase::Stopped),
    ] {
        let (progress, state) = seen(0, status, reported);
        assert_eq!(cache.update(progress, state, StateSource::Response).phase, known, "{status}");
    }

    let cache = TaskStateCache::default();
    let (progress, state) = seen(5, "RUNNING", TaskPhase::Running);
    cache.update(progress, state, StateSource::Event);
    let (progress, state) = seen(0, "STOPPED", TaskPhase::Stopped);
    let known = cache.update(progress, state, StateSource::Response);
    assert_eq!(known.phase, TaskPhase::Stopped, "only the event has a version");
}
