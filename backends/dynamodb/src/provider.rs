//! The provider: the settings of the store, and how it is opened by them.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ecs_scheduler_backend_aws::{AwsContext, check_resource_name};
use ecs_scheduler_core::{
    CheckResult, OpenMode, Permission, ProviderDescriptor, Setting, SettingError, SettingValues, Store,
    StoreError, StoreProvider, StoreSetup, async_trait,
};

use crate::diagnose::diagnose;
use crate::open::DynamoDbOptions;
use crate::permissions::permissions;
use crate::store::DynamoDbStore;

/// The table with the jobs.
const TABLE: Setting = Setting::new(
    "ECSS_DYNAMODB_TABLE",
    "dynamodb.table",
    "TABLE",
    "The DynamoDB table with the jobs; history is in a second table, `<table>-journal`. Both are created if \
     missing. A table of the Python version opens without conversion, and the Python version can still read it",
)
.inherited();

/// The length of a table's name, so that `-journal` can be appended.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
const TABLE_LENGTH: RangeInclusive<usize> = 3..=247;

/// The store `dynamodb`.
#[derive(Debug, Clone)]
pub struct DynamoDbProvider {
    aws: AwsContext,
}

impl DynamoDbProvider {
    /// Makes the provider. It calls AWS only when a store is opened.
    #[must_use]
    pub fn new(aws: AwsContext) -> Self {
        Self { aws }
    }
}

fn options(setup: &StoreSetup<'_>) -> Result<DynamoDbOptions, SettingError> {
    let clock = Arc::clone(&setup.clock);
    Ok(DynamoDbOptions { clock, ..DynamoDbOptions::new(setup.settings.require(&TABLE)?) })
}

#[async_trait]
impl StoreProvider for DynamoDbProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        const SETTINGS: &[Setting] = &[TABLE];
        let summary = "Keeps everything in two DynamoDB tables, for any number of schedulers";
        ProviderDescriptor::new("dynamodb", summary, SETTINGS).chosen_by(&TABLE)
    }

    /// Checks the name of the table.
    fn check(&self, settings: &SettingValues) -> Result<(), SettingError> {
        check_resource_name(&TABLE, settings.require(&TABLE)?, TABLE_LENGTH)
    }

    async fn open(&self, setup: &StoreSetup<'_>, mode: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        let options = options(setup)?;
        Ok(Arc::new(match mode {
            OpenMode::Serve => DynamoDbStore::open(&self.aws, options).await?,
            OpenMode::ReadOnly => DynamoDbStore::open_read_only(&self.aws, options).await?,
        }))
    }

    async fn diagnose(&self, setup: &StoreSetup<'_>) -> Vec<CheckResult> {
        match options(setup) {
            Ok(options) => diagnose(&self.aws, &options).await,
            Err(error) => vec![CheckResult::failed("store: DynamoDB", error.message)],
        }
    }

    fn permissions(&self, settings: &SettingValues) -> Vec<Permission> {
        settings.get(&TABLE).map(permissions).unwrap_or_default()
    }
}
