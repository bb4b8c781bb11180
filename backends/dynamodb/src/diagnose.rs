//! Looking at the tables without using them.

use ecs_scheduler_backend_aws::Aws;
use ecs_scheduler_core::{Examination, StoreError, fault};

use crate::keys::Table;
use crate::store::{DynamoDbOptions, connect};

/// Looks at both tables, by calls that change nothing. One that is missing is not a problem: it is created at the start,
/// if that is permitted.
pub async fn examine(aws: &Aws, options: &DynamoDbOptions) -> Vec<Examination> {
    let db = match connect(aws, options).await {
        Ok(db) => db,
        Err(error) => return vec![examination(&options.table, Err(error))],
    };
    let mut seen = Vec::new();
    for table in [Table::Jobs, Table::Journal] {
        let looked = match db.describe(table).await {
            Ok(Some(found)) => db.inspect(table, &found).map(|()| ""),
            Ok(None) => Ok(" (missing; it is created at the start)"),
            Err(error) => Err(error),
        };
        seen.push(examination(db.name(table), looked));
    }
    seen
}

fn examination(table: &str, looked: Result<&str, StoreError>) -> Examination {
    let what = format!("store: DynamoDB table {table}");
    match looked {
        Ok(remark) => Examination::fine(format!("{what}{remark}")),
        Err(error) => Examination::problem(what, fault::chain(&error)),
    }
}
