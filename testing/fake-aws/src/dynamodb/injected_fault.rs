//! The answers of DynamoDB to injected faults.

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use super::transact::canceled;
use crate::wire::Failure;

/// The failure of a write whose item is part of another transaction.
pub(crate) fn conflict(operation: &str, bytes: &Bytes) -> Failure {
    if operation == "TransactWriteItems" {
        return last_member(bytes, "TransactionConflict", "Transaction is ongoing for the item");
    }
    Failure::client("TransactionConflictException", "Transaction is ongoing for the item")
}

/// The failure of a call to a table that has no capacity left.
pub(crate) fn exceeded(operation: &str, bytes: &Bytes) -> Failure {
    if operation == "TransactWriteItems" {
        return last_member(
            bytes,
            "ThrottlingError",
            "Throughput exceeds the current capacity for one or more global secondary indexes.",
        );
    }
    let message = "The level of configured provisioned throughput for the table was exceeded. Consider increasing your \
                   provisioning level with the UpdateTable API.";
    Failure::client("ProvisionedThroughputExceededException", message)
}

/// The failure of a transaction whose token is in progress.
pub(crate) fn in_progress() -> Failure {
    let message = "The transaction with the given request token is already in progress.";
    Failure::client("TransactionInProgressException", message)
}

/// Makes the failure of a transaction because of its last member.
fn last_member(bytes: &Bytes, code: &str, message: &str) -> Failure {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let count = body["TransactItems"].as_array().map_or(1, |members| members.len().max(1));
    let mut reasons = vec![json!({ "Code": "None" }); count];
    reasons[count - 1] = json!({ "Code": code, "Message": message });
    canceled(&reasons)
}

/// Splits a batch in halves; returns the first half, and the second one as `UnprocessedKeys`.
pub(crate) fn split_batch(bytes: &Bytes) -> (Bytes, Value) {
    let mut body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let mut rest = Map::new();
    for (table, asked) in body["RequestItems"].as_object_mut().into_iter().flatten() {
        let Some(keys) = asked["Keys"].as_array_mut() else { continue };
        let left = keys.split_off(keys.len().div_ceil(2));
        if !left.is_empty() {
            let mut others = asked.clone();
            others["Keys"] = left.into();
            rest.insert(table.clone(), others);
        }
    }
    (Bytes::from(body.to_string()), rest.into())
}
