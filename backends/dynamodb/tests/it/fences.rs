//! Concurrent writes under a fence.

use std::sync::Arc;

use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore};
use ecs_scheduler_core::{
    DecisionId, DecisionQuery, Fence, Firing, FiringState, JobStore as _, Journal as _, Registers as _,
    Settled, Settlement, Shards as _, StoreError, TickOutcome,
};
use futures::future::join_all;

use crate::emulator::EmulatorKind;
use crate::help::{TestTables, advance_of, aws, draft, firing, new_job, settlement};
use crate::proxy::{FaultRates, Proxy};

const JOBS: usize = 30;

/// A store behind a proxy, and a fence that holds.
async fn fenced() -> (Proxy, Arc<DynamoDbStore>, Fence) {
    let tables = TestTables::on(EmulatorKind::Ministack);
    let proxy = Proxy::start(EmulatorKind::Ministack, FaultRates::default(), 1).await;
    let store =
        DynamoDbStore::open(&aws(&proxy.url), DynamoDbOptions::new(tables.table.as_str())).await.unwrap();
    let version = store.put_register("shard/07", "me", None, None).await.unwrap();
    (proxy, Arc::new(store), Fence { register: "shard/07".to_owned(), version })
}

/// Fires all jobs at the same time, each by its own call.
async fn fire_all(store: &Arc<DynamoDbStore>, fence: &Fence) -> Vec<Firing> {
    let mut jobs = Vec::new();
    for number in 0..JOBS {
        jobs.push(store.create(new_job(&format!("job-{number}"), "{}")).await.unwrap());
    }
    let fire = |job| {
        let (store, fence) = (Arc::clone(store), fence.clone());
        async move {
            let mut firing = firing(&job, 1);
            let batch = Settlement {
                firing: Some(firing.clone()),
                ..settlement(&job, vec![draft(TickOutcome::Pending, 1)])
            };
            let settled = store.settle_fenced(&fence, vec![batch]).await.unwrap();
            let [Settled::Recorded(ids)] = &settled[..] else {
                panic!("no other writer settles: {settled:?}")
            };
            firing.decision = DecisionId(ids[0].0);
            firing
        }
    };
    join_all(jobs.into_iter().map(fire)).await
}

#[tokio::test]
async fn concurrent_writes_under_a_fence_share_transactions() {
    let (proxy, store, fence) = fenced().await;
    let before = proxy.calls("TransactWriteItems");
    let firings = fire_all(&store, &fence).await;
    let created = JOBS as u64;
    let settled = proxy.calls("TransactWriteItems") - before - created;
    assert!(settled < created / 2, "{settled} transactions for {JOBS} calls");
    assert_eq!(store.open_firings().await.unwrap().len(), JOBS);
    assert_eq!(store.decisions(&DecisionQuery::default()).await.unwrap().len(), JOBS);
    let moves = firings
        .iter()
        .map(|firing| store.advance_fenced(&fence, advance_of(firing, FiringState::Launching, 0)));
    assert!(join_all(moves).await.iter().all(Result::is_ok));
    proxy.assert_strict();
}

#[tokio::test]
async fn a_write_that_is_refused_does_not_fail_the_others_of_its_batch() {
    let (_proxy, store, fence) = fenced().await;
    let firings = fire_all(&store, &fence).await;
    let stored = store.get(&[firings[7].job.clone()]).await.unwrap().remove(0);
    let mut large = draft(TickOutcome::Idle, 2);
    large.explanation = "x".repeat(500_000);
    let large = settlement(&stored, vec![large]);
    let moves = firings.iter().enumerate().map(async |(number, firing)| {
        if number == 7 {
            return store.settle_fenced(&fence, vec![large.clone()]).await.map(drop);
        }
        let mut advance = advance_of(firing, FiringState::Launching, 0);
        if number == 8 {
            advance.from = FiringState::Launched;
        }
        store.advance_fenced(&fence, advance).await
    });
    for (number, moved) in join_all(moves).await.into_iter().enumerate() {
        match number {
            7 => assert!(moved.unwrap_err().to_string().contains("400 KB")),
            8 => assert!(matches!(moved, Err(StoreError::Conflict(_))), "{moved:?}"),
            _ => moved.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_cancelled_caller_does_not_block_the_others() {
    let (_proxy, store, fence) = fenced().await;
    let firings = fire_all(&store, &fence).await;
    let mut moves: Vec<_> = firings
        .iter()
        .map(|firing| {
            let (store, fence) = (Arc::clone(&store), fence.clone());
            let advance = advance_of(firing, FiringState::Launching, 0);
            tokio::spawn(async move { store.advance_fenced(&fence, advance).await })
        })
        .collect();
    tokio::task::yield_now().await;
    for cancelled in moves.drain(..JOBS / 2) {
        cancelled.abort();
    }
    for moved in join_all(moves).await {
        moved.unwrap().unwrap();
    }
}
