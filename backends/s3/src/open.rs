//! Opening: the options, the bucket, and the log store in it.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_types::service_config::ServiceConfigKey;
use ecs_scheduler_backend_aws::{AwsContext, AwsScope, Fault, SdkConfig};
use ecs_scheduler_backend_log_store::{LogStore, LogStoreOptions};
use ecs_scheduler_core::{CheckResult, Clock, MemoryStore, StoreError, fault};

use crate::bucket::S3Bucket;
use crate::documents::S3Documents;
use crate::keys::KeyLayout;
use crate::log::S3Log;
use crate::probe::probe;

/// The kind of the store, for lists and logs.
pub(crate) const KIND: &str = "s3";

/// The options of an S3 store.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// The folder in the bucket; empty for the root of the bucket.
    pub prefix: String,
    /// The options of the log store: the size of the history, and the intervals of snapshots.
    pub log_store: LogStoreOptions,
}

impl S3Options {
    /// Makes options with the defaults. `prefix` may be empty.
    #[must_use]
    pub fn new(bucket: impl Into<String>, prefix: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        let log_store = LogStoreOptions { clock, ..LogStoreOptions::default() };
        Self { bucket: bucket.into(), prefix: prefix.into(), log_store }
    }

    /// Returns the location of the log, so that a person finds the objects that messages name.
    fn location(&self) -> String {
        format!("bucket \"{}\" below \"{}\"", self.bucket, KeyLayout::new(&self.prefix).log())
    }
}

/// Opens the store in a bucket; creates the bucket when it does not exist.
///
/// Another scheduler on the same bucket and prefix stops at its next write or check.
///
/// # Errors
///
/// Fails, with the bucket and the remedy, when AWS is not configured, when the bucket cannot be read, written or created, or
/// when the log in it is damaged or of a newer format.
pub async fn open(aws: &AwsContext, options: S3Options) -> Result<LogStore, StoreError> {
    let connection = Connection::new(aws, &options).await?;
    if connection.log.bucket.ensure_exists().await? {
        tracing::info!(bucket = options.bucket, "created the bucket");
    }
    if connection.is_custom_endpoint {
        probe(&connection.log.bucket, &connection.log.folder).await?;
    }
    let location = options.location();
    LogStore::open(
        KIND,
        location,
        Arc::new(connection.log),
        Arc::new(connection.documents),
        options.log_store,
    )
    .await
}

/// Reads the current state of the store in a bucket. A running scheduler is not disturbed.
///
/// # Errors
///
/// As [`open`]; a missing bucket is not created.
pub async fn open_read_only(aws: &AwsContext, options: S3Options) -> Result<MemoryStore, StoreError> {
    let connection = Connection::new(aws, &options).await?;
    LogStore::open_read_only(
        options.location(),
        &connection.log,
        &connection.documents,
        &*options.log_store.clock,
    )
    .await
}

/// Reads everything in a bucket, and reports problems with their remedies.
pub async fn diagnose(aws: &AwsContext, options: S3Options) -> CheckResult {
    let subject = format!("store: {}", options.location());
    match open_read_only(aws, options).await {
        Ok(_) => CheckResult::passed(subject),
        Err(error) => CheckResult::failed(subject, fault::chain(&error)),
    }
}

/// The log and the documents in a bucket.
struct Connection {
    log: S3Log,
    documents: S3Documents,
    /// Whether the server may be an emulator or another product than AWS's.
    is_custom_endpoint: bool,
}

impl Connection {
    async fn new(aws: &AwsContext, options: &S3Options) -> Result<Self, Fault> {
        let config = aws.config(&AwsScope::default()).await?;
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let is_custom_endpoint = config.endpoint_url().is_some() || has_s3_endpoint(&config);
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            // The names of buckets do not resolve at such an endpoint.
            .force_path_style(is_custom_endpoint)
            .interceptor(aws.metering())
            .build();
        let bucket = S3Bucket { client: Client::from_conf(s3), name: options.bucket.clone(), region };
        let layout = KeyLayout::new(&options.prefix);
        let log = S3Log { bucket: bucket.clone(), folder: layout.log() };
        Ok(Self { log, documents: S3Documents { bucket, layout }, is_custom_endpoint })
    }
}

/// Returns whether an endpoint is configured for S3 only: `AWS_ENDPOINT_URL_S3`, or in the profile.
fn has_s3_endpoint(config: &SdkConfig) -> bool {
    let key =
        ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let loaded = config.service_config().zip(key.ok()).and_then(|(service, key)| service.load_config(key));
    loaded.is_some()
}
