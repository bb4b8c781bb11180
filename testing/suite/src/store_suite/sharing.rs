//! Two handles of one store, as in two processes.

use std::sync::Arc;

use super::StoreFixture;
use super::calls::{
    advance, assert_same, at, count, create, document, draft, edit, fire, name, new_job, read, record,
    settle, settlement,
};
use super::consistency::{assert_consistent, run_mixed_callers};
use ecs_scheduler_core::decide::TickOutcome;
use ecs_scheduler_core::firing::FiringState;
use ecs_scheduler_core::job::Revision;
use ecs_scheduler_core::store::{ListFrom, Settled, Store, StoreError};

async fn open_two(subject: &dyn StoreFixture) -> [Arc<dyn Store>; 2] {
    [subject.open().await, subject.open().await]
}

async fn names(store: &dyn Store, from: ListFrom) -> (Vec<String>, u64) {
    let list = store.list(from, count(2)).await.expect("jobs are listed");
    (list.jobs.iter().map(|job| job.id.to_string()).collect(), list.total)
}

/// Writes of one handle are visible to the other at once: jobs, progress, firings, registers.
pub async fn writes_of_one_handle_are_visible_to_the_other(subject: &dyn StoreFixture) {
    let [one, other] = open_two(subject).await;
    let job = create(&*one, "nightly").await;
    assert_same(&read(&*other, "nightly").await, &job);
    other.replace(&job.id, Revision(1), document("2"), at(1)).await.expect("it is replaced");
    assert_eq!(read(&*one, "nightly").await.document.get(), "2");
    let firing = fire(&*one, "nightly", 1).await;
    let firing = advance(&*other, &firing, FiringState::Launching, &["t1"]).await;
    assert_eq!(one.open_firings().await.expect("firings are read"), [firing]);
    assert_eq!(read(&*one, "nightly").await.progress.last_run, Some(at(1)));
    one.put_register("brake", "on", None, None).await.expect("it is new");
    assert_eq!(other.put_register("brake", "off", Some(1), None).await.expect("the version is this"), 2);
    let conflict = one.put_register("brake", "on", Some(1), None).await.expect_err("the other was first");
    assert!(matches!(conflict, StoreError::Conflict(_)), "{conflict:?}");
    one.remove(&job.id, None).await.expect("it is removed");
    let gone = other.replace(&job.id, Revision(2), document("3"), at(2)).await.expect_err("it is gone");
    assert!(matches!(gone, StoreError::NotFound(_)), "{gone:?}");
}

/// An edit through one handle makes settlements of the old version stale for the other handle, which has not read the edit.
pub async fn an_edit_of_one_handle_makes_settlements_of_the_other_stale(subject: &dyn StoreFixture) {
    let [one, other] = open_two(subject).await;
    create(&*one, "nightly").await;
    record(&*other, "nightly", vec![draft(TickOutcome::Missed, 1)]).await;
    let before = read(&*other, "nightly").await;
    edit(&*one, "nightly").await;
    let late = settlement(&before, vec![draft(TickOutcome::Missed, 2)]);
    assert_eq!(settle(&*other, late).await, Settled::Stale);
    assert_eq!(read(&*one, "nightly").await.progress, before.progress);
    record(&*other, "nightly", vec![draft(TickOutcome::Missed, 2)]).await;
}

/// A list that one handle pages through stays correct while the other removes and creates jobs.
pub async fn a_list_stays_correct_while_another_handle_edits(subject: &dyn StoreFixture) {
    let [one, other] = open_two(subject).await;
    for id in ["a", "b", "c", "d", "e", "f"] {
        create(&*one, id).await;
    }
    let pages = async |store: &Arc<dyn Store>| {
        let mut all = Vec::new();
        for skip in [0, 2, 4] {
            all.extend(names(&**store, ListFrom::Skip(skip)).await.0);
        }
        all
    };
    assert_eq!(pages(&one).await, ["a", "b", "c", "d", "e", "f"]);
    other.remove(&name("b"), None).await.expect("it is removed");
    assert_eq!(names(&*one, ListFrom::Skip(4)).await, (vec!["f".to_owned()], 5));
    other.create(new_job("b", 0)).await.expect("the name is free");
    for store in [&one, &other] {
        assert_eq!(pages(store).await, ["a", "c", "d", "e", "f", "b"]);
    }
    assert_eq!(names(&*one, ListFrom::After(name("f"))).await, (vec!["b".to_owned()], 6));
}

/// Ids of decisions grow across handles, and rows fold across handles.
pub async fn ids_grow_and_rows_fold_across_handles(subject: &dyn StoreFixture) {
    let [one, other] = open_two(subject).await;
    create(&*one, "nightly").await;
    let mut seen = Vec::new();
    for tick in 0..6 {
        let store = if tick % 2 == 0 { &one } else { &other };
        let outcome = if tick < 3 { TickOutcome::Missed } else { TickOutcome::Launched };
        seen.extend(record(&**store, "nightly", vec![draft(outcome, tick)]).await);
    }
    assert_eq!(seen[0], seen[2], "equal idle outcomes are one row");
    assert!(seen[2..].is_sorted_by(|older, newer| older < newer), "{seen:?}");
    let late = settlement(&read(&*one, "nightly").await, vec![draft(TickOutcome::Idle, 7)]);
    record(&*other, "nightly", vec![draft(TickOutcome::Idle, 7)]).await;
    assert_eq!(settle(&*one, late).await, Settled::Stale);
}

/// One handle prunes the other's rows, and outcomes are recorded as before.
pub async fn one_handle_prunes_rows_of_the_other(subject: &dyn StoreFixture) {
    let [one, other] = open_two(subject).await;
    create(&*one, "nightly").await;
    let old = record(&*one, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    let retention = super::maintenance::by_age(50, 100);
    assert_eq!(other.prune(retention).await.expect("the store prunes"), 1);
    let new = record(&*one, "nightly", vec![draft(TickOutcome::Idle, 60)]).await;
    assert!(new[0] > old[0], "an id is never given twice");
}

/// Concurrent callers of two handles leave a consistent store.
pub async fn mixed_callers_of_two_handles_leave_a_consistent_store(subject: &dyn StoreFixture) {
    let handles = open_two(subject).await;
    let expected = run_mixed_callers(&handles).await;
    for store in &handles {
        assert_consistent(&**store, &expected).await;
    }
}
