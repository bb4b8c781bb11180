//! A full store: a failed write leaves nothing behind, fails no other command, and succeeds when there is room.

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{
    DecisionId, DecisionQuery, FaultKind, JobStore, Journal, ListFrom, Registers, Settled, Settlement, Store,
    StoreError, StoredJob, TickOutcome, Timestamp,
};
use ecs_scheduler_core::{StoreMaintenance as _, decide::DecisionDraft};
use ecs_scheduler_testing::sample;

use crate::support::{StoreFile, name, new_job};

async fn small(store_file: &StoreFile) -> SqliteStore {
    store_file.try_open(SqliteOptions { max_bytes: Some(2 << 20), ..SqliteOptions::default() }).await.unwrap()
}

fn assert_full<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    let error = result.expect_err("the store is full");
    assert!(matches!(&error, StoreError::Fault { kind: FaultKind::Unavailable, .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("jobs.db") && message.contains("free space"), "{message}");
}

fn large() -> String {
    format!("{{\"text\": \"{}\"}}", "x".repeat(20_000))
}

/// Creates jobs until there is no room; returns how many there are.
async fn fill(store: &SqliteStore) -> usize {
    for number in 0.. {
        let result = store.create(new_job(&format!("job-{number}"), &large())).await;
        if result.is_err() {
            assert_full(result);
            return number;
        }
    }
    unreachable!("the store has a maximum size")
}

#[tokio::test]
async fn full_store_refuses_writes_until_there_is_room() {
    let store_file = StoreFile::new();
    let store = small(&store_file).await;
    store.health_check().await.unwrap();
    let full = fill(&store).await;
    assert!(full > 20, "some fitted: {full}");
    let list = store.list(ListFrom::Skip(0), 100.try_into().unwrap()).await.unwrap();
    assert_eq!((list.jobs.len(), list.total), (full, full as u64));
    let missing = name(&format!("job-{full}"));
    assert!(store.get(std::slice::from_ref(&missing)).await.unwrap().is_empty());
    assert_full(store.health_check().await);
    for number in 0..10 {
        store.remove(&name(&format!("job-{number}")), None).await.unwrap();
    }
    store.health_check().await.unwrap();
    store.create(new_job("again", &large())).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let list = store_file.store().await.list(ListFrom::Skip(0), 100.try_into().unwrap()).await.unwrap();
    assert_eq!(list.total, full as u64 - 10 + 1);
    assert_eq!(list.jobs.last().unwrap().id, name("again"));
}

fn settlement(job: &StoredJob, tick: i64, explanation: String) -> Settlement {
    let draft = sample::draft(TickOutcome::Launched, Timestamp::from_second(tick).unwrap());
    sample::settlement(job, vec![DecisionDraft { explanation, ..draft }])
}

#[tokio::test]
async fn batch_that_does_not_fit_writes_nothing_and_fails_no_other_command() {
    let store_file = StoreFile::new();
    let store = small(&store_file).await;
    let mut batch = Vec::new();
    for number in 0..400 {
        let job = store.create(new_job(&format!("job-{number}"), "{}")).await.unwrap();
        batch.push(settlement(&job, 5, "x".repeat(10_000)));
    }
    let (settled, written) =
        tokio::join!(store.settle(batch.clone()), store.put_register("brake", "on", None, None));
    assert_full(settled);
    assert_eq!(written.unwrap(), 1);
    let query = DecisionQuery { job: None, outcome: None, before: None, limit: 10.try_into().unwrap() };
    assert!(store.decisions(&query).await.unwrap().is_empty());
    let jobs = store.list(ListFrom::Skip(0), 100.try_into().unwrap()).await.unwrap().jobs;
    assert!(jobs.iter().all(|job| job.progress.settled.is_none()));
    let cached = store.get(&[name("job-0")]).await.unwrap();
    assert_eq!(cached[0].progress.settled, None);
    let settled = store.settle(batch[..10].to_vec()).await.unwrap();
    let first = Settled::Recorded(vec![DecisionId(1)]);
    assert_eq!(settled[0], first, "no decision number was used");
}
