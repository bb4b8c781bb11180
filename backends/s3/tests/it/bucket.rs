//! A bucket of its own for each test, and the store in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use ecs_scheduler_backend_aws::{AwsContext, AwsScope, AwsSettings};
use ecs_scheduler_backend_log_store::LogStore;
use ecs_scheduler_backend_s3::S3Options;
use ecs_scheduler_core::{Store, StoreError, SystemClock, async_trait};
pub(crate) use ecs_scheduler_testing::sample::new_job;
use ecs_scheduler_testing::store_suite::StoreFixture;

/// A bucket and a prefix, and the client to reach them.
#[derive(Debug, Clone)]
pub(crate) struct TestBucket {
    pub(crate) aws: AwsContext,
    pub(crate) name: String,
    pub(crate) prefix: &'static str,
}

impl TestBucket {
    /// Names a bucket that does not exist yet, at this address.
    pub(crate) fn at(address: &str) -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let number = BUCKETS.fetch_add(1, Ordering::SeqCst);
        let name = format!("jobs-{}-{number}", std::process::id());
        Self { aws: aws(address, "eu-central-1"), name, prefix: "jobs/prod" }
    }

    /// Returns the same bucket behind another address.
    pub(crate) fn behind(&self, address: &str) -> Self {
        Self { aws: aws(address, "eu-central-1"), ..self.clone() }
    }

    pub(crate) fn options(&self) -> S3Options {
        S3Options::new(&self.name, self.prefix, Arc::new(SystemClock))
    }

    pub(crate) async fn try_open(&self) -> Result<LogStore, StoreError> {
        ecs_scheduler_backend_s3::open(&self.aws, self.options()).await
    }

    /// Returns a client of its own, beside the store.
    pub(crate) async fn client(&self) -> Client {
        let config = self.aws.config(&AwsScope::default()).await.unwrap();
        Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build())
    }

    /// Creates the bucket.
    pub(crate) async fn create(&self) {
        use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
        let region = BucketLocationConstraint::EuCentral1;
        let configuration = CreateBucketConfiguration::builder().location_constraint(region).build();
        let creation =
            self.client().await.create_bucket().bucket(&self.name).create_bucket_configuration(configuration);
        creation.send().await.unwrap();
    }

    /// Writes an object as another program.
    pub(crate) async fn put(&self, key: &str, body: &str) {
        let body = ByteStream::from(body.as_bytes().to_vec());
        self.client().await.put_object().bucket(&self.name).key(key).body(body).send().await.unwrap();
    }

    /// Reads an object.
    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let answer = self.client().await.get_object().bucket(&self.name).key(key).send().await.ok()?;
        Some(String::from_utf8(answer.body.collect().await.unwrap().to_vec()).unwrap())
    }

    /// Returns how many calls of an operation were sent.
    pub(crate) fn calls(&self, operation: &str) -> u64 {
        let report = self.aws.meter().report();
        report.operations.iter().filter(|line| line.operation == operation).map(|line| line.calls).sum()
    }
}

fn aws(address: &str, region: &str) -> AwsContext {
    let mut settings = AwsSettings::new(Arc::new(SystemClock));
    settings.endpoint = Some(format!("http://{address}"));
    settings.region = Some(region.to_owned());
    settings.credentials = Some(("key".to_owned(), "secret".to_owned()));
    AwsContext::new(settings)
}

#[async_trait]
impl StoreFixture for TestBucket {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.try_open().await.expect("the store opens"))
    }
}
