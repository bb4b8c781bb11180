//! The change log of job edits in a shared store.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;

use super::StoreFixture;
use super::calls::{at, create, document, draft, edit, fire, firing, name, record, settlement, shared};
use ecs_scheduler_core::decide::TickOutcome;
use ecs_scheduler_core::job::{JobId, Revision, StoredJob};
use ecs_scheduler_core::store::{
    ChangeCursor, ChangedJobs, Fence, Journal, MIN_CHANGELOG, Settled, Settlement, Shard, ShardChanges,
    ShardView, SharedStore,
};

/// Polls the edits of all shards.
struct Poller {
    store: Arc<dyn SharedStore>,
    cursors: Vec<(Shard, ChangeCursor)>,
}

impl Poller {
    fn new(store: &Arc<dyn SharedStore>) -> Self {
        let cursors = Shard::all().map(|shard| (shard, ChangeCursor::default())).collect();
        Self { store: Arc::clone(store), cursors }
    }

    async fn poll(&mut self) -> Vec<ShardChanges> {
        let changes = self.store.changes(&self.cursors).await.expect("edits are read");
        for edits in &changes {
            let mark = self.cursors.iter_mut().find(|(shard, _)| *shard == edits.shard);
            mark.expect("only requested shards are returned").1 = edits.cursor;
        }
        changes
    }

    /// Returns the jobs that were edited since the last time.
    async fn jobs(&mut self) -> BTreeSet<JobId> {
        let mut jobs = BTreeSet::new();
        for edits in self.poll().await {
            let ChangedJobs::Jobs(of_shard) = edits.jobs else { panic!("the log keeps so few edits") };
            assert!(!of_shard.is_empty(), "a shard without edits is left out");
            assert!(of_shard.iter().all(|job| Shard::from_job(job) == edits.shard), "{of_shard:?}");
            jobs.extend(of_shard);
        }
        jobs
    }
}

fn names(names: &[&str]) -> BTreeSet<JobId> {
    names.iter().map(|id| name(id)).collect()
}

/// Creations, replacements and removals are returned to every caller, once.
pub async fn creations_replacements_and_removals_are_logged(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let (mut first, mut second) = (Poller::new(&store), Poller::new(&store));
    assert_eq!(first.poll().await, []);
    for id in ["a", "b", "c"] {
        create(&*store, id).await;
    }
    assert_eq!(first.jobs().await, names(&["a", "b", "c"]));
    assert_eq!(first.poll().await, []);
    store.replace(&name("b"), Revision(1), document("{}"), at(1)).await.expect("the revision is this");
    assert_eq!(first.jobs().await, names(&["b"]));
    store.remove(&name("c"), None).await.expect("it exists");
    create(&*store, "c").await;
    assert_eq!(first.jobs().await, names(&["c"]));
    assert_eq!(first.poll().await, []);
    assert_eq!(second.jobs().await, names(&["a", "b", "c"]));
}

/// Only requested shards are returned, each since its own cursor.
pub async fn changes_are_returned_by_shard(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let jobs: Vec<JobId> = Shard::all()
        .map(|shard| (0..).map(|n| name(&format!("job-{n}"))).find(|job| Shard::from_job(job) == shard))
        .map(|job| job.expect("every shard has jobs"))
        .collect();
    for job in &jobs {
        create(&*store, job.as_str()).await;
    }
    let [one, two, three] = [3, 9, 14].map(|index: usize| Shard::from_job(&jobs[index]));
    let all: Vec<_> = [one, two, three].map(|shard| (shard, ChangeCursor::default())).to_vec();
    let changes = store.changes(&all).await.expect("edits are read");
    let mark = |shard| changes.iter().find(|edits| edits.shard == shard).expect("it was edited").cursor;
    store.replace(&jobs[9], Revision(1), document("{}"), at(1)).await.expect("the revision is this");
    store.replace(&jobs[14], Revision(1), document("{}"), at(1)).await.expect("the revision is this");
    let cursors = [(one, mark(one)), (two, mark(two))];
    let changes = store.changes(&cursors).await.expect("edits are read");
    let seen: Vec<_> = changes.into_iter().map(|edits| (edits.shard, edits.jobs)).collect();
    assert_eq!(seen, [(two, ChangedJobs::Jobs(vec![jobs[9].clone()]))]);
    assert_eq!(store.changes(&[]).await.expect("edits are read"), []);
}

/// Journal writes to a job are no edits.
pub async fn journal_writes_are_no_edits(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let mut poller = Poller::new(&store);
    create(&*store, "nightly").await;
    poller.jobs().await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    fire(&*store, "nightly", 2).await;
    assert_eq!(poller.poll().await, []);
}

/// An edit makes settlements of the old version stale for the shard's owner too, and does not change the fence.
pub async fn an_edit_makes_the_owners_old_settlements_stale(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let before = create(&*store, "nightly").await;
    let version = store.put_register("owner", "a", None, None).await.expect("it is new");
    let fence = Fence { register: "owner".to_owned(), version };
    let owner = ShardView::new(Arc::clone(&store), Shard::from_job(&before.id), fence);
    let after = edit(&*store, "nightly").await;
    let settle = async |job: &StoredJob| {
        let fires = settlement(job, vec![draft(TickOutcome::Pending, 1)]);
        let batch = vec![Settlement { firing: Some(firing(job, 1)), ..fires }];
        owner.settle(batch).await.expect("the fence holds")
    };
    assert_eq!(settle(&before).await, [Settled::Stale]);
    assert!(store.open_firings().await.expect("firings are read").is_empty());
    assert!(matches!(&settle(&after).await[..], [Settled::Recorded(_)]));
}

/// A poller misses no edit under concurrent writes, and can read every job that it gets.
pub async fn no_edit_is_missed_under_concurrent_writes(subject: &dyn StoreFixture) {
    const WRITERS: usize = 8;
    const EACH: usize = 12;
    let store = shared(subject).await;
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..EACH {
                create(&*store, &format!("job-{writer}-{number}")).await;
            }
        })
    });
    let writing = join_all(writers.collect::<Vec<_>>());
    let mut writing = std::pin::pin!(writing);
    let mut poller = Poller::new(&store);
    let mut seen = BTreeSet::new();
    loop {
        let done = futures::poll!(&mut writing).is_ready();
        let jobs: Vec<JobId> = poller.jobs().await.into_iter().collect();
        let found = store.get(&jobs).await.expect("jobs are read");
        assert_eq!(found.len(), jobs.len(), "a logged edit is visible");
        seen.extend(jobs);
        if done {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(seen.len(), WRITERS * EACH);
}

/// Up to [`MIN_CHANGELOG`] edits of a shard are returned; of more, all or none.
pub async fn more_edits_than_the_log_keeps_are_unknown(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let job = create(&*store, "nightly").await;
    let since = [(Shard::from_job(&job.id), ChangeCursor::default())];
    let mut revision = job.revision;
    let (mut known, mut unknown) = (0, 0);
    for edits in 1..=MIN_CHANGELOG + 64 {
        if edits % 64 == 0 || edits > MIN_CHANGELOG + 60 {
            let changes =
                store.changes(&since).await.expect("edits are read").pop().expect("there are edits");
            match changes.jobs {
                ChangedJobs::Jobs(jobs) => {
                    assert!(jobs.iter().all(|seen| *seen == job.id) && !jobs.is_empty(), "{jobs:?}");
                    known += 1;
                }
                ChangedJobs::Unknown => {
                    assert!(edits > MIN_CHANGELOG, "the log keeps {edits} edits");
                    unknown += 1;
                }
            }
            let again = store.changes(&[(changes.shard, changes.cursor)]).await.expect("edits are read");
            assert_eq!(again, [], "the new cursor is up to date");
        }
        let replaced = store.replace(&job.id, revision, document("{}"), at(1)).await;
        revision = replaced.expect("the revision is this").revision;
    }
    assert!(known >= 4 && known + unknown == 8, "{known} known, {unknown} unknown");
}

/// A cursor of another log, as after a restored backup, is replaced by a new one.
pub async fn a_cursor_of_another_log_is_unknown(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let job = create(&*store, "nightly").await;
    let shard = Shard::from_job(&job.id);
    let changes = store.changes(&[(shard, ChangeCursor(u64::MAX / 4))]).await.expect("edits are read");
    let [ShardChanges { jobs: ChangedJobs::Unknown, cursor, .. }] = changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(store.changes(&[(shard, cursor)]).await.expect("edits are read"), []);
}
