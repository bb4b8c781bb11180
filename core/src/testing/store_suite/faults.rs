//! A store behind a connection that is cut and mended.

use std::time::Duration;

use async_trait::async_trait;

use super::Subject;
use super::crash::{assert_whole, busy};
use super::sample::{
    all_decisions, all_firings, at, count, create, draft, fire, moved, new_job, read, record, settlement,
};
use crate::decide::Outcome;
use crate::firing::FiringState;
use crate::store::{Advance, ListFrom, StoreError};

/// How long a call may take that can come to nothing.
const DEADLINE: Duration = Duration::from_secs(60);

/// A place whose connections can be cut.
#[async_trait]
pub trait Fragile: Subject {
    /// Breaks every connection, and refuses new ones.
    async fn cut(&self);

    /// Lets connections through again.
    async fn mend(&self);
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, call).await.expect("an answer comes in time")
}

/// While the store is cut off every call ends with a transient fault; afterwards all work again.
pub async fn a_store_that_is_cut_off_answers_with_transient_faults(subject: &dyn Fragile) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    let firing = fire(&*store, "nightly", 1).await;
    let launching =
        || Advance { from: firing.state, to: moved(&firing, FiringState::Launching, &[]), outcome: None };
    let stored = read(&*store, "nightly").await;
    let next = || vec![settlement(&stored, vec![draft(Outcome::Idle, 2)])];
    subject.cut().await;
    let results = [
        in_time(store.create(new_job("late", 0))).await.map(drop),
        in_time(store.replace(&job.id, job.revision, job.document.clone(), at(1))).await.map(drop),
        in_time(store.remove(&job.id, None)).await,
        in_time(store.get(std::slice::from_ref(&job.id))).await.map(drop),
        in_time(store.list(ListFrom::Skip(0), count(1))).await.map(drop),
        in_time(store.settle(next())).await.map(drop),
        in_time(store.advance(launching())).await,
        in_time(store.unfinished()).await.map(drop),
        in_time(store.decisions(&all_decisions())).await.map(drop),
        in_time(store.firings(&all_firings())).await.map(drop),
        in_time(store.read("brake")).await.map(drop),
        in_time(store.write("brake", "on", None, None)).await.map(drop),
        in_time(store.check()).await,
        in_time(store.prune(super::maintenance::by_age(0, 1))).await.map(drop),
    ];
    for (place, result) in results.iter().enumerate() {
        assert!(result.as_ref().is_err_and(StoreError::is_transient), "call {place}: {result:?}");
    }
    subject.mend().await;
    in_time(store.check()).await.expect("the store is sound again");
    store.advance(launching()).await.expect("nothing had been done");
    store.create(new_job("late", 0)).await.expect("nothing had been done");
    record(&*store, "nightly", vec![draft(Outcome::Idle, 2)]).await;
}

/// A store that lost its connections while nobody used them serves the next read.
pub async fn a_connection_that_broke_unseen_costs_no_read(subject: &dyn Fragile) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    for _ in 0..3 {
        subject.cut().await;
        subject.mend().await;
        read(&*store, "nightly").await;
        store.unfinished().await.expect("firings are read");
    }
}

/// What was under way when the store was cut off is there wholly or not at all, and what was acknowledged is there.
pub async fn what_was_under_way_is_there_wholly_or_not_at_all(subject: &dyn Fragile) {
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
