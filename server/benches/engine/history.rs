//! A long history: pages of it at any depth, and other writes while it is pruned.
//!
//! `cargo bench -p ecs-scheduler --bench engine -- history 10000000` has ten million decisions, without a number there are a million. A
//! third argument is the URL of a PostgreSQL schema, which the benchmark does not remove; without one the store is SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
#[cfg(feature = "postgres")]
use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::{
    Clock as _, DecisionId, DecisionRecord, FiringState, ImportBatch, JobId, JournalEntry, MemoryStore,
    PrunedJobs, Retention, Settled, Store, StoredJob, SystemClock, TaskId, TaskPhase, TaskState, TickOutcome,
    Timestamp,
};
use ecs_scheduler_testing::sample;
use http_body_util::BodyExt as _;
use jiff::SignedDuration;
use tokio::time::Instant as Moment;
use tower::ServiceExt as _;

use crate::figure::{Figure, Goal, quantile};
use crate::instant::Instant;
use crate::jobs;

/// Jobs that share the history, in turn.
const JOBS: usize = 10_000;
/// One decision in so many is about the first job.
const FIRST_JOB_EVERY: usize = 10;
/// Entries of one import.
const BATCH: usize = 10_000;
/// One decision in so many has a firing, and one firing in so many has a task that failed.
const FIRING_EVERY: usize = 100;
const FAILED_EVERY: usize = 1_000;
/// The age of the oldest decision; half of them may be pruned.
const AGE: SignedDuration = SignedDuration::from_hours(60 * 24);
/// The number of reads of one kind of page.
const READS: usize = 300;
/// Writes before and while history is pruned, and the time between them.
const WRITES: usize = 1_000;
const WRITE_INTERVAL: Duration = Duration::from_millis(20);
/// Rows that the engine's pruner removes in one step, and its pause between two steps.
const PRUNED_ROWS: usize = 500;
const PRUNE_PAUSE: Duration = Duration::from_millis(100);
/// The decisions that each job keeps.
const KEEP: usize = 100;

pub(crate) async fn measure(count: usize, url: Option<&str>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (store, kind): (Arc<dyn Store>, _) = match url {
        Some(url) => (postgres(url).await?, "PostgreSQL"),
        None => (jobs::open(&folder.path().join("history.db")).await?, "SQLite"),
    };
    jobs::fill(&*store, JOBS, |_| "0 0 3".to_owned()).await?;
    let now = SystemClock.now();
    fill(&*store, count, now).await?;
    pages(&store, kind, count, now).await?;
    prune(&store, kind, now).await?;
    store.close().await?;
    Ok(())
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> anyhow::Result<Arc<dyn Store>> {
    Ok(Arc::new(PostgresStore::open(url, PostgresOptions::default()).await?))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &str) -> anyhow::Result<Arc<dyn Store>> {
    anyhow::bail!("this build has no PostgreSQL store")
}

fn job(number: usize) -> JobId {
    JobId::new(&format!("job-{number:07}")).expect("it is a job's name")
}

/// Imports decisions that were made at equal intervals, in turn about each job, and more often about the first one.
async fn fill(store: &dyn Store, count: usize, now: Timestamp) -> anyhow::Result<()> {
    let began = Moment::now();
    let ids: Vec<JobId> = (0..JOBS).map(job).collect();
    let stored: Vec<StoredJob> = store.get(&ids).await?;
    let step = AGE.as_millis() / i128::try_from(count)?;
    let step = SignedDuration::from_millis(i64::try_from(step.max(1))?);
    let first = now - AGE;
    let entry = |number: usize| {
        let of = &stored[if number.is_multiple_of(FIRST_JOB_EVERY) { 0 } else { number % JOBS }];
        let at = first + step * i32::try_from(number).unwrap_or(i32::MAX);
        let has_firing = number.is_multiple_of(FIRING_EVERY);
        let firing = has_firing.then(|| {
            let mut firing = sample::firing(&of.id, of.uid, at);
            let mut task = TaskState::new(TaskId::new(format!("task-{number}")), None, TaskPhase::Stopped);
            task.exit_code = Some(i32::from((number / FIRING_EVERY).is_multiple_of(FAILED_EVERY)));
            (firing.state, firing.tasks) = (FiringState::Finished, vec![task]);
            firing
        });
        let mut draft = sample::draft(if has_firing { TickOutcome::Launched } else { TickOutcome::Idle }, at);
        draft.explanation = format!(
            "{} messages ÷ 100 per task, rounded up → 2; less 2 already pending or running",
            number % 100
        );
        let id = firing.as_ref().map(|firing| firing.id.clone());
        let record =
            DecisionRecord { id: DecisionId::default(), job: of.id.clone(), uid: of.uid, draft, firing: id };
        JournalEntry { record, firing }
    };
    for begin in (0..count).step_by(BATCH) {
        let entries = (begin..count.min(begin + BATCH)).map(entry).collect();
        store.import(ImportBatch::History(entries)).await?;
    }
    eprintln!("{count} decisions were imported in {:.1?}", began.elapsed());
    Ok(())
}

/// Returns the lists to read, by name; `range` is a range of time.
fn places(range: &str) -> [(&'static str, String); 12] {
    [
        ("decisions", "/decisions?limit=100".to_owned()),
        ("launched decisions", "/decisions?limit=100&outcome=launched".to_owned()),
        ("decisions of a job", format!("/jobs/{}/decisions?limit=100", job(0))),
        ("launched decisions of a job", format!("/jobs/{}/decisions?limit=100&outcome=launched", job(0))),
        (
            "decisions of jobs with a label, of which there are none",
            "/decisions?limit=100&label=team".to_owned(),
        ),
        ("decisions in a range of time", format!("/decisions?limit=100&{range}")),
        ("firings", "/firings?limit=100".to_owned()),
        ("finished firings", "/firings?limit=100&state=finished".to_owned()),
        ("firings whose tasks failed", "/firings?limit=100&outcome=failed".to_owned()),
        ("firings of a job", format!("/jobs/{}/firings?limit=100", job(0))),
        ("firings of a job without any", format!("/jobs/{}/firings?limit=100", job(1))),
        ("firings in a range of time", format!("/firings?limit=100&{range}")),
    ]
}

/// Measures pages of the API at several depths.
async fn pages(store: &Arc<dyn Store>, kind: &str, count: usize, now: Timestamp) -> anyhow::Result<()> {
    let engine = jobs::engine(Arc::new(MemoryStore::default()), Arc::new(Instant::default())).await?;
    let router = jobs::api(store, &engine);
    let newest = get(&router, "/decisions?limit=1").await?;
    let newest = newest["decisions"][0]["id"].as_u64().context("there is a decision")?;
    // The id of a decision about the first job that is so many turns of all jobs old.
    let cursor = |turns: usize| newest - ((count - 1) % FIRST_JOB_EVERY + turns * JOBS) as u64;
    let turns = count / JOBS;
    // A hundredth of the history, and the newest decision in it is so many turns old.
    let range = |back: usize| {
        let part = |turns: usize| i32::try_from(turns).unwrap_or(i32::MAX);
        let to = now - AGE / part(turns.max(1)) * part(back);
        format!("from={}&to={to}", to - AGE / 100)
    };
    let mut first = None;
    for (depth, back) in [("newest", 0), ("at the middle", turns / 2), ("near the end", turns - turns / 10)] {
        let firing = get(&router, &format!("/firings?limit=1&{}", range(back))).await?;
        let firing =
            firing["firings"][0]["id"].as_str().context("there is a firing in the range")?.to_owned();
        for (name, place) in places(&range(back)) {
            let after = if place.contains("/firings?") { firing.clone() } else { cursor(back).to_string() };
            // A range has its own place in the history.
            let after = if back == 0 || place.contains("to=") || place.contains(&job(1).to_string()) {
                String::new()
            } else {
                format!("&after={after}")
            };
            let mut times = Vec::new();
            for _ in 0..READS {
                let began = Moment::now();
                get(&router, &format!("{place}{after}")).await?;
                times.push(began.elapsed().as_secs_f64() * 1_000.0);
            }
            let slow = quantile(&mut times, 0.99);
            let first = *first.get_or_insert(slow);
            let name = format!("{kind}, {count} decisions: a page of 100 {name}, {depth}, p99");
            print(&name, slow, Some(Goal::AtMost(5.0)), ("the newest page of all decisions", first));
        }
    }
    engine.stop(Duration::from_secs(5)).await;
    Ok(())
}

fn print(name: &str, value: f64, goal: Option<Goal>, beside: (&'static str, f64)) {
    Figure { name, value, unit: "ms", goal, beside }.print();
}

/// Reads a page through the API.
async fn get(router: &Router, path: &str) -> anyhow::Result<serde_json::Value> {
    let request = Request::get(path).header("host", "localhost").body(Body::empty())?;
    let answer = router.clone().oneshot(request).await?;
    anyhow::ensure!(answer.status().is_success(), "{path}: {}", answer.status());
    let body = answer.into_body().collect().await.map_err(|error| anyhow::anyhow!("{path}: {error}"))?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

/// Measures durable writes alone, and then while old history is removed as the engine does it.
async fn prune(store: &Arc<dyn Store>, kind: &str, now: Timestamp) -> anyhow::Result<()> {
    let mut alone = writes(&**store).await?;
    let is_over = Arc::new(AtomicBool::new(false));
    let pruner = tokio::spawn({
        let (store, is_over) = (Arc::clone(store), Arc::clone(&is_over));
        async move {
            let before = now - AGE / 2;
            let retention = Retention { before, keep: KEEP, now, batch: PRUNED_ROWS, jobs: PrunedJobs::All };
            let (mut steps, mut removed) = (0, 0);
            while !is_over.load(Ordering::Relaxed) {
                let rows = store.prune(retention.clone()).await?;
                anyhow::ensure!(rows > 0 || removed > 0, "nothing is old enough to be pruned");
                (steps, removed) = (steps + 1, removed + rows);
                tokio::time::sleep(PRUNE_PAUSE).await;
            }
            anyhow::Ok((steps, removed))
        }
    });
    let mut beside = writes(&**store).await?;
    is_over.store(true, Ordering::Relaxed);
    let (steps, removed) = pruner.await??;
    eprintln!("{removed} decisions were removed in {steps} steps");
    let name = |what: &str| format!("{kind}: a write while history is pruned, {what}");
    let median = ("a write alone, median", quantile(&mut alone, 0.5));
    print(&name("median"), quantile(&mut beside, 0.5), None, median);
    let slowest = ("a write alone, the slowest", quantile(&mut alone, 1.0));
    print(&name("the slowest"), quantile(&mut beside, 1.0), Some(Goal::AtMost(50.0)), slowest);
    Ok(())
}

/// Settles a tick of one job at equal intervals; returns the milliseconds until each was durable.
async fn writes(store: &dyn Store) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::new();
    let mut timer = tokio::time::interval(WRITE_INTERVAL);
    for number in 0..WRITES {
        timer.tick().await;
        let of = store.get(&[job(number)]).await?.remove(0);
        let last = of.progress.settled.unwrap_or_else(|| SystemClock.now());
        let mut draft = sample::draft(TickOutcome::Idle, last + SignedDuration::from_secs(1));
        draft.explanation = format!("write {number} at {last}");
        let began = Moment::now();
        let settled = store.settle(vec![sample::settlement(&of, vec![draft])]).await?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        anyhow::ensure!(settled.iter().all(|one| *one != Settled::Stale), "the write is stale");
    }
    Ok(times)
}
