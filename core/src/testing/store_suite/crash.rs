//! What a store holds that was left in the middle of its work.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Subject;
use super::consistency::next_settlement;
use super::sample::{at, create, decisions, name, read};
use crate::job::StoredJob;
use crate::store::{FiringQuery, Settled, Store};

/// How many jobs are settled at once, and how many answers are waited for before the store is left.
const JOBS: usize = 12;
const ANSWERS: usize = 40;
/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What was acknowledged of each job: the tick up to which it is settled.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    ticks: Mutex<Vec<Option<Timestamp>>>,
    answers: Mutex<usize>,
    changed: Notify,
}

impl Acknowledged {
    fn note(&self, job: usize, settled: Option<Timestamp>) {
        self.ticks.lock()[job] = settled;
        *self.answers.lock() += 1;
        self.changed.notify_waiters();
    }

    /// Waits until so many answers have come.
    pub(super) async fn wait(&self, answers: usize) {
        loop {
            let changed = self.changed.notified();
            if *self.answers.lock() >= answers {
                return;
            }
            changed.await;
        }
    }
}

fn id(job: usize) -> String {
    format!("job-{job}")
}

/// Settles one job tick by tick until the store fails or it is stopped; every tick has an idle outcome and a firing
/// of its own row, so that half of a settlement would be seen.
async fn settle_on(store: Arc<dyn Store>, job: usize, acknowledged: Arc<Acknowledged>) {
    let mut stored = read(&*store, &id(job)).await;
    loop {
        let mut next = next_settlement(&stored, true);
        let mut idle = next.records[0].clone();
        idle.outcome = crate::decide::Outcome::Missed;
        next.records.insert(0, idle);
        let settled = next.settled;
        match store.settle(vec![next]).await {
            Ok(answers) => assert!(matches!(&answers[..], [Settled::Recorded(_)]), "nobody else settles it"),
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                return;
            }
        }
        stored.progress.settled = settled;
        acknowledged.note(job, settled);
    }
}

/// Lets many settle in the background.
pub(super) async fn busy(store: &Arc<dyn Store>) -> (Arc<Acknowledged>, JoinSet<()>) {
    let acknowledged = Arc::new(Acknowledged::default());
    acknowledged.ticks.lock().resize(JOBS, None);
    let mut tasks = JoinSet::new();
    for job in 0..JOBS {
        create(&**store, &id(job)).await;
    }
    for job in 0..JOBS {
        tasks.spawn(settle_on(Arc::clone(store), job, Arc::clone(&acknowledged)));
    }
    (acknowledged, tasks)
}

/// Reads a job with its history, at a moment at which nothing that was under way changed it.
async fn at_rest(store: &dyn Store, job: usize) -> (StoredJob, i64, i64) {
    loop {
        let before = read(store, &id(job)).await;
        let rows = decisions(store, &id(job)).await;
        let query = FiringQuery { job: Some(name(&id(job))), ..FiringQuery::default() };
        let firings = store.firings(&query).await.expect("firings are read");
        if read(store, &id(job)).await.progress == before.progress {
            return (before, rows.len() as i64, firings.len() as i64);
        }
    }
}

/// Asserts that the store holds what was acknowledged, and at most one settlement more of each job, each whole.
pub(super) async fn assert_whole(store: &dyn Store, acknowledged: &Acknowledged) {
    for job in 0..JOBS {
        let (stored, rows, firings) = at_rest(store, job).await;
        let ticks = stored.progress.settled.map_or(0, |settled| settled.as_second() - at(0).as_second());
        let told =
            acknowledged.ticks.lock()[job].map_or(0, |settled| settled.as_second() - at(0).as_second());
        assert!(ticks == told || ticks == told + 1, "job {job}: {told} acknowledged, {ticks} stored");
        assert_eq!((rows, firings), (2 * ticks, ticks), "job {job} has two rows and one firing a tick");
    }
}

/// A store that was dropped in the middle of many settlements, without being closed, holds what was acknowledged and
/// at most what was under way, each settlement wholly or not at all.
pub async fn a_store_left_in_mid_batch_holds_what_was_acknowledged(subject: &dyn Subject) {
    let store = subject.open().await;
    let (acknowledged, mut tasks) = busy(&store).await;
    tokio::time::timeout(DEADLINE, acknowledged.wait(ANSWERS)).await.expect("answers come");
    tasks.shutdown().await;
    drop(store);
    let store = subject.open().await;
    assert_whole(&*store, &acknowledged).await;
    let stored = read(&*store, &id(0)).await;
    let next = next_settlement(&stored, false);
    let answers = store.settle(vec![next]).await.expect("the store settles");
    assert!(matches!(&answers[..], [Settled::Recorded(_)]), "and it goes on");
}
