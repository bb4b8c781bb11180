//! A store behind a connection that is cut and restored.

use std::time::Duration;

use async_trait::async_trait;
use futures::TryFutureExt as _;
use futures::future::{BoxFuture, join_all};

use super::StoreFixture;
use super::calls::{
    all_decisions, all_firings, at, count, create, draft, fire, moved, new_job, read, record, settlement,
};
use super::crash::{assert_whole, busy};
use ecs_scheduler_core::decide::TickOutcome;
use ecs_scheduler_core::firing::FiringState;
use ecs_scheduler_core::store::{Advance, ListFrom, StoreError};

/// The timeout of a call that can fail.
const DEADLINE: Duration = Duration::from_secs(60);

/// A fixture whose connections can be cut.
#[async_trait]
pub trait FaultyConnection: StoreFixture {
    /// Breaks every connection, and rejects new ones.
    async fn cut(&self);

    /// Accepts connections again.
    async fn mend(&self);
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, call).await.expect("an answer comes in time")
}

/// While the store is cut off every call fails with a transient fault; afterwards all calls succeed again.
pub async fn calls_fail_with_transient_faults_while_the_store_is_cut_off(subject: &dyn FaultyConnection) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    let firing = fire(&*store, "nightly", 1).await;
    let launching =
        || Advance { from: firing.state, to: moved(&firing, FiringState::Launching, &[]), outcome: None };
    let stored = read(&*store, "nightly").await;
    let next = || vec![settlement(&stored, vec![draft(TickOutcome::Idle, 2)])];
    let (decisions, firings) = (all_decisions(), all_firings());
    subject.cut().await;
    // At the same time: a store may repeat each call for many seconds.
    let calls: [BoxFuture<'_, Result<(), StoreError>>; 14] = [
        Box::pin(store.create(new_job("late", 0)).map_ok(drop)),
        Box::pin(store.replace(&job.id, job.revision, job.document.clone(), at(1)).map_ok(drop)),
        Box::pin(store.remove(&job.id, None)),
        Box::pin(store.get(std::slice::from_ref(&job.id)).map_ok(drop)),
        Box::pin(store.list(ListFrom::Skip(0), count(1)).map_ok(drop)),
        Box::pin(store.settle(next()).map_ok(drop)),
        Box::pin(store.advance(launching())),
        Box::pin(store.open_firings().map_ok(drop)),
        Box::pin(store.decisions(&decisions).map_ok(drop)),
        Box::pin(store.firings(&firings).map_ok(drop)),
        Box::pin(store.get_register("brake").map_ok(drop)),
        Box::pin(store.put_register("brake", "on", None, None).map_ok(drop)),
        Box::pin(store.health_check()),
        Box::pin(store.prune(super::maintenance::by_age(0, 1)).map_ok(drop)),
    ];
    for (index, result) in in_time(join_all(calls)).await.iter().enumerate() {
        assert!(result.as_ref().is_err_and(StoreError::is_transient), "call {index}: {result:?}");
    }
    subject.mend().await;
    in_time(store.health_check()).await.expect("the store works again");
    store.advance(launching()).await.expect("nothing had been done");
    store.create(new_job("late", 0)).await.expect("nothing had been done");
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 2)]).await;
}

/// A store that lost its idle connections serves the next read.
pub async fn reads_survive_a_broken_idle_connection(subject: &dyn FaultyConnection) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    for _ in 0..3 {
        subject.cut().await;
        subject.mend().await;
        read(&*store, "nightly").await;
        store.open_firings().await.expect("firings are read");
    }
}

/// Writes in progress when the store is cut off are stored as a whole or not at all; acknowledged writes are stored.
pub async fn writes_under_way_are_stored_whole_or_not_at_all(subject: &dyn FaultyConnection) {
    let store = subject.open().await;
    let (acknowledged, mut tasks) = busy(&store).await;
    in_time(acknowledged.wait(20)).await;
    subject.cut().await;
    while let Some(ended) = in_time(tasks.join_next()).await {
        ended.expect("it ended with a transient fault");
    }
    subject.mend().await;
    assert_whole(&*store, &acknowledged).await;
}
