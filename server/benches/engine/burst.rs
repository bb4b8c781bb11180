//! 10,000 jobs due in the same second: how long until every intent is durable, and until every task is handed over.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{Clock, SystemClock, Timestamp};
use rusqlite::Connection;
use tokio::time::Instant as Moment;

use crate::figure::{Figure, Goal};
use crate::instant::Instant;
use crate::jobs;
use crate::stopwatch::Stopwatch;

const JOBS: usize = 10_000;
/// How long ahead of the burst the engine is started: time to read the jobs that are due soon.
const LEAD_SECONDS: i64 = 4;
/// More than the burst can take.
const BURST_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) async fn measure() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("burst.db");
    let store = jobs::open(&file).await?;
    // Each minute at this second: nothing was due before, as nothing existed.
    let second = (SystemClock.now().as_second() + LEAD_SECONDS + 2).rem_euclid(60);
    jobs::fill(&*store, JOBS, |_| second.to_string()).await?;
    let now = SystemClock.now().as_second();
    let due = Timestamp::from_second(now + (second - now).rem_euclid(60))?;
    let store = Arc::new(Stopwatch::new(store));
    let launcher = Arc::new(Instant::default());
    let engine = jobs::engine(Arc::clone(&store) as _, Arc::clone(&launcher) as _).await?;
    let left = Duration::try_from(due.duration_since(SystemClock.now()))?;
    let due = Moment::now() + left;
    let (durable, handed_over) = tokio::time::timeout(left + BURST_TIMEOUT, async {
        tokio::join!(
            async {
                store.wait_for(JOBS).await;
                due.elapsed()
            },
            async {
                launcher.wait_for(JOBS).await;
                due.elapsed()
            }
        )
    })
    .await?;
    engine.stop(BURST_TIMEOUT).await;
    ecs_scheduler_core::Store::close(&*store).await?;
    let rows = raw_rows(&file, folder.path())?.as_secs_f64() * 1_000.0;
    let beside = ("one raw transaction of 10,000 rows of the same size", rows);
    let figure = |name, took: Duration, goal| Figure {
        name,
        value: took.as_secs_f64() * 1_000.0,
        unit: "ms",
        goal: Some(Goal::AtMost(goal)),
        beside,
    };
    figure("10,000 jobs due at once: all intents durable", durable, 100.0).print();
    figure("10,000 jobs due at once: all handed over", handed_over, 2_000.0).print();
    Ok(())
}

/// Writes as many rows of the size of the journal's with SQLite alone, in one durable transaction.
fn raw_rows(journal: &Path, folder: &Path) -> anyhow::Result<Duration> {
    let length: f64 = Connection::open(journal)?.query_row(
        "SELECT avg(length(ledger) + length(coalesce(body, ''))) FROM journal",
        [],
        |row| row.get(0),
    )?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length in bytes")]
    let body = "x".repeat(length as usize);
    let mut raw = Connection::open(folder.join("raw.db"))?;
    raw.pragma_update(None, "journal_mode", "WAL")?;
    raw.pragma_update(None, "synchronous", "FULL")?;
    raw.execute_batch("CREATE TABLE journal(seq INTEGER PRIMARY KEY, body TEXT)")?;
    let began = Moment::now();
    let transaction = raw.transaction()?;
    {
        let mut insert = transaction.prepare("INSERT INTO journal(body) VALUES (?1)")?;
        for _ in 0..JOBS {
            insert.execute([&body])?;
        }
    }
    transaction.commit()?;
    Ok(began.elapsed())
}
