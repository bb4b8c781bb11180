//! The program as a process of its own, with its jobs already stored.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{Clock, JobId, JobStore as _, JobUid, NewJob, Store as _, SystemClock, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::Client;
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::process::{Child, Command};

/// How many jobs are on their way to the store at once.
const MAX_CONCURRENT_WRITES: usize = 1_024;
/// The interval and the maximum number of checks of a program that starts.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const MAX_POLLS: u32 = 1_500;

/// A running scheduler. It is killed when it is dropped.
pub(crate) struct Program {
    process: Child,
    http: Client,
    url: String,
}

impl Program {
    /// Stores jobs that are due at this moment, once, and starts the program on a fake AWS.
    pub(crate) async fn start(folder: &Path, aws: &str, jobs: u32, due: Timestamp) -> anyhow::Result<Self> {
        fill(folder, jobs, due).await?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let process = Command::new(env!("CARGO_BIN_EXE_ecs-scheduler"))
            .envs([
                ("ECSS_LISTEN", format!("127.0.0.1:{port}").as_str()),
                ("ECSS_ECS_CLUSTER", "bench"),
                ("ECSS_LOG_LEVEL", "ERROR"),
                ("AWS_ENDPOINT_URL", aws),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("NO_PROXY", "127.0.0.1"),
            ])
            .env("ECSS_DATA_DIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let program = Self { process, http, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..MAX_POLLS {
            if program.http.get(format!("{}/healthz", program.url)).send().await.is_ok() {
                return Ok(program);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        anyhow::bail!("the program does not answer")
    }

    /// Reads a job.
    pub(crate) async fn get(&self, number: u32) -> anyhow::Result<()> {
        let answer = self.http.get(format!("{}/jobs/job-{number}", self.url)).send().await?;
        answer.error_for_status().context("a job is answered")?.bytes().await?;
        Ok(())
    }

    /// Ends the program.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }
}

async fn fill(folder: &Path, jobs: u32, due: Timestamp) -> anyhow::Result<()> {
    let store = SqliteStore::open(folder.join("scheduler.db"), SqliteOptions::default()).await?;
    let document = json!({
        "taskDefinition": "work",
        "schedule": format!("at({})", due.strftime("%Y-%m-%dT%H:%M:%S")),
        "launch": {"launchType": "EC2"},
    });
    let document = to_raw_value(&document)?;
    let creations = futures::stream::iter((0..jobs).map(|number| {
        store.create(NewJob {
            id: JobId::new(&format!("job-{number}")).expect("it is a job's name"),
            uid: JobUid::random(),
            document: document.clone(),
            at: SystemClock.now(),
        })
    }));
    creations.buffer_unordered(MAX_CONCURRENT_WRITES).try_for_each(|_| std::future::ready(Ok(()))).await?;
    store.close().await?;
    Ok(())
}
