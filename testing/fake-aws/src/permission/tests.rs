use serde_json::json;

use super::{RequiredPermission, allows, matches_wildcard};

fn permission(action: &str, resource: &str) -> RequiredPermission {
    let context = [("ecs:cluster", "arn:aws:ecs:eu-central-1:123456789012:cluster/batch".to_owned())];
    RequiredPermission { action: action.to_owned(), resource: resource.to_owned(), context: context.into() }
}

#[test]
fn wildcards_match_as_in_iam() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("ecs:*Task", "ecs:RunTask", true),
        ("ecs:*Task", "ecs:ListTasks", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("a*b*c", "a-b-b-c", true),
        ("a*b", "a-b-c", false),
    ] {
        assert_eq!(matches_wildcard(pattern, text, false), expected, "{pattern} {text}");
    }
}

#[test]
fn actions_ignore_case_but_resources_do_not() {
    let policy = json!({ "Statement": { "Effect": "Allow", "Action": "ECS:runtask", "Resource": "arn:x" } });
    assert!(allows(&policy, &permission("ecs:RunTask", "arn:x")));
    assert!(!allows(&policy, &permission("ecs:RunTask", "arn:X")));
}

#[test]
fn denial_wins_over_allowance() {
    let policy = json!({ "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": ["ecs:StopTask"], "Resource": "*" },
    ] });
    assert!(allows(&policy, &permission("ecs:RunTask", "arn:x")));
    assert!(!allows(&policy, &permission("ecs:StopTask", "arn:x")));
}

#[test]
fn conditions_check_the_cluster_and_unknown_ones_fail() {
    let policy = |operator: &str, cluster: &str| {
        json!({ "Statement": [{
            "Effect": "Allow", "Action": "ecs:*", "Resource": "*",
            "Condition": { operator: { "ecs:cluster": cluster } },
        }] })
    };
    let batch = "arn:aws:ecs:eu-central-1:123456789012:cluster/batch";
    let run = permission("ecs:RunTask", "arn:x");
    assert!(allows(&policy("StringEquals", batch), &run));
    assert!(allows(&policy("ArnEquals", "arn:aws:ecs:*:123456789012:cluster/batch"), &run));
    assert!(!allows(&policy("StringEquals", "arn:aws:ecs:*:123456789012:cluster/batch"), &run));
    assert!(!allows(&policy("ArnEquals", "arn:aws:ecs:*:*:cluster/web"), &run));
    assert!(!allows(&policy("NumericEquals", batch), &run));
}
