//! **The** list of built-in triggers, launchers and stores: the one place where concrete types meet.
//!
//! To add a trigger: one dependency in `Cargo.toml`, one line in [`add_triggers`].

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;

#[cfg(feature = "aws")]
use ecs_scheduler_backend_aws::{self as aws, AssumeRole, AwsContext, AwsSettings, Meter};
#[cfg(feature = "aws")]
use ecs_scheduler_backend_dynamodb::{self as dynamodb, DynamoDbOptions, DynamoDbStore};
#[cfg(feature = "aws")]
use ecs_scheduler_backend_ecs::{EcsLauncher, EcsOptions};
#[cfg(feature = "elasticsearch")]
use ecs_scheduler_backend_elasticsearch::{ElasticsearchOptions, Secret, Settings};
use ecs_scheduler_backend_local::{LocalLauncher, LocalOptions};
#[cfg(feature = "postgres")]
use ecs_scheduler_backend_postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "aws")]
use ecs_scheduler_backend_s3::{self as s3, S3Options};
use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::memory::MemoryStore;
use ecs_scheduler_core::{
    CheckResult, Clock, ConfigError, FaultKind, LaunchError, Launcher, Permission, Store, StoreError,
    TriggerRegistry,
};
#[cfg(feature = "aws")]
use ecs_scheduler_trigger_cloudwatch::CloudWatch;
use ecs_scheduler_trigger_compose::{All, Any, Sum, Window};
use ecs_scheduler_trigger_cron::Cron;
#[cfg(feature = "aws")]
use ecs_scheduler_trigger_sqs::Sqs;
use serde_json::json;

#[cfg(feature = "aws")]
use crate::api::{AwsStats, JobStats, OperationStats};
use crate::api::{CallStats, PluginInfo};
#[cfg(feature = "elasticsearch")]
use crate::config::ElasticsearchConfig;
use crate::config::{AwsConfig, Config, LauncherConfig, StoreConfig};

/// Shared context of the built-in plugins: one access to AWS, so that one meter counts all calls.
#[derive(Debug, Clone)]
pub struct PluginContext {
    #[cfg(feature = "aws")]
    aws: AwsContext,
}

#[cfg(feature = "aws")]
impl PluginContext {
    /// Prepares the access. Nothing is asked of AWS before a plugin needs it.
    #[must_use]
    pub fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { aws: AwsContext::new(AwsSettings::new(Arc::clone(clock))) }
    }

    /// Takes over what is configured.
    pub fn configure(&self, config: &AwsConfig) {
        if let Some(role) = &config.assume_role {
            self.aws.set_role(AssumeRole { role: role.clone(), external_id: config.external_id.clone() });
        }
    }

    /// Says which region is the default one.
    pub fn default_to(&self, region: &str) {
        self.aws.set_default_region(region);
    }

    /// Returns the default region, if it can be learnt.
    pub async fn region(&self) -> Option<String> {
        self.aws.region().await
    }

    /// Returns what counts the calls.
    #[must_use]
    pub fn calls(&self) -> Option<Arc<dyn CallStats>> {
        Some(Arc::new(MeterStats(Arc::clone(self.aws.meter()))))
    }
}

#[cfg(not(feature = "aws"))]
impl PluginContext {
    /// Prepares nothing: this build does not contain AWS.
    #[must_use]
    pub fn new(_: &Arc<dyn Clock>) -> Self {
        Self {}
    }

    /// Takes over nothing.
    pub fn configure(&self, _: &AwsConfig) {}

    /// Takes over nothing.
    pub fn default_to(&self, _: &str) {}

    /// Returns nothing: there is no region.
    pub fn region(&self) -> impl Future<Output = Option<String>> {
        std::future::ready(None)
    }

    /// Returns nothing: no calls are made.
    #[must_use]
    pub fn calls(&self) -> Option<Arc<dyn CallStats>> {
        None
    }
}

/// Adds the built-in triggers.
///
/// # Errors
///
/// Fails when a kind is installed already.
pub fn add_triggers(registry: &mut TriggerRegistry, context: &PluginContext) -> Result<(), ConfigError> {
    #[cfg(feature = "aws")]
    {
        registry.add(Sqs::new(context.aws.clone()))?;
        registry.add(CloudWatch::new(context.aws.clone()))?;
    }
    #[cfg(not(feature = "aws"))]
    let _ = context;
    registry.add(Cron)?;
    registry.add(Window)?;
    registry.add(All)?;
    registry.add(Any)?;
    registry.add(Sum)
}

/// Opens the store that is configured.
///
/// # Errors
///
/// Fails with what is wrong and the remedy.
pub async fn open_store(
    config: &StoreConfig,
    clock: Arc<dyn Clock>,
    context: &PluginContext,
) -> Result<Arc<dyn Store>, StoreError> {
    #[cfg(not(feature = "aws"))]
    let _ = context;
    Ok(match config {
        StoreConfig::Memory => Arc::new(MemoryStore::default()),
        StoreConfig::Sqlite { file } => {
            let options = SqliteOptions { clock, ..SqliteOptions::default() };
            Arc::new(SqliteStore::open(file, options).await?)
        }
        #[cfg(feature = "postgres")]
        StoreConfig::Postgres { url } => {
            Arc::new(PostgresStore::open(&url.0, PostgresOptions::default()).await?)
        }
        #[cfg(not(feature = "postgres"))]
        StoreConfig::Postgres { .. } => {
            return Err(StoreError::fault(FaultKind::Config, "this build has no PostgreSQL store"));
        }
        #[cfg(feature = "aws")]
        StoreConfig::S3 { bucket, prefix } => {
            Arc::new(s3::open(&context.aws, S3Options::new(bucket, prefix, clock)).await?)
        }
        #[cfg(feature = "aws")]
        StoreConfig::DynamoDb { table } => {
            let options = DynamoDbOptions { clock, ..DynamoDbOptions::new(table) };
            Arc::new(DynamoDbStore::open(&context.aws, options).await?)
        }
        #[cfg(not(feature = "aws"))]
        StoreConfig::S3 { .. } | StoreConfig::DynamoDb { .. } => return Err(no_aws()),
        #[cfg(feature = "elasticsearch")]
        StoreConfig::Elasticsearch(config) => {
            let options = ElasticsearchOptions { clock, ..elasticsearch(config)? };
            Arc::new(options.open().await?)
        }
        #[cfg(not(feature = "elasticsearch"))]
        StoreConfig::Elasticsearch(_) => return Err(no_elasticsearch()),
    })
}

/// Opens the store that is configured for a command that only reads; one that is missing is not made. Where opening it would end
/// the scheduler that uses it, what it holds at this moment is read instead.
///
/// # Errors
///
/// Fails with what is wrong and the remedy.
pub async fn open_store_read_only(
    config: &StoreConfig,
    clock: Arc<dyn Clock>,
    context: &PluginContext,
) -> Result<Arc<dyn Store>, StoreError> {
    match config {
        #[cfg(feature = "aws")]
        StoreConfig::S3 { bucket, prefix } => {
            Ok(Arc::new(s3::look(&context.aws, S3Options::new(bucket, prefix, clock)).await?))
        }
        #[cfg(feature = "aws")]
        StoreConfig::DynamoDb { table } => {
            let options = DynamoDbOptions { clock, ..DynamoDbOptions::new(table) };
            Ok(Arc::new(DynamoDbStore::open_existing(&context.aws, options).await?))
        }
        #[cfg(not(feature = "aws"))]
        StoreConfig::S3 { .. } | StoreConfig::DynamoDb { .. } => Err(no_aws()),
        #[cfg(feature = "elasticsearch")]
        StoreConfig::Elasticsearch(config) => {
            let options = ElasticsearchOptions { clock, ..elasticsearch(config)? };
            Ok(Arc::new(options.look().await?))
        }
        #[cfg(not(feature = "elasticsearch"))]
        StoreConfig::Elasticsearch(_) => Err(no_elasticsearch()),
        #[cfg(feature = "postgres")]
        StoreConfig::Postgres { url } => {
            Ok(Arc::new(PostgresStore::open_existing(&url.0, PostgresOptions::default()).await?))
        }
        #[cfg(not(feature = "postgres"))]
        StoreConfig::Postgres { .. } => open_store(config, clock, context).await,
        StoreConfig::Memory | StoreConfig::Sqlite { .. } => open_store(config, clock, context).await,
    }
}

/// Opens a store as [`open_store_read_only`] does, for a comparison: one that is missing is empty.
///
/// # Errors
///
/// Fails with what is wrong and the remedy.
pub async fn open_store_or_empty(
    config: &StoreConfig,
    clock: Arc<dyn Clock>,
    context: &PluginContext,
) -> Result<Arc<dyn Store>, StoreError> {
    match open_store_read_only(config, clock, context).await {
        Err(StoreError::Fault { kind: FaultKind::NotFound, .. }) => Ok(Arc::new(MemoryStore::default())),
        opened => opened,
    }
}

/// Tries the store that is configured, by calls that change nothing. A store that only one process can open is not tried: that
/// the jobs could be read says enough.
pub async fn diagnose_store(
    config: &StoreConfig,
    clock: Arc<dyn Clock>,
    context: &PluginContext,
) -> Vec<CheckResult> {
    match config {
        #[cfg(feature = "aws")]
        StoreConfig::S3 { bucket, prefix } => {
            vec![s3::diagnose(&context.aws, S3Options::new(bucket, prefix, clock)).await]
        }
        #[cfg(feature = "aws")]
        StoreConfig::DynamoDb { table } => {
            let options = DynamoDbOptions { clock, ..DynamoDbOptions::new(table) };
            dynamodb::diagnose(&context.aws, &options).await
        }
        #[cfg(not(feature = "aws"))]
        StoreConfig::S3 { .. } | StoreConfig::DynamoDb { .. } => {
            vec![CheckResult::failed("store: on AWS", no_aws().to_string())]
        }
        #[cfg(feature = "elasticsearch")]
        StoreConfig::Elasticsearch(config) => match elasticsearch(config) {
            Ok(options) => vec![ElasticsearchOptions { clock, ..options }.diagnose().await],
            Err(error) => vec![CheckResult::failed("store: Elasticsearch", error.to_string())],
        },
        #[cfg(not(feature = "elasticsearch"))]
        StoreConfig::Elasticsearch(_) => {
            vec![CheckResult::failed("store: Elasticsearch", no_elasticsearch().to_string())]
        }
        StoreConfig::Memory | StoreConfig::Sqlite { .. } | StoreConfig::Postgres { .. } => {
            let _ = (clock, context);
            Vec::new()
        }
    }
}

/// Names the partition of AWS that a region belongs to, as ARNs spell it.
#[cfg(feature = "aws")]
#[must_use]
pub fn partition(region: &str) -> &'static str {
    aws::partition(region)
}

/// Names the partition of AWS that ARNs are of where this build knows no other.
#[cfg(not(feature = "aws"))]
#[must_use]
pub fn partition(_: &str) -> &'static str {
    "aws"
}

/// Lists what the store that is configured needs to be permitted.
#[must_use]
pub fn store_permissions(config: &StoreConfig) -> Vec<Permission> {
    match config {
        #[cfg(feature = "aws")]
        StoreConfig::S3 { bucket, prefix } => s3::permissions(bucket, prefix),
        #[cfg(feature = "aws")]
        StoreConfig::DynamoDb { table } => dynamodb::permissions(table),
        #[cfg(not(feature = "aws"))]
        StoreConfig::S3 { .. } | StoreConfig::DynamoDb { .. } => Vec::new(),
        StoreConfig::Memory
        | StoreConfig::Sqlite { .. }
        | StoreConfig::Postgres { .. }
        | StoreConfig::Elasticsearch(_) => Vec::new(),
    }
}

#[cfg(not(feature = "aws"))]
fn no_aws() -> StoreError {
    StoreError::fault(FaultKind::Config, "this build has no store on AWS; use ECSS_SQLITE_FILE")
}

/// Looks for what is wrong in the settings of the store, without opening it.
///
/// # Errors
///
/// Fails with the setting that is wrong.
pub fn validate_store_settings(config: &StoreConfig) -> Result<(), StoreError> {
    match config {
        #[cfg(feature = "elasticsearch")]
        StoreConfig::Elasticsearch(config) => elasticsearch(config).map(drop),
        #[cfg(not(feature = "elasticsearch"))]
        StoreConfig::Elasticsearch(_) => Ok(()),
        #[cfg(feature = "postgres")]
        StoreConfig::Postgres { url } => ecs_scheduler_backend_postgres::check_url(&url.0),
        #[cfg(not(feature = "postgres"))]
        StoreConfig::Postgres { .. } => Ok(()),
        StoreConfig::Memory
        | StoreConfig::Sqlite { .. }
        | StoreConfig::DynamoDb { .. }
        | StoreConfig::S3 { .. } => Ok(()),
    }
}

#[cfg(not(feature = "elasticsearch"))]
fn no_elasticsearch() -> StoreError {
    StoreError::fault(FaultKind::Config, "this build has no Elasticsearch store; use ECSS_SQLITE_FILE")
}

#[cfg(feature = "elasticsearch")]
fn elasticsearch(config: &ElasticsearchConfig) -> Result<ElasticsearchOptions, StoreError> {
    let secret = |text: &Option<String>| text.as_deref().map(Secret::new);
    let settings = Settings {
        index: config.index.clone(),
        hosts: secret(&config.hosts),
        client: secret(&config.client),
        api_key: secret(&config.api_key),
        authority: config.ca_file.clone(),
    };
    settings.options()
}

/// Opens the launcher that is configured.
///
/// # Errors
///
/// Fails with what is wrong and the remedy.
pub async fn open_launcher(
    config: &Config,
    clock: Arc<dyn Clock>,
    context: &PluginContext,
) -> Result<Arc<dyn Launcher>, LaunchError> {
    match &config.launcher {
        #[cfg(feature = "aws")]
        LauncherConfig::Ecs { cluster, tags, events_queue } => {
            let options = EcsOptions {
                tags: *tags,
                variables: config.task_variables,
                events_queue: events_queue.clone(),
                ..EcsOptions::new(cluster, &config.name, clock)
            };
            Ok(Arc::new(EcsLauncher::new(context.aws.clone(), options)))
        }
        #[cfg(not(feature = "aws"))]
        LauncherConfig::Ecs { .. } => {
            let _ = context;
            Err(LaunchError::new(FaultKind::Config, "this build has no ECS launcher"))
        }
        LauncherConfig::Local { definitions } => {
            DirBuilder::new().recursive(true).mode(0o700).create(definitions).map_err(|error| {
                let message = format!("could not make the folder \"{}\"", definitions.display());
                LaunchError::new(FaultKind::Config, message).with_source(error)
            })?;
            let data = config.data_dir.join("local");
            let options = LocalOptions {
                clock,
                variables: config.task_variables,
                ..LocalOptions::new(definitions, data)
            };
            Ok(Arc::new(LocalLauncher::open(options).await?))
        }
    }
}

/// Backup and restore of a store's file: only SQLite's store is a file.
pub(crate) mod copies {
    pub(crate) use ecs_scheduler_backend_sqlite::{Contents, backup, restore, verify};
}

/// Lists the launchers of this build; the one in use is marked.
#[must_use]
pub fn list_launchers(in_use: &LauncherConfig) -> Vec<PluginInfo> {
    let local = PluginInfo {
        kind: "local".to_owned(),
        summary: "Runs the commands of task definitions as processes of this machine".to_owned(),
        active: matches!(in_use, LauncherConfig::Local { .. }),
        schema: json!({ "type": "object", "description": "Ignored: it is for the ECS launcher" }),
    };
    #[cfg(feature = "aws")]
    let ecs = Some(PluginInfo {
        kind: "ecs".to_owned(),
        summary: "Starts tasks on an ECS cluster".to_owned(),
        active: matches!(in_use, LauncherConfig::Ecs { .. }),
        schema: EcsLauncher::schema(),
    });
    #[cfg(not(feature = "aws"))]
    let ecs = None;
    ecs.into_iter().chain([local]).collect()
}

/// Lists the stores of this build; the one in use is marked.
#[must_use]
pub fn list_stores(in_use: &StoreConfig) -> Vec<PluginInfo> {
    let options =
        |properties| json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let file = json!({ "ECSS_SQLITE_FILE": { "type": "string", "description": "The database file" } });
    vec![
        PluginInfo {
            kind: "memory".to_owned(),
            summary: "Keeps everything in the process, and forgets it at the end".to_owned(),
            active: matches!(in_use, StoreConfig::Memory),
            schema: options(json!({})),
        },
        PluginInfo {
            kind: "sqlite".to_owned(),
            summary: "Keeps everything in one SQLite file".to_owned(),
            active: matches!(in_use, StoreConfig::Sqlite { .. }),
            schema: options(file),
        },
        #[cfg(feature = "postgres")]
        PluginInfo {
            kind: "postgres".to_owned(),
            summary: "Keeps everything in a PostgreSQL database, which several schedulers may share"
                .to_owned(),
            active: matches!(in_use, StoreConfig::Postgres { .. }),
            schema: options(
                json!({ "ECSS_POSTGRES_URL": { "type": "string", "description": "The database" } }),
            ),
        },
        #[cfg(feature = "aws")]
        PluginInfo {
            kind: "dynamodb".to_owned(),
            summary: "Keeps everything in two DynamoDB tables, for any number of schedulers".to_owned(),
            active: matches!(in_use, StoreConfig::DynamoDb { .. }),
            schema: options(json!({
                "ECSS_DYNAMODB_TABLE": { "type": "string", "description": "The table with the jobs" },
            })),
        },
        #[cfg(feature = "aws")]
        PluginInfo {
            kind: "s3".to_owned(),
            summary: "Keeps everything in an S3 bucket, for one scheduler".to_owned(),
            active: matches!(in_use, StoreConfig::S3 { .. }),
            schema: options(json!({
                "ECSS_S3_BUCKET": { "type": "string", "description": "The bucket" },
                "ECSS_S3_PREFIX": { "type": "string", "description": "The folder in the bucket" },
            })),
        },
        #[cfg(feature = "elasticsearch")]
        PluginInfo {
            kind: "elasticsearch".to_owned(),
            summary: "Keeps jobs and a journal in two indices of Elasticsearch or OpenSearch".to_owned(),
            active: matches!(in_use, StoreConfig::Elasticsearch(_)),
            schema: options(json!({
                "ECSS_ELASTICSEARCH_INDEX": { "type": "string", "description": "The index of jobs" },
                "ECSS_ELASTICSEARCH_HOSTS": { "type": "string", "description": "The nodes, separated by commas" },
                "ECSS_ELASTICSEARCH_API_KEY": { "type": "string", "description": "An API key" },
                "ECSS_ELASTICSEARCH_CA_FILE": { "type": "string", "description": "Certificates to trust" },
            })),
        },
    ]
}

/// Shows what the meter counted.
#[cfg(feature = "aws")]
#[derive(Debug)]
struct MeterStats(Arc<Meter>);

#[cfg(feature = "aws")]
impl CallStats for MeterStats {
    fn report(&self) -> AwsStats {
        let report = self.0.report();
        let operations = report.operations.into_iter().map(|usage| OperationStats {
            service: usage.service,
            operation: usage.operation,
            calls: usage.calls,
            throttles: usage.throttles,
            failures: usage.failures,
            dollars_per_month: usage.dollars_per_month,
        });
        let jobs = report.jobs.into_iter().map(|usage| JobStats {
            job: usage.job.to_string(),
            operation: usage.operation,
            reads: usage.reads,
            dollars_per_month: usage.dollars_per_month,
        });
        AwsStats { since: report.since, operations: operations.collect(), jobs: jobs.collect() }
    }
}
