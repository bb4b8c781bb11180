//! `overlap: replace` while tasks are slow to stop: the newest replacement launches, once, and never beside what it replaces.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, Firing, FiringState, JobId, TickOutcome};
use ecs_scheduler_testing::{EngineRun, StoreFaults};
use serde_json::{Value, json};

use super::support::{Script, Stage, asking_for};

/// Stages a job whose tasks last until they are stopped, and take so many seconds for that.
async fn staged(stop: u64, fields: &Value) -> Stage {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    *stage.launcher.run_for.lock() = None;
    *stage.launcher.stopping.lock() = (Duration::from_secs(stop), 143);
    stage.world.create("job", &job(fields)).await.unwrap();
    stage
}

fn job(fields: &Value) -> Value {
    let mut job =
        json!({"taskDefinition": "job", "schedule": "@yearly", "overlap": "replace", "maxCount": 1});
    job.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    job
}

async fn boot(stage: &Stage) -> EngineRun {
    stage.world.boot(StoreFaults::default(), 0).await.unwrap()
}

async fn fire(life: &EngineRun, tasks: Option<u32>) {
    let request = asking_for(tasks.and_then(NonZeroU32::new));
    life.engine.fire_now(&JobId::new("job").unwrap(), request).await.unwrap();
}

fn most_alive(stage: &Stage) -> usize {
    stage.launcher.most_alive.load(Ordering::Relaxed)
}

/// Returns how often this task was requested to stop.
fn stops(stage: &Stage, task: &str) -> usize {
    stage.launcher.stops.lock().iter().filter(|stopped| stopped.as_str() == task).count()
}

/// Checks that a firing ended without a launch and names the one that superseded it.
fn assert_superseded(older: &Firing, newer: &Firing) {
    assert_eq!((older.state, older.started()), (FiringState::Cancelled, 0), "{older:#?}");
    assert_eq!(older.note, Some(format!("superseded by firing {}", newer.id)));
}

#[tokio::test(start_paused = true)]
async fn ticks_that_wait_for_a_slow_task_launch_one_replacement_when_it_has_stopped() {
    let stage = staged(75, &json!({"schedule": "*/20"})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:02:14Z").await;
    assert_eq!(stage.launcher.requests.lock().len(), 1);
    let planned = [
        FiringState::Launched,
        FiringState::Cancelled,
        FiringState::Cancelled,
        FiringState::Cancelled,
        FiringState::Planned,
    ];
    assert_eq!(stage.states("job").await, planned);
    let uid = stage.firings("job").await[0].uid;
    assert_eq!(life.engine.failing(&uid), None, "a superseded tick is no failure");
    stage.until("2026-01-01T10:02:17Z").await;
    let firings = stage.firings("job").await;
    for pair in firings[1..].windows(2) {
        assert_superseded(&pair[0], &pair[1]);
    }
    assert_eq!(firings[4].state, FiringState::Launched);
    let coalesced = (TickOutcome::Coalesced, 1);
    let launched = (TickOutcome::Launched, 1);
    assert_eq!(stage.outcomes("job").await, [launched, coalesced, coalesced, coalesced, launched]);
    assert_eq!(stops(&stage, "task-0"), 2, "once, and again after a minute");
    stage.until("2026-01-01T10:30:00Z").await;
    assert_eq!(most_alive(&stage), 1);
    assert!(life.engine.stop(Duration::from_secs(5)).await);
}

#[tokio::test(start_paused = true)]
async fn newest_of_several_firings_by_hand_launches_after_a_slow_stop() {
    let stage = staged(30, &json!({})).await;
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:00:42Z").await;
    for second in [45, 48, 51] {
        fire(&life, None).await;
        stage.until(&format!("2026-01-01T10:00:{second}Z")).await;
    }
    stage.until("2026-01-01T10:02:00Z").await;
    let firings = stage.firings("job").await;
    assert_superseded(&firings[1], &firings[2]);
    assert_superseded(&firings[2], &firings[3]);
    assert_eq!((firings[0].state, firings[3].state), (FiringState::Finished, FiringState::Launched));
    assert_eq!((most_alive(&stage), stops(&stage, "task-0")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn restart_while_replacements_wait_launches_the_newest_alone() {
    let stage = staged(60, &json!({})).await;
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:00:40Z").await;
    fire(&life, None).await;
    life.crash().await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:50Z").await;
    fire(&life, None).await;
    life.crash().await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:03:00Z").await;
    let states = [FiringState::Finished, FiringState::Cancelled, FiringState::Launched];
    assert_eq!(stage.states("job").await, states);
    assert_eq!(most_alive(&stage), 1);
    assert!(stops(&stage, "task-0") <= 3, "once a life");
}

#[tokio::test(start_paused = true)]
async fn replacement_waits_for_the_answer_to_a_call_that_is_under_way() {
    let stage = staged(10, &json!({})).await;
    stage.launcher.script.lock().push_back(Script::LoseAnswer);
    stage.launcher.script.lock().extend([Script::Hang]);
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:00:35Z").await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:00:50Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Launching, FiringState::Planned]);
    stage.until("2026-01-01T10:01:30Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Finished, FiringState::Launched]);
    assert_eq!(most_alive(&stage), 1);
}

#[tokio::test(start_paused = true)]
async fn replacement_waits_for_tasks_that_the_scheduler_has_no_record_of() {
    let stage = staged(30, &json!({})).await;
    stage.launcher.start_unrecorded("job", "stranger");
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:00:50Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Planned]);
    stage.until("2026-01-01T10:01:10Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Launched]);
    assert_eq!((most_alive(&stage), stops(&stage, "stranger")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn firing_that_waits_for_capacity_ends_when_it_is_replaced() {
    let stage = staged(10, &json!({})).await;
    let no_room = std::iter::repeat_n(Script::Refuse { all_but: 0, retryable: true }, 8);
    stage.launcher.script.lock().extend(no_room);
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:01:10Z").await;
    assert_eq!(stage.launcher.requests.lock().len(), 8, "it waits for half a minute before the next call");
    fire(&life, None).await;
    stage.until("2026-01-01T10:01:11Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Refused, FiringState::Launched]);
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Coalesced, 0), (TickOutcome::Launched, 0)]);
    stage.until("2026-01-01T10:05:00Z").await;
    assert_eq!((most_alive(&stage), stage.launcher.requests.lock().len()), (1, 9));
}

#[tokio::test(start_paused = true)]
async fn firing_that_was_replaced_between_two_batches_makes_no_further_call() {
    let stage = staged(10, &json!({"taskCount": 25, "maxCount": 25})).await;
    stage.launcher.script.lock().push_back(Script::Refuse { all_but: 10, retryable: true });
    stage.launcher.script.lock().extend(std::iter::repeat_n(Script::Fail { kind: FaultKind::Throttled }, 8));
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:01:10Z").await;
    fire(&life, Some(3)).await;
    stage.until("2026-01-01T10:01:30Z").await;
    let firings = stage.firings("job").await;
    assert_eq!((firings[0].state, firings[0].started()), (FiringState::Finished, 10));
    assert_eq!(firings[0].note, Some(format!("superseded by firing {}", firings[1].id)));
    assert_eq!((firings[1].state, firings[1].started()), (FiringState::Launched, 3));
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Partial, 0), (TickOutcome::Launched, 0)]);
    assert_eq!(most_alive(&stage), 10);
}

#[tokio::test(start_paused = true)]
async fn brake_ends_a_replacement_that_waits() {
    let stage = staged(60, &json!({})).await;
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:00:40Z").await;
    fire(&life, None).await;
    life.engine.brake("incident".to_owned()).await.unwrap();
    stage.until("2026-01-01T10:00:42Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Launched, FiringState::Cancelled]);
    assert_eq!(stage.outcomes("job").await[1].0, TickOutcome::Suspended);
    life.engine.release().await.unwrap();
    stage.until("2026-01-01T10:05:00Z").await;
    assert_eq!(stage.launcher.requests.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn cap_that_was_lowered_while_a_replacement_waited_bounds_it() {
    let stage = staged(60, &json!({"taskCount": 3, "maxCount": 3})).await;
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:00:40Z").await;
    fire(&life, None).await;
    stage.world.edit("job", &job(&json!({"maxCount": 2}))).await.unwrap();
    life.engine.nudge(&JobId::new("job").unwrap());
    stage.until("2026-01-01T10:03:00Z").await;
    let newer = stage.firings("job").await.remove(1);
    assert_eq!((newer.state, newer.started()), (FiringState::Launched, 2));
    assert_eq!(
        newer.note.as_deref(),
        Some("at most maxCount 2, and 2 are pending, running or being started")
    );
    assert_eq!(stage.outcomes("job").await[1].0, TickOutcome::Partial);
}

#[tokio::test(start_paused = true)]
async fn replacement_ends_when_the_old_tasks_do_not_stop_in_time() {
    let stage = staged(3_600, &json!({})).await;
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:00:40Z").await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:02:45Z").await;
    let newer = stage.firings("job").await.remove(1);
    assert_eq!(newer.state, FiringState::Refused);
    assert_eq!(newer.note.as_deref(), Some("1 of the tasks to be replaced did not stop in time"));
    assert_eq!((stage.outcomes("job").await[1].0, stops(&stage, "task-0")), (TickOutcome::LaunchFailed, 2));
}

#[tokio::test(start_paused = true)]
async fn waiting_replacements_delay_no_other_job() {
    let mut stage = staged(60, &json!({"schedule": "*/20"})).await;
    stage.world.options.dispatch = 1;
    stage.world.create("other", &json!({"taskDefinition": "other", "schedule": "5"})).await.unwrap();
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:01:06Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Launched, FiringState::Planned]);
    assert_eq!(stage.outcomes("other").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn replacement_waits_for_as_long_as_the_stopped_task_cannot_be_observed() {
    let stage = staged(5, &json!({})).await;
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:00:40Z").await;
    *stage.launcher.unread.lock() = Some(JobId::new("job").unwrap());
    fire(&life, None).await;
    stage.until("2026-01-01T10:05:00Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Launched, FiringState::Planned]);
    *stage.launcher.unread.lock() = None;
    stage.until("2026-01-01T10:05:20Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Finished, FiringState::Launched]);
    assert_eq!((most_alive(&stage), stops(&stage, "task-0") > 0), (1, true));
}

#[tokio::test(start_paused = true)]
async fn replacement_waits_for_as_long_as_a_task_without_a_record_cannot_be_observed() {
    let stage = staged(5, &json!({})).await;
    stage.launcher.start_unrecorded("job", "stranger");
    *stage.launcher.unread.lock() = Some(JobId::new("job").unwrap());
    let life = boot(&stage).await;
    fire(&life, None).await;
    stage.until("2026-01-01T10:05:00Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Planned]);
    *stage.launcher.unread.lock() = None;
    stage.until("2026-01-01T10:05:20Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Launched]);
    assert_eq!(most_alive(&stage), 1);
}
