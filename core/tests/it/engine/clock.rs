//! A wall clock that was ahead and came back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{Clock as _, JobId, Store, TaskPhase, TickOutcome, Timestamp};
use ecs_scheduler_testing::StoreFaults;
use jiff::SignedDuration;
use serde_json::json;

use super::support::{Script, Stage};
use crate::hanging_store::{Call, Effect, HangingStore};
use crate::log::Log;

const TEN_YEARS: SignedDuration = SignedDuration::from_hours(24 * 3_652);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn often(schedule: &str) -> serde_json::Value {
    json!({"taskDefinition": "job", "schedule": schedule, "overlap": "allow", "maxCount": 50})
}

async fn pass(stage: &Stage, time: SignedDuration) {
    let until = stage.world.clock.now().saturating_add(time).unwrap();
    stage.world.clock.sleep_until(until).await;
}

/// Moves the clock ahead for a while.
async fn ahead(stage: &Stage, by: SignedDuration, time: SignedDuration) {
    stage.world.clock.step(by);
    pass(stage, time).await;
    stage.world.clock.step(-by);
}

/// Returns the nominal ticks that were launched, and checks that none was launched twice.
async fn launched(stage: &Stage, job: &str) -> Vec<Timestamp> {
    let ticks: Vec<Timestamp> = stage.firings(job).await.iter().map(|firing| firing.nominal).collect();
    let distinct: HashSet<_> = ticks.iter().collect();
    assert_eq!(distinct.len(), ticks.len(), "{ticks:?}");
    ticks
}

#[tokio::test(start_paused = true)]
async fn job_fires_again_after_the_clock_was_ten_years_ahead_for_seconds() {
    let (log, _guard) = Log::listen();
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &often("*/20")).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:05Z").await;
    ahead(&stage, TEN_YEARS, SignedDuration::from_secs(25)).await;
    stage.until("2026-01-01T10:01:45Z").await;
    let status = life.engine.status();
    assert_eq!((status.jobs_ahead, status.clock_steps), (1, 2));
    assert!(status.clock_fault.unwrap().contains("the clock was moved back by"));
    assert_eq!(log.with("the clock was moved").len(), 2, "{log:?}");
    assert_eq!(log.with("the clock was ahead: ticks up to").len(), 1, "{log:?}");
    stage.until("2026-01-01T10:04:30Z").await;
    let ticks = launched(&stage, "job").await;
    let expected = ["10:03:00", "10:03:20", "10:03:40", "10:04:00", "10:04:20"]
        .map(|time| moment(&format!("2026-01-01T{time}Z")));
    assert!(ticks.ends_with(&expected), "{ticks:?}");
    assert_eq!(life.engine.status().jobs_ahead, 0);
    let decisions = stage.decisions("job").await;
    let told = decisions.iter().find(|record| record.draft.explanation.starts_with("the clock was ahead"));
    assert_eq!(told.unwrap().draft.span.count, 0, "it is no tick");
    stage.until("2026-01-01T10:30:00Z").await;
    assert_eq!(life.engine.status().clock_fault, None);
    assert_eq!(log.with("jobs are evaluated again").len(), 2, "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn tick_that_was_launched_while_the_clock_was_ahead_is_not_launched_again_at_its_time() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    // The task of one still runs, and its firing is still open, when the tick comes again.
    *stage.launcher.run_for.lock() = None;
    for job in ["runs", "done"] {
        stage.world.create(job, &often("0 */10")).await.unwrap();
    }
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    ahead(&stage, HOUR, SignedDuration::from_secs(40)).await;
    for (_, task) in stage.launcher.tasks.lock().iter_mut().filter(|(job, _)| job.as_str() == "done") {
        task.phase = TaskPhase::Stopped;
        task.stopped_at = Some(moment("2026-01-01T10:01:10Z"));
    }
    stage.until("2026-01-01T11:13:30Z").await;
    for job in ["runs", "done"] {
        let ticks = launched(&stage, job).await;
        let expected = ["11:00", "10:10", "10:20", "10:30", "10:40", "10:50", "11:10"];
        assert_eq!(ticks, expected.map(|time| moment(&format!("2026-01-01T{time}:00Z"))), "{job}");
        let decisions = stage.decisions(job).await;
        let again =
            decisions.iter().filter(|record| record.draft.explanation.contains("is not launched again"));
        let again: Vec<_> = again.map(|record| (record.draft.outcome, record.draft.span.last)).collect();
        assert_eq!(again, [(TickOutcome::Coalesced, moment("2026-01-01T11:00:00Z"))], "{job}");
    }
}

#[tokio::test(start_paused = true)]
async fn restart_recovers_ticks_that_are_settled_in_the_future() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &often("*/20")).await.unwrap();
    stage.world.clock.step(TEN_YEARS);
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    pass(&stage, SignedDuration::from_secs(45)).await;
    life.crash().await;
    stage.world.clock.step(-TEN_YEARS);
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let status = life.engine.status();
    assert_eq!(status.jobs_ahead, 1);
    assert!(status.clock_fault.unwrap().starts_with("ticks are settled in the future"));
    stage.until("2026-01-01T10:04:00.5Z").await;
    let ticks = launched(&stage, "job").await;
    assert!(ticks.ends_with(&["10:03:40", "10:04:00"].map(|time| moment(&format!("2026-01-01T{time}Z")))));
}

#[tokio::test(start_paused = true)]
async fn ticks_of_a_resumed_job_count_at_once() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &often("*/20")).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    ahead(&stage, TEN_YEARS, SignedDuration::from_secs(25)).await;
    stage.until("2026-01-01T10:00:57Z").await;
    life.engine.resume(&id("job"));
    stage.until("2026-01-01T10:01:00.5Z").await;
    assert_eq!(launched(&stage, "job").await.last(), Some(&moment("2026-01-01T10:01:00Z")));
    assert_eq!(life.engine.status().jobs_ahead, 0);
}

#[tokio::test(start_paused = true)]
async fn ticks_of_a_job_that_was_resumed_while_the_store_hung_count_when_it_answers() {
    let mut stage = Stage::at("2026-01-01T10:00:30Z");
    let store = Arc::new(HangingStore::default());
    stage.world.store = Arc::clone(&store) as Arc<dyn Store>;
    stage.world.create("job", &often("*/10")).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    ahead(&stage, TEN_YEARS, SignedDuration::from_secs(25)).await;
    store.hang(Call::Get, Some("new"), 1, Effect::Never);
    life.engine.nudge(&id("new"));
    stage.until("2026-01-01T10:00:57Z").await;
    life.engine.resume(&id("job"));
    stage.until("2026-01-01T10:01:10.5Z").await;
    assert_eq!(*store.hung.lock(), [Call::Get]);
    assert_eq!(launched(&stage, "job").await.last(), Some(&moment("2026-01-01T10:01:10Z")));
}

#[tokio::test(start_paused = true)]
async fn job_that_was_written_while_the_clock_was_ahead_fires_by_its_current_schedule() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("edited", &often("0 0 0 * * 1 1")).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.world.clock.step(TEN_YEARS);
    pass(&stage, SignedDuration::from_secs(5)).await;
    stage.world.edit("edited", &often("*/20")).await.unwrap();
    stage.world.create("new", &often("0 *")).await.unwrap();
    for job in ["edited", "new"] {
        life.engine.nudge(&id(job));
    }
    pass(&stage, SignedDuration::from_secs(5)).await;
    stage.world.clock.step(-TEN_YEARS);
    stage.until("2026-01-01T10:04:00.5Z").await;
    assert_eq!(launched(&stage, "edited").await.last(), Some(&moment("2026-01-01T10:04:00Z")));
    assert_eq!(launched(&stage, "new").await.last(), Some(&moment("2026-01-01T10:04:00Z")));
    // Also behind a restart, which reads from when on each version counts.
    life.crash().await;
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:05:00.5Z").await;
    assert_eq!(launched(&stage, "edited").await.last(), Some(&moment("2026-01-01T10:05:00Z")));
    assert_eq!(launched(&stage, "new").await.last(), Some(&moment("2026-01-01T10:05:00Z")));
}

#[tokio::test(start_paused = true)]
async fn clock_step_stops_no_task_and_marks_none_as_lost() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    *stage.launcher.run_for.lock() = None;
    let mut job = often("0 0 *");
    job["timeout"] = json!("10m");
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:00Z").await;
    stage.launcher.hidden.store(true, std::sync::atomic::Ordering::Relaxed);
    pass(&stage, SignedDuration::from_secs(2)).await;
    ahead(&stage, TEN_YEARS, SignedDuration::from_secs(30)).await;
    stage.launcher.hidden.store(false, std::sync::atomic::Ordering::Relaxed);
    pass(&stage, SignedDuration::from_secs(30)).await;
    assert_eq!(stage.launcher.stops.lock().len(), 0);
    let firing = stage.firings("job").await.remove(0);
    assert_eq!(firing.tasks[0].stopped_at, None, "{firing:?}");
    stage.until("2026-01-01T10:10:05Z").await;
    assert_eq!(stage.launcher.stops.lock().len(), 1, "its own time is over");
}

#[tokio::test(start_paused = true)]
async fn task_that_was_started_while_the_clock_was_ahead_is_stopped_at_its_limit() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    *stage.launcher.run_for.lock() = None;
    let skip = |schedule: &str| json!({"taskDefinition": "job", "schedule": schedule, "overlap": "skip"});
    let (mut runs, mut pends) = (skip("0 *"), skip("20 *"));
    (runs["timeout"], pends["startTimeout"]) = (json!("5m"), json!("5m"));
    stage.world.create("runs", &runs).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.world.clock.step(TEN_YEARS);
    pass(&stage, SignedDuration::from_secs(40)).await;
    *stage.launcher.pending_for.lock() = Duration::from_hours(1);
    stage.world.create("pends", &pends).await.unwrap();
    life.engine.nudge(&id("pends"));
    pass(&stage, SignedDuration::from_secs(20)).await;
    *stage.launcher.pending_for.lock() = Duration::ZERO;
    stage.world.clock.step(-TEN_YEARS);
    stage.until("2026-01-01T10:06:00Z").await;
    assert_eq!((stage.launcher.running(), stage.launcher.stops.lock().len()), (2, 0));
    // Their time counts from when the clock was steady again.
    stage.until("2026-01-01T10:08:30Z").await;
    let mut stopped = stage.launcher.stops.lock().clone();
    stopped.sort();
    assert_eq!(stopped, ["task-0", "task-1"].map(ecs_scheduler_core::TaskId::new));
}

#[tokio::test(start_paused = true)]
async fn firing_that_was_decided_while_the_clock_was_ahead_is_not_retried_for_years() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let mut job = often("0 *");
    job["cooldown"] = json!("30s");
    stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage
        .launcher
        .script
        .lock()
        .extend(std::iter::repeat_n(Script::Refuse { all_but: 0, retryable: true }, 40));
    ahead(&stage, TEN_YEARS, SignedDuration::from_secs(40)).await;
    pass(&stage, SignedDuration::from_mins(15)).await;
    stage.launcher.script.lock().clear();
    let late = stage.launcher.requests.lock().len();
    pass(&stage, SignedDuration::from_mins(2)).await;
    let firings = stage.firings("job").await;
    let open = firings.iter().filter(|firing| firing.nominal > moment("2030-01-01T00:00:00Z"));
    assert!(open.clone().count() > 0 && open.clone().all(|firing| !firing.state.is_open()), "{firings:#?}");
    assert!(stage.launcher.requests.lock().len() > late, "the cooldown of a firing in the future is over");
    assert!(life.engine.stop(Duration::from_secs(10)).await);
}

#[tokio::test(start_paused = true)]
async fn edit_that_was_made_while_the_clock_was_ahead_holds_at_once() {
    let stage = Stage::at("2026-01-01T09:59:30Z");
    stage.world.create("edited", &often("0 0 *")).await.unwrap();
    let mut suspended = often("0 *");
    suspended["suspended"] = json!(true);
    stage.world.create("resumed", &suspended).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:30Z").await;
    // No tick is settled between the edits and the moment at which the clock is right again.
    stage.world.clock.step(TEN_YEARS);
    stage.world.edit("edited", &often("*/20")).await.unwrap();
    stage.world.edit("resumed", &often("0 *")).await.unwrap();
    stage.world.clock.step(-TEN_YEARS);
    for job in ["edited", "resumed"] {
        life.engine.nudge(&id(job));
    }
    stage.until("2026-01-01T10:02:00.5Z").await;
    let times = ["10:00:40", "10:01:00", "10:01:20", "10:01:40", "10:02:00"];
    let expected = times.map(|time| moment(&format!("2026-01-01T{time}Z")));
    let edited = launched(&stage, "edited").await;
    assert!(edited.ends_with(&expected), "{edited:?}");
    assert_eq!(launched(&stage, "resumed").await, [expected[1], expected[4]]);
    // Also behind a restart, which reads the same document.
    life.crash().await;
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:03:00.5Z").await;
    for job in ["edited", "resumed"] {
        assert_eq!(launched(&stage, job).await.last(), Some(&moment("2026-01-01T10:03:00Z")), "{job}");
    }
}

#[tokio::test(start_paused = true)]
async fn edit_after_one_that_was_made_while_the_clock_was_ahead_revives_no_older_schedule() {
    let stage = Stage::at("2026-01-01T09:59:30Z");
    stage.world.create("job", &often("0 *")).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:30Z").await;
    stage.world.clock.step(TEN_YEARS);
    stage.world.edit("job", &often("0 0 4")).await.unwrap();
    stage.world.clock.step(-TEN_YEARS);
    life.engine.nudge(&id("job"));
    stage.until("2026-01-01T10:02:30Z").await;
    let mut described = often("0 0 4");
    described["description"] = json!("nightly");
    stage.world.edit("job", &described).await.unwrap();
    life.engine.nudge(&id("job"));
    stage.until("2026-01-01T10:05:00.5Z").await;
    assert_eq!(launched(&stage, "job").await, [moment("2026-01-01T10:00:00Z")]);
    stage.until("2026-01-02T04:00:00.5Z").await;
    assert_eq!(launched(&stage, "job").await.last(), Some(&moment("2026-01-02T04:00:00Z")));
}

#[tokio::test(start_paused = true)]
async fn edit_that_was_made_while_the_clock_was_ahead_holds_after_its_moment_and_a_restart() {
    let stage = Stage::at("2026-01-01T09:59:30Z");
    stage.world.create("job", &often("0 *")).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:30Z").await;
    stage.world.clock.step(HOUR);
    stage.world.edit("job", &often("0 30 *")).await.unwrap();
    stage.world.clock.step(-HOUR);
    life.engine.nudge(&id("job"));
    stage.until("2026-01-01T10:03:30Z").await;
    let corrected = stage.world.store.get(&[id("job")]).await.unwrap().remove(0);
    assert!(corrected.changed < moment("2026-01-01T10:03:30Z"), "{corrected:?}");
    assert!(!corrected.document.get().contains("earlierSchedules"), "{corrected:?}");
    stage.until("2026-01-01T10:59:00Z").await;
    assert!(life.engine.stop(Duration::from_secs(10)).await);
    stage.until("2026-01-01T11:02:30Z").await;
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T11:31:00Z").await;
    let expected = ["10:00", "10:30", "11:30"].map(|time| moment(&format!("2026-01-01T{time}:00Z")));
    assert_eq!(launched(&stage, "job").await, expected);
}

#[tokio::test(start_paused = true)]
async fn edit_that_was_made_while_the_clock_was_ahead_is_corrected_after_an_outage_of_the_store() {
    let stage = Stage::at("2026-01-01T09:59:30Z");
    stage.world.create("job", &often("0 *")).await.unwrap();
    stage.world.clock.step(HOUR);
    stage.world.edit("job", &often("0 30 *")).await.unwrap();
    stage.world.clock.step(-HOUR);
    let faults = StoreFaults { before: 0.3, after: 0.3 };
    let _life = stage.world.boot(faults, 0).await.unwrap();
    stage.until("2026-01-01T10:29:00Z").await;
    let corrected = stage.world.store.get(&[id("job")]).await.unwrap().remove(0);
    assert!(corrected.changed < moment("2026-01-01T10:29:00Z"), "{corrected:?}");
}

#[tokio::test(start_paused = true)]
async fn edit_beside_an_undecided_tick_of_a_clock_that_was_ahead_holds_at_once() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &often("0 0 *")).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    *stage.launcher.population_fails.lock() = true;
    stage.world.clock.step(HOUR);
    pass(&stage, SignedDuration::from_secs(5)).await;
    stage.world.edit("job", &often("*/20")).await.unwrap();
    life.engine.nudge(&id("job"));
    pass(&stage, SignedDuration::from_secs(5)).await;
    assert!(launched(&stage, "job").await.is_empty(), "the tick of 11:00 is tried again");
    stage.world.clock.step(-HOUR);
    *stage.launcher.population_fails.lock() = false;
    stage.until("2026-01-01T10:03:00.5Z").await;
    let times = ["10:02:20", "10:02:40", "10:03:00"];
    let expected = times.map(|time| moment(&format!("2026-01-01T{time}Z")));
    assert!(launched(&stage, "job").await.ends_with(&expected), "{:?}", launched(&stage, "job").await);
}

#[tokio::test(start_paused = true)]
async fn clock_of_another_process_that_differs_by_seconds_takes_no_tick_from_the_earlier_version() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &often("0 0 *")).await.unwrap();
    stage.until("2026-01-01T11:00:10Z").await;
    stage.world.clock.step(SignedDuration::from_secs(30));
    stage.world.edit("job", &often("0 30 *")).await.unwrap();
    stage.world.clock.step(SignedDuration::from_secs(-30));
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T11:31:00Z").await;
    let expected = ["11:00", "11:30"].map(|time| moment(&format!("2026-01-01T{time}:00Z")));
    assert_eq!(launched(&stage, "job").await, expected);
}
