//! Backfills under crashes and faults of the store: each tick fires once, in its order, and is counted once.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::backfill::{self, BackfillState};
use ecs_scheduler_core::{FiringState, JobId, Origin};
use ecs_scheduler_testing::{ChaosStore, StoreFaults};
use serde_json::json;

use super::backfill::{backfilled, boot, hourly, hours, id, read};
use super::support::Stage;

async fn stage() -> Stage {
    let stage = Stage::at("2026-01-10T00:30:00Z");
    stage.world.create("job", &hourly(&json!({}))).await.unwrap();
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(0))];
    stage
}

/// Checks that each of the first hours was fired once, and counted as succeeded.
async fn assert_done(stage: &Stage, ticks: u32, context: &str) {
    let firings = backfilled(stage).await;
    let nominal: Vec<_> = firings.iter().map(|firing| firing.nominal.to_string()).collect();
    let expected: Vec<_> = (0..ticks).map(|hour| format!("2026-01-01T{hour:02}:00:00Z")).collect();
    assert_eq!(nominal, expected, "{context}");
    assert!(firings.iter().all(|firing| firing.state == FiringState::Finished), "{context}");
    let ended = read(stage).await;
    assert_eq!(
        (ended.state, ended.done.succeeded, ended.done.total()),
        (BackfillState::Finished, ticks, ticks),
        "{context}"
    );
    assert_eq!(stage.launcher.tasks.lock().len(), ticks as usize, "{context}: each tick has one task");
    assert_eq!(stage.launcher.most_alive.load(std::sync::atomic::Ordering::Relaxed), 1, "{context}");
    assert!(
        backfill::registers(&*stage.world.store).await.unwrap().is_empty(),
        "{context}: the list is empty"
    );
}

#[tokio::test(start_paused = true)]
async fn crash_at_each_write_fires_each_tick_once() {
    for after in [false, true] {
        for write in 1..=26 {
            let context = format!("write {write}, after {after}");
            let stage = stage().await;
            let store = ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 0);
            let dying = stage.world.boot_with(store.die_at_write(write, after)).await.unwrap();
            let id = id();
            let start = dying.engine.start_backfill(&id, hours(3));
            // The answer may be lost with the process.
            let _ = tokio::time::timeout(Duration::from_secs(1), start).await;
            stage.until("2026-01-10T00:31:30Z").await;
            dying.crash().await;
            let life = boot(&stage).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let stored = stage.world.store.get(std::slice::from_ref(&id)).await.unwrap().remove(0);
            if backfill::read(&*stage.world.store, &stored.uid).await.unwrap().is_none() {
                life.engine.start_backfill(&id, hours(3)).await.unwrap();
            }
            stage.until("2026-01-10T00:40:00Z").await;
            assert_done(&stage, 3, &context).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_writes_and_lost_answers_fire_each_tick_once() {
    for seed in 0..20 {
        let stage = stage().await;
        let faults = StoreFaults { before: 0.15, after: 0.25 };
        let life = stage.world.boot(faults, seed).await.unwrap();
        while let Err(error) = life.engine.start_backfill(&id(), hours(8)).await {
            if matches!(error, ecs_scheduler_core::backfill::BackfillError::UnderWay(_)) {
                break;
            }
        }
        stage.until("2026-01-10T00:58:00Z").await;
        assert_done(&stage, 8, &format!("seed {seed}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn settlement_that_becomes_durable_late_fires_its_tick_once() {
    let stage = stage().await;
    let store = ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 0);
    let life = stage.world.boot_with(store.with_late_settlements(2)).await.unwrap();
    life.engine.start_backfill(&id(), hours(3)).await.unwrap();
    stage.until("2026-01-10T00:50:00Z").await;
    assert_done(&stage, 3, "late").await;
}

#[tokio::test(start_paused = true)]
async fn two_owners_at_once_fire_each_tick_once() {
    let stage = stage().await;
    let old = boot(&stage).await;
    old.engine.start_backfill(&id(), hours(6)).await.unwrap();
    stage.until("2026-01-10T00:30:08Z").await;
    // The old owner does not know yet that there is another one.
    let new = boot(&stage).await;
    stage.until("2026-01-10T00:45:00Z").await;
    let firings = backfilled(&stage).await;
    let mut ticks: Vec<_> = firings.iter().map(|firing| firing.nominal).collect();
    ticks.dedup();
    assert_eq!((ticks.len(), firings.len()), (6, 6));
    let ended = read(&stage).await;
    assert_eq!((ended.state, ended.done.total()), (BackfillState::Finished, 6));
    old.engine.stop(Duration::from_secs(5)).await;
    new.engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn restart_goes_on_where_the_backfill_was_and_also_after_a_stop() {
    let stage = stage().await;
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(30));
    let life = boot(&stage).await;
    life.engine.start_backfill(&id(), hours(3)).await.unwrap();
    stage.until("2026-01-10T00:30:10Z").await;
    life.crash().await;
    stage.until("2026-01-10T00:40:00Z").await;
    let life = boot(&stage).await;
    stage.until("2026-01-10T00:40:10Z").await;
    let stopped = life.engine.stop_backfill(&id()).await.unwrap();
    assert_eq!((stopped.done.succeeded, stopped.unfinished.len()), (1, 1));
    life.crash().await;
    let _life = boot(&stage).await;
    stage.until("2026-01-10T00:50:00Z").await;
    let ended = read(&stage).await;
    assert_eq!((ended.state, ended.done.succeeded, ended.remaining()), (BackfillState::Stopped, 2, 1));
    let uid = ended.uid;
    let job: JobId = ended.job;
    assert_eq!(
        stage.firings(job.as_str()).await.iter().filter(|firing| firing.origin == Origin::Backfill).count(),
        2
    );
    assert!(backfill::read(&*stage.world.store, &uid).await.unwrap().is_some());
}
