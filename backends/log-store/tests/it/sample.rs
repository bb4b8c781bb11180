//! Jobs, outcomes and firings to store.

use ecs_scheduler_core::{
    Advance, Firing, FiringQuery, FiringState, Revision, Settled, Settlement, Store, StoreError, StoredJob,
    TaskId, TaskState, TickOutcome,
};
use ecs_scheduler_testing::sample;
pub(crate) use ecs_scheduler_testing::sample::{at, document, name};

pub(crate) const FIRST: &str = r#"{"taskCount": 1}"#;
pub(crate) const SECOND: &str = r#"{"taskCount": 2}"#;

pub(crate) async fn create(store: &dyn Store, id: &str) -> Result<StoredJob, StoreError> {
    store.create(sample::new_job(id, FIRST)).await
}

pub(crate) async fn replace(store: &dyn Store, id: &str) -> Result<StoredJob, StoreError> {
    store.replace(&name(id), Revision::FIRST, document(SECOND), at(1)).await
}

pub(crate) async fn get(store: &dyn Store, id: &str) -> Option<StoredJob> {
    store.get(&[name(id)]).await.unwrap().pop()
}

pub(crate) fn settlement(job: &StoredJob, outcome: TickOutcome, tick: i64) -> Settlement {
    sample::settlement(job, vec![sample::draft(outcome, at(tick))])
}

pub(crate) fn firing(job: &StoredJob, tick: i64) -> Firing {
    sample::firing(&job.id, job.uid, at(tick))
}

/// Fires a job at a tick.
pub(crate) async fn fire(store: &dyn Store, job: &StoredJob, tick: i64) -> Result<Firing, StoreError> {
    let firing = firing(job, tick);
    let settlement =
        Settlement { firing: Some(firing.clone()), ..settlement(job, TickOutcome::Pending, tick) };
    match store.settle(vec![settlement]).await?.pop().unwrap() {
        Settled::Recorded(_) => Ok(firing),
        Settled::Stale => Err(StoreError::Conflict((&job.id).into())),
    }
}

/// Moves a firing on.
pub(crate) async fn advance(
    store: &dyn Store,
    firing: &Firing,
    to: FiringState,
    tasks: &[&str],
) -> Result<Firing, StoreError> {
    let tasks = tasks.iter().map(|task| TaskState::pending(TaskId::new(*task), None)).collect();
    let to = Firing { state: to, tasks, ..firing.clone() };
    store.advance(Advance { from: firing.state, to: to.clone(), outcome: None }).await?;
    Ok(to)
}

pub(crate) async fn firings(store: &dyn Store) -> Vec<Firing> {
    store.firings(&FiringQuery::default()).await.unwrap()
}
