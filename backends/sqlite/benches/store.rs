//! Measures the store and, in the same run, the lower limit of each figure; prints one JSON line per figure.
//!
//! `cargo bench -p ecs-scheduler-backend-sqlite --bench store -- <folder> <jobs>`: the folder selects the disk. A ratio
//! is the limit's time divided by the store's: 1 is the limit itself.

use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::decide::DecisionDraft;
use ecs_scheduler_core::{
    Advance, Demand, Firing, FiringState, JobId, JobStore as _, Journal as _, ListFrom, Settled, Settlement,
    StoredJob, TaskId, TaskState, TickOutcome, Timestamp,
};
use ecs_scheduler_testing::sample;
use serde_json::json;
use tokio::time::Instant;

/// Number of jobs that one call settles.
const BATCH: usize = 10_000;
const PAGE: usize = 1_000;
const CLIENTS: usize = 64;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let jobs = arguments.next().map_or(Ok(100_000), |jobs| jobs.parse())?;
    let folder = tempfile::tempdir_in(folder)?;
    let path = folder.path().join("jobs.db");
    python_file(&path, jobs)?;

    let (store, first) = timed(SqliteStore::open(&path, SqliteOptions::default())).await;
    print("first open of a file of the Python version", jobs, first, None);
    drop(store?);
    let before = resident();
    let (store, again) = timed(SqliteStore::open(&path, SqliteOptions::default())).await;
    let store = Arc::new(store?);
    print("open", jobs, again, None);
    println!(
        "{}",
        json!({"figure": "memory after opening", "jobs": jobs, "bytes": resident().saturating_sub(before)})
    );

    scan(&store, &path, jobs).await?;
    pages(&store, jobs).await?;
    cached_reads(&store).await?;
    settle(&store, &path).await?;
    replace(&store, &path).await
}

fn print(figure: &str, count: usize, ours: Duration, limit: Option<(&str, Duration)>) {
    let each = ours.as_secs_f64() * 1e6 / count as f64;
    let mut record = json!({
        "figure": figure, "count": count, "seconds": round(ours.as_secs_f64()), "microseconds_each": round(each),
    });
    if let Some((name, limit)) = limit {
        record["limit"] = json!({"name": name, "seconds": round(limit.as_secs_f64())});
        record["ratio"] = json!(round(limit.as_secs_f64() / ours.as_secs_f64()));
    }
    println!("{record}");
}

fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let value = future.await;
    (value, start.elapsed())
}

/// Returns this process's resident memory in bytes; 0 where the system does not report it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0)
        * 1024
}

/// Writes a file of the Python version.
fn python_file(path: &Path, jobs: usize) -> anyhow::Result<()> {
    let mut connection = rusqlite::Connection::open(path)?;
    connection.execute_batch("CREATE TABLE jobs(id TEXT PRIMARY KEY NOT NULL, data JSONTEXT NOT NULL)")?;
    let transaction = connection.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO jobs(id, data) VALUES (?1, ?2)")?;
        for number in 0..jobs {
            let data = format!(
                r#"{{"maxCount": 10, "overrides": [{{"containerName": "worker", "environment": {{"CUSTOMER": "{number}", "REGION": "eu-central-1"}}}}], "schedule": "0 {} {} * * mon-fri", "suspended": false, "taskCount": 1, "taskDefinition": "import-customer-data", "timezone": "Europe/Berlin", "trigger": {{"messagesPerTask": 100, "queueName": "imports-{}", "type": "sqs"}}}}"#,
                number % 60,
                number % 24,
                number % 50,
            );
            insert.execute(rusqlite::params![format!("job-{number:07}"), data])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Measures the read of every job in pages, and a plain loop over the same table as the limit.
async fn scan(store: &SqliteStore, path: &Path, jobs: usize) -> anyhow::Result<()> {
    let connection = rusqlite::Connection::open(path)?;
    let start = Instant::now();
    let mut bytes = 0;
    let mut statement = connection.prepare("SELECT rowid, id, data FROM jobs ORDER BY rowid")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        bytes += row.get_ref(2)?.as_str()?.len();
    }
    let limit = start.elapsed();
    assert!(bytes > jobs);
    let start = Instant::now();
    let mut seen = 0;
    while seen < jobs {
        let page = NonZeroUsize::new(PAGE).expect("a page is not empty");
        seen += store.list(ListFrom::Skip(seen as u64), page).await?.jobs.len();
    }
    print("scan", jobs, start.elapsed(), Some(("SELECT in one loop", limit)));
    Ok(())
}

/// Measures pages of ten at both ends of the list.
async fn pages(store: &SqliteStore, jobs: usize) -> anyhow::Result<()> {
    let ten = NonZeroUsize::new(10).expect("ten is not zero");
    for (figure, skip) in [("first page of ten", 0), ("last page of ten", jobs as u64 - 10)] {
        let start = Instant::now();
        for _ in 0..2_000 {
            assert_eq!(store.list(ListFrom::Skip(skip), ten).await?.jobs.len(), 10);
        }
        print(figure, 2_000, start.elapsed(), None);
    }
    Ok(())
}

/// Measures reads of cached jobs.
async fn cached_reads(store: &SqliteStore) -> anyhow::Result<()> {
    let ids: Vec<JobId> =
        (0..5_000).map(|number| JobId::new(&format!("job-{number:07}"))).collect::<Result<_, _>>()?;
    let (cold, time) = timed(store.get(&ids)).await;
    assert_eq!(cold?.len(), 5_000);
    print("get, cold, in one call", 5_000, time, None);
    let start = Instant::now();
    for id in ids.iter().cycle().take(200_000) {
        assert_eq!(store.get(std::slice::from_ref(id)).await?.len(), 1);
    }
    print("get, hot", 200_000, start.elapsed(), None);
    Ok(())
}

/// Measures rounds in which ten thousand jobs fire, and the updates of each firing; the limit is a write of the same
/// bytes to a file. The first round, in which the log grows to its size, is not counted.
async fn settle(store: &SqliteStore, path: &Path) -> anyhow::Result<()> {
    let log = path.with_extension("db-wal");
    for (figure, outcome) in
        [("settle with firings", TickOutcome::Pending), ("settle by folding", TickOutcome::Idle)]
    {
        let (mut times, mut limits) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        for round in 0..8 {
            let page = NonZeroUsize::new(BATCH).expect("it is not zero");
            let jobs = store.list(ListFrom::Skip(0), page).await?.jobs;
            let tick = if outcome == TickOutcome::Pending { round } else { 100 + round };
            let batch: Vec<Settlement> = jobs.iter().map(|job| settlement(job, tick, outcome)).collect();
            let firings: Vec<Firing> = batch.iter().filter_map(|one| one.firing.clone()).collect();
            let written = log.metadata()?.len();
            let (settled, time) = timed(store.settle(batch)).await;
            assert!(settled?.iter().all(|settled| *settled != Settled::Stale));
            // The log grows by the written bytes in the first round; later rounds overwrite it.
            bytes = bytes.max(usize::try_from(log.metadata()?.len().saturating_sub(written))?);
            if round > 0 {
                times.push(time);
                limits.push(raw_write(path, bytes)?);
            }
            advance(store, firings, round == 0).await?;
        }
        let limit = format!("write and fdatasync of {bytes} bytes");
        print(figure, BATCH, median(&mut times), (bytes > 0).then(|| (limit.as_str(), median(&mut limits))));
    }
    Ok(())
}

/// Advances firings to `Launching`, `Launched` and `Finished`, with 256 concurrent callers.
async fn advance(store: &SqliteStore, firings: Vec<Firing>, report: bool) -> anyhow::Result<()> {
    use futures::{StreamExt, TryStreamExt};
    if firings.is_empty() {
        return Ok(());
    }
    let count = firings.len() * 3;
    let start = Instant::now();
    let mut advanced = firings;
    for (state, outcome) in [
        (FiringState::Launching, None),
        (FiringState::Launched, Some(TickOutcome::Launched)),
        (FiringState::Finished, None),
    ] {
        let calls = advanced.into_iter().map(|mut firing| {
            let from = std::mem::replace(&mut firing.state, state);
            if state != FiringState::Launching {
                firing.tasks = vec![TaskState::pending(TaskId::new(format!("task/{}", firing.id)), None)];
            }
            async move {
                store.advance(Advance { from, to: firing.clone(), outcome }).await?;
                anyhow::Ok(firing)
            }
        });
        advanced = futures::stream::iter(calls).buffered(256).try_collect().await?;
    }
    if report {
        print("advance, 256 callers", count, start.elapsed(), None);
    }
    Ok(())
}

/// Measures replacements of documents by many clients at once; the limit is a loop of small durable writes.
async fn replace(store: &Arc<SqliteStore>, path: &Path) -> anyhow::Result<()> {
    const REPLACEMENTS: usize = 100;
    let start = Instant::now();
    let mut file = File::create(path.with_extension("raw"))?;
    for _ in 0..200 {
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
    }
    let limit = start.elapsed() / 200;
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let id = JobId::new(&format!("job-{client:07}"))?;
                let mut job = store.get(std::slice::from_ref(&id)).await?.remove(0);
                for _ in 0..REPLACEMENTS {
                    job = store.replace(&id, job.revision, job.document, job.changed).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for client in clients {
        client.await??;
    }
    let count = CLIENTS * REPLACEMENTS;
    let figure = format!("replace, {CLIENTS} clients");
    print(
        &figure,
        count,
        start.elapsed(),
        Some(("as many waits for fdatasync of a page, one by one", limit * 6400)),
    );
    Ok(())
}

/// Writes so many bytes to a new file and waits for the disk.
fn raw_write(beside: &Path, bytes: usize) -> anyhow::Result<Duration> {
    let noise: Vec<u8> =
        (0..bytes).map(|index| (index.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0]).collect();
    let mut file = File::create(beside.with_extension("raw"))?;
    let start = Instant::now();
    file.write_all(&noise)?;
    file.sync_data()?;
    Ok(start.elapsed())
}

fn settlement(job: &StoredJob, tick: i64, outcome: TickOutcome) -> Settlement {
    let at = Timestamp::constant(1_900_000_000 + tick * 60, 0);
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
