//! The fake DynamoDB.

mod action;
mod batch;
mod capacity;
mod condition;
mod condition_parser;
mod create;
mod failure;
mod idempotency;
mod injected_fault;
mod item_writes;
mod key;
mod key_range;
mod lexer;
mod number;
mod page;
mod parser;
mod path;
mod placeholders;
mod query;
mod scan;
mod settings;
mod table;
mod transact;
mod update;
mod value;
mod write;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use self::action::{WriteKind, WriteRequest};
use self::failure::missing;
use self::idempotency::IdempotencyTokens;
use self::table::Table;
use crate::clock::later;
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

pub(crate) use failure::namespace;
pub(crate) use injected_fault::{conflict, exceeded, in_progress, split_batch};

pub use item_writes::ItemWrites;
pub use settings::DynamoDbSettings;

/// A table and its description.
#[derive(Debug)]
struct Open {
    table: Table,
    /// The time from which the table can be used.
    ready: Timestamp,
    about: Value,
}

/// The state of the fake DynamoDB.
#[derive(Debug, Default)]
pub(crate) struct DynamoDbState {
    tables: BTreeMap<(AwsScope, String), Open>,
    tokens: IdempotencyTokens,
    pub(crate) item_writes: ItemWrites,
}

/// The member that most calls have.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    table_name: String,
}

impl DynamoDbState {
    /// Answers a call.
    pub(crate) fn handle(
        &mut self,
        scope: &AwsScope,
        operation: &str,
        body: &Value,
        now: Timestamp,
        settings: &DynamoDbSettings,
    ) -> Result<Value, Failure> {
        match operation {
            "CreateTable" => return self.create(scope, body, now, settings),
            "DescribeTable" => return self.describe(scope, body, now),
            "BatchGetItem" => return self.batch_get(scope, body, now, settings),
            "TransactWriteItems" => return self.transact(scope, body, now, settings),
            _ => {}
        }
        let verb = match operation {
            "PutItem" => WriteKind::Put,
            "UpdateItem" => WriteKind::Update,
            "DeleteItem" => WriteKind::Delete,
            "Query" | "Scan" => {
                let table = self.table(scope, &read::<Named>(body)?.table_name, now, settings)?;
                let look = if operation == "Query" { query::query } else { scan::scan };
                return look(table, body, settings);
            }
            _ => {
                let message = format!("the fake has no DynamoDB operation {operation}");
                return Err(Failure::client("UnknownOperationException", message));
            }
        };
        let written: WriteRequest = read(body)?;
        let name = written.table_name.clone();
        let mut writes = self.item_writes;
        let answer = write::write(self.table(scope, &name, now, settings)?, &mut writes, verb, written, now);
        self.item_writes = writes;
        answer
    }

    /// Returns a table that can be used, after its stale view has caught up to this moment.
    fn table(
        &mut self,
        scope: &AwsScope,
        name: &str,
        now: Timestamp,
        settings: &DynamoDbSettings,
    ) -> Result<&mut Table, Failure> {
        let open = self.tables.get_mut(&(scope.clone(), name.to_owned()));
        let open = open.filter(|open| open.ready <= now).ok_or_else(missing)?;
        open.table.catch_up(later(now, -settings.lag));
        Ok(&mut open.table)
    }
}
