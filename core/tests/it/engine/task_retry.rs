//! Failed tasks start again, as often as the job says, in firings of their own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ecs_scheduler_core::engine::FireRequest;
use ecs_scheduler_core::{Clock as _, Firing, FiringState, Origin, TickOutcome};
use ecs_scheduler_testing::{ChaosStore, ChaosWrite, EngineRun, StoreFaults};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Script, Stage};

fn job(more: &Value) -> Value {
    let mut job = json!({
        "taskDefinition": "job", "schedule": "0 0 *", "taskCount": 2, "succeedsBy": "main",
        "retry": {"task": {"attempts": 2, "backoff": "30s"}},
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

async fn boot(stage: &Stage) -> EngineRun {
    stage.world.boot(StoreFaults::default(), 0).await.unwrap()
}

/// From now on, tasks exit with this code.
fn exit_with(stage: &Stage, code: i32) {
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(code))];
}

async fn stage_with(more: &Value, code: i32) -> (Stage, EngineRun) {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    stage.world.create("job", &job(more)).await.unwrap();
    exit_with(&stage, code);
    let life = boot(&stage).await;
    (stage, life)
}

fn ends(firings: &[Firing]) -> Vec<(Origin, FiringState, u32)> {
    firings.iter().map(|firing| (firing.origin, firing.state, firing.requested)).collect()
}

#[tokio::test(start_paused = true)]
async fn failed_tasks_start_again_after_the_backoff_and_keep_their_tick() {
    let (stage, _life) = stage_with(&json!({}), 1).await;
    stage.until("2026-01-01T10:00:25Z").await;
    let waiting = stage.firings("job").await.remove(0);
    assert_eq!((waiting.state, waiting.tasks.len()), (FiringState::Launched, 2));
    let at = waiting.retry.at.expect("a retry is due");
    exit_with(&stage, 0);
    stage.until("2026-01-01T10:01:00Z").await;
    let firings = stage.firings("job").await;
    let finished = FiringState::Finished;
    assert_eq!(ends(&firings), [(Origin::Tick, finished, 2), (Origin::Retry, finished, 2)]);
    let (first, retry) = (&firings[0], &firings[1]);
    assert_eq!((first.retry.by.as_ref(), retry.retry.of.as_ref()), (Some(&retry.id), Some(&first.id)));
    assert_eq!((retry.retry.number, retry.nominal), (1, first.nominal));
    assert!(retry.observed >= at, "{} before {at}", retry.observed);
    let requests = stage.launcher.requests.lock().clone();
    assert!(requests.iter().all(|request| request.scheduled_at == first.nominal));
    let decisions = stage.decisions("job").await;
    assert_eq!(decisions.iter().map(|record| record.draft.span.count).sum::<u64>(), 1, "a retry is no tick");
    assert!(decisions[1].draft.explanation.starts_with("retry 1 of 2 for failed tasks of firing"));
}

#[tokio::test(start_paused = true)]
async fn retries_end_after_the_last_attempt_and_the_job_fails_once_for_all_of_them() {
    let (stage, life) = stage_with(&json!({}), 1).await;
    stage.until("2026-01-01T10:10:00Z").await;
    let firings = stage.firings("job").await;
    assert_eq!(firings.len(), 3, "{:?}", ends(&firings));
    assert_eq!(firings[2].retry.note.as_deref(), Some("all 2 retries have failed"));
    let first = firings[1].observed.duration_since(firings[0].observed).as_secs();
    let second = firings[2].observed.duration_since(firings[1].observed).as_secs();
    assert!((35..50).contains(&first) && (65..80).contains(&second), "{first} s, {second} s");
    let failing = life.engine.failing_tasks(&firings[0].uid).unwrap();
    assert_eq!((failing.firings, failing.firing), (1, firings[2].id.clone()));
}

#[tokio::test(start_paused = true)]
async fn only_tasks_that_a_rule_allows_start_again() {
    let rules = json!([{"exitCode": 3, "action": "fail"}]);
    let more = json!({"retry": {"task": {"attempts": 2, "backoff": "0s", "rules": rules}}});
    let (stage, _life) = stage_with(&more, 3).await;
    stage.until("2026-01-01T10:05:00Z").await;
    let firings = stage.firings("job").await;
    assert_eq!(ends(&firings), [(Origin::Tick, FiringState::Finished, 2)]);
    assert!(firings[0].retry.is_none());
}

#[tokio::test(start_paused = true)]
async fn next_tick_ends_the_retries_unless_tasks_may_overlap() {
    for (overlap, retries) in [("topUp", 0), ("allow", 1)] {
        let more =
            json!({"schedule": "0", "overlap": overlap, "retry": {"task": {"attempts": 1, "backoff": "2m"}}});
        let (stage, _life) = stage_with(&more, 1).await;
        stage.until("2026-01-01T10:00:30Z").await;
        exit_with(&stage, 0);
        stage.until("2026-01-01T10:05:00Z").await;
        let firings = stage.firings("job").await;
        let of_retry = firings.iter().filter(|firing| firing.origin == Origin::Retry);
        assert_eq!(of_retry.count(), retries, "{overlap}");
        let note = firings[0].retry.note.clone().unwrap_or_default();
        assert_eq!(
            note.contains("the tick at 2026-01-01T10:01:00Z comes before the retry"),
            retries == 0,
            "{note}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn retry_is_recorded_once_by_whatever_run_of_the_scheduler_comes_next() {
    for crash_at in ["10:00:12", "10:00:30", "10:00:42", "10:00:47", "10:00:50"] {
        let (stage, life) = stage_with(&json!({}), 1).await;
        stage.until("2026-01-01T10:00:11Z").await;
        exit_with(&stage, 0);
        stage.until(&format!("2026-01-01T{crash_at}Z")).await;
        life.crash().await;
        let _life = boot(&stage).await;
        stage.until("2026-01-01T10:05:00Z").await;
        let firings = stage.firings("job").await;
        let finished = FiringState::Finished;
        assert_eq!(ends(&firings), [(Origin::Tick, finished, 2), (Origin::Retry, finished, 2)], "{crash_at}");
        let requested: u32 = stage.launcher.requests.lock().iter().map(|request| request.count.get()).sum();
        assert_eq!(requested, 4, "{crash_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn firing_knows_its_retry_also_when_a_crash_came_right_after_the_record_of_it() {
    for overlap in ["skip", "topUp", "allow", "replace"] {
        for write in 1..=8 {
            let (stage, life) = stage_with(&json!({"overlap": overlap}), 1).await;
            stage.until("2026-01-01T10:00:25Z").await;
            // The tasks of the retry run when the next scheduler comes.
            *stage.launcher.run_for.lock() = Some(Duration::from_secs(600));
            life.crash().await;
            let store = ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 0);
            let dying = stage.world.boot_with(store.die_at_write(write, true)).await.unwrap();
            stage.until("2026-01-01T10:01:30Z").await;
            dying.crash().await;
            let _life = boot(&stage).await;
            stage.until("2026-01-01T10:05:00Z").await;
            let firings = stage.firings("job").await;
            let expected =
                [(Origin::Tick, FiringState::Finished, 2), (Origin::Retry, FiringState::Launched, 2)];
            assert_eq!(ends(&firings), expected, "{overlap}, write {write}");
            assert_eq!(firings[0].retry.by.as_ref(), Some(&firings[1].id), "{overlap}, write {write}");
            assert_eq!(stage.launcher.running(), 2, "{overlap}, write {write}");
            assert_eq!(stage.decisions("job").await.len(), 2, "{overlap}, write {write}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn firing_knows_its_recorded_retry_also_when_the_next_tick_came_before_the_restart() {
    let (stage, life) = stage_with(&json!({"schedule": "0"}), 1).await;
    stage.until("2026-01-01T10:00:25Z").await;
    exit_with(&stage, 0);
    life.crash().await;
    let store = ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 0);
    let dying = stage.world.boot_with(store.die_at_write_of(ChaosWrite::Retry, 1, true)).await.unwrap();
    stage.until("2026-01-01T10:00:58Z").await;
    dying.crash().await;
    stage.until("2026-01-01T10:01:30Z").await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:03:30Z").await;
    let firings = stage.firings("job").await;
    assert_eq!((firings[0].origin, firings[1].origin), (Origin::Tick, Origin::Retry), "{firings:#?}");
    assert_eq!(firings[0].retry.by.as_ref(), Some(&firings[1].id), "{:?}", firings[0].retry);
}

#[tokio::test(start_paused = true)]
async fn retry_keeps_to_max_count_and_waits_for_no_task_of_its_own() {
    let more = json!({"taskCount": 3, "maxCount": 3});
    let (stage, life) = stage_with(&more, 1).await;
    stage.until("2026-01-01T10:00:20Z").await;
    // Two tasks by hand run when the retry is due.
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(300));
    let id = ecs_scheduler_core::JobId::new("job").unwrap();
    let mut request = ecs_scheduler_core::FireRequest::default();
    request.options.tasks = std::num::NonZeroU32::new(3);
    life.engine.fire_now(&id, request).await.unwrap();
    stage.until("2026-01-01T10:01:30Z").await;
    let first = stage.firings("job").await.remove(0);
    assert_eq!(first.state, FiringState::Finished);
    let note = first.retry.note.unwrap();
    assert!(note.contains("3 pending or running"), "{note}");
    assert_eq!(stage.launcher.running(), 3);
}

#[tokio::test(start_paused = true)]
async fn retry_of_a_suspended_job_launches_nothing_and_says_so() {
    let (stage, life) = stage_with(&json!({}), 1).await;
    stage.until("2026-01-01T10:00:25Z").await;
    let mut suspended = job(&json!({"suspended": true}));
    suspended["suspension"] = json!({"reason": "maintenance"});
    stage.world.edit("job", &suspended).await.unwrap();
    life.engine.nudge(&ecs_scheduler_core::JobId::new("job").unwrap());
    stage.until("2026-01-01T10:01:30Z").await;
    let firings = stage.firings("job").await;
    assert_eq!((firings.len(), firings[0].state), (1, FiringState::Finished));
    assert_eq!(firings[0].retry.note.as_deref(), Some("suspended: maintenance"));
    assert_eq!(stage.decisions("job").await[1].draft.outcome, TickOutcome::Suspended);
}

#[tokio::test(start_paused = true)]
async fn retry_is_tried_again_while_the_running_tasks_cannot_be_read() {
    let (stage, _life) = stage_with(&json!({}), 1).await;
    stage.until("2026-01-01T10:00:20Z").await;
    exit_with(&stage, 0);
    *stage.launcher.population_fails.lock() = true;
    stage.until("2026-01-01T10:02:00Z").await;
    assert_eq!(stage.firings("job").await.len(), 1);
    assert_eq!(stage.decisions("job").await.len(), 1, "it leaves no record");
    *stage.launcher.population_fails.lock() = false;
    stage.until("2026-01-01T10:03:00Z").await;
    assert_eq!(stage.firings("job").await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn tasks_whose_retry_starts_nothing_stay_failed() {
    let (stage, mut life) = stage_with(&json!({}), 1).await;
    stage.until("2026-01-01T10:00:25Z").await;
    stage.launcher.script.lock().push_back(Script::Refuse { all_but: 0, retryable: false });
    stage.until("2026-01-01T10:02:00Z").await;
    let firings = stage.firings("job").await;
    assert_eq!(firings[1].state, FiringState::Refused, "{:?}", ends(&firings));
    assert_eq!(firings[0].retry.by, Some(firings[1].id.clone()));
    for run in 0..2 {
        let jobs = stage.world.store.get(&[firings[0].job.clone()]).await.unwrap();
        life.engine.recall_failing(&jobs[0]).await;
        let failing = life.engine.failing_tasks(&firings[0].uid);
        let failing = failing.unwrap_or_else(|| panic!("run {run}"));
        assert_eq!((failing.firings, failing.firing), (1, firings[0].id.clone()), "run {run}");
        life.crash().await;
        life = boot(&stage).await;
    }
}

#[tokio::test(start_paused = true)]
async fn retry_that_starts_nothing_leaves_other_jobs_alone() {
    let (stage, life) = stage_with(&json!({}), 1).await;
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(1));
    let other = json!({"taskDefinition": "other", "schedule": "52,56 59 9", "succeedsBy": "main"});
    let other = stage.world.create("other", &other).await.unwrap();
    life.engine.nudge(&other.id);
    stage.until("2026-01-01T09:59:55Z").await;
    assert!(life.engine.failing_tasks(&other.uid).is_some(), "its first firing failed");
    exit_with(&stage, 0);
    stage.until("2026-01-01T09:59:59Z").await;
    assert_eq!(life.engine.failing_tasks(&other.uid), None, "the second one succeeded");
    exit_with(&stage, 1);
    stage.until("2026-01-01T10:00:25Z").await;
    stage.launcher.script.lock().push_back(Script::Refuse { all_but: 0, retryable: false });
    stage.until("2026-01-01T10:02:00Z").await;
    let firings = stage.firings("job").await;
    assert_eq!(firings[1].state, FiringState::Refused, "{:?}", ends(&firings));
    assert!(life.engine.failing_tasks(&firings[0].uid).is_some());
    assert_eq!(life.engine.failing_tasks(&other.uid), None);
}

#[tokio::test(start_paused = true)]
async fn task_whose_end_is_unknown_starts_again_by_a_rule_only() {
    let rules = json!([{"reason": "taskLost", "action": "retry"}]);
    for (rules, firings) in [(json!([]), 1), (rules, 2)] {
        let more = json!({"retry": {"task": {"attempts": 1, "backoff": "1s", "rules": rules}}});
        let (stage, _life) = stage_with(&more, 0).await;
        stage.until("2026-01-01T10:00:02Z").await;
        stage.launcher.hidden.store(true, Ordering::Relaxed);
        stage.until("2026-01-01T10:06:00Z").await;
        stage.launcher.hidden.store(false, Ordering::Relaxed);
        stage.until("2026-01-01T10:07:00Z").await;
        assert_eq!(stage.firings("job").await.len(), firings, "{rules}");
    }
}

#[tokio::test(start_paused = true)]
async fn new_schedule_has_no_tick_before_it_was_written_that_ends_a_retry() {
    let (stage, life) = stage_with(&json!({}), 1).await;
    stage.until("2026-01-01T10:00:25Z").await;
    exit_with(&stage, 0);
    // Second 20 of each minute: the first tick of this schedule is at 10:01:20, after the retry.
    stage.world.edit("job", &job(&json!({"schedule": "20"}))).await.unwrap();
    life.engine.nudge(&ecs_scheduler_core::JobId::new("job").unwrap());
    stage.until("2026-01-01T10:01:00Z").await;
    let firings = stage.firings("job").await;
    let finished = FiringState::Finished;
    assert_eq!(ends(&firings), [(Origin::Tick, finished, 2), (Origin::Retry, finished, 2)], "{firings:#?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_retry_keeps_to_the_edited_rules() {
    let fail = json!([{"exitCode": 1, "action": "fail"}]);
    let edits = [
        (
            json!({"task": {"attempts": 2, "backoff": "30s", "rules": fail}}),
            1,
            "retry none of these tasks any more",
        ),
        (json!({"task": {"attempts": 1, "backoff": "30s"}}), 2, "all 1 retries have failed"),
    ];
    for (retry, count, note) in edits {
        let (stage, life) = stage_with(&json!({}), 1).await;
        stage.until(if count == 1 { "2026-01-01T10:00:25Z" } else { "2026-01-01T10:01:20Z" }).await;
        stage.world.edit("job", &job(&json!({"retry": retry}))).await.unwrap();
        life.engine.nudge(&ecs_scheduler_core::JobId::new("job").unwrap());
        stage.until("2026-01-01T10:05:00Z").await;
        let firings = stage.firings("job").await;
        assert_eq!(firings.len(), count, "{:?}", ends(&firings));
        let last = firings.last().unwrap().retry.note.clone().unwrap_or_default();
        assert!(last.contains(note), "{last}");
        assert_eq!(stage.decisions("job").await.len(), count, "a retry that is not ordered leaves no record");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_that_cannot_be_decided_leaves_the_tries_of_ticks_alone() {
    let retry = json!({"task": {"attempts": 1, "backoff": "50s"}});
    let more = json!({"schedule": "0,40", "overlap": "allow", "retry": retry});
    let (stage, life) = stage_with(&more, 1).await;
    stage.until("2026-01-01T10:00:20Z").await;
    exit_with(&stage, 0);
    let uid = stage.firings("job").await[0].uid;
    stage.until("2026-01-01T10:00:50Z").await;
    *stage.launcher.population_fails.lock() = true;
    stage.until("2026-01-01T10:01:38Z").await;
    let retrying = life.engine.retrying(&uid).expect("the tick at 10:01 is tried again");
    assert_eq!(retrying.since, "2026-01-01T10:01:00Z".parse().unwrap());
    assert!(retrying.tries > 3, "{retrying:?}");
    stage.until("2026-01-01T10:02:10Z").await;
    *stage.launcher.population_fails.lock() = false;
    stage.until("2026-01-01T10:02:35Z").await;
    let outcomes: Vec<_> = stage.outcomes("job").await.into_iter().map(|(outcome, _)| outcome).collect();
    assert!(!outcomes.contains(&TickOutcome::Coalesced), "{outcomes:?}");
    assert!(outcomes.contains(&TickOutcome::LiveUnknown), "{outcomes:?}");
    assert!(stage.firings("job").await.iter().any(|firing| firing.origin == Origin::Retry));
}

#[tokio::test(start_paused = true)]
async fn retry_waits_for_its_backoff_also_when_the_clock_was_ahead() {
    const TEN_YEARS: SignedDuration = SignedDuration::from_hours(24 * 3_652);
    for overlap in ["topUp", "allow"] {
        let (stage, life) = stage_with(&json!({"schedule": "0 0 0 1 1", "overlap": overlap}), 1).await;
        let clock = &stage.world.clock;
        stage.until("2026-01-01T10:00:00Z").await;
        life.engine.fire_now(&"job".parse().unwrap(), FireRequest::default()).await.unwrap();
        stage.until("2026-01-01T10:00:03Z").await;
        clock.step(TEN_YEARS);
        clock.sleep_until(clock.now() + SignedDuration::from_secs(6)).await;
        clock.step(-TEN_YEARS);
        exit_with(&stage, 0);
        stage.until("2026-01-01T10:05:00Z").await;
        let firings = stage.firings("job").await;
        let finished = FiringState::Finished;
        assert_eq!(
            ends(&firings),
            [(Origin::Manual, finished, 2), (Origin::Retry, finished, 2)],
            "{firings:#?}"
        );
    }
}
