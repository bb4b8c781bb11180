//! Opening: the bucket, and the store of segments in it.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_types::service_config::ServiceConfigKey;
use ecs_scheduler_backend_aws::{Aws, Fault, Place, SdkConfig};
use ecs_scheduler_backend_segments::{SegmentOptions, SegmentStore};
use ecs_scheduler_core::{Clock, Examination, MemoryStore, StoreError, fault};

use crate::bucket::Bucket;
use crate::documents::S3Documents;
use crate::keys::Layout;
use crate::log::S3Log;
use crate::probe::probe;

/// The kind of the store, for lists and logs.
const KIND: &str = "s3";

/// Where a store is, and how it is opened.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// The folder in the bucket; empty for the bucket itself.
    pub prefix: String,
    /// How much is kept, and when snapshots are taken.
    pub segments: SegmentOptions,
}

impl S3Options {
    /// Names a bucket and a folder in it, which may be empty.
    #[must_use]
    pub fn new(bucket: impl Into<String>, prefix: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        let segments = SegmentOptions { clock, ..SegmentOptions::default() };
        Self { bucket: bucket.into(), prefix: prefix.into(), segments }
    }

    /// Says where the log is, so that a person finds the objects that messages name.
    fn place(&self) -> String {
        format!("bucket \"{}\" below \"{}\"", self.bucket, Layout::new(&self.prefix).log())
    }
}

/// Opens the store in a bucket; creates the bucket when there is none.
///
/// A scheduler that uses the same bucket and prefix stops with its next write or check.
///
/// # Errors
///
/// Fails, with the bucket and the remedy, when AWS is not configured, when the bucket cannot be read, written or created, or
/// when the log in it is damaged or of a newer format.
pub async fn open(aws: &Aws, options: S3Options) -> Result<SegmentStore, StoreError> {
    let parts = Parts::new(aws, &options).await?;
    if parts.log.bucket.ensure().await? {
        tracing::info!(bucket = options.bucket, "created the bucket");
    }
    if parts.foreign {
        probe(&parts.log.bucket, &parts.log.folder).await?;
    }
    let place = options.place();
    SegmentStore::open(KIND, place, Arc::new(parts.log), Arc::new(parts.documents), options.segments).await
}

/// Reads what the store in a bucket holds, for a command that only looks; a scheduler that uses it goes on.
///
/// # Errors
///
/// As [`open`]; a missing bucket is not created.
pub async fn look(aws: &Aws, options: S3Options) -> Result<MemoryStore, StoreError> {
    let parts = Parts::new(aws, &options).await?;
    SegmentStore::look(options.place(), &parts.log, &parts.documents, &*options.segments.clock).await
}

/// Tries to read everything in a bucket, and says what is wrong and what to do about it.
pub async fn examine(aws: &Aws, options: S3Options) -> Examination {
    let what = format!("store: {}", options.place());
    match look(aws, options).await {
        Ok(_) => Examination::fine(what),
        Err(error) => Examination::problem(what, fault::chain(&error)),
    }
}

struct Parts {
    log: S3Log,
    documents: S3Documents,
    /// Whether an emulator or another product than AWS's may be behind it.
    foreign: bool,
}

impl Parts {
    async fn new(aws: &Aws, options: &S3Options) -> Result<Self, Fault> {
        let config = aws.config(&Place::default()).await?;
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let foreign = config.endpoint_url().is_some() || own_endpoint(&config);
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            // Names of buckets do not resolve there.
            .force_path_style(foreign)
            .interceptor(aws.metering())
            .build();
        let bucket = Bucket { client: Client::from_conf(s3), name: options.bucket.clone(), region };
        let layout = Layout::new(&options.prefix);
        let log = S3Log { bucket: bucket.clone(), folder: layout.log() };
        Ok(Self { log, documents: S3Documents { bucket, layout }, foreign })
    }
}

/// Tells whether an endpoint is configured for S3 alone: `AWS_ENDPOINT_URL_S3`, or in the profile.
fn own_endpoint(config: &SdkConfig) -> bool {
    let key =
        ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let loaded = config.service_config().zip(key.ok()).and_then(|(service, key)| service.load_config(key));
    loaded.is_some()
}
