//! Diagnosis of the tables by calls that change nothing.

use ecs_scheduler_backend_aws::AwsContext;
use ecs_scheduler_core::{CheckResult, StoreError, fault};

use crate::keys::StoreTable;
use crate::open::{DynamoDbOptions, connect};

/// Checks both tables by calls that change nothing. A missing table is not a problem: the store creates it at the start, if it
/// is permitted to.
pub async fn diagnose(aws: &AwsContext, options: &DynamoDbOptions) -> Vec<CheckResult> {
    let db = match connect(aws, options).await {
        Ok(db) => db,
        Err(error) => return vec![examination(&options.table, Err(error))],
    };
    let mut examinations = Vec::new();
    for table in [StoreTable::Jobs, StoreTable::Journal] {
        let result = match db.describe(table).await {
            Ok(Some(found)) => db.check_layout(table, &found).map(|()| ""),
            Ok(None) => Ok(" (missing; it is created at the start)"),
            Err(error) => Err(error),
        };
        examinations.push(examination(db.name(table), result));
    }
    examinations
}

fn examination(table: &str, result: Result<&str, StoreError>) -> CheckResult {
    let subject = format!("store: DynamoDB table {table}");
    match result {
        Ok(remark) => CheckResult::passed(format!("{subject}{remark}")),
        Err(error) => CheckResult::failed(subject, fault::chain(&error)),
    }
}
