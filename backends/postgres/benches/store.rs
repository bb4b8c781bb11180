//! Benchmark of the store; prints one JSON line per figure.
//!
//! `cargo bench -p ecs-scheduler-backend-postgres --bench store -- <url> <jobs>`. The URL should name a schema of its own;
//! the benchmark does not remove it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::store::{ChangeCursor, Shard, SharedStore as _};
use ecs_scheduler_core::{
    Advance, DecisionDraft, Demand, Firing, FiringState, JobId, JobStore as _, JobUid, Journal as _,
    ListFrom, NewJob, Settled, Settlement, StoredJob, TaskId, TaskState, TickOutcome, Timestamp,
};
use ecs_scheduler_testing::sample;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use tokio::time::Instant;

const DOCUMENT: &str = r#"{"maxCount": 10, "schedule": "0 5 6 * * mon-fri", "taskCount": 1,
    "taskDefinition": "import-customer-data", "timezone": "Europe/Berlin",
    "trigger": {"messagesPerTask": 100, "queueName": "imports-7", "type": "sqs"}}"#;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let url = arguments.next().ok_or_else(|| anyhow::anyhow!("name the URL of a database"))?;
    let jobs = arguments.next().map_or(Ok(20_000), |jobs| jobs.parse())?;
    let store = Arc::new(PostgresStore::open(&url, PostgresOptions::default()).await?);
    create(&store, jobs).await?;
    list(&store, jobs).await?;
    for batch in [1, 1_000, 4_000] {
        settle(&store, batch).await?;
    }
    settle_concurrently(&store).await?;
    replace(&store).await?;
    list_edits(&store).await
}

fn print(figure: &str, count: usize, time: Duration) {
    let each = (time.as_secs_f64() * 1e7 / count as f64).round() / 10.0;
    println!(
        "{}",
        json!({"figure": figure, "count": count, "milliseconds": time.as_millis(), "microseconds_each": each})
    );
}

fn non_zero(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("the count is not zero")
}

async fn create(store: &Arc<PostgresStore>, jobs: usize) -> anyhow::Result<()> {
    let start = Instant::now();
    let creations = (0..jobs).map(|number| async move {
        let document = serde_json::value::RawValue::from_string(DOCUMENT.to_owned())?;
        let id = JobId::new(&format!("job-{number:07}"))?;
        store.create(NewJob { id, uid: JobUid::random(), document, at: Timestamp::UNIX_EPOCH }).await?;
        anyhow::Ok(())
    });
    futures::stream::iter(creations).buffer_unordered(64).try_collect::<Vec<_>>().await?;
    print("create, 64 callers", jobs, start.elapsed());
    Ok(())
}

async fn list(store: &PostgresStore, jobs: usize) -> anyhow::Result<()> {
    for (figure, skip) in
        [("a far page of ten, at first", jobs - 10), ("a far page of ten, again", jobs - 10)]
    {
        let start = Instant::now();
        assert_eq!(store.list(ListFrom::Skip(skip as u64), non_zero(10)).await?.jobs.len(), 10);
        print(figure, 1, start.elapsed());
    }
    let start = Instant::now();
    let mut from = ListFrom::Skip(0);
    loop {
        let page = store.list(from, non_zero(1_000)).await?.jobs;
        let Some(last) = page.last() else { break };
        from = ListFrom::After(last.id.clone());
    }
    print("every job through pages of 1,000", jobs, start.elapsed());
    Ok(())
}

/// Settles the first jobs with a firing each and then by folding, and advances the firings to their end.
async fn settle(store: &Arc<PostgresStore>, batch: usize) -> anyhow::Result<()> {
    for (figure, outcome) in
        [("settle with firings", TickOutcome::Pending), ("settle by folding", TickOutcome::Idle)]
    {
        let mut times = Vec::new();
        for _ in 0..6 {
            let jobs = store.list(ListFrom::Skip(0), non_zero(batch)).await?.jobs;
            let settlements: Vec<_> = jobs.iter().map(|job| settlement(job, outcome)).collect();
            let firings: Vec<Firing> = settlements.iter().filter_map(|one| one.firing.clone()).collect();
            let start = Instant::now();
            let settled = store.settle(settlements).await?;
            times.push(start.elapsed());
            assert!(settled.iter().all(|settled| *settled != Settled::Stale));
            let start = Instant::now();
            let moves = firings.len() * 3;
            advance(store, firings).await?;
            if moves >= 3_000 && times.len() == 6 {
                print("advance, 256 callers", moves, start.elapsed());
            }
        }
        times.sort_unstable();
        print(&format!("{figure}, {batch} in one call"), batch, times[times.len() / 2]);
    }
    Ok(())
}

/// Settles one job per call from many concurrent callers, as the engines of many shards do.
async fn settle_concurrently(store: &Arc<PostgresStore>) -> anyhow::Result<()> {
    const ROUNDS: usize = 50;
    let jobs = store.list(ListFrom::Skip(0), non_zero(16)).await?.jobs;
    let start = Instant::now();
    let engines = jobs.into_iter().map(|mut job| async move {
        for _ in 0..ROUNDS {
            let next = settlement(&job, TickOutcome::Idle);
            job.progress.settled = next.new_cursor;
            assert_ne!(store.settle(vec![next]).await?, [Settled::Stale]);
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(engines).await?;
    print("settle one job each, 16 callers", 16 * ROUNDS, start.elapsed());
    Ok(())
}

async fn advance(store: &Arc<PostgresStore>, firings: Vec<Firing>) -> anyhow::Result<()> {
    let moves = firings.into_iter().map(|mut firing| async move {
        for (state, outcome) in [
            (FiringState::Launching, None),
            (FiringState::Launched, Some(TickOutcome::Launched)),
            (FiringState::Finished, None),
        ] {
            let from = std::mem::replace(&mut firing.state, state);
            if state == FiringState::Launched {
                firing.tasks = vec![TaskState::pending(TaskId::new(format!("task/{}", firing.id)), None)];
            }
            store.advance(Advance { from, to: firing.clone(), outcome }).await?;
        }
        anyhow::Ok(())
    });
    futures::stream::iter(moves).buffer_unordered(256).try_collect().await
}

async fn replace(store: &Arc<PostgresStore>) -> anyhow::Result<()> {
    const EACH: usize = 20;
    let jobs = store.list(ListFrom::Skip(0), non_zero(64)).await?.jobs;
    let count = jobs.len() * EACH;
    let start = Instant::now();
    let clients = jobs.into_iter().map(|mut job| async move {
        for _ in 0..EACH {
            job = store.replace(&job.id, job.revision, job.document, job.changed).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(clients).await?;
    print("replace, 64 clients", count, start.elapsed());
    Ok(())
}

async fn list_edits(store: &PostgresStore) -> anyhow::Result<()> {
    let mut cursors: Vec<_> = Shard::all().map(|shard| (shard, ChangeCursor::default())).collect();
    for changes in store.changes(&cursors).await? {
        cursors[usize::from(changes.shard.number())].1 = changes.cursor;
    }
    let start = Instant::now();
    for _ in 0..500 {
        assert!(store.changes(&cursors).await?.is_empty());
    }
    print("ask all 16 shards for edits, none", 500, start.elapsed());
    Ok(())
}

fn settlement(job: &StoredJob, outcome: TickOutcome) -> Settlement {
    let second = job.progress.settled.map_or(1_900_000_000, |settled| settled.as_second() + 60);
    let at = Timestamp::constant(second, 0);
    let explanation = "150 messages ÷ 100 per task, rounded up → 2; less 1 already pending or running → 1";
    let draft = DecisionDraft {
        demand: Some(Demand::Floor),
        busy: Some(2),
        launch: 1,
        tries: 1,
        explanation: explanation.to_owned(),
        ..sample::draft(outcome, at)
    };
    let firing = (outcome == TickOutcome::Pending).then(|| firing(job, at));
    Settlement { firing, ..sample::settlement(job, vec![draft]) }
}

fn firing(job: &StoredJob, at: Timestamp) -> Firing {
    Firing {
        task: sample::task("import-customer-data"),
        definition: "arn:aws:ecs:eu-central-1:123456789012:task-definition/import-customer-data:7".to_owned(),
        explanation: "2 are needed; less 1 already pending or running → 1".to_owned(),
        ..sample::firing(&job.id, job.uid, at)
    }
}
