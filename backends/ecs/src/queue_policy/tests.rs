use serde_json::{Value, json};

use super::{EventAccess, fits};

const QUEUE: &str = "arn:aws:sqs:eu-central-1:123456789012:events";
const RULE: &str = "arn:aws:events:eu-central-1:123456789012:rule/task-events";

/// A statement that allows events of a rule, with other members in place of its own.
fn statement(changes: Value) -> Value {
    let mut statement = json!({
        "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": QUEUE,
        "Condition": {"ArnEquals": {"aws:SourceArn": RULE}},
    });
    for (name, value) in changes.as_object().unwrap() {
        statement[name] = value.clone();
    }
    statement
}

fn delivery(statements: &[Value]) -> EventAccess {
    EventAccess::by_policy(
        &json!({"Version": "2012-10-17", "Statement": statements}).to_string(),
        Some(QUEUE),
    )
}

#[test]
fn policy_that_allows_a_rule_names_it() {
    assert_eq!(delivery(&[statement(json!({}))]), EventAccess::Allowed(vec![RULE.to_owned()]));
    let single = EventAccess::by_policy(&json!({"Statement": statement(json!({}))}).to_string(), Some(QUEUE));
    assert_eq!(single, EventAccess::Allowed(vec![RULE.to_owned()]));
    let pattern = json!({"ArnLike": {"AWS:SourceArn": ["arn:aws:events:*:*:rule/*"]}});
    let topic = json!({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:eu-central-1:123456789012:task-events"}});
    for (changes, rules) in [
        (json!({"Condition": pattern}), 0),
        (json!({"Condition": null}), 0),
        (json!({"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}), 0),
        (json!({"Condition": {"Bool": {"aws:SecureTransport": "true"}}, "Principal": "*"}), 0),
        (json!({"Principal": {"Service": ["sns.amazonaws.com"]}, "Condition": topic}), 1),
        (json!({"Principal": "*"}), 1),
        (json!({"Principal": {"AWS": "*"}}), 1),
        (json!({"Action": ["sqs:GetQueueUrl", "SQS:Send*"]}), 1),
        (json!({"Action": "*", "Resource": "arn:aws:sqs:*:123456789012:event?"}), 1),
        (json!({"Action": null, "NotAction": "sqs:DeleteMessage", "Resource": null}), 1),
    ] {
        let access = delivery(&[statement(changes.clone())]);
        let EventAccess::Allowed(named) = &access else { panic!("{changes}: {access:?}") };
        assert_eq!(named.len(), rules, "{changes}");
    }
}

#[test]
fn policy_without_an_allowed_sender_action_queue_or_rule_allows_no_events() {
    for changes in [
        json!({"Action": "sqs:GetQueueUrl"}),
        json!({"Action": null}),
        json!({"Action": null, "NotAction": "sqs:*"}),
        json!({"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
        json!({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}),
        json!({"Principal": {"Service": "s3.amazonaws.com"}}),
        json!({"Resource": "arn:aws:sqs:eu-central-1:123456789012:orders"}),
        json!({"Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::bucket"}}}),
        json!({"Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-central-1:123456789012:event-bus/default"}}}),
        json!({"Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}}),
        json!({"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}),
    ] {
        assert_eq!(delivery(&[statement(changes.clone())]), EventAccess::NotAllowed, "{changes}");
    }
    for policy in ["", "{}", "[]", "rubbish"] {
        assert_eq!(EventAccess::by_policy(policy, None), EventAccess::NotAllowed, "{policy}");
    }
}

#[test]
fn policy_that_denies_events_without_a_condition_outweighs_one_that_allows_them() {
    let everybody = statement(json!({"Effect": "Deny", "Principal": "*", "Condition": null}));
    assert_eq!(delivery(&[statement(json!({})), everybody]), EventAccess::Denied);
}

#[test]
fn patterns_have_stars_and_question_marks() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("a*c*e", "abcde", true),
        ("a*c", "abcd", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*ab", "aab", true),
        ("a**", "a", true),
        ("", "a", false),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}
