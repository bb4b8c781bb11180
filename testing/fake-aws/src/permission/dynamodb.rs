//! Permissions of a DynamoDB call: each action on each table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::RequiredPermission;
use crate::state::Call;

/// Returns the permissions that a call needs. A transaction needs those of its actions.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>,
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html>
pub(super) fn required(call: &Call, body: &Value) -> Vec<RequiredPermission> {
    let mut required: BTreeSet<(&str, String)> = BTreeSet::new();
    let table = |of: &Value| format!("table/{}", of["TableName"].as_str().unwrap_or("*"));
    match call.operation.as_str() {
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            required.extend(tables.map(|(name, _)| ("BatchGetItem", format!("table/{name}"))));
        }
        "TransactWriteItems" => {
            let verbs = [
                ("Put", "PutItem"),
                ("Update", "UpdateItem"),
                ("Delete", "DeleteItem"),
                ("ConditionCheck", "ConditionCheckItem"),
            ];
            let members = body["TransactItems"].as_array().into_iter().flatten();
            required.extend(members.flat_map(|member| {
                verbs.into_iter().filter_map(|(verb, action)| Some((action, table(member.get(verb)?))))
            }));
        }
        operation => {
            let index = body["IndexName"].as_str().map_or_else(String::new, |name| format!("/index/{name}"));
            required.insert((operation, table(body) + &index));
        }
    }
    let permission = |(action, path): (&str, String)| RequiredPermission {
        action: format!("dynamodb:{action}"),
        resource: call.scope.arn("dynamodb", &path),
        context: BTreeMap::new(),
    };
    required.into_iter().map(permission).collect()
}
