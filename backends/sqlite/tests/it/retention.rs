//! Months in virtual time: the file stops growing once the history has reached its maximum age.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{
    Clock, DecisionQuery, EngineOptions, FiringQuery, FiringState, JobStore as _, Journal as _, Launcher,
    NewJob, Registers as _, Settlement, Store, StoredJob, TickOutcome, Timestamp, TriggerRegistry,
};
use ecs_scheduler_testing::{ChaosLauncher, SimClock, Simulation, StoreFaults, sample};
use jiff::SignedDuration;

use crate::support::{StoreFile, name, new_job};

/// Number of launches of a job a day.
const LAUNCHES: i64 = 30;
const JOBS: usize = 5;
const DAYS: usize = 65;

/// Returns the settlements of one day of a job: finished launches, about 1 KB each.
fn day(job: &StoredJob, began: Timestamp) -> Vec<Settlement> {
    let mut expected = job.progress.settled;
    let mut settlements = Vec::new();
    for number in 0..LAUNCHES {
        let tick = began + SignedDuration::from_mins(number);
        let firing = ecs_scheduler_core::Firing {
            state: FiringState::Finished,
            explanation: "x".repeat(500),
            ..sample::firing(&job.id, job.uid, tick)
        };
        let records = vec![sample::draft(TickOutcome::Launched, tick)];
        let settlement = Settlement {
            firing: Some(firing),
            expected_cursor: expected,
            ..sample::settlement(job, records)
        };
        expected = settlement.new_cursor;
        settlements.push(settlement);
    }
    settlements
}

#[tokio::test(start_paused = true)]
async fn file_stops_growing_after_the_retention_period() {
    let store_file = StoreFile::new();
    let store = Arc::new(store_file.store().await);
    let clock = Arc::new(SimClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
    let launcher = Arc::new(ChaosLauncher::new(Arc::clone(&clock) as Arc<dyn Clock>, 1));
    let hour = Duration::from_hours(1);
    let world = Simulation {
        clock,
        store: Arc::clone(&store) as Arc<dyn Store>,
        launcher: launcher as Arc<dyn Launcher>,
        registry: Arc::new(TriggerRegistry::new()),
        options: EngineOptions { max_sleep: hour, rescan: 1_000 * hour, ..EngineOptions::default() },
    };
    let ids: Vec<_> = (0..JOBS).map(|number| name(&format!("job-{number}"))).collect();
    for id in &ids {
        let job = r#"{"taskDefinition": "work", "schedule": "@yearly", "suspended": true}"#;
        store.create(NewJob { at: Timestamp::UNIX_EPOCH, ..new_job(id.as_str(), job) }).await.unwrap();
    }
    let life = world.boot(StoreFaults::default(), 0).await.unwrap();
    let size = || std::fs::metadata(store_file.path()).unwrap().len();
    let mut sizes = Vec::new();
    for number in 0..DAYS {
        // Virtual time stands still while a blocking task runs; without one it would not wait for the store's threads.
        let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
        let holding = tokio::task::spawn_blocking(move || held.recv());
        let now = world.clock.now();
        let mut batch = Vec::new();
        for job in store.get(&ids).await.unwrap() {
            batch.extend(day(&job, now));
        }
        store.settle(batch).await.unwrap();
        let ends = now + SignedDuration::from_hours(24);
        let keys: Vec<String> = (0..20).map(|key| format!("answer-{number}-{key}")).collect();
        let writes = keys.iter().map(|key| store.put_register(key, "201", None, Some(ends)));
        futures::future::try_join_all(writes).await.unwrap();
        drop(release);
        assert!(holding.await.unwrap().is_err(), "the blocking task is released");
        world.clock.sleep_until(ends).await;
        store_file.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        sizes.push(size());
    }
    let (month, end) = (sizes[32], sizes[DAYS - 1]);
    assert!(month > 4 * sizes[5], "it grew at first: {sizes:?}");
    assert!(end < month + month / 10, "it did not reuse the room of removed rows: {sizes:?}");
    let all = usize::try_from(LAUNCHES).unwrap() * JOBS;
    let kept = count(&store_file, "journal");
    assert!((all * 30..all * 34).contains(&kept), "{kept}");
    assert!(count(&store_file, "registers") < 100, "registers expire after a day");
    let oldest = DecisionQuery { job: Some(ids[0].clone()), ..DecisionQuery::default() };
    assert!(store.decisions(&oldest).await.unwrap().len() >= 100);
    assert!(!store.firings(&FiringQuery::default()).await.unwrap().is_empty());
    life.engine.stop(Duration::from_secs(5)).await;
    store.close().await.unwrap();
}

fn count(store_file: &StoreFile, table: &str) -> usize {
    store_file.connection().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}
