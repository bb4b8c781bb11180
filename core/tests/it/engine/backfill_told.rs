//! A backfill and its job show the reasons of ticks that wait, are refused, or have lost the answer of a call.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::backfill::BackfillState;
use ecs_scheduler_core::{FaultKind, FiringState, NotificationKind, TickOutcome};
use serde_json::{Value, json};

use super::backfill::{backfilled, boot, hourly, hours, id, read};
use super::notify::Recorder;
use super::support::{Script, Stage};

async fn staged(more: &Value) -> (Stage, Arc<Recorder>) {
    let mut stage = Stage::at("2026-01-10T00:30:00Z");
    let recorder = Recorder::new(&stage.world.clock);
    stage.world.options.notifier = Some(Arc::clone(&recorder) as _);
    stage.world.create("job", &hourly(more)).await.unwrap();
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(0))];
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(20));
    (stage, recorder)
}

fn kinds(recorder: &Recorder) -> Vec<NotificationKind> {
    recorder.delivered().into_iter().map(|(.., one)| one.kind).collect()
}

#[tokio::test(start_paused = true)]
async fn tick_of_which_some_tasks_could_start_waits_with_the_present_reason() {
    let (stage, _) = staged(&json!({"taskCount": 3, "maxCount": 4, "overlap": "allow"})).await;
    *stage.launcher.run_for.lock() = Some(Duration::from_mins(10));
    let life = boot(&stage).await;
    life.engine.fire_now(&id(), super::support::asking_for(std::num::NonZeroU32::new(2))).await.unwrap();
    stage.until("2026-01-10T00:32:00Z").await;
    life.engine.start_backfill(&id(), hours(2)).await.unwrap();
    stage.until("2026-01-10T00:33:00Z").await;
    let first = read(&stage).await.waiting.expect("two of three tasks could start");
    assert_eq!(first.outcome, TickOutcome::Capped);
    assert!(first.reason.contains("beside 2 pending or running"), "{}", first.reason);
    life.engine.fire_now(&id(), super::support::asking_for(std::num::NonZeroU32::new(1))).await.unwrap();
    stage.until("2026-01-10T00:34:30Z").await;
    let later = read(&stage).await.waiting.unwrap();
    assert!(later.reason.contains("beside 3 pending or running"), "{}", later.reason);
    assert_eq!((later.outcome, later.since), (TickOutcome::Capped, first.since));
    assert!(backfilled(&stage).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn refused_launches_show_their_reason_and_make_the_job_fail_also_after_a_restart() {
    let notify = json!({"notify": [{"to": "ops", "on": ["failing:3", "recovered"]}]});
    let (stage, recorder) = staged(&notify).await;
    let denied = std::iter::repeat_n(Script::Fail { kind: FaultKind::Denied }, 4);
    stage.launcher.script.lock().extend(denied);
    let life = boot(&stage).await;
    life.engine.start_backfill(&id(), hours(4)).await.unwrap();
    stage.until("2026-01-10T00:35:00Z").await;
    let ended = read(&stage).await;
    assert_eq!((ended.state, ended.done.not_launched), (BackfillState::Finished, 4));
    let failure = ended.last_failure.expect("the newest refusal");
    assert_eq!(failure.tick, "2026-01-01T03:00:00Z".parse().unwrap());
    assert_eq!(failure.reason, "could not run task");
    assert_eq!(failure.firing, backfilled(&stage).await[3].id);
    let uid = stage.world.store.get(&[id()]).await.unwrap().remove(0).uid;
    let failing = life.engine.failing(&uid).expect("the job fails");
    assert_eq!((failing.outcome, failing.ticks), (TickOutcome::LaunchFailed, 4));
    assert_eq!(kinds(&recorder), [NotificationKind::Failing]);
    life.crash().await;
    let life = boot(&stage).await;
    stage.until("2026-01-10T00:40:00Z").await;
    let recalled = life.engine.failing(&uid).expect("it still fails");
    assert_eq!((recalled.ticks, recalled.since, recalled.reason), (4, failing.since, failing.reason));
    assert_eq!(kinds(&recorder), [NotificationKind::Failing], "it is reported once");
    stage.until("2026-01-10T01:02:00Z").await;
    assert_eq!(life.engine.failing(&uid), None, "the tick at 01:00 has launched");
    assert_eq!(kinds(&recorder), [NotificationKind::Failing, NotificationKind::Recovered]);
}

#[tokio::test(start_paused = true)]
async fn tick_that_started_some_of_its_tasks_is_not_counted_as_succeeded() {
    let (stage, _) = staged(&json!({"taskCount": 3})).await;
    stage.launcher.script.lock().push_back(Script::Refuse { all_but: 2, retryable: false });
    let life = boot(&stage).await;
    life.engine.start_backfill(&id(), hours(2)).await.unwrap();
    stage.until("2026-01-10T00:35:00Z").await;
    let ended = read(&stage).await;
    assert_eq!((ended.done.succeeded, ended.done.not_launched, ended.done.total()), (1, 1, 2));
    let failure = ended.last_failure.unwrap();
    assert!(failure.reason.contains("RESOURCE:MEMORY"), "{}", failure.reason);
}

#[tokio::test(start_paused = true)]
async fn failed_tasks_show_their_cause() {
    let (stage, _) = staged(&json!({})).await;
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(137))];
    let life = boot(&stage).await;
    life.engine.start_backfill(&id(), hours(1)).await.unwrap();
    stage.until("2026-01-10T00:35:00Z").await;
    let ended = read(&stage).await;
    let cause = backfilled(&stage).await[0].tasks[0].diagnosis.clone().unwrap().text.into_owned();
    assert_eq!((ended.done.failed, ended.last_failure.unwrap().reason), (1, cause));
}

/// The second of two calls of a firing loses its answer, and is refused when it is repeated.
fn lose_second_call(stage: &Stage) {
    let scripts = [
        Script::Refuse { all_but: 10, retryable: false },
        Script::LoseAnswer,
        Script::Fail { kind: FaultKind::Denied },
    ];
    stage.launcher.script.lock().extend(scripts);
}

#[tokio::test(start_paused = true)]
async fn lost_call_beside_started_tasks_is_reported_as_unknown_once_also_after_a_crash() {
    for crashes in [false, true] {
        let more = json!({"taskCount": 12, "maxCount": 40, "notify": [{"to": "ops", "on": ["unknown"]}]});
        let (stage, recorder) = staged(&more).await;
        lose_second_call(&stage);
        let mut life = boot(&stage).await;
        stage.until("2026-01-10T00:59:59Z").await;
        while stage.outcomes("job").await.first().is_none_or(|(outcome, _)| *outcome == TickOutcome::Pending)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(stage.outcomes("job").await, [(TickOutcome::Unknown, 1)]);
        if crashes {
            assert_eq!(kinds(&recorder), [], "the outbox does not have it yet");
            life.crash().await;
            life = boot(&stage).await;
        }
        stage.until("2026-01-10T01:05:00Z").await;
        let firing = stage.firings("job").await.remove(0);
        assert_eq!((firing.state, firing.started(), firing.requested), (FiringState::Finished, 10, 12));
        assert_eq!(kinds(&recorder), [NotificationKind::Unknown], "crash: {crashes}");
        let text = recorder.delivered()[0].2.jobs[0].text.clone();
        assert!(text.contains("started more than 10 tasks: a call had no answer"), "{text}");
        life.crash().await;
        let _life = boot(&stage).await;
        stage.until("2026-01-10T01:10:00Z").await;
        assert_eq!(kinds(&recorder).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn backfill_counts_a_lost_call_beside_started_tasks_as_unknown() {
    let (stage, _) = staged(&json!({"taskCount": 12, "maxCount": 40})).await;
    lose_second_call(&stage);
    let life = boot(&stage).await;
    life.engine.start_backfill(&id(), hours(1)).await.unwrap();
    stage.until("2026-01-10T00:40:00Z").await;
    let ended = read(&stage).await;
    assert_eq!((ended.done.unknown, ended.done.total()), (1, 1));
    assert!(ended.last_failure.unwrap().reason.contains("a call had no answer"));
}
