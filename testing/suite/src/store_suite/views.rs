//! Views of one shard of a shared store, and registers by prefix.

use std::sync::Arc;

use super::StoreFixture;
use super::calls::{advance, count, create, fire, name, shared};
use ecs_scheduler_core::firing::FiringState;
use ecs_scheduler_core::job::JobId;
use ecs_scheduler_core::store::{
    Fence, JobStore, Journal, ListFrom, Register, Shard, ShardView, SharedStore, Store, StoreError,
};

/// Returns `each` job names of every shard, shard by shard.
fn names_of_every_shard(each: usize) -> Vec<JobId> {
    let of = |shard: Shard| {
        let names = (0..).map(|number| name(&format!("job-{number}")));
        names.filter(move |job| Shard::from_job(job) == shard).take(each)
    };
    Shard::all().flat_map(of).collect()
}

fn view(store: &Arc<dyn SharedStore>, shard: Shard) -> ShardView {
    ShardView::new(Arc::clone(store), shard, Fence { register: "fleet/shard".to_owned(), version: 1 })
}

async fn listed(view: &ShardView, from: ListFrom, limit: usize) -> (Vec<JobId>, u64) {
    let list = view.list(from, count(limit)).await.expect("jobs are listed");
    (list.jobs.into_iter().map(|job| job.id).collect(), list.total)
}

/// A view lists the jobs of its shard in the order of their creation, from any offset or after any job, with the shard's
/// total.
pub async fn a_view_lists_only_its_shard(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let mut names = names_of_every_shard(5);
    names.sort();
    names.rotate_left(11);
    for name in &names {
        create(&*store, name.as_str()).await;
    }
    for shard in Shard::all() {
        let view = view(&store, shard);
        let own: Vec<JobId> = names.iter().filter(|job| Shard::from_job(job) == shard).cloned().collect();
        assert_eq!(listed(&view, ListFrom::Skip(0), 10).await, (own.clone(), 5));
        assert_eq!(listed(&view, ListFrom::Skip(1), 2).await, (own[1..3].to_vec(), 5));
        assert_eq!(listed(&view, ListFrom::Skip(5), 2).await, (Vec::new(), 5));
        assert_eq!(listed(&view, ListFrom::After(own[1].clone()), 2).await, (own[2..4].to_vec(), 5));
        assert_eq!(listed(&view, ListFrom::After(own[4].clone()), 2).await, (Vec::new(), 5));
        store.remove(&own[2], None).await.expect("it is removed");
        let missing = view.list(ListFrom::After(own[2].clone()), count(1)).await;
        assert!(matches!(missing, Err(StoreError::NotFound(_))), "{missing:?}");
        assert_eq!(listed(&view, ListFrom::After(own[1].clone()), 1).await, (own[3..4].to_vec(), 4));
    }
    assert_eq!(store.list(ListFrom::Skip(0), count(1)).await.expect("jobs are listed").total, 64);
}

/// A view returns the open firings of its shard's jobs only, oldest first, those of removed jobs included.
pub async fn a_view_returns_only_open_firings_of_its_shard(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let names = names_of_every_shard(2);
    for name in &names {
        create(&*store, name.as_str()).await;
    }
    for tick in [1, 2] {
        for name in &names {
            fire(&*store, name.as_str(), tick).await;
        }
    }
    for (index, shard) in Shard::all().enumerate() {
        let view = view(&store, shard);
        let own = [&names[2 * index], &names[2 * index + 1]];
        let open = view.open_firings().await.expect("firings are read");
        assert!(open.iter().map(|firing| &firing.job).eq([own[0], own[1], own[0], own[1]]), "{open:?}");
        advance(&*store, &open[0], FiringState::Cancelled, &[]).await;
        store.remove(own[0], None).await.expect("it is removed");
        let left = view.open_firings().await.expect("firings are read");
        assert!(
            left.iter().map(|firing| &firing.id).eq(open[1..].iter().map(|firing| &firing.id)),
            "{left:?}"
        );
    }
}

/// Closing a view leaves the store open.
pub async fn a_closed_view_leaves_the_store_open(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let first = Shard::all().next().expect("there are shards");
    view(&store, first).close().await.expect("a view has nothing to write");
    create(&*store, "nightly").await;
    store.health_check().await.expect("the store is open");
}

/// Registers are found by the prefix of their names, sorted by name, with their current values.
pub async fn registers_are_found_by_their_prefix(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    for (name, value) in
        [("b/2", "two"), ("b/10", "ten ✓"), ("a", "a"), ("b", "b"), ("B/1", "one"), ("c%", "c")]
    {
        store.put_register(name, value, None, None).await.expect("it is new");
    }
    store.put_register("b/2", "second", Some(1), None).await.expect("the version is this");
    let register =
        |name: &str, value: &str, version| (name.to_owned(), Register { value: value.to_owned(), version });
    let found = async |prefix| store.registers(prefix).await.expect("registers are read");
    assert_eq!(found("b/").await, [register("b/10", "ten ✓", 1), register("b/2", "second", 2)]);
    assert_eq!(found("c%").await, [register("c%", "c", 1)]);
    for prefix in ["b/3", "%", "_", "b_", "d"] {
        assert_eq!(found(prefix).await, [], "{prefix}");
    }
}
