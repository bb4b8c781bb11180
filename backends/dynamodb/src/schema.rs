//! The two tables: created when they are missing, and looked at before they are used.

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

use crate::backoff::Patience;
use crate::codec::number;
use crate::db::{BY_AGE, BY_OUTCOME, BY_STATE, Committed, Db, Index, RECENT};
use crate::keys::{JOB_ID, Key, Table};
use crate::write::Write;

/// The layout of our own table that this version reads and writes.
const FORMAT: u64 = 1;

/// How long a new table may take; AWS needs some seconds.
const CREATION: Duration = Duration::from_secs(120);

const INDEXES: [Index; 4] = [RECENT, BY_OUTCOME, BY_STATE, BY_AGE];

impl Db {
    /// Makes sure that both tables are there and are ours to use.
    pub(crate) async fn prepare(&self) -> Result<(), StoreError> {
        for table in [Table::Jobs, Table::Journal] {
            let found = match self.describe(table).await? {
                Some(found) => found,
                None => self.create(table).await?,
            };
            self.inspect(table, &found)?;
        }
        self.note_format().await
    }

    /// Describes a table that is ready; none when there is none.
    pub(crate) async fn describe(&self, table: Table) -> Result<Option<TableDescription>, StoreError> {
        let name = self.name(table);
        let mut patience = Patience::of(CREATION);
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
                    let fault = Fault::of(error, format!("could not look at DynamoDB table \"{name}\""));
                    if fault.kind() == FaultKind::NotFound {
                        return Ok(None);
                    }
                    if !fault.kind().is_transient() {
                        return Err(fault.into());
                    }
                }
            }
            if !patience.wait().await {
                let message = format!(
                    "DynamoDB table \"{name}\" is not ready after {} s: look at its state",
                    CREATION.as_secs()
                );
                return Err(StoreError::fault(FaultKind::Unavailable, message));
            }
        }
    }

    async fn create(&self, table: Table) -> Result<TableDescription, StoreError> {
        let name = self.name(table);
        let bug = |error: BuildError| StoreError::caused(FaultKind::Bug, "could not describe a table", error);
        let asked = self.client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let asked = match table {
            Table::Jobs => jobs(asked),
            Table::Journal => journal(asked),
        };
        let attempted = format!("could not create DynamoDB table \"{name}\"");
        if let Err(error) = asked.map_err(bug)?.send().await {
            let raced = error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception());
            if !raced {
                return Err(refused(Fault::of(error, attempted.as_str()), name, &attempted));
            }
        } else {
            tracing::info!(table = name, "created a DynamoDB table");
        }
        // It may take a moment until a new table is seen at all.
        let mut patience = Patience::of(CREATION);
        loop {
            if let Some(found) = self.describe(table).await? {
                return Ok(found);
            }
            if !patience.wait().await {
                let message = format!("{attempted}: it is not there after {} s", CREATION.as_secs());
                return Err(StoreError::fault(FaultKind::Unavailable, message));
            }
        }
    }

    /// Refuses a table that is something else.
    pub(crate) fn inspect(&self, table: Table, found: &TableDescription) -> Result<(), StoreError> {
        let name = self.name(table);
        let keys = |elements: &[KeySchemaElement]| -> Vec<String> {
            elements.iter().map(|element| element.attribute_name.clone()).collect()
        };
        let wanted: &[&str] = match table {
            Table::Jobs => &[JOB_ID],
            Table::Journal => &["pk", "sk"],
        };
        let has = keys(found.key_schema());
        if has != wanted {
            let message = format!(
                "DynamoDB table \"{name}\" has the key {has:?}, and a table of the scheduler has {wanted:?}; name another \
                 table in ECSS_DYNAMODB_TABLE"
            );
            return Err(StoreError::fault(FaultKind::Config, message));
        }
        if table == Table::Jobs {
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

    /// Notes the layout, and refuses a newer one.
    async fn note_format(&self) -> Result<(), StoreError> {
        let key = Key::keeper("format");
        let mut patience = Patience::for_writes();
        loop {
            let item = self.get("read the layout's number", key.clone()).await?;
            let format: Option<u64> = item.map(|item| self.reader(&item).number("format")).transpose()?;
            match format {
                Some(format) if format > FORMAT => {
                    let message = format!(
                        "DynamoDB table \"{}\" has layout {format}, and this version knows up to {FORMAT}: use the newer \
                         version",
                        self.journal
                    );
                    return Err(StoreError::fault(FaultKind::Config, message));
                }
                Some(_) => return Ok(()),
                None => {}
            }
            let write = Write::create(key.clone()).set("format", number(FORMAT));
            if self.commit("note the layout's number", vec![write]).await? == Committed::Done {
                return Ok(());
            }
            if !patience.wait().await {
                return Err(crate::job_meta::crowded("note the layout's number"));
            }
        }
    }
}

fn attribute(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build()
}

fn jobs(table: CreateTableFluentBuilder) -> Result<CreateTableFluentBuilder, BuildError> {
    Ok(table
        .attribute_definitions(attribute(JOB_ID, ScalarAttributeType::S)?)
        .key_schema(key(JOB_ID, KeyType::Hash)?))
}

fn journal(mut table: CreateTableFluentBuilder) -> Result<CreateTableFluentBuilder, BuildError> {
    for name in ["pk", "sk", "r", "o", "s", "a"] {
        table = table.attribute_definitions(attribute(name, ScalarAttributeType::S)?);
    }
    for name in ["n", "t"] {
        table = table.attribute_definitions(attribute(name, ScalarAttributeType::N)?);
    }
    for index in INDEXES {
        let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let index = GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .key_schema(key(index.hash, KeyType::Hash)?)
            .key_schema(key(index.range, KeyType::Range)?)
            .projection(keys_only)
            .build()?;
        table = table.global_secondary_indexes(index);
    }
    Ok(table.key_schema(key("pk", KeyType::Hash)?).key_schema(key("sk", KeyType::Range)?))
}

/// Says what to do when a table is missing and may not be created.
fn refused(fault: Fault, name: &str, attempted: &str) -> StoreError {
    if fault.kind() != FaultKind::Denied || fault.is_of_credentials() {
        return fault.into();
    }
    let message = format!(
        "{attempted}: it does not exist, and the scheduler may not create it; allow dynamodb:CreateTable on \
         table/{name} in the policy of the scheduler's role, or create it as doc/stores/dynamodb.md says"
    );
    let words =
        format!("{}: {}", fault.code().unwrap_or("no code"), fault.words().unwrap_or("no explanation"));
    StoreError::caused(FaultKind::Denied, message, words)
}
