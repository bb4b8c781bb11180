//! How long history is kept.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ecs_scheduler_core::Clock as _;
use ecs_scheduler_testing::StoreFaults;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::Stage;
use crate::log::Log;

/// A stage whose engine sleeps long, so that months pass quickly.
fn stage() -> Stage {
    let mut stage = Stage::at("2026-01-01T00:00:00Z");
    let options = &mut stage.world.options;
    options.max_sleep = Duration::from_hours(1);
    options.prefetch_within = Duration::from_hours(2);
    options.rescan = Duration::from_hours(240);
    stage
}

#[tokio::test(start_paused = true)]
async fn history_older_than_thirty_days_is_pruned_except_the_newest_hundred_decisions_of_a_job() {
    let stage = stage();
    stage.world.create("hourly", &json!({"taskDefinition": "job", "schedule": "0 0"})).await.unwrap();
    stage.world.create("daily", &json!({"taskDefinition": "job", "schedule": "0 0 0"})).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-02-10T00:30:00Z").await;
    let kept = stage.world.decisions().await.len();
    let daily = stage.decisions("daily").await.len();
    assert_eq!(daily, 40, "fewer than a hundred, of 40 days");
    let hourly = kept - daily;
    assert!((30 * 24..=30 * 24 + 2).contains(&hourly), "one an hour, for 30 days: {hourly}");
    assert_eq!(stage.world.firings().await.len(), kept, "each with its firing");
    let counters = life.engine.counters();
    let (written, pruned) =
        (counters.rows_written.load(Ordering::Relaxed), counters.rows_pruned.load(Ordering::Relaxed));
    assert_eq!((written, written - pruned), (25 * 40, kept as u64));
}

#[tokio::test(start_paused = true)]
async fn a_job_keeps_its_history_by_its_own_rule_and_after_an_edit_as_the_others() {
    let stage = stage();
    let job = |history: Value| json!({"taskDefinition": "job", "schedule": "0 0 12", "history": history});
    for (id, history) in [
        ("longer", json!({"days": 50, "keep": 1})),
        ("shorter", json!({"days": 2, "keep": 5})),
        ("more", json!({"keep": 7})),
    ] {
        stage.world.create(id, &job(history)).await.unwrap();
    }
    let hourly = json!({"taskDefinition": "job", "schedule": "0 0", "history": {"keep": 1, "days": 3}});
    stage.world.create("hourly", &hourly).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-03-01T00:30:00Z").await;
    let (mut kept, ids) = (Vec::new(), ["longer", "shorter", "more"]);
    for id in ids {
        kept.push(stage.decisions(id).await.len());
    }
    assert_eq!(kept, [50, 5, 30], "one a day");
    let hourly = stage.decisions("hourly").await.len();
    assert!((3 * 24..=3 * 24 + 2).contains(&hourly), "one an hour, for 3 days: {hourly}");
    let plain = json!({"taskDefinition": "job", "schedule": "0 0 12"});
    stage.world.edit("shorter", &plain).await.unwrap();
    stage.until("2026-03-11T00:30:00Z").await;
    assert_eq!(stage.decisions("shorter").await.len(), 15, "nothing is removed any more");
}

#[tokio::test(start_paused = true)]
async fn expired_register_is_removed_within_an_hour() {
    let stage = stage();
    let store = &stage.world.store;
    let ends = stage.world.clock.now() + SignedDuration::from_hours(24);
    store.put_register("answer", "201", None, Some(ends)).await.unwrap();
    store.put_register("lasting", "value", None, None).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T23:59:00Z").await;
    assert!(store.get_register("answer").await.unwrap().is_some());
    stage.until("2026-01-02T01:02:00Z").await;
    assert!(store.get_register("answer").await.unwrap().is_none());
    assert!(store.get_register("lasting").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn clock_that_is_ahead_for_a_while_removes_no_history() {
    let mut stage = stage();
    stage.world.options.history_keep = 0;
    stage.world.create("job", &json!({"taskDefinition": "job", "schedule": "0 0"})).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-11T00:30:00Z").await;
    let before = stage.decisions("job").await.len();
    assert_eq!(before, 240);
    life.engine.stop(Duration::from_secs(5)).await;
    // So that only history reads the clock.
    stage.world.store.remove(&"job".parse().unwrap(), None).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let (decade, minutes) = (SignedDuration::from_hours(24 * 3_650), Duration::from_mins(90));
    stage.world.clock.step(decade);
    tokio::time::sleep(minutes / 2).await;
    stage.world.clock.step(-decade);
    tokio::time::sleep(minutes).await;
    assert_eq!(stage.decisions("job").await.len(), before);
    life.engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn clock_that_is_ahead_at_the_start_removes_no_history_for_a_day() {
    let (log, _guard) = Log::listen();
    let mut stage = stage();
    stage.world.options.history_keep = 0;
    stage.world.create("job", &json!({"taskDefinition": "job", "schedule": "0 0"})).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-03T00:30:00Z").await;
    let before = stage.decisions("job").await.len();
    life.engine.stop(Duration::from_secs(5)).await;
    let ahead = SignedDuration::from_hours(24 * 365);
    stage.world.clock.step(ahead);
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    assert!(life.engine.status().clock_fault.is_some_and(|fault| fault.contains("2026-01-03T01:00:00Z")));
    tokio::time::sleep(Duration::from_hours(2)).await;
    assert!(stage.decisions("job").await.len() >= before, "the history is kept");
    stage.world.clock.step(-ahead);
    tokio::time::sleep(Duration::from_hours(30)).await;
    assert!(stage.decisions("job").await.len() >= before);
    assert_eq!(log.with("the newest history is old").len(), 1);
    assert_eq!(log.with("a tick has waited for more than a day").len(), 1);
    life.engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn failed_pruning_is_retried_later() {
    let mut stage = stage();
    stage.world.options.history_age = Duration::from_hours(24);
    stage.world.options.history_keep = 0;
    stage.world.create("job", &json!({"taskDefinition": "job", "schedule": "0 0"})).await.unwrap();
    let life = stage.world.boot(StoreFaults { before: 0.3, after: 0.3 }, 3).await.unwrap();
    stage.until("2026-01-08T00:30:00Z").await;
    let kept = stage.decisions("job").await.len();
    assert!((20..40).contains(&kept), "{kept}");
    life.engine.stop(Duration::from_secs(5)).await;
}
