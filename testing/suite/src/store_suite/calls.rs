//! Calls of a store that must succeed, and what they store.

use std::sync::Arc;

use super::StoreFixture;
use crate::sample;
pub(super) use crate::sample::{at, count, document, name, settlement};
use ecs_scheduler_core::decide::{DecisionDraft, DecisionId, DecisionRecord, Rule, Step, TickOutcome};
use ecs_scheduler_core::firing::{Firing, FiringId, FiringState};
use ecs_scheduler_core::job::StoredJob;
use ecs_scheduler_core::scaling::Demand;
use ecs_scheduler_core::store::{
    Advance, DecisionQuery, FiringQuery, NewJob, Settled, Settlement, SharedStore, Store,
};
use ecs_scheduler_core::task::{TaskId, TaskState};

pub(super) fn new_job(id: &str, seconds: i64) -> NewJob {
    NewJob { at: at(seconds), ..sample::new_job(id, r#"{"taskCount": 1}"#) }
}

/// Opens a shared store.
pub(super) async fn shared(subject: &dyn StoreFixture) -> Arc<dyn SharedStore> {
    subject.open().await.shared().expect("the suite is for shared stores")
}

pub(super) async fn create(store: &dyn Store, id: &str) -> StoredJob {
    store.create(new_job(id, 0)).await.expect("a new job is stored")
}

/// Edits an existing job; returns the stored job.
pub(super) async fn edit(store: &dyn Store, id: &str) -> StoredJob {
    let job = read(store, id).await;
    let next = document(&format!(r#"{{"taskCount": {}}}"#, job.revision.0 + 1));
    store.replace(&job.id, job.revision, next, at(1)).await.expect("nobody else edits it")
}

/// Reads an existing job.
pub(super) async fn read(store: &dyn Store, id: &str) -> StoredJob {
    let mut jobs = store.get(&[name(id)]).await.expect("jobs are read");
    jobs.pop().expect("the job exists")
}

/// A decision about one tick; equal outcomes have equal explanations.
pub(super) fn draft(outcome: TickOutcome, tick: i64) -> DecisionDraft {
    DecisionDraft {
        demand: Some(Demand::Floor),
        busy: Some(2),
        tries: 1,
        explanation: format!("ended as {outcome}"),
        steps: vec![Step { rule: Rule::Demand, before: 0, after: 1, reason: "grüße ✓".to_owned() }],
        ..sample::draft(outcome, at(tick))
    }
}

/// Settles a stored job; returns the ids of the rows.
pub(super) async fn record(store: &dyn Store, job: &str, records: Vec<DecisionDraft>) -> Vec<DecisionId> {
    let settlement = settlement(&read(store, job).await, records);
    match settle(store, settlement).await {
        Settled::Recorded(ids) => ids,
        Settled::Stale => panic!("the settlement is not stale"),
    }
}

pub(super) async fn settle(store: &dyn Store, settlement: Settlement) -> Settled {
    let mut settled = store.settle(vec![settlement]).await.expect("the store settles");
    assert_eq!(settled.len(), 1, "each settlement has its answer");
    settled.remove(0)
}

pub(super) fn firing(job: &StoredJob, tick: i64) -> Firing {
    Firing {
        revision: job.revision,
        observed: at(tick + 1),
        requested: 2,
        ..sample::firing(&job.id, job.uid, at(tick))
    }
}

/// Fires a job at a tick; returns the stored firing.
pub(super) async fn fire(store: &dyn Store, job: &str, tick: i64) -> Firing {
    let job = read(store, job).await;
    let firing = firing(&job, tick);
    let settlement = Settlement {
        firing: Some(firing.clone()),
        ..settlement(&job, vec![draft(TickOutcome::Pending, tick)])
    };
    match settle(store, settlement).await {
        Settled::Recorded(ids) => Firing { decision: *ids.last().expect("a record has an id"), ..firing },
        Settled::Stale => panic!("the firing is not stale"),
    }
}

/// Advances a firing; `tasks` are those that it has started so far.
pub(super) async fn advance(store: &dyn Store, firing: &Firing, to: FiringState, tasks: &[&str]) -> Firing {
    let to = moved(firing, to, tasks);
    let advance = Advance { from: firing.state, to: to.clone(), outcome: None };
    store.advance(advance).await.expect("the move is a legal one");
    to
}

pub(super) fn moved(firing: &Firing, state: FiringState, tasks: &[&str]) -> Firing {
    let started = |task: &&str| TaskState::pending(TaskId::new(*task), Some(format!("host of {task}")));
    Firing { state, tasks: tasks.iter().map(started).collect(), ..firing.clone() }
}

pub(super) fn all_decisions() -> DecisionQuery {
    DecisionQuery { job: None, outcome: None, before: None, limit: count(1000) }
}

pub(super) fn all_firings() -> FiringQuery {
    FiringQuery { limit: count(1000), ..FiringQuery::default() }
}

/// Reads a job's decisions, newest first.
pub(super) async fn decisions(store: &dyn Store, job: &str) -> Vec<DecisionRecord> {
    let query = DecisionQuery { job: Some(name(job)), ..all_decisions() };
    store.decisions(&query).await.expect("decisions are read")
}

/// Reads an existing firing.
pub(super) async fn stored_firing(store: &dyn Store, id: &FiringId) -> Firing {
    let query = FiringQuery { id: Some(id.clone()), ..all_firings() };
    store.firings(&query).await.expect("firings are read").pop().expect("the firing exists")
}

/// Asserts that two stored jobs are equal.
pub(super) fn assert_same(left: &StoredJob, right: &StoredJob) {
    assert_eq!((&left.id, left.uid, left.revision), (&right.id, right.uid, right.revision));
    assert_eq!(left.document.get(), right.document.get());
    assert_eq!((left.created, left.changed), (right.created, right.changed));
    assert_eq!(left.progress, right.progress);
}
