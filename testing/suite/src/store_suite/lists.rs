//! Lists of jobs.

use super::StoreFixture;
use super::calls::{assert_same, count, create, name, read};
use ecs_scheduler_core::store::{ListFrom, Store, StoreError};

async fn names(store: &dyn Store, from: ListFrom, limit: usize) -> (Vec<String>, u64) {
    let list = store.list(from, count(limit)).await.expect("jobs are listed");
    (list.jobs.iter().map(|job| job.id.to_string()).collect(), list.total)
}

/// Creates as many jobs, with names in no particular order; returns them in the order of their creation.
async fn many(store: &dyn Store, n: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(n);
    for number in 0..n {
        let id = format!("job-{:03}", number * 37 % n);
        create(store, &id).await;
        ids.push(id);
    }
    ids
}

/// Jobs are listed in the order of their creation, each as it is read by name.
pub async fn jobs_are_listed_in_the_order_of_their_creation(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    assert_eq!(names(&*store, ListFrom::Skip(0), 10).await, (Vec::new(), 0));
    for id in ["b", "c", "a"] {
        create(&*store, id).await;
    }
    let list = store.list(ListFrom::Skip(0), count(10)).await.expect("jobs are listed");
    for (listed, id) in list.jobs.iter().zip(["b", "c", "a"]) {
        assert_same(listed, &read(&*store, id).await);
    }
    assert_eq!((list.jobs.len(), list.total), (3, 3));
}

/// A list can begin at any index, or behind any job, and knows the total.
pub async fn a_list_can_begin_at_any_offset_and_has_the_total(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let ids = many(&*store, 250).await;
    for skip in [0, 1, 99, 200, 247, 249, 250, 10_000] {
        let expected: Vec<String> = ids.iter().skip(skip).take(7).cloned().collect();
        let listed = names(&*store, ListFrom::Skip(skip as u64), 7).await;
        assert_eq!(listed, (expected, 250), "skipping {skip}");
    }
    let mut seen = Vec::new();
    let mut from = ListFrom::Skip(0);
    loop {
        let (page, total) = names(&*store, from, 40).await;
        assert_eq!(total, 250);
        let Some(last) = page.last() else { break };
        from = ListFrom::After(name(last));
        seen.extend(page);
    }
    assert_eq!(seen, ids);
}

/// A list behind a job that is missing is refused.
pub async fn a_list_after_a_missing_job_fails(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "a").await;
    let error =
        store.list(ListFrom::After(name("nobody")), count(1)).await.expect_err("there is no such job");
    assert!(matches!(error, StoreError::NotFound(_)), "{error:?}");
}

/// Removals leave no hole in the list, and a name that is taken again goes to its end.
pub async fn removals_leave_no_gap_in_the_list(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let mut ids = many(&*store, 60).await;
    for index in [59, 30, 10, 0] {
        store.remove(&name(&ids.remove(index)), None).await.expect("it is removed");
    }
    let again = ids.remove(20);
    store.remove(&name(&again), None).await.expect("it is removed");
    create(&*store, &again).await;
    ids.push(again);
    assert_eq!(names(&*store, ListFrom::Skip(0), 100).await, (ids.clone(), 56));
    assert_eq!(names(&*store, ListFrom::Skip(25), 5).await, (ids[25..30].to_vec(), 56));
    let behind = names(&*store, ListFrom::After(name(&ids[54])), 5).await;
    assert_eq!(behind, (ids[55..].to_vec(), 56));
}
