//! News of edits in a shared store.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;

use super::Subject;
use super::sample::{at, create, document, draft, edit, fire, firing, name, record, settlement, shared};
use crate::decide::Outcome;
use crate::job::{JobId, Revision, StoredJob};
use crate::store::{
    EditMark, EditedJobs, Fence, Journal, MIN_CHANGELOG, Settled, Settlement, Shard, ShardEdits, ShardView,
    SharedStore,
};

/// Somebody who asks for edits of all shards again and again.
struct Listener {
    store: Arc<dyn SharedStore>,
    marks: Vec<(Shard, EditMark)>,
}

impl Listener {
    fn new(store: &Arc<dyn SharedStore>) -> Self {
        let marks = Shard::all().map(|shard| (shard, EditMark::default())).collect();
        Self { store: Arc::clone(store), marks }
    }

    async fn news(&mut self) -> Vec<ShardEdits> {
        let news = self.store.edits(&self.marks).await.expect("edits are read");
        for edits in &news {
            let mark = self.marks.iter_mut().find(|(shard, _)| *shard == edits.shard);
            mark.expect("only shards that were asked about are told").1 = edits.mark;
        }
        news
    }

    /// Returns the jobs that were edited since the last time.
    async fn jobs(&mut self) -> BTreeSet<JobId> {
        let mut jobs = BTreeSet::new();
        for edits in self.news().await {
            let EditedJobs::These(of_shard) = edits.jobs else { panic!("so few edits can be told") };
            assert!(!of_shard.is_empty(), "a shard without edits is left out");
            assert!(of_shard.iter().all(|job| Shard::of(job) == edits.shard), "{of_shard:?}");
            jobs.extend(of_shard);
        }
        jobs
    }
}

fn names(names: &[&str]) -> BTreeSet<JobId> {
    names.iter().map(|id| name(id)).collect()
}

/// Creations, replacements and removals are told, each to everybody who asks, and not again.
pub async fn creations_replacements_and_removals_are_told(subject: &dyn Subject) {
    let store = shared(subject).await;
    let (mut first, mut second) = (Listener::new(&store), Listener::new(&store));
    assert_eq!(first.news().await, []);
    for id in ["a", "b", "c"] {
        create(&*store, id).await;
    }
    assert_eq!(first.jobs().await, names(&["a", "b", "c"]));
    assert_eq!(first.news().await, []);
    store.replace(&name("b"), Revision(1), document("{}"), at(1)).await.expect("the revision is this");
    assert_eq!(first.jobs().await, names(&["b"]));
    store.remove(&name("c"), None).await.expect("it exists");
    create(&*store, "c").await;
    assert_eq!(first.jobs().await, names(&["c"]));
    assert_eq!(first.news().await, []);
    assert_eq!(second.jobs().await, names(&["a", "b", "c"]));
}

/// Only those shards are told that were asked about, each since its own mark.
pub async fn edits_are_told_by_shard(subject: &dyn Subject) {
    let store = shared(subject).await;
    let jobs: Vec<JobId> = Shard::all()
        .map(|shard| (0..).map(|n| name(&format!("job-{n}"))).find(|job| Shard::of(job) == shard))
        .map(|job| job.expect("every shard has jobs"))
        .collect();
    for job in &jobs {
        create(&*store, job.as_str()).await;
    }
    let [one, two, three] = [3, 9, 14].map(|place: usize| Shard::of(&jobs[place]));
    let all: Vec<_> = [one, two, three].map(|shard| (shard, EditMark::default())).to_vec();
    let news = store.edits(&all).await.expect("edits are read");
    let mark = |shard| news.iter().find(|edits| edits.shard == shard).expect("it was edited").mark;
    store.replace(&jobs[9], Revision(1), document("{}"), at(1)).await.expect("the revision is this");
    store.replace(&jobs[14], Revision(1), document("{}"), at(1)).await.expect("the revision is this");
    let marks = [(one, mark(one)), (two, mark(two))];
    let news = store.edits(&marks).await.expect("edits are read");
    let told: Vec<_> = news.into_iter().map(|edits| (edits.shard, edits.jobs)).collect();
    assert_eq!(told, [(two, EditedJobs::These(vec![jobs[9].clone()]))]);
    assert_eq!(store.edits(&[]).await.expect("edits are read"), []);
}

/// What the journal notes about a job is no edit.
pub async fn what_the_journal_writes_is_no_edit(subject: &dyn Subject) {
    let store = shared(subject).await;
    let mut listener = Listener::new(&store);
    create(&*store, "nightly").await;
    listener.jobs().await;
    record(&*store, "nightly", vec![draft(Outcome::Idle, 1)]).await;
    fire(&*store, "nightly", 2).await;
    assert_eq!(listener.news().await, []);
}

/// An edit makes settlements by the version before it stale for the owner of the job's shard too, and moves no fence.
pub async fn an_edit_makes_the_owners_settlements_of_the_version_before_stale(subject: &dyn Subject) {
    let store = shared(subject).await;
    let before = create(&*store, "nightly").await;
    let version = store.write("owner", "a", None, None).await.expect("it is new");
    let fence = Fence { register: "owner".to_owned(), version };
    let owner = ShardView::new(Arc::clone(&store), Shard::of(&before.id), fence);
    let after = edit(&*store, "nightly").await;
    let settle = async |job: &StoredJob| {
        let fires = settlement(job, vec![draft(Outcome::Pending, 1)]);
        let batch = vec![Settlement { firing: Some(firing(job, 1)), ..fires }];
        owner.settle(batch).await.expect("the fence holds")
    };
    assert_eq!(settle(&before).await, [Settled::Stale]);
    assert!(store.unfinished().await.expect("firings are read").is_empty());
    assert!(matches!(&settle(&after).await[..], [Settled::Recorded(_)]));
}

/// Whoever asks while many write misses no edit, and finds what it is told about.
pub async fn no_edit_is_missed_while_many_write(subject: &dyn Subject) {
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
    let mut listener = Listener::new(&store);
    let mut told = BTreeSet::new();
    loop {
        let done = futures::poll!(&mut writing).is_ready();
        let jobs: Vec<JobId> = listener.jobs().await.into_iter().collect();
        let found = store.get(&jobs).await.expect("jobs are read");
        assert_eq!(found.len(), jobs.len(), "an edit is told when it can be seen");
        told.extend(jobs);
        if done {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(told.len(), WRITERS * EACH);
}

/// Up to [`MIN_CHANGELOG`] edits of a shard are told; of more, all or none.
pub async fn more_edits_than_can_be_told_are_unknown(subject: &dyn Subject) {
    let store = shared(subject).await;
    let job = create(&*store, "nightly").await;
    let since = [(Shard::of(&job.id), EditMark::default())];
    let mut revision = job.revision;
    let (mut names_told, mut unknown) = (0, 0);
    for edits in 1..=MIN_CHANGELOG + 64 {
        if edits % 64 == 0 || edits > MIN_CHANGELOG + 60 {
            let news = store.edits(&since).await.expect("edits are read").pop().expect("there are edits");
            match news.jobs {
                EditedJobs::These(jobs) => {
                    assert!(jobs.iter().all(|told| *told == job.id) && !jobs.is_empty(), "{jobs:?}");
                    names_told += 1;
                }
                EditedJobs::Unknown => {
                    assert!(edits > MIN_CHANGELOG, "{edits} edits can be told");
                    unknown += 1;
                }
            }
            let again = store.edits(&[(news.shard, news.mark)]).await.expect("edits are read");
            assert_eq!(again, [], "the new mark is up to date");
        }
        let replaced = store.replace(&job.id, revision, document("{}"), at(1)).await;
        revision = replaced.expect("the revision is this").revision;
    }
    assert!(names_told >= 4 && names_told + unknown == 8, "{names_told} told, {unknown} unknown");
}

/// A mark of another time, as after a restored backup, is answered with a new one.
pub async fn a_mark_of_another_time_is_unknown(subject: &dyn Subject) {
    let store = shared(subject).await;
    let job = create(&*store, "nightly").await;
    let shard = Shard::of(&job.id);
    let news = store.edits(&[(shard, EditMark(u64::MAX / 4))]).await.expect("edits are read");
    let [ShardEdits { jobs: EditedJobs::Unknown, mark, .. }] = news[..] else { panic!("{news:?}") };
    assert_eq!(store.edits(&[(shard, mark)]).await.expect("edits are read"), []);
}
