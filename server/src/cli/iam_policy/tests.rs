use ecs_scheduler_core::Permission;
use serde_json::json;

use super::{PolicyArgs, policy};
use crate::cli::flags::SettingFlags;
use crate::cli::job_selection::JobSelectionArgs;

fn args(account: Option<&str>, region: Option<&str>) -> PolicyArgs {
    PolicyArgs {
        jobs: JobSelectionArgs::default(),
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
    let run =
        |cluster| Permission::new("ecs:RunTask", "d").with_condition("ArnEquals", "ecs:cluster", cluster);
    let policy = policy([run("a"), run("b"), Permission::new("ecs:RunTask", "d")]);
    let statements = policy["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 3, "{policy}");
    assert_eq!(statements[1]["Condition"], json!({ "ArnEquals": { "ecs:cluster": "a" } }));
}

#[test]
fn region_and_account_are_put_only_where_an_arn_leaves_them_open() {
    let args = args(Some("123456789012"), Some("eu-west-1"));
    let placed = |resource: &str| args.fill(Permission::new("a", resource), Some("eu-west-1")).resource;
    assert_eq!(placed("arn:aws:sqs:*:*:orders"), "arn:aws:sqs:eu-west-1:123456789012:orders");
    assert_eq!(placed("arn:aws:sqs:us-east-1:*:a:b"), "arn:aws:sqs:us-east-1:123456789012:a:b");
    assert_eq!(placed("arn:aws:iam::*:role/x"), "arn:aws:iam::123456789012:role/x");
    assert_eq!(placed("*"), "*");
}

#[cfg(feature = "aws")]
#[test]
fn the_partition_follows_the_region_in_every_arn_also_in_conditions() {
    for (region, partition) in [
        ("us-gov-west-1", "aws-us-gov"),
        ("cn-north-1", "aws-cn"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eu-west-1", "aws"),
    ] {
        let args = args(Some("123456789012"), Some(region));
        let run = Permission::new("ecs:RunTask", "arn:aws:ecs:*:*:task-definition/x:*")
            .with_condition("ArnLike", "ecs:cluster", "arn:aws:ecs:*:*:cluster/batch")
            .with_condition("StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com");
        let run = args.fill(run, Some(region));
        assert_eq!(run.resource, format!("arn:{partition}:ecs:{region}:123456789012:task-definition/x:*"));
        assert_eq!(
            run.conditions["ArnLike"]["ecs:cluster"],
            format!("arn:{partition}:ecs:{region}:123456789012:cluster/batch")
        );
        assert_eq!(run.conditions["StringEquals"]["iam:PassedToService"], "ecs-tasks.amazonaws.com");
        let bucket = args.fill(Permission::new("s3:GetObject", "arn:aws:s3:::bucket/*"), Some(region));
        assert_eq!(bucket.resource, format!("arn:{partition}:s3:::bucket/*"));
    }
    let open = args(None, None);
    let placed = |resource: &str| open.fill(Permission::new("a", resource), Some("cn-north-1")).resource;
    assert_eq!(placed("arn:aws:sqs:*:*:orders"), "arn:aws-cn:sqs:*:*:orders");
    assert_eq!(placed("arn:aws-us-gov:iam::1:role/x"), "arn:aws-us-gov:iam::1:role/x");
}
