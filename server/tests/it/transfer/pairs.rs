//! `migrate` from SQLite through stores of every kind and back to SQLite: each way is interrupted once, and nothing is
//! changed by any of them.

use std::num::NonZeroUsize;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings};
use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore};
use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_backend_s3::{self as s3, S3Options};
use ecs_scheduler_core::{ListFrom, MemoryStore, Store, StoreError, SystemClock};
use ecs_scheduler_fake_elasticsearch::Fake;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use super::fixtures::{dump, lines, sqlite, store_of};
use crate::aws::cloud::{Cloud, Kind, REGION};
use crate::aws::stage::environment;
use crate::crash::process::PROGRAM;
use crate::crash::site::until;
use crate::replicas::postgres::{server, unique_name};

/// A place for a store, empty at first.
enum Target {
    Elasticsearch(Fake),
    /// A schema.
    Postgres(String),
    DynamoDb(Box<Cloud>),
    S3(Box<Cloud>),
}

impl Target {
    /// Returns the place as `--from` and `--to` name it.
    fn word(&self) -> String {
        match self {
            Self::Elasticsearch(fake) => format!("elasticsearch:jobs@{}", fake.hosts()),
            Self::Postgres(schema) => server().url_of(schema),
            Self::DynamoDb(_) => "dynamodb:moved".to_owned(),
            Self::S3(_) => "s3:moved/prod".to_owned(),
        }
    }

    /// Returns the other variables of the command.
    fn environment(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Elasticsearch(_) | Self::Postgres(_) => None,
            Self::DynamoDb(cloud) => Some(("AWS_ENDPOINT_URL_DYNAMODB", cloud.url())),
            Self::S3(cloud) => Some(("AWS_ENDPOINT_URL_S3", cloud.url())),
        }
    }

    /// Tells whether some jobs have arrived, as it is seen from beside.
    async fn has_begun(&self) -> bool {
        let seen: Result<Arc<dyn Store>, StoreError> = match self {
            Self::Elasticsearch(fake) => return fake.count("PUT /jobs/_create") > 150,
            Self::Postgres(schema) => {
                let url = server().url_of(schema);
                let store = PostgresStore::open_read_only(&url, PostgresOptions::default()).await;
                store.map(|store| Arc::new(store) as _)
            }
            Self::DynamoDb(cloud) => {
                let store = DynamoDbStore::open_read_only(&aws(cloud), DynamoDbOptions::new("moved")).await;
                store.map(|store| Arc::new(store) as _)
            }
            Self::S3(cloud) => {
                let options = S3Options::new("moved", "prod", Arc::new(SystemClock));
                s3::open_read_only(&aws(cloud), options).await.map(|store| Arc::new(store) as _)
            }
        };
        // A table that is being created cannot be read yet.
        let Ok(store) = seen else { return false };
        store.list(ListFrom::Skip(0), NonZeroUsize::MIN).await.is_ok_and(|list| list.total > 0)
    }
}

fn aws(cloud: &Cloud) -> AwsContext {
    AwsContext::new(AwsSettings {
        region: Some(REGION.to_owned()),
        endpoint: Some(cloud.url()),
        credentials: Some(("AKIDEXAMPLE".to_owned(), "secret".to_owned())),
        ..AwsSettings::new(Arc::new(SystemClock))
    })
}

/// A folder with SQLite files, and the variables of the command.
struct Ground {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Ground {
    /// Makes `a.db` with so many jobs and their history, and `other.db` with another job.
    async fn new(jobs: usize, targets: &[Target]) -> (Self, MemoryStore) {
        let mut environment = environment("http://127.0.0.1:9", "moving");
        environment.extend(targets.iter().filter_map(Target::environment));
        let ground = Self { folder: tempfile::tempdir().unwrap(), environment };
        let held = store_of(jobs).await;
        dump(&held, &ground.folder.path().join("a.jsonl")).await;
        ground.ok(&["import", "--to", "sqlite:a.db", "a.jsonl"]).await;
        dump(&store_of(1).await, &ground.folder.path().join("other.jsonl")).await;
        ground.ok(&["import", "--to", "sqlite:other.db", "other.jsonl"]).await;
        (ground, held)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Tells how a store that is not there is refused as a source.
    async fn missing(&self, from: &str) -> String {
        let refused = self.run(&["export", "--from", from, "never.jsonl"]).await;
        assert_eq!(refused.status.code(), Some(1), "{from}");
        String::from_utf8(refused.stderr).unwrap()
    }

    /// Compares with a store that is not there, which makes none.
    async fn rehearse(&self, from: &str, to: &str, jobs: usize) {
        let missing = self.missing(to).await;
        let would = self.ok(&["migrate", "--from", from, "--to", to, "--dry-run"]).await;
        assert!(would.starts_with(&format!("would move {jobs} jobs")), "{would}");
        assert_eq!(self.missing(to).await, missing);
    }

    /// Kills a move as soon as something has arrived.
    async fn interrupt(&self, from: &str, target: &Target) {
        let to = target.word();
        let mut command = self.command(&["migrate", "--from", from, "--to", &to]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        until("jobs arrive", async || target.has_begun().await).await;
        child.start_kill().unwrap();
        let ended = child.wait_with_output().await.unwrap();
        let error = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.signal(), Some(9), "the move to {to} was under way: {error}");
    }

    /// Moves everything, and returns the summary.
    async fn migrate(&self, from: &str, to: &str) -> Value {
        let summary = self.ok(&["migrate", "--from", from, "--to", to, "--json"]).await;
        let mut summary: Value = serde_json::from_str(&summary).unwrap();
        summary["moved"].take()
    }
}

/// Returns the rows that the Python version would read in a file, in order.
fn rows(file: &Path) -> Vec<(String, String)> {
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut rows = connection.prepare("SELECT id, data FROM jobs ORDER BY rowid").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

async fn through(targets: &[Target], jobs: usize) {
    let (ground, held) = Ground::new(jobs, targets).await;
    let mut from = "sqlite:a.db".to_owned();
    let mut hashes = Vec::new();
    for target in targets {
        let to = target.word();
        ground.rehearse(&from, &to, jobs).await;
        ground.interrupt(&from, target).await;
        let moved = ground.migrate(&from, &to).await;
        assert_eq!((&moved["verified"], &moved["source"]["jobs"]), (&true.into(), &jobs.into()), "{moved}");
        let present = moved["present"]["jobs"].as_u64().unwrap();
        assert!(present > 0, "it went on where it was interrupted: {moved}");
        assert_eq!(present + moved["added"]["jobs"].as_u64().unwrap(), jobs as u64, "{moved}");
        hashes.push(moved["sha256"].clone());
        let again = ground.migrate(&from, &to).await;
        assert_eq!((&again["added"]["jobs"], &again["sha256"]), (&0.into(), &moved["sha256"]), "{again}");
        for dry in [&["--dry-run"][..], &[]] {
            let other = [&["migrate", "--from", "sqlite:other.db", "--to", &to], dry].concat();
            let refused = ground.run(&other).await;
            let message = String::from_utf8(refused.stderr).unwrap();
            assert_eq!(refused.status.code(), Some(1), "{message}");
            assert!(message.contains("nothing is overwritten: name an empty target"), "{message}");
        }
        from = to;
    }
    let back = ground.migrate(&from, "sqlite:b.db").await;
    assert_eq!(back["added"]["jobs"], jobs, "{back}");
    hashes.push(back["sha256"].clone());
    assert!(hashes.iter().all(|hash| hash == &hashes[0] && hash.is_string()), "{hashes:?}");
    let (first, last) = (ground.folder.path().join("a.db"), ground.folder.path().join("b.db"));
    assert_eq!(rows(&last).len(), jobs);
    assert!(rows(&first) == rows(&last), "each document is the same, byte by byte, in the same order");
    assert!(lines(&sqlite(&last).await).await == lines(&held).await, "so is everything beside them");
}

#[tokio::test]
async fn through_elasticsearch_and_back_nothing_changes() {
    through(&[Target::Elasticsearch(Fake::start().await)], 400).await;
}

#[tokio::test]
async fn through_postgresql_and_back_nothing_changes() {
    through(&[Target::Postgres(unique_name())], 400).await;
}

#[tokio::test]
async fn through_dynamodb_and_s3_and_back_nothing_changes() {
    let tables = Box::new(Cloud::start(Kind::Ministack).await);
    let bucket = Box::new(Cloud::start(Kind::Moto).await);
    through(&[Target::DynamoDb(tables), Target::S3(bucket)], 60).await;
}
