//! How tasks end, and from when their limits count.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, FiringState, Launcher as _, TickOutcome};
use ecs_scheduler_testing::StoreFaults;
use serde_json::json;

use super::support::{Script, Stage};

#[tokio::test(start_paused = true)]
async fn task_that_was_accepted_late_has_its_whole_start_timeout() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    *stage.launcher.run_for.lock() = None;
    *stage.launcher.pending_for.lock() = Duration::from_secs(25);
    stage
        .launcher
        .script
        .lock()
        .extend(std::iter::repeat_n(Script::Refuse { all_but: 0, retryable: true }, 8));
    let job = json!({"taskDefinition": "job", "schedule": "0 0 *", "startTimeout": "30s"});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:05:00Z").await;
    let firing = stage.firings("job").await.remove(0);
    let late = firing.tasks[0].accepted_at.unwrap().duration_since(firing.observed);
    assert!(late.as_secs() > 60, "refused for {late}");
    assert_eq!((stage.launcher.running(), stage.launcher.stops.lock().len()), (1, 0), "{firing:#?}");
}

#[tokio::test(start_paused = true)]
async fn task_that_does_not_start_in_time_is_stopped_and_did_neither_succeed_nor_fail() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    *stage.launcher.pending_for.lock() = Duration::from_secs(100);
    let job = json!({"taskDefinition": "job", "schedule": "0 0 *", "startTimeout": "30s"});
    stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:29Z").await;
    assert_eq!(stage.launcher.running(), 1);
    stage.until("2026-01-01T10:00:35Z").await;
    assert_eq!((stage.launcher.running(), stage.states("job").await), (0, vec![FiringState::Finished]));
    assert_eq!(ends(&life), [0, 0, 1]);
}

/// Returns how many tasks succeeded, failed and were stopped.
fn ends(life: &ecs_scheduler_testing::EngineRun) -> [u64; 3] {
    let counters = life.engine.counters();
    [&counters.tasks_succeeded, &counters.tasks_failed, &counters.tasks_stopped]
        .map(|counter| counter.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn task_that_an_operator_stops_counts_as_stopped_although_it_exits_with_zero() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    *stage.launcher.run_for.lock() = None;
    *stage.launcher.stopping.lock() = (Duration::ZERO, 0);
    let job = json!({"taskDefinition": "job", "schedule": "0 0 *"});
    stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:05Z").await;
    let task = stage.firings("job").await.remove(0).tasks.remove(0).task_id;
    stage.launcher.stop(&task, "by an operator").await.unwrap();
    stage.until("2026-01-01T10:00:08Z").await;
    assert_eq!(stage.firings("job").await[0].tasks[0].exit_code, Some(0));
    assert_eq!(ends(&life), [0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn container_of_succeeds_by_decides_alone() {
    let named = |name: &str| json!({"taskDefinition": "job", "schedule": "0 0 *", "succeedsBy": name});
    let codes = [("main", Some(0)), ("side", Some(137)), ("gone", None)];
    for (name, ended, reason) in [
        ("main", [1, 0, 0], None),
        ("side", [0, 1, 0], None),
        ("gone", [0, 1, 0], None),
        ("mian", [0, 1, 0], Some("succeedsBy names container \"mian\", which the task did not have")),
    ] {
        let stage = Stage::at("2026-01-01T09:59:50Z");
        let codes = codes.map(|(name, code)| (name.to_owned(), code));
        *stage.launcher.containers.lock() = codes.to_vec();
        stage.world.create("job", &named(name)).await.unwrap();
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T10:00:10Z").await;
        let task = stage.firings("job").await.remove(0).tasks.remove(0);
        assert_eq!((ends(&life), task.reason.as_deref()), (ended, reason), "{name}");
        assert_eq!(task.containers.len(), 3, "each container's end is kept");
    }
}

#[tokio::test(start_paused = true)]
async fn call_with_unknown_outcome_is_not_recorded_as_refused_when_its_retry_is_refused() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    stage.launcher.script.lock().extend([Script::LoseAnswer, Script::Fail { kind: FaultKind::Denied }]);
    let job = json!({"taskDefinition": "job", "schedule": "0 0 *"});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:00Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Unknown], "one task runs");
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Unknown, 1)]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_longer_than_the_token_is_valid_continue_with_a_new_token() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    let failing = std::iter::repeat_n(Script::Fail { kind: FaultKind::Unavailable }, 115);
    stage.launcher.script.lock().extend(failing);
    let job = json!({
        "taskDefinition": "job", "schedule": "0 0 10", "retry": {"launch": {"maxAge": "2h"}},
    });
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T11:30:00Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    let firing = stage.firings("job").await.remove(0);
    assert_eq!((firing.started(), firing.attempts.len()), (1, 2));
}
