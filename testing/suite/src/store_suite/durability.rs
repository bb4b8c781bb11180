//! Behaviour of durable stores across restarts.

use std::sync::Arc;

use super::StoreFixture;
use super::calls::{
    advance, all_decisions, all_firings, assert_same, at, count, create, decisions, document, draft, fire,
    name, read, record,
};
use ecs_scheduler_core::decide::TickOutcome;
use ecs_scheduler_core::firing::FiringState;
use ecs_scheduler_core::job::Revision;
use ecs_scheduler_core::store::{ListFrom, Register, Store};

/// Reopens the store, once without closing it and once after closing it.
pub(super) async fn reopen(subject: &dyn StoreFixture, store: Arc<dyn Store>) -> Arc<dyn Store> {
    drop(store);
    let store = subject.open().await;
    store.close().await.expect("the store closes");
    drop(store);
    subject.open().await
}

/// Jobs survive a restart, with identity, revision and progress.
pub async fn jobs_survive_a_restart(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    let text = r#"{"taskCount": 2, "name": "Grüße ✓"}"#;
    store.replace(&job.id, job.revision, document(text), at(5)).await.expect("it is replaced");
    let firing = fire(&*store, "nightly", 10).await;
    let firing = advance(&*store, &firing, FiringState::Launching, &[]).await;
    advance(&*store, &firing, FiringState::Launched, &["t1", "t2"]).await;
    let before = read(&*store, "nightly").await;
    let store = reopen(subject, store).await;
    let after = read(&*store, "nightly").await;
    assert_same(&after, &before);
    assert_eq!((after.revision, after.document.get()), (Revision(2), text));
    assert_eq!(after.progress.last_run_tasks.len(), 2);
}

/// The order of jobs survives a restart.
pub async fn the_order_of_jobs_survives_a_restart(subject: &dyn StoreFixture) {
    let mut store = subject.open().await;
    for id in ["m", "z", "a"] {
        create(&*store, id).await;
    }
    store.remove(&name("a"), None).await.expect("it is removed");
    store = reopen(subject, store).await;
    for id in ["b", "a"] {
        create(&*store, id).await;
    }
    let list = store.list(ListFrom::Skip(1), count(10)).await.expect("jobs are listed");
    let ids: Vec<_> = list.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!((ids, list.total), (vec!["z", "b", "a"], 4));
}

/// History survives a restart unchanged.
pub async fn history_survives_a_restart(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    fire(&*store, "nightly", 1).await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 2), draft(TickOutcome::Idle, 3)]).await;
    let before = store.decisions(&all_decisions()).await.expect("decisions are read");
    let fired = store.firings(&all_firings()).await.expect("firings are read");
    let store = reopen(subject, store).await;
    assert_eq!(before.len(), 2);
    assert_eq!(store.decisions(&all_decisions()).await.expect("decisions are read"), before);
    assert_eq!(store.firings(&all_firings()).await.expect("firings are read"), fired);
}

/// Open firings survive a restart in their states.
pub async fn open_firings_survive_a_restart(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let planned = fire(&*store, "nightly", 1).await;
    let launching = fire(&*store, "nightly", 2).await;
    let launching = advance(&*store, &launching, FiringState::Launching, &["t1"]).await;
    let finished = fire(&*store, "nightly", 3).await;
    advance(&*store, &finished, FiringState::Cancelled, &[]).await;
    let store = reopen(subject, store).await;
    assert_eq!(store.open_firings().await.expect("firings are read"), [planned, launching]);
}

/// Ids of decisions keep growing after a restart, even when the newest row was pruned.
pub async fn ids_keep_growing_after_a_restart(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let old =
        record(&*store, "nightly", vec![draft(TickOutcome::Missed, 1), draft(TickOutcome::Idle, 2)]).await;
    let retention = super::maintenance::by_age(50, 10);
    assert_eq!(store.prune(retention).await.expect("the store prunes"), 2);
    let store = reopen(subject, store).await;
    let new = record(&*store, "nightly", vec![draft(TickOutcome::Idle, 60)]).await;
    assert!(new[0] > old[1], "{new:?} after {old:?}");
}

/// Outcomes fold into a row that was written before a restart.
pub async fn folding_continues_after_a_restart(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let first = record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    let store = reopen(subject, store).await;
    let second = record(&*store, "nightly", vec![draft(TickOutcome::Idle, 2)]).await;
    assert_eq!(first, second);
    assert_eq!(decisions(&*store, "nightly").await[0].draft.span.count, 2);
}

/// Registers survive a restart with their versions.
pub async fn registers_survive_a_restart(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    store.put_register("brake", "on", None, None).await.expect("it is new");
    store.put_register("brake", "off", Some(1), Some(at(9))).await.expect("the version is this");
    let store = reopen(subject, store).await;
    let stored = Register { value: "off".to_owned(), version: 2 };
    assert_eq!(store.get_register("brake").await.expect("it is read"), Some(stored));
}

/// Removals survive a restart, and so does the history of removed jobs.
pub async fn removals_survive_a_restart(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    fire(&*store, "nightly", 1).await;
    store.remove(&job.id, None).await.expect("it is removed");
    let store = reopen(subject, store).await;
    assert!(store.get(std::slice::from_ref(&job.id)).await.expect("jobs are read").is_empty());
    assert_eq!(decisions(&*store, "nightly").await.len(), 1);
    create(&*store, "nightly").await;
    assert_eq!(decisions(&*store, "nightly").await.len(), 1);
}
