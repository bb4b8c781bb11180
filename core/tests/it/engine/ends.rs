//! How tasks end, and from when their limits count.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, FiringState, JobId, Launcher as _, TickOutcome};
use ecs_scheduler_testing::StoreFaults;
use serde_json::json;

use super::support::{Script, Stage};
use crate::log::Log;

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
    assert_eq!(
        diagnosis(&stage).await,
        Some(("startTimeout".to_owned(), "the task did not start within 30 s, and was stopped".to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn task_that_runs_too_long_is_stopped_and_its_diagnosis_names_the_limit() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    *stage.launcher.run_for.lock() = None;
    let job = json!({"taskDefinition": "job", "schedule": "0 0 *", "timeout": "30s", "startTimeout": "20s"});
    stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:40Z").await;
    assert_eq!(ends(&life), [0, 0, 1]);
    assert_eq!(
        diagnosis(&stage).await,
        Some(("timeout".to_owned(), "the task ran for more than 30 s, and was stopped".to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn changed_timeout_applies_to_tasks_that_run_also_if_the_scheduler_was_down_at_the_edit() {
    let job = |timeout: &str| json!({"taskDefinition": "job", "schedule": "0 0 *", "timeout": timeout});
    for is_down in [false, true] {
        let stage = Stage::at("2026-01-01T09:59:50Z");
        *stage.launcher.run_for.lock() = None;
        stage.world.create("job", &job("30s")).await.unwrap();
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T10:00:10Z").await;
        let life = if is_down {
            life.crash().await;
            stage.world.edit("job", &job("120s")).await.unwrap();
            stage.world.boot(StoreFaults::default(), 0).await.unwrap()
        } else {
            stage.world.edit("job", &job("120s")).await.unwrap();
            life
        };
        life.engine.nudge(&JobId::new("job").unwrap());
        stage.until("2026-01-01T10:01:50Z").await;
        assert_eq!(stage.launcher.running(), 1, "the limit was raised, down: {is_down}");
        stage.world.edit("job", &job("115s")).await.unwrap();
        life.engine.nudge(&JobId::new("job").unwrap());
        stage.until("2026-01-01T10:02:02Z").await;
        assert_eq!((stage.launcher.running(), ends(&life)), (0, [0, 0, 1]), "down: {is_down}");
        let text = "the task ran for more than 115 s, and was stopped".to_owned();
        assert_eq!(diagnosis(&stage).await, Some(("timeout".to_owned(), text)));
    }
}

/// Returns the cause of the end of the only task, and its words.
async fn diagnosis(stage: &Stage) -> Option<(String, String)> {
    let task = stage.firings("job").await.remove(0).tasks.remove(0);
    task.diagnosis.map(|diagnosis| (diagnosis.code.into_owned(), diagnosis.text.into_owned()))
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
    assert_eq!((ends(&life), diagnosis(&stage).await), ([0, 0, 1], None));
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
        assert_eq!(task.diagnosis.is_some(), ended[1] == 1, "{name}: {:?}", task.diagnosis);
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

#[tokio::test(start_paused = true)]
async fn task_that_cannot_be_observed_is_not_stopped_for_its_start_timeout() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    *stage.launcher.run_for.lock() = None;
    *stage.launcher.pending_for.lock() = Duration::from_secs(5);
    let job = json!({"taskDefinition": "job", "schedule": "0 0 *", "startTimeout": "30s"});
    let stored = stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:03Z").await;
    *stage.launcher.unread.lock() = Some(stored.id);
    stage.until("2026-01-01T10:02:00Z").await;
    assert_eq!(stage.launcher.stops.lock().len(), 0, "it runs since the fifth second");
    *stage.launcher.unread.lock() = None;
    stage.until("2026-01-01T10:02:05Z").await;
    assert_eq!((stage.launcher.running(), stage.launcher.stops.lock().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn task_that_was_pending_when_the_launcher_asked_last_is_not_stopped_for_its_start_timeout() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    *stage.launcher.run_for.lock() = None;
    *stage.launcher.cache_for.lock() = Some(Duration::from_secs(20));
    let pending = [28, 100].map(Duration::from_secs);
    let job = json!({"taskDefinition": "job", "schedule": "0 0", "startTimeout": "30s", "overlap": "allow"});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    for (hour, pending) in (10..).zip(pending) {
        *stage.launcher.pending_for.lock() = pending;
        stage.until(&format!("2026-01-01T{hour}:02:00Z")).await;
    }
    let stops: Vec<_> = stage.launcher.stops.lock().iter().map(ToString::to_string).collect();
    assert_eq!(stops, ["task-1"], "the first one has started meanwhile");
}

#[tokio::test(start_paused = true)]
async fn tasks_that_cannot_be_observed_do_not_hide_the_ends_of_others() {
    let (log, _guard) = Log::listen();
    let stage = Stage::at("2026-01-01T09:59:50Z");
    let job = |schedule: &str| json!({"taskDefinition": "job", "schedule": schedule, "overlap": "skip"});
    let lost = stage.world.create("lost", &job("0 0 10")).await.unwrap();
    stage.world.create("good", &job("*/30")).await.unwrap();
    *stage.launcher.unread.lock() = Some(lost.id);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:10:10Z").await;
    assert_eq!(stage.outcomes("good").await, [(TickOutcome::Launched, 1); 21]);
    assert_eq!(stage.states("lost").await, [FiringState::Launched], "an unread task is not a lost one");
    *stage.launcher.unread.lock() = None;
    stage.until("2026-01-01T10:10:20Z").await;
    assert_eq!(stage.states("lost").await, [FiringState::Finished]);
    assert_eq!(log.with("tasks cannot be observed").len(), 1, "it is logged once");
    assert_eq!(log.with("all tasks can be observed again").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn launch_that_is_refused_for_long_keeps_a_bounded_record() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    let refused = std::iter::repeat_n(Script::Refuse { all_but: 0, retryable: true }, 60);
    stage.launcher.script.lock().extend(refused);
    let job = json!({"taskDefinition": "job", "schedule": "0 0 10", "retry": {"launch": {"maxAge": "2h"}}});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T11:30:00Z").await;
    let firing = stage.firings("job").await.remove(0);
    assert_eq!((firing.state, firing.started()), (FiringState::Finished, 1));
    let numbers: Vec<u32> = firing.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(
        (numbers.len(), numbers[0], numbers[1], numbers[19]),
        (20, 1, 43, 61),
        "the first and the newest"
    );
}

#[tokio::test(start_paused = true)]
async fn report_without_tasks_and_refusals_is_not_repeated_at_once() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    stage.launcher.script.lock().extend(std::iter::repeat_n(Script::ReportNothing, 1_000));
    let job = json!({"taskDefinition": "job", "schedule": "0 0 10", "retry": {"launch": {"maxAge": "60s"}}});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:02:00Z").await;
    let calls = stage.launcher.requests.lock().len();
    assert!((2..20).contains(&calls), "{calls} calls in a minute");
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::LaunchFailed, 1)]);
}
