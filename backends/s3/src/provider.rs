//! The provider: the settings of the store, and how it is opened by them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ecs_scheduler_backend_aws::{AwsContext, check_resource_name};
use ecs_scheduler_core::{
    CheckResult, OpenMode, Permission, ProviderDescriptor, Setting, SettingError, SettingValues, Store,
    StoreError, StoreProvider, StoreSetup, async_trait,
};

use crate::keys::KeyLayout;
use crate::open::{self, KIND, S3Options};
use crate::permissions::permissions;

/// The bucket.
const BUCKET: Setting = Setting::new(
    "ECSS_S3_BUCKET",
    "s3.bucket",
    "BUCKET",
    "The S3 bucket with the jobs, for one scheduler at a time; created if missing. A bucket of the Python version \
     opens without conversion",
)
.inherited();
/// The folder in the bucket.
const PREFIX: Setting = Setting::new(
    "ECSS_S3_PREFIX",
    "s3.prefix",
    "PREFIX",
    "The folder in the bucket, with or without a final slash: a job is `<prefix>/<id>.json`",
)
.without_default("none: the bucket itself")
.inherited();

/// The length of a bucket's name. New buckets on AWS have at most 63 characters and no capital letters; old ones, and
/// those of other servers, may have both.
const BUCKET_LENGTH: RangeInclusive<usize> = 3..=255;

/// The store `s3`.
#[derive(Debug, Clone)]
pub struct S3Provider {
    aws: AwsContext,
}

impl S3Provider {
    /// Makes the provider. It calls AWS only when a store is opened.
    #[must_use]
    pub fn new(aws: AwsContext) -> Self {
        Self { aws }
    }

    /// Tells whether the settings name the same folder of the same bucket.
    fn is_same_folder(one: &SettingValues, other: &SettingValues) -> bool {
        let prefix =
            |settings: &SettingValues| KeyLayout::new(settings.get(&PREFIX).unwrap_or_default()).log();
        one.get(&BUCKET) == other.get(&BUCKET) && prefix(one) == prefix(other)
    }
}

#[cfg(test)]
mod tests;

fn options(setup: &StoreSetup<'_>) -> Result<S3Options, SettingError> {
    let prefix = setup.settings.get(&PREFIX).unwrap_or_default();
    Ok(S3Options::new(setup.settings.require(&BUCKET)?, prefix, Arc::clone(&setup.clock)))
}

#[async_trait]
impl StoreProvider for S3Provider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[BUCKET, PREFIX];
        let summary = "Keeps everything in an S3 bucket, for one scheduler";
        ProviderDescriptor::new(KIND, summary, SETTINGS)
            .chosen_by(&BUCKET)
            .with_same_store(Self::is_same_folder)
    }

    /// Checks the name of the bucket, and that one is named.
    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        let message = "ECSS_S3_PREFIX is set, but no bucket is named; set ECSS_S3_BUCKET";
        let bucket = settings.get(&BUCKET).ok_or_else(|| SettingError::new(message))?;
        check_resource_name(&BUCKET, bucket, BUCKET_LENGTH)
    }

    async fn open(&self, setup: &StoreSetup<'_>, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        let options = options(setup)?;
        Ok(match mode {
            OpenMode::Serve => Arc::new(open::open(&self.aws, options).await?),
            OpenMode::ReadOnly => Arc::new(open::open_read_only(&self.aws, options).await?),
        })
    }

    async fn diagnose(&self, setup: &StoreSetup<'_>) -> Vec<CheckResult> {
        vec![match options(setup) {
            Ok(options) => open::diagnose(&self.aws, options).await,
            Err(error) => CheckResult::failed("store: S3", error.message),
        }]
    }

    fn permissions(&self, settings: &SettingValues) -> Vec<Permission> {
        let prefix = settings.get(&PREFIX).unwrap_or_default();
        settings.get(&BUCKET).map(|bucket| permissions(bucket, prefix)).unwrap_or_default()
    }
}
