//! **The** list of built-in triggers, launchers and stores: the one place where concrete types meet.
//!
//! To add a trigger, store or launcher: one dependency in `Cargo.toml`, and one line in [`add_triggers`] or
//! [`add_providers`].

use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "aws")]
use ecs_scheduler_backend_aws::{self as aws, AssumeRole, AwsContext, AwsSettings};
#[cfg(feature = "aws")]
use ecs_scheduler_backend_dynamodb::DynamoDbProvider;
#[cfg(feature = "aws")]
use ecs_scheduler_backend_ecs::EcsProvider;
#[cfg(feature = "elasticsearch")]
use ecs_scheduler_backend_elasticsearch::ElasticsearchProvider;
use ecs_scheduler_backend_local::LocalProvider;
#[cfg(feature = "postgres")]
use ecs_scheduler_backend_postgres::PostgresProvider;
#[cfg(feature = "aws")]
use ecs_scheduler_backend_s3::S3Provider;
#[cfg(feature = "aws")]
use ecs_scheduler_backend_sns::{SnsMessage, SnsPublisher};
use ecs_scheduler_backend_sqlite::SqliteProvider;
use ecs_scheduler_core::call_stats::CallMeter;
use ecs_scheduler_core::memory::MemoryStore;
use ecs_scheduler_core::{Clock, ConfigError, MemoryProvider, Store, TriggerRegistry};
#[cfg(feature = "aws")]
use ecs_scheduler_core::{DeliveryError, async_trait, fault};
#[cfg(feature = "aws")]
use ecs_scheduler_trigger_cloudwatch::CloudWatch;
use ecs_scheduler_trigger_compose::{All, Any, Sum, Window};
use ecs_scheduler_trigger_cron::Cron;
#[cfg(feature = "aws")]
use ecs_scheduler_trigger_sqs::Sqs;

use crate::config::{AwsConfig, Providers, StoreConfig, setting};
#[cfg(feature = "aws")]
use crate::notify::TopicMessage;
use crate::notify::TopicPublisher;

/// Shared context of the built-in plugins: one access to AWS, so that one meter counts all calls.
#[derive(Debug, Clone)]
pub struct PluginContext {
    #[cfg(feature = "aws")]
    aws: AwsContext,
}

#[cfg(feature = "aws")]
impl PluginContext {
    /// Prepares the access. It calls AWS only when a plugin needs it.
    #[must_use]
    pub fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { aws: AwsContext::new(AwsSettings::new(Arc::clone(clock))) }
    }

    /// Applies the configuration.
    pub fn configure(&self, config: &AwsConfig) {
        if let Some(role) = &config.assume_role {
            self.aws.set_role(AssumeRole { role: role.clone(), external_id: config.external_id.clone() });
        }
    }

    /// Sets the default region.
    pub fn default_to(&self, region: &str) {
        self.aws.set_default_region(region);
    }

    /// Returns the default region, if it is known.
    pub async fn region(&self) -> Option<String> {
        self.aws.region().await
    }

    /// Returns the meter of the calls.
    #[must_use]
    pub fn calls(&self) -> Option<Arc<dyn CallMeter>> {
        Some(Arc::clone(self.aws.meter()) as Arc<dyn CallMeter>)
    }

    /// Returns the way to publish to topics.
    pub(crate) fn topics(&self) -> Option<Arc<dyn TopicPublisher>> {
        Some(Arc::new(SnsPublisher::new(self.aws.clone())))
    }
}

#[cfg(feature = "aws")]
#[async_trait]
impl TopicPublisher for SnsPublisher {
    async fn publish(&self, arn: &str, message: &TopicMessage) -> Result<(), DeliveryError> {
        let TopicMessage { id, subject, body, group, attributes } = message;
        let attributes: Vec<(&str, &str)> =
            attributes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let message = SnsMessage { id, subject, body, group, attributes: &attributes };
        let published = Self::publish(self, arn, &message).await;
        published.map_err(|error| DeliveryError::failed(fault::chain(&error)))
    }

    async fn check(&self, arn: &str) -> Result<(), String> {
        Self::check(self, arn).await.map_err(|error| fault::chain(&error))
    }
}

#[cfg(not(feature = "aws"))]
impl PluginContext {
    /// Prepares nothing: this build does not contain AWS.
    #[must_use]
    pub fn new(_: &Arc<dyn Clock>) -> Self {
        Self {}
    }

    /// Does nothing.
    pub fn configure(&self, _: &AwsConfig) {}

    /// Does nothing.
    pub fn default_to(&self, _: &str) {}

    /// Returns none: there is no region.
    pub fn region(&self) -> impl Future<Output = Option<String>> {
        std::future::ready(None)
    }

    /// Returns none: there are no calls.
    #[must_use]
    pub fn calls(&self) -> Option<Arc<dyn CallMeter>> {
        None
    }

    /// Returns none: there are no topics.
    pub(crate) fn topics(&self) -> Option<Arc<dyn TopicPublisher>> {
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

/// Adds the built-in stores and launchers, and the settings of the scheduler between theirs, in the order in which
/// `config check` lists them.
///
/// # Errors
///
/// Fails when a kind or a setting is installed already.
pub fn add_providers(providers: &mut Providers, context: &PluginContext) -> Result<(), ConfigError> {
    providers.add_settings(setting::GENERAL);
    providers.add_store(MemoryProvider)?;
    providers.add_store(SqliteProvider)?;
    #[cfg(feature = "aws")]
    providers.add_store(S3Provider::new(context.aws.clone()))?;
    #[cfg(feature = "aws")]
    providers.add_store(DynamoDbProvider::new(context.aws.clone()))?;
    #[cfg(not(feature = "aws"))]
    {
        let _ = context;
        providers.add_absent_store(absent::S3)?;
        providers.add_absent_store(absent::DYNAMODB)?;
    }
    #[cfg(feature = "elasticsearch")]
    providers.add_store(ElasticsearchProvider)?;
    #[cfg(not(feature = "elasticsearch"))]
    providers.add_absent_store(absent::ELASTICSEARCH)?;
    providers.add_settings(setting::LAUNCHING);
    providers.add_launcher(LocalProvider)?;
    #[cfg(feature = "aws")]
    providers.add_launcher(EcsProvider::new(context.aws.clone()))?;
    #[cfg(not(feature = "aws"))]
    providers.add_absent_launcher(absent::ECS)?;
    providers.add_settings(setting::OTHER);
    #[cfg(feature = "postgres")]
    providers.add_store(PostgresProvider)?;
    #[cfg(not(feature = "postgres"))]
    providers.add_absent_store(absent::POSTGRES)?;
    Ok(())
}

/// The stores and launchers that a build without a feature does not contain.
#[cfg(not(all(feature = "aws", feature = "elasticsearch", feature = "postgres")))]
mod absent {
    use ecs_scheduler_core::Setting;

    use crate::config::Absent;

    const USE_SQLITE: &str = "unset it and use ECSS_SQLITE_FILE";

    const fn variable(name: &'static str, key: &'static str) -> Setting {
        Setting::new(name, key, "", "")
    }

    #[cfg(not(feature = "aws"))]
    pub(super) const S3: Absent = Absent {
        kind: "s3",
        what: "S3 store",
        remedy: USE_SQLITE,
        settings: &[variable("ECSS_S3_BUCKET", "s3.bucket"), variable("ECSS_S3_PREFIX", "s3.prefix")],
    };
    #[cfg(not(feature = "aws"))]
    pub(super) const DYNAMODB: Absent = Absent {
        kind: "dynamodb",
        what: "DynamoDB store",
        remedy: USE_SQLITE,
        settings: &[variable("ECSS_DYNAMODB_TABLE", "dynamodb.table")],
    };
    #[cfg(not(feature = "elasticsearch"))]
    pub(super) const ELASTICSEARCH: Absent = Absent {
        kind: "elasticsearch",
        what: "Elasticsearch store",
        remedy: USE_SQLITE,
        settings: &[
            variable("ECSS_ELASTICSEARCH_INDEX", "elasticsearch.index"),
            variable("ECSS_ELASTICSEARCH_HOSTS", "elasticsearch.hosts"),
            variable("ECSS_ELASTICSEARCH_API_KEY", "elasticsearch.apiKey").secret(),
            variable("ECSS_ELASTICSEARCH_CA_FILE", "elasticsearch.caFile"),
            variable("", "elasticsearch.client").only_in_file().secret(),
        ],
    };
    #[cfg(not(feature = "postgres"))]
    pub(super) const POSTGRES: Absent = Absent {
        kind: "postgres",
        what: "PostgreSQL store",
        remedy: USE_SQLITE,
        settings: &[variable("ECSS_POSTGRES_URL", "postgres.url").secret()],
    };
    #[cfg(not(feature = "aws"))]
    pub(super) const ECS: Absent = Absent {
        kind: "ecs",
        what: "ECS launcher",
        remedy: "set ECSS_LAUNCHER=local to run tasks as local processes",
        settings: &[
            variable("ECSS_ECS_CLUSTER", "ecs.cluster"),
            variable("ECSS_ECS_TAGS", "ecs.tags"),
            variable("ECSS_ECS_EVENTS_QUEUE", "ecs.eventsQueue"),
        ],
    };
}

/// Returns an empty store in the place of one that does not exist.
pub(crate) fn empty_store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::default())
}

/// Returns the AWS partition of a region, in the spelling of ARNs.
#[cfg(feature = "aws")]
#[must_use]
pub fn partition(region: &str) -> &'static str {
    aws::partition(region)
}

/// Returns the default AWS partition: this build knows no other.
#[cfg(not(feature = "aws"))]
#[must_use]
pub fn partition(_: &str) -> &'static str {
    "aws"
}

/// Backup, restore and lock of the SQLite store.
pub(crate) mod sqlite_backup {
    pub(crate) use ecs_scheduler_backend_sqlite::{BackupContents, backup, lock, restore, verify};
}

/// Returns the file of a SQLite store.
pub(crate) fn store_file(config: &StoreConfig) -> Option<PathBuf> {
    if config.kind == "sqlite" { SqliteProvider::file(&config.settings).ok() } else { None }
}
