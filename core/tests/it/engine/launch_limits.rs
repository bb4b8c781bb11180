//! How long a launch is repeated, and which version of its job it ends with.

use std::time::Duration;

use ecs_scheduler_core::{FiringState, JobId, TickOutcome};
use ecs_scheduler_testing::{EngineRun, StoreFaults};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Script, Stage};

fn job(more: &Value) -> Value {
    let mut job = json!({"taskDefinition": "job", "schedule": "0 0 10"});
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

/// Starts before the tick with a launcher that refuses so many calls for a passing reason.
async fn refused(calls: usize, more: &Value) -> (Stage, EngineRun) {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    let refuse = Script::Refuse { all_but: 0, retryable: true };
    stage.launcher.script.lock().extend(std::iter::repeat_n(refuse, calls));
    stage.world.create("job", &job(more)).await.unwrap();
    let life = boot(&stage).await;
    (stage, life)
}

async fn boot(stage: &Stage) -> EngineRun {
    stage.world.boot(StoreFaults::default(), 0).await.unwrap()
}

fn for_a_minute() -> Value {
    json!({"retry": {"launch": {"maxAge": "60s"}}})
}

#[tokio::test(start_paused = true)]
async fn launch_that_a_restart_continues_ends_at_its_deadline() {
    let (stage, life) = refused(1_000, &for_a_minute()).await;
    stage.until("2026-01-01T10:00:50Z").await;
    life.crash().await;
    stage.until("2026-01-01T10:00:55Z").await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:01:40Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Refused]);
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::LaunchFailed, 1)]);
}

#[tokio::test(start_paused = true)]
async fn launch_ends_after_its_maximum_age_although_the_clock_was_set_back() {
    let (stage, _life) = refused(1_000, &for_a_minute()).await;
    stage.until("2026-01-01T10:00:20Z").await;
    stage.world.clock.step(-SignedDuration::from_hours(1));
    stage.until("2026-01-01T09:02:30Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Refused]);
    assert_eq!(stage.outcomes("job").await[0], (TickOutcome::LaunchFailed, 1));
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_launch_that_waited_during_an_edit_get_the_new_timeout() {
    let (stage, life) = refused(0, &json!({"timeout": "1h"})).await;
    *stage.launcher.run_for.lock() = None;
    // The task of another job lets the monitor see the edit before it has the launch.
    let other = json!({"taskDefinition": "other", "schedule": "55 59 9"});
    let other = stage.world.create("other", &other).await.unwrap();
    life.engine.nudge(&other.id);
    stage.until("2026-01-01T09:59:58Z").await;
    let refuse = Script::Refuse { all_but: 0, retryable: true };
    stage.launcher.script.lock().extend(std::iter::repeat_n(refuse, 4));
    stage.until("2026-01-01T10:00:03Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Launching]);
    stage.world.edit("job", &job(&json!({"timeout": "30s"}))).await.unwrap();
    life.engine.nudge(&JobId::new("job").unwrap());
    stage.until("2026-01-01T10:02:00Z").await;
    let firing = stage.firings("job").await.remove(0);
    assert_eq!(firing.started(), 1);
    let ran = firing.tasks[0].stopped_at.unwrap().duration_since(firing.tasks[0].started_at.unwrap());
    let ran = Duration::try_from(ran).unwrap();
    assert!((Duration::from_secs(30)..Duration::from_secs(35)).contains(&ran), "{ran:?}");
}
