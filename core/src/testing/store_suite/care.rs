//! Pruning, checking, closing.

use super::Subject;
use super::sample::{
    advance, all_decisions, all_firings, at, count, create, decisions, draft, fire, moved, name, new_job,
    read, record,
};
use crate::decide::Outcome;
use crate::firing::FiringState;
use crate::job::Revision;
use crate::store::{Advance, ListFrom, Retention, Store, StoreError};

async fn prune(store: &dyn Store, before: i64, batch: usize) -> usize {
    store.prune(Retention { before: at(before), batch }).await.expect("the store prunes")
}

/// Pruning removes old history, and keeps what is young or belongs to an open firing.
pub async fn pruning_removes_old_history_and_keeps_what_is_open(subject: &dyn Subject) {
    let store = subject.open().await;
    for job in ["done", "busy", "idle", "gone"] {
        create(&*store, job).await;
    }
    let cancel = async |tick| {
        let firing = fire(&*store, "done", tick).await;
        advance(&*store, &firing, FiringState::Cancelled, &[]).await;
    };
    cancel(1).await;
    let open = fire(&*store, "busy", 1).await;
    record(&*store, "idle", vec![draft(Outcome::Idle, 1)]).await;
    record(&*store, "gone", vec![draft(Outcome::Idle, 1)]).await;
    store.remove(&name("gone"), None).await.expect("it is removed");
    cancel(2).await;
    cancel(100).await;
    record(&*store, "idle", vec![draft(Outcome::Idle, 100)]).await;
    assert_eq!(prune(&*store, 50, 1000).await, 3);
    assert_eq!(prune(&*store, 50, 1000).await, 0);
    assert_eq!(decisions(&*store, "done").await.len(), 1);
    assert_eq!(decisions(&*store, "busy").await[0].firing, Some(open.id.clone()));
    assert_eq!(decisions(&*store, "idle").await[0].draft.span.count, 2, "its last tick is young");
    assert!(decisions(&*store, "gone").await.is_empty());
    assert_eq!(store.firings(&all_firings()).await.expect("firings are read").len(), 2);
    assert_eq!(store.unfinished().await.expect("firings are read"), std::slice::from_ref(&open));
    advance(&*store, &open, FiringState::Expired, &[]).await;
    assert_eq!(prune(&*store, 50, 1000).await, 1, "it is finished now");
}

/// Pruning removes at most a batch a call, and all of it call by call.
pub async fn pruning_removes_at_most_a_batch(subject: &dyn Subject) {
    let store = subject.open().await;
    for job in ["a", "b"] {
        create(&*store, job).await;
        for tick in 0..10 {
            record(&*store, job, vec![draft(Outcome::Launched, tick)]).await;
        }
    }
    for expected in [8, 8, 4, 0] {
        assert_eq!(prune(&*store, 1000, 8).await, expected);
    }
    assert!(store.decisions(&all_decisions()).await.expect("decisions are read").is_empty());
}

/// Pruning removes registers that expired, and keeps those that last or have not yet.
pub async fn pruning_removes_expired_registers(subject: &dyn Subject) {
    let store = subject.open().await;
    for (name, expires) in [("forever", None), ("past", Some(at(10))), ("future", Some(at(90)))] {
        store.write(name, "value", None, expires).await.expect("it is new");
    }
    assert_eq!(prune(&*store, 50, 1000).await, 1);
    assert_eq!(store.read("past").await.expect("it is read"), None);
    for name in ["forever", "future"] {
        assert!(store.read(name).await.expect("it is read").is_some(), "{name}");
    }
    assert_eq!(store.write("past", "again", None, None).await.expect("it is new"), 1);
}

/// After pruning outcomes are recorded as before, also where the row to fold into is gone.
pub async fn after_pruning_outcomes_are_recorded_as_before(subject: &dyn Subject) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let old = record(&*store, "nightly", vec![draft(Outcome::Idle, 1)]).await;
    assert_eq!(prune(&*store, 50, 1000).await, 1);
    let new = record(&*store, "nightly", vec![draft(Outcome::Idle, 60)]).await;
    assert!(new[0] > old[0], "an id is never given twice");
    let rows = decisions(&*store, "nightly").await;
    assert_eq!((rows.len(), rows[0].id, rows[0].draft.span.count), (1, new[0], 1));
    assert_eq!(read(&*store, "nightly").await.progress.settled, Some(at(60)));
}

/// A check of a sound store succeeds and changes nothing.
pub async fn a_check_of_a_sound_store_succeeds_and_changes_nothing(subject: &dyn Subject) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    for _ in 0..3 {
        store.check().await.expect("the store is sound");
    }
    let list = store.list(ListFrom::Skip(0), count(10)).await.expect("jobs are listed");
    assert_eq!((list.total, list.jobs[0].revision), (1, Revision(1)));
    assert!(!store.kind().is_empty());
}

/// A closed store refuses every call with a fault.
pub async fn a_closed_store_refuses_every_call(subject: &dyn Subject) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    let firing = fire(&*store, "nightly", 1).await;
    store.close().await.expect("the store closes");
    let to = moved(&firing, FiringState::Launching, &[]);
    let limit = count(1);
    let results = [
        store.create(new_job("late", 0)).await.map(drop),
        store.replace(&job.id, job.revision, job.document.clone(), at(1)).await.map(drop),
        store.remove(&job.id, None).await,
        store.get(std::slice::from_ref(&job.id)).await.map(drop),
        store.list(ListFrom::Skip(0), limit).await.map(drop),
        store.settle(vec![super::sample::settlement(&job, vec![draft(Outcome::Idle, 1)])]).await.map(drop),
        store.advance(Advance { from: firing.state, to, outcome: None }).await,
        store.unfinished().await.map(drop),
        store.decisions(&all_decisions()).await.map(drop),
        store.firings(&all_firings()).await.map(drop),
        store.read("brake").await.map(drop),
        store.write("brake", "on", None, None).await.map(drop),
        store.check().await,
        store.prune(Retention { before: at(1), batch: 1 }).await.map(drop),
    ];
    for (place, result) in results.iter().enumerate() {
        assert!(matches!(result, Err(StoreError::Fault { .. })), "call {place}: {result:?}");
    }
}
