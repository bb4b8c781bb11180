//! The stores that replicas share: a schema of a PostgreSQL server, tables of an emulator of DynamoDB.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use ecs_scheduler_backend_aws::{AwsContext, AwsSettings};
use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore};
use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::{Clock, JobId, JobUid, NewJob, SharedStore, SystemClock};
use ecs_scheduler_test_support::{Emulator, EmulatorKind};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::server::{server, unique_name};

/// How many jobs are on their way to a store at once.
const MAX_CONCURRENT_WRITES: usize = 256;

/// Tells how many calls were made so far; 0 where the server counts them.
pub(crate) type Calls = Box<dyn Fn() -> u64 + Send + Sync>;

/// Where jobs are.
#[derive(Debug, Clone)]
pub(crate) enum BenchStore {
    Postgres { url: String },
    DynamoDb { url: String, table: String },
}

impl fmt::Display for BenchStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres { url } => f.write_str(url),
            Self::DynamoDb { url, table } => write!(f, "{url}#{table}"),
        }
    }
}

impl BenchStore {
    /// Parses the argument of a member.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        if text.starts_with("postgres:") {
            return Ok(Self::Postgres { url: text.to_owned() });
        }
        let (url, table) = text.split_once('#').context("neither PostgreSQL nor DynamoDB")?;
        Ok(Self::DynamoDb { url: url.to_owned(), table: table.to_owned() })
    }

    pub(crate) fn in_new_schema() -> Self {
        Self::Postgres { url: server().url_of(&unique_name()) }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "PostgreSQL",
            Self::DynamoDb { .. } => "DynamoDB",
        }
    }

    /// Opens the store, with a count of the calls to it.
    pub(crate) async fn open(&self) -> anyhow::Result<(Arc<dyn SharedStore>, Calls)> {
        match self {
            Self::Postgres { url } => {
                let store = PostgresStore::open(url, PostgresOptions::default()).await?;
                Ok((Arc::new(store), Box::new(|| 0)))
            }
            Self::DynamoDb { url, table } => {
                let aws = AwsContext::new(AwsSettings {
                    region: Some("eu-central-1".to_owned()),
                    endpoint: Some(url.clone()),
                    credentials: Some(("AKIDEXAMPLE".to_owned(), "secret".to_owned())),
                    ..AwsSettings::new(Arc::new(SystemClock))
                });
                let store = DynamoDbStore::open(&aws, DynamoDbOptions::new(table.as_str())).await?;
                let calls = move || aws.meter().report().operations.iter().map(|line| line.calls).sum();
                Ok((Arc::new(store), Box::new(calls)))
            }
        }
    }

    /// Stores jobs, each with the schedule that is made for its number.
    pub(crate) async fn fill(
        &self,
        jobs: usize,
        schedule: impl Fn(usize) -> Value + Sync,
    ) -> anyhow::Result<()> {
        let (store, _) = self.open().await?;
        self.skip_disk_waits(true).await?;
        let creations = futures::stream::iter((0..jobs).map(|number| {
            let mut document = json!({"taskDefinition": "report", "overlap": "allow", "maxCount": 10});
            let more = schedule(number);
            for (name, value) in more.as_object().into_iter().flatten() {
                document[name] = value.clone();
            }
            store.create(NewJob {
                id: JobId::new(&format!("job-{number:07}")).expect("it is a job's name"),
                uid: JobUid::random(),
                document: to_raw_value(&document).expect("a document is JSON"),
                at: SystemClock.now(),
            })
        }));
        creations
            .buffer_unordered(MAX_CONCURRENT_WRITES)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await?;
        self.skip_disk_waits(false).await?;
        store.close().await?;
        Ok(())
    }

    /// Has the server not wait for its disk while jobs are made, or wait, as while it is measured.
    async fn skip_disk_waits(&self, skips: bool) -> anyhow::Result<()> {
        let Self::Postgres { url } = self else { return Ok(()) };
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let driving = tokio::spawn(connection);
        let waits = if skips { "off" } else { "on" };
        client.execute(&format!("ALTER SYSTEM SET synchronous_commit = {waits}"), &[]).await?;
        client.batch_execute("SELECT pg_reload_conf()").await?;
        drop(client);
        driving.await??;
        Ok(())
    }

    /// Returns how many transactions the server has ended so far, where it counts them.
    pub(crate) async fn transactions(&self) -> anyhow::Result<Option<u64>> {
        let Self::Postgres { url } = self else { return Ok(None) };
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let driving = tokio::spawn(connection);
        let sql =
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
        let count: i64 = client.query_one(sql, &[]).await?.get(0);
        drop(client);
        driving.await??;
        Ok(Some(count.unsigned_abs()))
    }
}

/// Makes tables in an emulator of DynamoDB, each with a name of its own.
pub(crate) struct BenchTables {
    emulator: Emulator,
    tables: AtomicU64,
}

impl BenchTables {
    pub(crate) async fn start() -> Self {
        Self { emulator: Emulator::start(EmulatorKind::Ministack).await, tables: AtomicU64::new(0) }
    }

    pub(crate) fn fresh_table(&self) -> BenchStore {
        let table = format!("jobs-{}", self.tables.fetch_add(1, Ordering::Relaxed));
        BenchStore::DynamoDb { url: self.emulator.url(), table }
    }
}
