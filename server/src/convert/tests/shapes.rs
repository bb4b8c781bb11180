//! Documents of EventBridge in several shapes, and remarks about KEDA's objects that must be true.

use serde_json::{Value, json};

use super::{END, RemarkKind, from_eventbridge, remark, scaled_job, scaled_job_with, window};

const CLUSTER: &str = "arn:aws:ecs:eu-west-1:123456789012:cluster/main";

fn rule(name: &str) -> Value {
    json!({
        "Name": name, "Arn": format!("arn:aws:events:eu-west-1:123456789012:rule/{name}"), "State": "ENABLED",
        "ScheduleExpression": "cron(0 9 * * ? *)", "EventBusName": "default",
    })
}

fn targets() -> Value {
    json!([{"Id": "1", "Arn": CLUSTER, "EcsParameters": {"TaskDefinitionArn": "report:1"}}])
}

#[test]
fn targets_in_the_document_of_their_rule_belong_to_it() {
    for document in [
        json!({"Rules": [rule("r1")], "Targets": targets()}),
        json!({"Rule": rule("r1"), "Targets": targets()}),
        json!({"Rules": [rule("r1"), rule("r2")], "Rule": "r1", "Targets": targets()}),
    ] {
        // Another rule without targets: the only rule of all files is not meant.
        let other = json!({"Rules": [rule("other")]}).to_string();
        let converted = from_eventbridge(&[("printed", &document.to_string()), ("rules", &other)]);
        assert_eq!(converted[0].source, "rule r1, target 1", "{document}");
        assert_eq!(converted[0].job.as_ref().unwrap()["id"], "r1", "{document}");
        assert!(!format!("{converted:?}").contains("unknown"), "{converted:#?}");
    }
}

#[test]
fn targets_of_a_named_rule_are_not_given_to_another_one() {
    let of_r1 = json!({"Rule": "r1", "Targets": targets()}).to_string();
    let alone = from_eventbridge(&[("out", &of_r1)]);
    let text = remark(&alone[0], "Targets");
    assert!(text.starts_with("rule \"r1\" of these targets is not in the files"), "{text}");
    assert!(text.contains("`aws events describe-rule --name r1`"), "{text}");
    let beside = from_eventbridge(&[("out", &of_r1), ("r2", &rule("r2").to_string())]);
    assert!(beside.iter().all(|one| one.job.is_none()), "{beside:#?}");
    let twice = from_eventbridge(&[("r1", &rule("r1").to_string()), ("a", &of_r1), ("b", &of_r1)]);
    assert!(twice[0].job.is_some(), "{twice:#?}");
    assert!(remark(&twice[1], "Targets").contains("another document has targets of this rule"), "{twice:#?}");
}

#[test]
fn members_beside_lists_of_schedules_and_rules_are_listed() {
    let document = json!({
        "Schedules": [{"Name": "s", "Arn": "a"}], "Rules": [rule("r1")], "Targets": targets(), "Extra": 5,
        "ResponseMetadata": {"RetryAttempts": 0},
    });
    let converted = from_eventbridge(&[("all", &document.to_string())]);
    let of = |source: &str| converted.iter().find(|one| one.source == source).unwrap();
    assert!(of("rule r1, target 1").job.is_some(), "{converted:#?}");
    assert!(remark(of("schedule default/s"), "Target").contains("get-schedule"), "{converted:#?}");
    let rest = of("document in all");
    assert_eq!((rest.remarks.len(), remark(rest, "Extra")), (1, "unknown to this import"));
    for odd in [json!({"Rules": 5}), json!({"Targets": {"Id": "1"}}), json!({"Rule": ["r"]})] {
        let converted = from_eventbridge(&[("odd", &odd.to_string())]);
        assert_eq!(converted.len(), 1, "{odd}: {converted:#?}");
        assert_eq!(converted[0].remarks.len(), 1, "{odd}: {converted:#?}");
    }
}

#[test]
fn role_and_bus_of_a_rule_are_listed() {
    let mut document = rule("r1");
    document["RoleArn"] = json!("arn:aws:iam::123456789012:role/events");
    document["EventBusName"] = json!("orders");
    document["Targets"] = targets();
    let converted = from_eventbridge(&[("r1", &document.to_string())]);
    assert!(remark(&converted[0], "RoleArn").contains("iam-policy"), "{converted:#?}");
    assert!(remark(&converted[0], "EventBusName").starts_with("orders: "), "{converted:#?}");
}

#[test]
fn target_of_another_service_with_parameters_for_ecs_is_refused_as_no_ecs_target() {
    let mut document = rule("r1");
    document["Targets"] = targets();
    document["Targets"][0]["Arn"] = json!("arn:aws:lambda:eu-west-1:123456789012:function:f");
    let converted = from_eventbridge(&[("r1", &document.to_string())]);
    let refused: Vec<_> =
        converted[0].remarks.iter().filter(|remark| remark.kind == RemarkKind::Refused).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].text, "the target does not start ECS tasks");
}

#[test]
fn both_deadlines_of_a_scaled_job_are_listed_where_one_is_not_used() {
    let job = "spec.jobTargetRef.activeDeadlineSeconds";
    let pod = "spec.jobTargetRef.template.spec.activeDeadlineSeconds";
    let of = |of_job: Value, of_pod: u64| {
        let target = json!({
            "activeDeadlineSeconds": of_job, "template": {"spec": {"activeDeadlineSeconds": of_pod}},
        });
        scaled_job_with(&json!({}), &target)
    };
    let shorter_pod = of(json!(600), 5);
    assert_eq!(shorter_pod.job.as_ref().unwrap()["timeout"], "5s");
    assert!(remark(&shorter_pod, job).starts_with("600: the shorter limit of each pod is used"));
    assert!(shorter_pod.remarks.iter().all(|remark| remark.field != pod), "a pod's limit is not shared");
    let shorter_job = of(json!(5), 600);
    assert_eq!(shorter_job.job.as_ref().unwrap()["timeout"], "5s");
    assert!(remark(&shorter_job, job).starts_with("5: each task has this limit"));
    assert!(remark(&shorter_job, pod).starts_with("600: the shorter limit of the job is used"));
    let long_pod = of(Value::Null, 9_000_000);
    assert!(remark(&long_pod, pod).starts_with("9000000: 2678400 is used"));
}

#[test]
fn start_or_end_that_the_clock_skips_is_listed_with_its_night() {
    let start = "spec.triggers[0].metadata.start";
    let of =
        |start: &str, end: &str| scaled_job(&Value::from(vec![window(start, end, "Europe/Berlin", "1")]));
    let skipped_start = of("30 2 * * *", "30 3 * * *");
    assert_eq!(
        remark(&skipped_start, start),
        "the clock skips the start \"30 2 * * *\": KEDA has none on 2027-03-28, and here the window opens at 03:30"
    );
    assert!(!format!("{skipped_start:?}").contains("2027-03-29"), "{skipped_start:#?}");
    let skipped_end = of("0 1 * * *", "30 2 * * *");
    assert_eq!(
        remark(&skipped_end, END),
        "the clock skips the end \"30 2 * * *\": KEDA has none on 2027-03-28, and here the window closes at 03:30"
    );
}

#[test]
fn variable_that_is_there_twice_is_remarked() {
    let env = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    let target = json!({"template": {"spec": {"containers": [{"name": "c", "env": env}]}}});
    let converted = scaled_job_with(&json!({}), &target);
    assert_eq!(converted.job.as_ref().unwrap()["overrides"][0]["environment"]["A"], "2");
    let place = "spec.jobTargetRef.template.spec.containers[0].env[1].name";
    assert_eq!(remark(&converted, place), "A is there twice: the last value is used");
}

#[cfg(feature = "aws")]
#[test]
fn fifo_queue_with_a_task_per_message_is_remarked() {
    let of = |name: &str| {
        let spec = json!({
            "triggers": [{"type": "aws-sqs-queue", "metadata": {"queueURL": name, "awsRegion": "eu-west-1"}}],
            "scalingStrategy": {"strategy": "accurate"},
        });
        let converted = scaled_job_with(&spec, &json!({}));
        assert_eq!(converted.job.as_ref().unwrap()["mode"], "oneShot");
        converted.remarks.iter().any(|remark| remark.text.starts_with("orders.fifo is a FIFO queue"))
    };
    assert!(of("orders.fifo") && !of("orders"));
}
