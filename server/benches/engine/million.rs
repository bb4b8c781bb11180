//! 1,000,000 jobs in SQLite: how long until the scheduler is ready, and how much memory it takes.
//!
//! Once with jobs that share schedules, and once with as many different ones as can be had. Each database is made once
//! and kept in `target/bench-data`. Each start is a process of its own, this program again, so that memory is that of
//! the scheduler and not of what made the file.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::process::Command;
use tokio::time::Instant as Moment;

use crate::figure::{Figure, Goal, quantile};
use crate::instant::Instant;
use crate::jobs;

const JOBS: usize = 1_000_000;
/// The argument of the process that loads the jobs.
pub(crate) const ROLE: &str = "load-a-million";
/// Memory of a scheduler that does not depend on the number of jobs, in bytes.
const FIXED: f64 = 20.0 * 1024.0 * 1024.0;
const STARTS: usize = 3;

/// Jobs to start with: how they are called in figures, the file they are kept in, and the schedule of each.
struct Fleet {
    name: &'static str,
    file: &'static str,
    schedule: fn(usize) -> String,
    goal: Option<f64>,
}

const FLEETS: [Fleet; 2] = [
    Fleet { name: "1,440 schedules", file: "million-shared.db", schedule: at_a_minute, goal: Some(2_500.0) },
    Fleet { name: "604,800 schedules", file: "million-different.db", schedule: at_any_second, goal: None },
];

pub(crate) async fn measure() -> anyhow::Result<()> {
    for fleet in &FLEETS {
        fleet.measure().await?;
    }
    Ok(())
}

impl Fleet {
    async fn measure(&self) -> anyhow::Result<()> {
        let file = self.made().await?;
        let mut ready = Vec::new();
        let mut memory = Vec::new();
        for _ in 0..STARTS {
            let (millis, bytes) = start(&file).await?;
            ready.push(millis);
            memory.push((bytes - FIXED) / 1e6);
        }
        let (scanned, length) = scan(&file)?;
        Figure {
            name: &format!("1,000,000 jobs, {}: time to ready", self.name),
            value: quantile(&mut ready, 0.5),
            unit: "ms",
            goal: self.goal.map(Goal::AtMost),
            beside: ("reading every document with SQLite alone", scanned.as_secs_f64() * 1_000.0),
        }
        .print();
        Figure {
            name: &format!("1,000,000 jobs, {}: memory per job beyond 20 MiB", self.name),
            value: quantile(&mut memory, 0.5),
            unit: "bytes",
            goal: Some(Goal::AtMost(450.0)),
            beside: ("a job's name and document as text", length),
        }
        .print();
        Ok(())
    }

    /// Returns the database, and makes it if it is not there.
    async fn made(&self) -> anyhow::Result<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-data");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(self.file);
        if file.exists() {
            return Ok(file);
        }
        let unfinished = folder.join("million.unfinished.db");
        for ending in ["", "-wal", "-shm"] {
            // It is not there unless an earlier run was interrupted.
            let _ = std::fs::remove_file(folder.join(format!("million.unfinished.db{ending}")));
        }
        let store = jobs::open(&unfinished).await?;
        jobs::fill(&*store, JOBS, self.schedule).await?;
        store.close().await?;
        drop(store);
        std::fs::rename(&unfinished, &file)?;
        Ok(file)
    }
}

/// Starts a scheduler; returns how long it took to be ready, in milliseconds, and its resident memory, in bytes.
async fn start(file: &Path) -> anyhow::Result<(f64, f64)> {
    let began = Moment::now();
    let output = Command::new(std::env::current_exe()?)
        .args([ROLE.as_ref(), file.as_os_str()])
        .stderr(Stdio::inherit())
        .output()
        .await?;
    let text = String::from_utf8(output.stdout)?;
    let mut words = text.split_whitespace();
    let (Some(millis), Some(bytes)) = (words.next(), words.next()) else {
        anyhow::bail!("the loading process said {text:?} and ended with {}", output.status);
    };
    eprintln!("loaded within {} ms of {} ms", millis, began.elapsed().as_millis());
    Ok((millis.parse()?, bytes.parse()?))
}

/// Is the scheduler: prints how long it took to be ready, in milliseconds, and its resident memory, in bytes.
pub(crate) async fn load(file: &Path) -> anyhow::Result<()> {
    let began = Moment::now();
    let store = jobs::open(file).await?;
    let opened = began.elapsed();
    let engine = jobs::engine(Arc::clone(&store), Arc::new(Instant::default())).await?;
    let ready = began.elapsed();
    anyhow::ensure!(engine.status().jobs == JOBS, "{} jobs were loaded", engine.status().jobs);
    println!("{} {}", ready.as_secs_f64() * 1_000.0, resident()?);
    eprintln!("opened within {} ms", opened.as_millis());
    engine.stop(Duration::from_secs(5)).await;
    store.close().await?;
    Ok(())
}

/// Returns the resident memory of this process in bytes.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kibibytes.ok_or_else(|| anyhow::anyhow!("no VmRSS in /proc/self/status"))?.parse::<u64>()? * 1024)
}

/// Once a year at a full minute, as people write schedules. Nothing is due while it is measured.
fn at_a_minute(number: usize) -> String {
    let minute = number * 7_919 % 1_440;
    format!("0 {} {} * * {} {}", minute % 60, minute / 60, minute % 28 + 1, minute % 12 + 1)
}

/// Once a year at any second: hardly two jobs have the same schedule.
fn at_any_second(number: usize) -> String {
    let second = number * 7_919 % 86_400;
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{} {minute} {hour} * * {} {}", second % 60, number % 28 + 1, number % 12 + 1)
}

/// Reads every job with SQLite alone; returns how long it took, and the average length of a job's text.
fn scan(file: &Path) -> anyhow::Result<(Duration, f64)> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let began = Moment::now();
    let mut select = connection.prepare("SELECT id, data FROM jobs")?;
    let mut rows = select.query([])?;
    let mut bytes = 0_usize;
    while let Some(row) = rows.next()? {
        bytes += row.get_ref(0)?.as_bytes()?.len() + row.get_ref(1)?.as_bytes()?.len();
    }
    #[expect(clippy::cast_precision_loss, reason = "an average")]
    let average = bytes as f64 / JOBS as f64;
    Ok((began.elapsed(), average))
}
