//! The contents of a store that was dropped in the middle of its work.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::StoreFixture;
use super::calls::{at, create, decisions, name, read};
use super::consistency::next_settlement;
use ecs_scheduler_core::job::StoredJob;
use ecs_scheduler_core::store::{FiringQuery, Settled, Store};

/// The number of jobs settled concurrently, and the number of answers after which the store is dropped.
const JOBS: usize = 12;
const ANSWERS: usize = 40;
/// The timeout of every wait.
const DEADLINE: Duration = Duration::from_secs(60);

/// The acknowledged settlements of each job: the tick up to which it is settled.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
    ticks: Mutex<Vec<Option<Timestamp>>>,
    answers: Mutex<usize>,
    changed: Notify,
}

impl Acknowledged {
    fn record(&self, job: usize, settled: Option<Timestamp>) {
        self.ticks.lock()[job] = settled;
        *self.answers.lock() += 1;
        self.changed.notify_waiters();
    }

    /// Waits for this number of answers.
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

/// Settles one job tick by tick until the store fails or the task is stopped. Every tick has a row with an idle outcome and
/// one with a firing, so that a partial settlement would be detected.
async fn settle_on(store: Arc<dyn Store>, job: usize, acknowledged: Arc<Acknowledged>) {
    let mut stored = read(&*store, &id(job)).await;
    loop {
        let mut next = next_settlement(&stored, true);
        let mut idle = next.records[0].clone();
        idle.outcome = ecs_scheduler_core::decide::TickOutcome::Missed;
        next.records.insert(0, idle);
        let settled = next.new_cursor;
        match store.settle(vec![next]).await {
            Ok(answers) => assert!(matches!(&answers[..], [Settled::Recorded(_)]), "nobody else settles it"),
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                return;
            }
        }
        stored.progress.settled = settled;
        acknowledged.record(job, settled);
    }
}

/// Settles many jobs in the background.
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

/// Reads a job with its history, once no write in progress changes it.
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

/// Asserts that the store has every acknowledged settlement, at most one more of each job, and each as a whole.
pub(super) async fn assert_whole(store: &dyn Store, acknowledged: &Acknowledged) {
    for job in 0..JOBS {
        let (stored, rows, firings) = at_rest(store, job).await;
        let ticks = stored.progress.settled.map_or(0, |settled| settled.as_second() - at(0).as_second());
        let acked =
            acknowledged.ticks.lock()[job].map_or(0, |settled| settled.as_second() - at(0).as_second());
        assert!(ticks == acked || ticks == acked + 1, "job {job}: {acked} acknowledged, {ticks} stored");
        assert_eq!((rows, firings), (2 * ticks, ticks), "job {job} has two rows and one firing a tick");
    }
}

/// A store that was dropped in the middle of many settlements, without being closed, has every acknowledged one and possibly
/// those in progress, each as a whole or not at all.
pub async fn a_store_dropped_in_mid_batch_keeps_acknowledged_writes(subject: &dyn StoreFixture) {
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
    assert!(matches!(&answers[..], [Settled::Recorded(_)]), "settling continues");
}
