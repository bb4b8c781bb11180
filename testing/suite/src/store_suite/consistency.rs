//! Many concurrent callers of different kinds, and the consistency of the store afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;

use super::StoreFixture;
use super::calls::{
    all_firings, at, count, create, decisions, document, draft, firing, moved, name, new_job, read,
    settlement,
};
use ecs_scheduler_core::decide::TickOutcome;
use ecs_scheduler_core::firing::{FiringId, FiringState};
use ecs_scheduler_core::job::StoredJob;
use ecs_scheduler_core::store::{Advance, ListFrom, Settled, Settlement, Store, StoreError};

/// The contended jobs, and the number of callers of each kind for each job.
const JOBS: [&str; 3] = ["a", "b", "c"];
const CALLERS: usize = 3;
/// The number of successes after which a caller ends.
const EACH: usize = 6;

/// The contents that the store must have according to its answers.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Replacements of each of the jobs.
    replaced: u64,
    /// Ticks of each job that were settled.
    settled: u64,
    firings: BTreeSet<FiringId>,
    created: u64,
    removed: u64,
}

/// Makes a document that counts its edits. It is an object, since some stores keep nothing else.
fn counting(edits: u64) -> String {
    format!("{{\"taskCount\":{edits}}}")
}

/// Reads what a document counts.
fn counted(document: &str) -> u64 {
    let digits = document.strip_prefix("{\"taskCount\":").and_then(|rest| rest.strip_suffix('}'));
    digits.and_then(|digits| digits.parse().ok()).expect("the document is exactly one that counts")
}

/// Edits a contended job as a client does: read, replace, retry on a conflict.
async fn edit(store: Arc<dyn Store>, job: &'static str) {
    let mut done = 0;
    while done < EACH {
        let stored = read(&*store, job).await;
        let next = document(&counting(counted(stored.document.get()) + 1));
        match store.replace(&stored.id, stored.revision, next, at(1)).await {
            Ok(_) => done += 1,
            Err(StoreError::Conflict(_)) => {}
            Err(error) => panic!("an edit fails: {error}"),
        }
    }
}

/// Settles the next ticks of a contended job; every second one fires.
async fn tick(store: Arc<dyn Store>, job: &'static str) -> Vec<FiringId> {
    let mut fired = Vec::new();
    let mut done = 0;
    while done < EACH {
        let stored = read(&*store, job).await;
        let fires = done % 2 == 0;
        let next = next_settlement(&stored, fires);
        match store.settle(vec![next.clone()]).await.expect("the store settles").remove(0) {
            Settled::Stale => continue,
            Settled::Recorded(ids) => assert!(!ids.is_empty() && ids[0].0 > 0),
        }
        done += 1;
        if let Some(firing) = next.firing {
            let to = moved(&firing, FiringState::Launching, &["t"]);
            let advance = Advance { from: FiringState::Planned, to, outcome: None };
            store.advance(advance).await.expect("nobody else moves it");
            fired.push(firing.id);
        }
    }
    fired
}

/// Makes the settlement of the next tick of a job.
pub(super) fn next_settlement(job: &StoredJob, fires: bool) -> Settlement {
    let tick = job.progress.settled.map_or(1, |settled| settled.as_second() - at(0).as_second() + 1);
    let outcome = if fires { TickOutcome::Pending } else { TickOutcome::Idle };
    let firing = fires.then(|| firing(job, tick));
    Settlement { firing, ..settlement(job, vec![draft(outcome, tick)]) }
}

/// Creates jobs and removes every second one, while others list them.
async fn create_and_remove(store: Arc<dyn Store>, caller: usize) {
    for number in 0..EACH {
        let id = format!("created-{caller}-{number}");
        let job = store.create(new_job(&id, 0)).await.expect("the name is free");
        let list = store.list(ListFrom::Skip(0), count(1000)).await.expect("jobs are listed");
        assert!(list.jobs.iter().any(|listed| listed.id == job.id), "the creator sees the job");
        // Other callers create and remove jobs between the page and its total; the contended jobs and the new one stay.
        assert!(list.total > JOBS.len() as u64, "the total counts the contended jobs and the new one");
        if number % 2 == 0 {
            store.remove(&job.id, Some(job.revision)).await.expect("nobody else touches it");
        }
    }
}

/// Runs all callers on these handles, in turns, and returns the expected contents.
pub(super) async fn run_mixed_callers(handles: &[Arc<dyn Store>]) -> Expected {
    let store = &handles[0];
    for job in JOBS {
        let mut new = new_job(job, 0);
        new.document = document(&counting(0));
        store.create(new).await.expect("a new job is stored");
    }
    let (mut editors, mut tickers, mut creators) = (Vec::new(), Vec::new(), Vec::new());
    for caller in 0..CALLERS {
        let handle = || Arc::clone(&handles[caller % handles.len()]);
        for job in JOBS {
            editors.push(tokio::spawn(edit(handle(), job)));
            tickers.push(tokio::spawn(tick(handle(), job)));
        }
        creators.push(tokio::spawn(create_and_remove(handle(), caller)));
    }
    let edits = join_all(editors).await.into_iter().chain(join_all(creators).await);
    edits.for_each(|done| done.expect("no caller panics"));
    let fired = join_all(tickers).await.into_iter().flat_map(|done| done.expect("no caller panics"));
    let firings: Vec<FiringId> = fired.collect();
    let in_all = (CALLERS * EACH) as u64;
    let expected = Expected {
        replaced: in_all,
        settled: in_all,
        firings: firings.iter().cloned().collect(),
        created: JOBS.len() as u64 + in_all,
        removed: in_all / 2,
    };
    assert_eq!(expected.firings.len(), firings.len(), "no firing was acknowledged twice");
    expected
}

/// Asserts that the store has exactly the expected contents.
pub(super) async fn assert_consistent(store: &dyn Store, expected: &Expected) {
    for job in JOBS {
        let stored = read(store, job).await;
        assert_eq!(stored.revision.0, 1 + expected.replaced, "{job} counts its replacements");
        assert_eq!(counted(stored.document.get()), expected.replaced, "no edit of {job} was lost");
        assert_eq!(stored.progress.settled, Some(at(expected.settled as i64)), "{job} is settled to the end");
        let rows = decisions(store, job).await;
        let ticks: u64 = rows.iter().map(|row| row.draft.span.count).sum();
        assert_eq!(ticks, expected.settled, "each tick of {job} has one outcome");
        assert!(rows.is_sorted_by(|newer, older| newer.id > older.id));
        assert_eq!(stored.progress.last_firing, rows.iter().find_map(|row| row.firing.clone()));
    }
    let stored: Vec<_> = store.firings(&all_firings()).await.expect("firings are read");
    let ids: BTreeSet<FiringId> = stored.iter().map(|firing| firing.id.clone()).collect();
    assert_eq!((ids.len(), &ids), (stored.len(), &expected.firings));
    assert!(stored.iter().all(|firing| firing.state == FiringState::Launching));
    let list = store.list(ListFrom::Skip(0), count(1000)).await.expect("jobs are listed");
    assert_eq!(list.total, expected.created - expected.removed);
    assert_eq!(list.jobs.len() as u64, list.total);
    let behind = store.list(ListFrom::Skip(list.total - 1), count(10)).await.expect("jobs are listed");
    assert_eq!(behind.jobs[0].id, list.jobs[list.jobs.len() - 1].id);
}

/// Concurrent edits, settlements, advances, creations and removals leave a consistent store.
pub async fn mixed_callers_leave_a_consistent_store(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let expected = run_mixed_callers(&[Arc::clone(&store)]).await;
    assert_consistent(&*store, &expected).await;
}

/// Batches with overlapping jobs, some in reverse order, settle each tick once.
pub async fn overlapping_batches_settle_each_tick_once(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let names: Vec<String> = (0..40).map(|number| format!("job-{number:02}")).collect();
    for id in &names {
        create(&*store, id).await;
    }
    let ids: Vec<_> = names.iter().map(|id| name(id)).collect();
    let jobs = store.get(&ids).await.expect("jobs are read");
    let callers = (0..8).map(|caller| {
        let store = Arc::clone(&store);
        let mut batch: Vec<_> = jobs.iter().skip(caller).map(|job| next_settlement(job, true)).collect();
        if caller % 2 == 1 {
            batch.reverse();
        }
        tokio::spawn(async move { store.settle(batch).await.expect("the store settles") })
    });
    let answers = join_all(callers).await.into_iter().flat_map(|done| done.expect("no caller panics"));
    let recorded = answers.filter(|answer| *answer != Settled::Stale).count();
    assert_eq!(recorded, names.len(), "each job's tick is settled by one of them");
    assert_eq!(store.open_firings().await.expect("firings are read").len(), names.len());
    for id in &names {
        assert_eq!(decisions(&*store, id).await.len(), 1);
    }
}
