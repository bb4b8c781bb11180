use ecs_scheduler_core::Permission;
use serde_json::json;

use super::{PolicyArgs, policy};
use crate::cli::at_hand::AtHandArgs;
use crate::cli::flags::SettingFlags;

fn args(account: Option<&str>, region: Option<&str>) -> PolicyArgs {
    PolicyArgs {
        jobs: AtHandArgs::default(),
        account: account.map(str::to_owned),
        region: region.map(str::to_owned),
        settings: SettingFlags::default(),
    }
}

#[test]
fn actions_on_the_same_resources_share_a_statement() {
    let queue = "arn:aws:sqs:*:*:orders";
    let policy = policy([
        Permission::new("sqs:GetQueueUrl", queue),
        Permission::new("sqs:GetQueueAttributes", queue),
        Permission::new("sqs:GetQueueAttributes", queue),
    ]);
    let statement = json!([{
        "Effect": "Allow", "Action": ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"], "Resource": [queue],
    }]);
    assert_eq!(policy, json!({ "Version": "2012-10-17", "Statement": statement }));
}

#[test]
fn a_condition_keeps_a_statement_apart() {
    let run = |cluster| Permission::new("ecs:RunTask", "d").given("ArnEquals", "ecs:cluster", cluster);
    let policy = policy([run("a"), run("b"), Permission::new("ecs:RunTask", "d")]);
    let statements = policy["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 3, "{policy}");
    assert_eq!(statements[1]["Condition"], json!({ "ArnEquals": { "ecs:cluster": "a" } }));
}

#[test]
fn region_and_account_are_put_only_where_an_arn_leaves_them_open() {
    let args = args(Some("123456789012"), Some("eu-west-1"));
    let placed = |resource: &str| args.place(Permission::new("a", resource)).resource;
    assert_eq!(placed("arn:aws:sqs:*:*:orders"), "arn:aws:sqs:eu-west-1:123456789012:orders");
    assert_eq!(placed("arn:aws:sqs:us-east-1:*:a:b"), "arn:aws:sqs:us-east-1:123456789012:a:b");
    assert_eq!(placed("arn:aws:iam::*:role/x"), "arn:aws:iam::123456789012:role/x");
    assert_eq!(placed("*"), "*");
}
