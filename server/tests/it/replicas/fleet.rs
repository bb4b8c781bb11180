//! Replicas as processes of their own, each with its own way to one store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_aws::{AwsContext, AwsSettings};
use ecs_scheduler_backend_dynamodb::{DynamoDbOptions, DynamoDbStore};
use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
use ecs_scheduler_core::store::Shard;
use ecs_scheduler_core::{Store, SystemClock};
use ecs_scheduler_test_support::TcpProxy;
use reqwest::StatusCode;
use serde_json::Value;

use super::postgres::{server, unique_name};
use crate::aws::cloud::{Cloud, Kind, REGION};
use crate::aws::stage::environment;
use crate::crash::process::Scheduler;
use crate::crash::site::{DEADLINE, Site, until_within};

const TABLE: &str = "shared-jobs";
/// The interval of expensive checks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Where the replicas' jobs are.
pub(crate) enum SharedDb {
    /// A schema.
    PostgreSql(String),
    DynamoDb(Box<Cloud>),
}

impl SharedDb {
    pub(crate) fn postgresql() -> Self {
        Self::PostgreSql(unique_name())
    }

    /// DynamoDB as this one stands for it.
    pub(crate) async fn dynamodb(kind: Kind) -> Self {
        Self::DynamoDb(Box::new(Cloud::start(kind).await))
    }

    /// Tells whether it is an emulator, which on a busy machine is itself a slow store.
    pub(crate) const fn is_slow(&self) -> bool {
        matches!(self, Self::DynamoDb(cloud) if !matches!(cloud.kind, Kind::Fake))
    }

    fn port(&self) -> u16 {
        match self {
            Self::PostgreSql(_) => server().port,
            Self::DynamoDb(cloud) => cloud.url().rsplit(':').next().unwrap().parse().unwrap(),
        }
    }

    /// Returns the variables with which a replica uses the store behind this port.
    fn environment(&self, port: u16) -> Vec<(&'static str, String)> {
        match self {
            Self::PostgreSql(schema) => {
                let url =
                    server().url_of(schema).replace(&format!(":{}/", server().port), &format!(":{port}/"));
                vec![("ECSS_POSTGRES_URL", url)]
            }
            Self::DynamoDb(_) => vec![
                ("ECSS_DYNAMODB_TABLE", TABLE.to_owned()),
                ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://127.0.0.1:{port}")),
            ],
        }
    }

    /// Opens the store itself.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::PostgreSql(schema) => {
                let url = server().url_of(schema);
                Arc::new(PostgresStore::open(&url, PostgresOptions::default()).await.unwrap())
            }
            Self::DynamoDb(cloud) => {
                let aws = AwsContext::new(AwsSettings {
                    region: Some(REGION.to_owned()),
                    endpoint: Some(cloud.url()),
                    credentials: Some(("AKIDEXAMPLE".to_owned(), "secret".to_owned())),
                    ..AwsSettings::new(Arc::new(SystemClock))
                });
                Arc::new(DynamoDbStore::open(&aws, DynamoDbOptions::new(TABLE)).await.unwrap())
            }
        }
    }
}

/// One replica, and its way to the store.
pub(crate) struct ReplicaProcess {
    pub(crate) name: String,
    pub(crate) proxy: TcpProxy,
    pub(crate) scheduler: Scheduler,
    site: Site,
}

impl ReplicaProcess {
    pub(crate) async fn start(cloud: &Cloud, cluster: &str, db: &SharedDb, number: usize) -> Self {
        Self::start_with(cloud, cluster, db, number, None).await
    }

    /// Starts a replica with a configuration file.
    pub(crate) async fn start_with(
        cloud: &Cloud,
        cluster: &str,
        db: &SharedDb,
        number: usize,
        config: Option<&Value>,
    ) -> Self {
        let name = format!("replica-{number}");
        let proxy = TcpProxy::start(db.port()).await;
        let mut site = Site::bare();
        site.environment = environment(&cloud.url(), cluster);
        site.environment.push(("ECSS_REPLICA", name.clone()));
        site.environment.extend(db.environment(proxy.port()));
        if let Some(config) = config {
            site.configure(config);
        }
        let scheduler = Scheduler::start(&site).await;
        Self { name, proxy, scheduler, site }
    }

    /// Kills the process; it is started again when that which is waited for has happened.
    pub(crate) async fn kill_until<T>(self, happened: impl Future<Output = T>) -> (Self, T) {
        let Self { name, proxy, scheduler, site } = self;
        scheduler.kill().await;
        let happened = happened.await;
        let scheduler = Scheduler::start(&site).await;
        (Self { name, proxy, scheduler, site }, happened)
    }

    /// Returns the shards that each live replica owns, as this one sees it.
    pub(crate) async fn shares(&self) -> BTreeMap<String, Vec<Shard>> {
        let replicas = self.scheduler.list("/replicas", "replicas").await;
        let live = replicas.into_iter().filter(|replica| replica["state"] == "live");
        let share = live.map(|replica| {
            let numbers = replica["shards"].as_array().unwrap().iter();
            let shard = |number: u64| u8::try_from(number).ok().and_then(Shard::new).unwrap();
            let shards = numbers.map(|number| shard(number.as_u64().unwrap())).collect();
            (replica["id"].as_str().unwrap().to_owned(), shards)
        });
        share.collect()
    }

    /// Waits until this replica says that it can, or cannot, do its work.
    pub(crate) async fn until_ready(&self, ready: bool) {
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        until_within(DEADLINE, &format!("{} answers {status}", self.name), async || {
            self.scheduler.status("/readyz").await == Some(status)
        })
        .await;
    }
}

/// Waits until a condition holds that costs something to look at.
pub(crate) async fn until_seen(what: &str, condition: impl AsyncFn() -> bool) {
    until_within(DEADLINE * 5, what, async || {
        let holds = condition().await;
        if !holds {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        holds
    })
    .await;
}

/// Waits until these replicas, and no others, own everything, evenly, as the first of them sees it.
pub(crate) async fn until_shared(replicas: &[ReplicaProcess]) {
    until_seen("the replicas share everything evenly", async || {
        let shares = replicas[0].shares().await;
        let owned: Vec<usize> =
            replicas.iter().map(|replica| shares.get(&replica.name).map_or(0, Vec::len)).collect();
        let (most, fewest) = (owned.iter().max().unwrap(), owned.iter().min().unwrap());
        owned.iter().sum::<usize>() == usize::from(Shard::COUNT) && most - fewest <= 1
    })
    .await;
}

/// Waits as long as a fault lasts.
///
/// Not a wait for something to happen: how long a fault lasts is the input of the test.
pub(crate) async fn sleep_for(how_long: Duration) {
    tokio::time::sleep(how_long).await;
}
