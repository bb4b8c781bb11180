//! The permissions that the store needs.

use ecs_scheduler_core::Permission;

/// The actions on both tables.
const ACTIONS_ON_BOTH: [&str; 7] = [
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:CreateTable",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
];

/// Lists the permissions for the store in this table. `CreateTable` is needed only while a table is missing.
#[must_use]
pub fn permissions(table: &str) -> Vec<Permission> {
    let arn = |name: &str| format!("arn:aws:dynamodb:*:*:table/{name}");
    let (jobs, journal) = (arn(table), arn(&format!("{table}-journal")));
    let both = ACTIONS_ON_BOTH.iter().flat_map(|action| {
        [Permission::new(*action, jobs.as_str()), Permission::new(*action, journal.as_str())]
    });
    let alone = [
        Permission::new("dynamodb:Scan", jobs.as_str()),
        Permission::new("dynamodb:Query", journal.as_str()),
        Permission::new("dynamodb:Query", format!("{journal}/index/*")),
    ];
    both.chain(alone).collect()
}
