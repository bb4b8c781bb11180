//! Permanent faults: where they are shown, and how often they are logged.

use ecs_scheduler_core::{FaultKind, FiringState, Shard, TickOutcome};
use ecs_scheduler_testing::StoreFaults;
use serde_json::{Value, json};

use super::retry::Flaky;
use super::support::{Script, Stage};
use crate::log::Log;

fn every_minute() -> Value {
    json!({"taskDefinition": "job", "schedule": "0 *"})
}

fn triggered() -> Value {
    json!({"taskDefinition": "job", "schedule": "0 *", "trigger": {"type": "flaky"}})
}

fn deny(stage: &Stage, times: usize) {
    let denied = std::iter::repeat_n(Script::Fail { kind: FaultKind::Denied }, times);
    stage.launcher.script.lock().extend(denied);
}

#[tokio::test(start_paused = true)]
async fn denied_launch_shows_in_the_status_and_at_the_job_until_a_launch_succeeds() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let stored = stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    deny(&stage, 2);
    stage.until("2026-01-01T10:02:30Z").await;
    let failing = life.engine.failing(&stored.uid).unwrap();
    assert_eq!((failing.outcome, failing.ticks), (TickOutcome::LaunchFailed, 2));
    assert_eq!(failing.reason, "could not run task");
    let status = life.engine.status();
    assert_eq!(
        status.launcher_fault.as_deref(),
        Some("could not run task (1 job, since 2026-01-01T10:01:00Z)")
    );
    assert_eq!(status.failing, 1);
    let wrong: Vec<_> = status.dependencies().into_iter().filter(|(_, fault)| fault.is_some()).collect();
    assert!(wrong.len() == 1 && wrong[0].0 == "launcher", "{wrong:?}");
    stage.until("2026-01-01T10:03:30Z").await;
    let status = life.engine.status();
    assert_eq!((life.engine.failing(&stored.uid), status.launcher_fault, status.failing), (None, None, 0));
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_jobs_fail_as_before() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T10:00:30Z");
    let delayed = |mut job: Value| {
        job["jitter"] = "20s".into();
        job
    };
    let launches = stage.world.create("launches", &delayed(every_minute())).await.unwrap();
    let reads = stage.world.create("reads", &delayed(triggered())).await.unwrap();
    let recovers = stage.world.create("recovers", &triggered()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Denied);
    deny(&stage, 2);
    stage.until("2026-01-01T10:02:30Z").await;
    for job in [&launches, &reads] {
        let since = life.engine.failing(&job.uid).unwrap().since.to_string();
        assert_eq!(since, "2026-01-01T10:01:00Z", "the tick, not its evaluation some seconds later");
    }
    let mut suspended = triggered();
    suspended["suspended"] = json!(true);
    stage.world.edit("recovers", &suspended).await.unwrap();
    life.crash().await;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:02:31Z").await;
    let failing = life.engine.failing(&launches.uid).unwrap();
    assert_eq!((failing.outcome, failing.ticks), (TickOutcome::LaunchFailed, 2));
    assert_eq!(failing.reason, "could not run task");
    assert_eq!(failing.since.to_string(), "2026-01-01T10:01:00Z");
    let failing = life.engine.failing(&reads.uid).unwrap();
    assert_eq!((failing.outcome, failing.ticks), (TickOutcome::SourceError, 2));
    assert_eq!(failing.since.to_string(), "2026-01-01T10:01:00Z");
    assert_eq!(life.engine.failing(&recovers.uid), None, "an edit ends it");
    let status = life.engine.status();
    let expected = "could not run task (1 job, since 2026-01-01T10:01:00Z)";
    assert_eq!((status.failing, status.launcher_fault.as_deref()), (2, Some(expected)));
    flaky.works();
    stage.until("2026-01-01T10:03:30Z").await;
    for job in [&launches, &reads] {
        life.engine.recall_failing(job).await;
    }
    let status = life.engine.status();
    assert_eq!((status.failing, status.launcher_fault), (0, None), "both launched");
    stage.until("2026-01-01T10:03:40Z").await;
    for job in [&launches, &reads, &recovers] {
        let register = format!("failing-jobs/{}", Shard::from_job(&job.id));
        let names = stage.world.store.get_register(&register).await.unwrap().map(|register| register.value);
        assert_eq!(names.as_deref(), Some("[]"), "{register}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_failing_job_whose_name_was_not_written_fails_when_it_is_shown() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let stored = stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    deny(&stage, 1);
    stage.until("2026-01-01T10:01:02Z").await;
    life.crash().await;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:10Z").await;
    assert_eq!((life.engine.failing(&stored.uid), life.engine.status().failing), (None, 0));
    for _ in 0..2 {
        life.engine.recall_failing(&stored).await;
        assert_eq!(life.engine.failing(&stored.uid).map(|failing| failing.ticks), Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn refused_launch_that_was_the_last_stays_at_the_job_and_is_a_fault_of_the_launcher_for_an_hour() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let once = json!({"taskDefinition": "job", "schedule": "at(2026-01-01T10:01:00)"});
    let stored = stage.world.create("once", &once).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    deny(&stage, 1);
    stage.until("2026-01-01T11:00:30Z").await;
    let failing = life.engine.failing(&stored.uid).unwrap();
    assert_eq!((failing.outcome, failing.ticks), (TickOutcome::LaunchFailed, 1));
    assert!(life.engine.status().launcher_fault.unwrap().starts_with("could not run task (1 job"));
    stage.until("2026-01-01T11:01:30Z").await;
    let status = life.engine.status();
    assert_eq!(
        (status.launcher_fault, status.failing),
        (None, 1),
        "no launch of any job is refused any more"
    );
    life.crash().await;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    life.engine.recall_failing(&stored).await;
    assert_eq!(life.engine.failing(&stored.uid).map(|failing| failing.reason), Some(failing.reason));
    assert_eq!(life.engine.status().launcher_fault, None);
    life.engine.fire_now(&stored.id, Default::default()).await.unwrap();
    stage.until("2026-01-01T11:02:30Z").await;
    assert_eq!(life.engine.failing(&stored.uid), None, "fired by hand, it launches");
}

#[tokio::test(start_paused = true)]
async fn ticks_are_counted_when_their_outcome_is_final() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    deny(&stage, 2);
    stage
        .launcher
        .script
        .lock()
        .extend(std::iter::repeat_n(Script::Refuse { all_but: 0, retryable: true }, 4));
    stage.until("2026-01-01T10:03:00.5Z").await;
    let counted = |outcome| life.engine.counters().ticks(outcome);
    assert_eq!(counted(TickOutcome::LaunchFailed), 2);
    assert_eq!(
        counted(TickOutcome::Launched) + counted(TickOutcome::Pending),
        0,
        "the third one is under way"
    );
    stage.until("2026-01-01T10:04:30Z").await;
    assert_eq!(
        (counted(TickOutcome::Launched), counted(TickOutcome::LaunchFailed), counted(TickOutcome::Pending)),
        (2, 2, 0)
    );
    life.engine.fire_now(&ecs_scheduler_core::JobId::new("job").unwrap(), Default::default()).await.unwrap();
    stage.until("2026-01-01T10:04:40Z").await;
    assert_eq!(counted(TickOutcome::Launched), 2, "a firing by hand belongs to no tick");
}

#[tokio::test(start_paused = true)]
async fn source_that_many_jobs_read_is_logged_once_when_it_fails_and_once_when_it_can_be_read() {
    for kind in [FaultKind::NotFound, FaultKind::Unavailable] {
        let (log, _guard) = Log::listen();
        let flaky = Flaky::default();
        let stage = flaky.stage("2026-01-01T10:00:30Z");
        for number in 0..30 {
            stage.world.create(&format!("job-{number}"), &triggered()).await.unwrap();
        }
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        flaky.fails(kind);
        stage.until("2026-01-01T10:03:30Z").await;
        let begun = log.with("could not read the source");
        assert_eq!(begun.len(), 1, "{kind:?}: {begun:#?}");
        assert!(begun[0].starts_with("WARN") && begun[0].contains("tick=2026-01-01T10:01:00Z"), "{begun:?}");
        let fault = life.engine.status().source_fault.unwrap();
        assert!(fault.starts_with("could not read the source (30 jobs, since "), "{fault}");
        flaky.works();
        stage.until("2026-01-01T10:05:30Z").await;
        let lines = log.with("could not read the source");
        assert_eq!(lines.len(), 2, "{kind:?}: {lines:#?}");
        assert!(lines[1].starts_with("INFO") && lines[1].contains("jobs=30"), "{lines:?}");
        assert_eq!((life.engine.status().source_fault, life.engine.status().failing), (None, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn source_that_fails_shows_at_the_job_and_a_decided_tick_ends_that() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T10:00:30Z");
    let stored = stage.world.create("job", &triggered()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Denied);
    stage.until("2026-01-01T10:03:30Z").await;
    let failing = life.engine.failing(&stored.uid).unwrap();
    assert_eq!((failing.outcome, failing.ticks), (TickOutcome::SourceError, 3));
    flaky.works();
    stage.until("2026-01-01T10:04:30Z").await;
    assert_eq!(life.engine.failing(&stored.uid), None);
}

#[tokio::test(start_paused = true)]
async fn edited_or_removed_job_does_not_fail_any_more() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T10:00:30Z");
    flaky.fails(FaultKind::Denied);
    for job in ["edited", "removed"] {
        stage.world.create(job, &triggered()).await.unwrap();
    }
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:30Z").await;
    assert_eq!(life.engine.status().failing, 2);
    let id = |job: &str| ecs_scheduler_core::JobId::new(job).unwrap();
    stage.world.edit("edited", &every_minute()).await.unwrap();
    stage.world.store.remove(&id("removed"), None).await.unwrap();
    life.engine.nudge(&id("edited"));
    life.engine.nudge(&id("removed"));
    stage.until("2026-01-01T10:01:40Z").await;
    assert_eq!((life.engine.status().failing, life.engine.status().source_fault), (0, None));
}

#[tokio::test(start_paused = true)]
async fn tick_that_is_lost_because_tasks_cannot_be_counted_is_logged() {
    let (log, _guard) = Log::listen();
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    *stage.launcher.population_kind.lock() = FaultKind::Denied;
    *stage.launcher.population_fails.lock() = true;
    stage.until("2026-01-01T10:03:30Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::LiveUnknown, 3)]);
    let lines = log.with("running tasks cannot be counted");
    assert!(
        lines.len() == 1 && lines[0].contains("job=job") && lines[0].contains("could not list tasks"),
        "{lines:?}"
    );
    assert!(life.engine.status().launcher_fault.unwrap().starts_with("could not list tasks (1 job"));
    *stage.launcher.population_fails.lock() = false;
    stage.until("2026-01-01T10:04:30Z").await;
    assert_eq!(log.with("running tasks can be counted again").len(), 1);
    assert_eq!(life.engine.status().launcher_fault, None);
}

#[tokio::test(start_paused = true)]
async fn refused_firing_is_logged_once_and_a_repeated_refusal_once_for_each_reason() {
    let (log, _guard) = Log::listen();
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    deny(&stage, 1);
    stage.until("2026-01-01T10:01:30Z").await;
    assert_eq!(log.with("could not run task").len(), 1, "{log:?}");
    stage
        .launcher
        .script
        .lock()
        .extend(std::iter::repeat_n(Script::Refuse { all_but: 0, retryable: true }, 5));
    stage.until("2026-01-01T10:02:30Z").await;
    let refused = log.with("refused: RESOURCE:MEMORY");
    assert!(refused.len() == 1 && refused[0].contains("retrying"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn launches_that_are_refused_the_same_way_are_logged_once_and_once_when_they_work() {
    let (log, _guard) = Log::listen();
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let stored = stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    deny(&stage, 5);
    stage.until("2026-01-01T10:05:30Z").await;
    let began = log.with("WARN");
    assert!(began.len() == 1 && began[0].contains("could not run task"), "{began:#?}");
    assert_eq!(life.engine.failing(&stored.uid).unwrap().ticks, 5);
    assert_eq!(life.engine.counters().ticks(TickOutcome::LaunchFailed), 5);
    stage.until("2026-01-01T10:07:30Z").await;
    let lines = log.with("WARN");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[1].contains("a job launches again") && lines[1].contains("failed_ticks=5"), "{lines:#?}");
    assert!(lines[1].contains("job=job"), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn partial_launches_are_logged_once_and_once_when_all_tasks_start() {
    let (log, _guard) = Log::listen();
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let mut job = every_minute();
    job["taskCount"] = json!(3);
    job["retry"] = json!({"launch": {"maxAge": "30s"}});
    stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let refuse = |all_but, retryable| Script::Refuse { all_but, retryable };
    stage.launcher.script.lock().extend(std::iter::repeat_n(refuse(1, false), 3));
    stage.until("2026-01-01T10:03:30Z").await;
    let began = log.with("WARN");
    assert!(began.len() == 1 && began[0].contains("fewer tasks than requested"), "{began:#?}");
    // Refusals that may pass are retried first.
    for minute in 4..=6 {
        *stage.launcher.script.lock() =
            std::iter::once(refuse(1, true)).chain(std::iter::repeat_n(refuse(0, true), 40)).collect();
        stage.until(&format!("2026-01-01T10:0{minute}:45Z")).await;
    }
    assert_eq!(life.engine.counters().ticks(TickOutcome::Partial), 6);
    let lines = log.with("WARN");
    assert_eq!(lines.len(), 2, "there is a new reason: {lines:#?}");
    stage.launcher.script.lock().clear();
    stage.until("2026-01-01T10:08:30Z").await;
    let lines = log.with("WARN");
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[2].contains("starts all of its tasks again") && lines[2].contains("partial_firings=6"));
    assert!(lines[2].contains("job=job"), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn tasks_that_may_not_be_observed_or_stopped_show_at_the_job_and_in_the_status() {
    let (log, _guard) = Log::listen();
    let stage = Stage::at("2026-01-01T09:59:50Z");
    *stage.launcher.run_for.lock() = None;
    let mut stored = Vec::new();
    for job in ["unseen", "unstopped"] {
        let document = json!({"taskDefinition": job, "schedule": "0 0 *", "timeout": "2m"});
        stored.push(stage.world.create(job, &document).await.unwrap().uid);
    }
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    *stage.launcher.unread.lock() = Some("unseen".parse().unwrap());
    stage.until("2026-01-01T10:01:00Z").await;
    let failing = life.engine.failing(&stored[0]).unwrap();
    assert_eq!((failing.outcome, life.engine.failing(&stored[1])), (TickOutcome::LiveUnknown, None));
    assert_eq!(failing.reason, "tasks cannot be observed: could not describe tasks");
    let status = life.engine.status();
    assert_eq!(status.failing, 1);
    assert!(
        status
            .launcher_fault
            .unwrap()
            .starts_with("tasks cannot be observed: could not describe tasks (1 job")
    );
    *stage.launcher.unread.lock() = None;
    stage.launcher.stop_denied.store(true, std::sync::atomic::Ordering::Relaxed);
    stage.until("2026-01-01T10:06:00Z").await;
    let failing = life.engine.failing(&stored[1]).unwrap();
    assert_eq!(failing.reason, "a task cannot be stopped: could not stop task");
    let status = life.engine.status();
    assert!(status.launcher_fault.unwrap().contains("could not stop task (2 jobs"));
    assert_eq!(
        log.with("WARN").iter().filter(|line| line.contains("could not stop a task")).count(),
        2,
        "{log:?}"
    );
    stage.launcher.stop_denied.store(false, std::sync::atomic::Ordering::Relaxed);
    stage.until("2026-01-01T10:07:00Z").await;
    let status = life.engine.status();
    assert_eq!((stage.launcher.running(), status.failing, status.launcher_fault), (0, 0, None));
}

#[tokio::test(start_paused = true)]
async fn removed_job_does_not_fail_because_its_tasks_cannot_be_observed() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    *stage.launcher.run_for.lock() = None;
    let document = json!({"taskDefinition": "job", "schedule": "0 0 10"});
    let job = stage.world.create("job", &document).await.unwrap().id;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    *stage.launcher.unread.lock() = Some(job.clone());
    stage.until("2026-01-01T10:01:00Z").await;
    assert_eq!(life.engine.status().failing, 1);
    stage.world.store.remove(&job, None).await.unwrap();
    life.engine.nudge(&job);
    stage.until("2026-01-01T10:03:00Z").await;
    let status = life.engine.status();
    assert_eq!((status.failing, status.launcher_fault), (0, None));
}

#[tokio::test(start_paused = true)]
async fn launch_that_fails_for_another_reason_than_the_tick_before_is_logged() {
    let (log, _guard) = Log::listen();
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    deny(&stage, 2);
    stage.launcher.script.lock().push_back(Script::Refuse { all_but: 0, retryable: false });
    deny(&stage, 2);
    stage.until("2026-01-01T10:05:30Z").await;
    let lines = log.with("a firing ended");
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[1].contains("refused: "), "{lines:#?}");
    deny(&stage, 1);
    life.engine.fire_now(&ecs_scheduler_core::JobId::new("job").unwrap(), Default::default()).await.unwrap();
    stage.until("2026-01-01T10:05:40Z").await;
    assert_eq!(log.with("a firing ended").len(), 4, "a firing by hand is logged in any case");
}

#[tokio::test(start_paused = true)]
async fn launch_that_is_tried_again_shows_at_the_job_until_it_has_ended() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    let job = json!({"taskDefinition": "job", "schedule": "0 0 10"});
    let job = stage.world.create("job", &job).await.unwrap();
    let failures = std::iter::repeat_n(Script::Fail { kind: FaultKind::Unavailable }, 6);
    stage.launcher.script.lock().extend(failures);
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:05Z").await;
    let retrying = life.engine.retrying(&job.uid).expect("the launch is tried again");
    assert_eq!(
        (retrying.outcome, retrying.tick),
        (TickOutcome::LaunchFailed, stage.firings("job").await[0].nominal)
    );
    assert!(retrying.tries > 1 && retrying.reason.contains("could not run task"), "{retrying:?}");
    assert_eq!(life.engine.status().retrying, 1);
    stage.until("2026-01-01T10:03:00Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Finished]);
    assert_eq!((life.engine.retrying(&job.uid), life.engine.status().retrying), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn decision_names_the_tasks_that_it_counts_and_since_when_they_run() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    *stage.launcher.run_for.lock() = None;
    let mut job = every_minute();
    job["overlap"] = json!("skip");
    stage.world.create("skips", &job).await.unwrap();
    job = every_minute();
    job["taskCount"] = json!(5);
    stage.world.create("tops-up", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:03:30Z").await;
    let skipped = stage.decisions("skips").await.remove(1).draft;
    assert_eq!(
        (skipped.outcome, skipped.span.count),
        (TickOutcome::SkippedOverlap, 2),
        "the same tasks share a row"
    );
    let named = skipped.explanation.contains("skipped, 1 still pending or running (task task-");
    assert!(
        named && skipped.explanation.contains(" running since 2026-01-01T10:01:00Z)"),
        "{}",
        skipped.explanation
    );
    let satisfied = stage.decisions("tops-up").await.remove(1).draft.explanation;
    assert!(satisfied.contains(", 2 more) → 0"), "{satisfied}");
}

/// A job of which one container decides, and the exit code of that container from now on.
fn exits_with(stage: &Stage, code: i32) -> Value {
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(code))];
    json!({"taskDefinition": "job", "schedule": "0 *", "succeedsBy": "main"})
}

#[tokio::test(start_paused = true)]
async fn failed_tasks_show_at_the_job_and_once_in_the_log_until_tasks_succeed() {
    let (log, _guard) = Log::listen();
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let job = exits_with(&stage, 3);
    let stored = stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:02:30Z").await;
    let failing = life.engine.failing_tasks(&stored.uid).unwrap();
    assert_eq!((failing.firings, failing.since.to_string().as_str()), (2, "2026-01-01T10:01:00Z"));
    assert_eq!(failing.firing, stage.firings("job").await[1].id);
    assert_eq!(failing.diagnosis.text, "the program exited with code 3");
    assert_eq!((life.engine.status().failing_tasks, life.engine.failing(&stored.uid)), (1, None));
    exits_with(&stage, 0);
    stage.until("2026-01-01T10:03:30Z").await;
    assert_eq!((life.engine.failing_tasks(&stored.uid), life.engine.status().failing_tasks), (None, 0));
    let began = log.with("the tasks of a job fail");
    assert!(began.len() == 1 && began[0].contains("code 3"), "{began:#?}");
    let ended = log.with("the tasks of a job succeed again");
    assert!(ended.len() == 1 && ended[0].contains("failed_firings=2"), "{ended:#?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_a_job_has_its_failed_tasks_until_an_edit() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let mut job = exits_with(&stage, 137);
    let stored = stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:03:30Z").await;
    let before = life.engine.failing_tasks(&stored.uid).unwrap();
    life.crash().await;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:03:31Z").await;
    assert_eq!(life.engine.failing_tasks(&stored.uid), Some(before));
    job["suspended"] = json!(true);
    stage.world.edit("job", &job).await.unwrap();
    stage.until("2026-01-01T10:04:30Z").await;
    assert_eq!(life.engine.failing_tasks(&stored.uid), None);
    let edited = stage.world.store.get(std::slice::from_ref(&stored.id)).await.unwrap();
    life.engine.recall_failing(&edited[0]).await;
    assert_eq!(life.engine.failing_tasks(&stored.uid), None, "no firing of this version failed");
}
