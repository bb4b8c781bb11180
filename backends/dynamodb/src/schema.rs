//! The schema of the two tables: creation when they are missing, and a check before they are used.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, StoreError};

use crate::backoff;
use crate::codec::number;
use crate::db::{BY_AGE, BY_OUTCOME, BY_STATE, Committed, Db, Index, RECENT};
use crate::error::contention;
use crate::keys::{ItemKey, JOB_ID, StoreTable};
use crate::write::Write;

/// The layout of the journal that this version reads and writes.
const LAYOUT: u64 = 1;

/// How long the creation of a table may take; AWS needs some seconds.
const CREATION_TIMEOUT: Duration = Duration::from_secs(120);

/// The indexes of the journal.
const INDEXES: [Index; 4] = [RECENT, BY_OUTCOME, BY_STATE, BY_AGE];

impl Db {
    /// Creates missing tables, and checks existing ones.
    pub(crate) async fn prepare_tables(&self) -> Result<(), StoreError> {
        for table in [StoreTable::Jobs, StoreTable::Journal] {
            let found = match self.describe(table).await? {
                Some(found) => found,
                None => self.create_table(table).await?,
            };
            self.check_layout(table, &found)?;
        }
        self.ensure_layout().await
    }

    /// Waits until a table is active, and describes it; `None` when it does not exist.
    pub(crate) async fn describe(&self, table: StoreTable) -> Result<Option<TableDescription>, StoreError> {
        let name = self.name(table);
        let mut backoff = backoff::with_timeout(CREATION_TIMEOUT);
        loop {
            let answer = self.client.describe_table().table_name(name).send().await;
            match answer {
                Ok(answer) => {
                    let found = answer.table.filter(|found| found.table_status == Some(TableStatus::Active));
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Err(error) => {
                    let fault =
                        Fault::from_sdk(error, format!("could not describe DynamoDB table \"{name}\""));
                    if fault.kind() == FaultKind::NotFound {
                        return Ok(None);
                    }
                    if !fault.kind().is_transient() {
                        return Err(fault.into());
                    }
                }
            }
            if !backoff.wait().await {
                let message = format!(
                    "DynamoDB table \"{name}\" is not active after {} s: check its status",
                    CREATION_TIMEOUT.as_secs()
                );
                return Err(StoreError::fault(FaultKind::Unavailable, message));
            }
        }
    }

    async fn create_table(&self, table: StoreTable) -> Result<TableDescription, StoreError> {
        let name = self.name(table);
        let bug = |error: BuildError| {
            StoreError::with_source(FaultKind::Bug, "could not build the schema of a table", error)
        };
        let request = self.client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let request = match table {
            StoreTable::Jobs => jobs_schema(request),
            StoreTable::Journal => journal_schema(request),
        };
        let attempted = format!("could not create DynamoDB table \"{name}\"");
        if let Err(error) = request.map_err(bug)?.send().await {
            let raced = error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception());
            if !raced {
                return Err(creation_error(Fault::from_sdk(error, attempted.as_str()), name, &attempted));
            }
        } else {
            tracing::info!(table = name, "created a DynamoDB table");
        }
        // A new table may not be listed at once.
        let mut backoff = backoff::with_timeout(CREATION_TIMEOUT);
        loop {
            if let Some(found) = self.describe(table).await? {
                return Ok(found);
            }
            if !backoff.wait().await {
                let message =
                    format!("{attempted}: it does not exist after {} s", CREATION_TIMEOUT.as_secs());
                return Err(StoreError::fault(FaultKind::Unavailable, message));
            }
        }
    }

    /// Refuses a table with other keys or without an index.
    pub(crate) fn check_layout(&self, table: StoreTable, found: &TableDescription) -> Result<(), StoreError> {
        let name = self.name(table);
        let keys = |elements: &[KeySchemaElement]| -> Vec<String> {
            elements.iter().map(|element| element.attribute_name.clone()).collect()
        };
        let wanted: &[&str] = match table {
            StoreTable::Jobs => &[JOB_ID],
            StoreTable::Journal => &["pk", "sk"],
        };
        let has = keys(found.key_schema());
        if has != wanted {
            let message = format!(
                "DynamoDB table \"{name}\" has the key {has:?}, and a table of the scheduler has {wanted:?}; name another \
                 table in ECSS_DYNAMODB_TABLE"
            );
            return Err(StoreError::fault(FaultKind::Config, message));
        }
        if table == StoreTable::Jobs {
            return Ok(());
        }
        let indexes: HashMap<&str, Vec<String>> = found
            .global_secondary_indexes()
            .iter()
            .filter_map(|index| Some((index.index_name()?, keys(index.key_schema()))))
            .collect();
        let missing = INDEXES
            .iter()
            .find(|index| indexes.get(index.name).is_none_or(|keys| *keys != [index.hash, index.range]));
        let Some(index) = missing else { return Ok(()) };
        let message = format!(
            "DynamoDB table \"{name}\" lacks the index \"{}\" with the keys \"{}\" and \"{}\"; create it, or restore the \
             table",
            index.name, index.hash, index.range
        );
        Err(StoreError::fault(FaultKind::Config, message))
    }

    /// Writes the layout's number to a new table, and refuses a newer layout.
    async fn ensure_layout(&self) -> Result<(), StoreError> {
        let key = ItemKey::table_info("format");
        let mut backoff = backoff::for_writes();
        loop {
            let item = self.get("read the layout's number", key.clone()).await?;
            let format: Option<u64> = item.map(|item| self.reader(&item).number("format")).transpose()?;
            match format {
                Some(format) if format > LAYOUT => {
                    let message = format!(
                        "DynamoDB table \"{}\" has layout {format}, and this version knows up to {LAYOUT}: use the newer \
                         version",
                        self.journal
                    );
                    return Err(StoreError::fault(FaultKind::Config, message));
                }
                Some(_) => return Ok(()),
                None => {}
            }
            let write = Write::create(key.clone()).set("format", number(LAYOUT));
            if self.commit("write the layout's number", vec![write]).await? == Committed::Done {
                return Ok(());
            }
            if !backoff.wait().await {
                return Err(contention("write the layout's number"));
            }
        }
    }
}

fn attribute_definition(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()
}

fn key_element(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build()
}

fn jobs_schema(table: CreateTableFluentBuilder) -> Result<CreateTableFluentBuilder, BuildError> {
    Ok(table
        .attribute_definitions(attribute_definition(JOB_ID, ScalarAttributeType::S)?)
        .key_schema(key_element(JOB_ID, KeyType::Hash)?))
}

fn journal_schema(mut table: CreateTableFluentBuilder) -> Result<CreateTableFluentBuilder, BuildError> {
    for name in ["pk", "sk", "r", "o", "s", "a"] {
        table = table.attribute_definitions(attribute_definition(name, ScalarAttributeType::S)?);
    }
    for name in ["n", "t"] {
        table = table.attribute_definitions(attribute_definition(name, ScalarAttributeType::N)?);
    }
    for index in INDEXES {
        let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .key_schema(key_element(index.hash, KeyType::Hash)?)
            .key_schema(key_element(index.range, KeyType::Range)?)
            .projection(keys_only)
            .build()?;
        table = table.global_secondary_indexes(index);
    }
    Ok(table.key_schema(key_element("pk", KeyType::Hash)?).key_schema(key_element("sk", KeyType::Range)?))
}

/// Returns the error of a failed creation, with the remedy when the permission is missing.
fn creation_error(fault: Fault, name: &str, attempted: &str) -> StoreError {
    if fault.kind() != FaultKind::Denied || fault.is_credentials_fault() {
        return fault.into();
    }
    let message = format!(
        "{attempted}: it does not exist, and the scheduler may not create it; allow dynamodb:CreateTable on \
         table/{name} in the policy of the scheduler's role, or create it as doc/stores/dynamodb.md says"
    );
    StoreError::with_source(FaultKind::Denied, message, fault.service_answer())
}
