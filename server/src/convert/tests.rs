use super::eventbridge::{self, CliOutput};
use super::keda::{self, ConversionContext};
use super::*;
use serde_json::Value;

use crate::Server;

mod documented;
mod shapes;

#[cfg(feature = "aws")]
const KEDA: &str = include_str!("../../tests/fixtures/convert/keda.yaml");
#[cfg(feature = "aws")]
const SCHEDULES: &str = include_str!("../../tests/fixtures/convert/schedules.json");
const RULES: &str = include_str!("../../tests/fixtures/convert/rules.json");
const HOURLY: &str = include_str!("../../tests/fixtures/convert/hourly.json");

fn now() -> Timestamp {
    "2026-10-01T12:00:00Z".parse().unwrap()
}

fn checked(mut converted: Vec<Converted>) -> Vec<Converted> {
    let registry = Server::builder().standard().unwrap().registry().unwrap();
    let max_tasks = NonZeroU32::new(50).unwrap();
    check(&mut converted, &Checks { registry: &registry, max_tasks, launcher: None, now: now() });
    converted
}

fn from_keda(text: &str) -> Vec<Converted> {
    checked(keda::convert("file.yaml", text, &ConversionContext { max_tasks: 50, now: now() }))
}

fn from_eventbridge(files: &[(&str, &str)]) -> Vec<Converted> {
    let file = |(stem, text): &(&str, &str)| CliOutput { stem: (*stem).to_owned(), text: (*text).to_owned() };
    checked(eventbridge::convert(&files.iter().map(file).collect::<Vec<_>>()))
}

/// Lays everything out for a snapshot.
#[cfg(feature = "aws")]
fn shown(converted: &[Converted]) -> String {
    let mut text = String::new();
    for one in converted {
        text.push_str(&format!("# {}\n", one.source));
        if let Some(job) = &one.job {
            text.push_str(&format!("{job:#}\n"));
        }
        for remark in &one.remarks {
            text.push_str(&format!("{}: {}: {}\n", remark.kind.as_str(), remark.field, remark.text));
        }
        text.push('\n');
    }
    text
}

#[cfg(feature = "aws")]
#[test]
fn scaled_jobs_become_jobs_and_unmapped_fields_are_listed() {
    insta::assert_snapshot!(shown(&from_keda(KEDA)));
}

#[cfg(feature = "aws")]
#[test]
fn schedules_and_rules_become_jobs_and_unmapped_fields_are_listed() {
    let files = [("schedules", SCHEDULES), ("rules", RULES), ("hourly", HOURLY)];
    insta::assert_snapshot!(shown(&from_eventbridge(&files)));
}

#[test]
fn a_window_of_varying_length_is_refused() {
    let text = "kind: ScaledJob\nmetadata: {name: a}\nspec: {triggers: [{type: cron, metadata: \
                {start: 0 6 * * *, end: 0 20 * * 5, desiredReplicas: '1'}}]}";
    let converted = from_keda(text);
    assert_eq!(converted[0].job, None);
    let refused = |remark: &&Remark| remark.kind == RemarkKind::Refused;
    let said: Vec<_> = converted[0].remarks.iter().filter(refused).map(|remark| &*remark.text).collect();
    assert!(said.iter().any(|text| text.contains("varies")), "{said:?}");
}

#[test]
fn crontab_weekday_numbers_become_names() {
    let text = "kind: ScaledJob\nmetadata: {name: a}\nspec: {triggers: [{type: cron, metadata: \
                {start: '0 8 * * 0,3-5', end: '0 9 * * 0,3-5', desiredReplicas: '1'}}]}";
    let job = from_keda(text)[0].job.clone().unwrap();
    assert_eq!(job["trigger"]["start"], "0 8 * * SUN,WED-FRI");
    assert_eq!(job["trigger"]["duration"], "1h");
}

#[test]
fn second_object_of_a_name_is_refused() {
    let text = "kind: ScaledJob\nmetadata: {name: a, namespace: X}\nspec: {triggers: [{type: cron, metadata: \
                {start: 0 6 * * *, end: 0 7 * * *}}]}";
    let converted = from_keda(&format!("{text}\n---\n{text}"));
    assert!(converted[0].job.is_some() && converted[1].job.is_none());
    assert!(remark(&converted[1], "id").starts_with("ScaledJob X/a gives job \"a\" already"));
}

#[test]
fn second_schedule_or_rule_of_a_name_is_refused() {
    let target = r#"{"Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/c", "EcsParameters": {"TaskDefinitionArn": "t"}}"#;
    let schedule = |group: &str, name: &str| {
        format!(
            r#"{{"Name": "{name}", "GroupName": "{group}", "ScheduleExpression": "cron(0 9 * * ? *)", "Target": {target}}}"#
        )
    };
    let rule = format!(
        r#"{{"Name": "nightly", "Arn": "arn:aws:events:eu-west-1:1:rule/nightly", "ScheduleExpression": "cron(0 9 * * ? *)",
            "Targets": [{target}]}}"#
    );
    let first = schedule("prod", "nightly");
    // The same one again, one of another group, one whose name becomes the same, and a rule.
    for second in [first.clone(), schedule("test", "nightly"), rule] {
        let converted = from_eventbridge(&[("one", &first), ("two", &second)]);
        assert!(converted[0].job.is_some() && converted[1].job.is_none(), "{converted:#?}");
        let text = remark(&converted[1], "id");
        assert!(
            text.starts_with("schedule prod/nightly gives job \"nightly\" already: import only one"),
            "{text}"
        );
    }
    let alike = from_eventbridge(&[("all", &format!("{}{}", schedule("a", "x.y"), schedule("a", "x-y")))]);
    assert!(alike[0].job.is_some() && remark(&alike[1], "id").contains("schedule a/x.y"));
}

#[test]
fn scaled_job_keeps_the_text_of_values_without_quotes() {
    let text = "kind: ScaledJob\nmetadata: {name: 0x1F, labels: {build: 1_000, on: yes}}\nspec:\n  pollingInterval: 60\n\
                \x20 jobTargetRef: {template: {spec: {containers: [{name: w, image: x, args: [1.50, 0o17], env: [{name: A, value: 0x1F}, \
                {name: B, value: yes}, {name: C, value: 1:30}, {name: D, value: .inf}, {name: E, value: 2026-01-02}, {name: F, value: ~}]}]}}}\n\
                \x20 triggers: [{type: cron, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: 2}}]";
    let job = from_keda(text)[0].job.clone().unwrap();
    assert_eq!(
        (&job["id"], &job["schedule"], &job["taskCount"]),
        (&"0x1F".into(), &"rate(60 seconds)".into(), &2.into())
    );
    assert_eq!(job["labels"], serde_json::json!({"build": "1_000", "on": "yes"}));
    let variables =
        serde_json::json!({"A": "0x1F", "B": "yes", "C": "1:30", "D": ".inf", "E": "2026-01-02", "F": ""});
    assert_eq!(job["overrides"][0]["environment"], variables);
    assert_eq!(job["overrides"][0]["command"], serde_json::json!(["1.50", "0o17"]));
}

/// A `ScaledJob` with these fields of the specification and of its job.
fn scaled_job_with(spec: &Value, target: &Value) -> Converted {
    let mut object = serde_json::json!({
        "kind": "ScaledJob", "metadata": {"name": "a"},
        "spec": {"triggers": [window("0 8 * * *", "0 9 * * *", "UTC", "1")]},
    });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object["spec"]["jobTargetRef"] = target.clone();
    from_keda(&object.to_string()).remove(0)
}

#[test]
fn backoff_limit_becomes_the_attempts_of_retries() {
    const FIELD: &str = "spec.jobTargetRef.backoffLimit";
    let none = serde_json::json!({});
    for (target, attempts) in [
        (none.clone(), Some(6)),
        (serde_json::json!({"backoffLimit": 3}), Some(3)),
        (serde_json::json!({"backoffLimit": 25}), Some(10)),
        (serde_json::json!({"backoffLimit": 0}), None),
    ] {
        let converted = scaled_job_with(&none, &target);
        let job = converted.job.as_ref().unwrap();
        assert_eq!(job["retry"]["task"]["attempts"].as_u64(), attempts, "{target}");
        let remarked = converted.remarks.iter().any(|remark| remark.field == FIELD);
        assert_eq!(remarked, attempts.is_some(), "{target}");
    }
}

#[test]
fn history_limits_become_the_number_of_kept_decisions() {
    let of = |spec: Value| {
        let converted = scaled_job_with(&spec, &serde_json::json!({}));
        (converted.job.as_ref().unwrap().get("history").cloned(), converted)
    };
    assert_eq!(of(serde_json::json!({})).0, None);
    let (history, converted) =
        of(serde_json::json!({"successfulJobsHistoryLimit": 5, "failedJobsHistoryLimit": 7}));
    assert_eq!(history, Some(serde_json::json!({"keep": 12})));
    assert!(
        remark(&converted, "spec.failedJobsHistoryLimit").starts_with("7: the newest 12 decisions are kept")
    );
    for (limit, keep) in [(5, 105), (0, 100), (99_999, 10_000)] {
        let (history, _) = of(serde_json::json!({"failedJobsHistoryLimit": limit}));
        assert_eq!(history, Some(serde_json::json!({"keep": keep})), "the other limit is 100 by default");
    }
    let (none, _) = of(serde_json::json!({"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0}));
    assert_eq!(none, Some(serde_json::json!({"keep": 1})));
}

#[test]
fn deadline_of_a_job_is_shortened_to_the_longest_timeout() {
    let converted =
        scaled_job_with(&serde_json::json!({}), &serde_json::json!({"activeDeadlineSeconds": 9_000_000}));
    assert_eq!(converted.job.as_ref().unwrap()["timeout"], "2678400s");
    assert!(
        remark(&converted, "spec.jobTargetRef.activeDeadlineSeconds").starts_with("9000000: 2678400 is used")
    );
}

#[cfg(feature = "aws")]
#[test]
fn queue_rule_takes_no_retries_of_tasks() {
    let spec = serde_json::json!({
        "triggers": [{"type": "aws-sqs-queue", "metadata": {"queueURL": "orders", "awsRegion": "eu-west-1"}}],
        "scalingStrategy": {"strategy": "accurate"},
    });
    let converted = scaled_job_with(&spec, &serde_json::json!({"backoffLimit": 3}));
    assert_eq!(converted.job.as_ref().unwrap().get("retry"), None);
    assert!(remark(&converted, "spec.jobTargetRef.backoffLimit").contains("the queue delivers the message"));
}

#[test]
fn dead_letter_queue_gives_the_notification_that_replaces_it() {
    let schedule = r#"{"Name": "s", "ScheduleExpression": "cron(0 9 * * ? *)", "Target": {
        "Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/c", "EcsParameters": {"TaskDefinitionArn": "t"},
        "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:123456789012:failed"}}}"#;
    let converted = from_eventbridge(&[("s", schedule)]).remove(0);
    let found = converted.remarks.iter().find(|remark| remark.field == "Target.DeadLetterConfig").unwrap();
    assert_eq!(found.kind, RemarkKind::ToDo);
    assert!(found.text.contains("configure a channel"), "{}", found.text);
    assert!(
        found.text.contains(r#""notify": [{"to": "CHANNEL", "on": ["failing:1", "missed"]}]"#),
        "{}",
        found.text
    );
}

#[test]
fn kubectl_lists_are_unpacked() {
    let text =
        "kind: List\nitems: [{kind: Secret, metadata: {name: s}}, {kind: ConfigMap, metadata: {name: c}}]";
    let sources: Vec<_> = from_keda(text).into_iter().map(|one| one.source).collect();
    assert_eq!(sources, ["Secret s", "ConfigMap c"]);
}

#[test]
fn unparsable_file_is_listed_and_others_are_converted() {
    assert!(remark(&from_keda("a: [")[0], "").starts_with("not YAML: "));
    assert!(remark(&from_keda("image: {{ .Values.image }}")[0], "").contains("helm template"));
    let rule = r#"{"Name": "r", "Arn": "arn:aws:events:eu-west-1:1:rule/r", "ScheduleExpression": "cron(0 9 * * ? *)",
        "Targets": [{"Id": "1", "Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/c",
            "EcsParameters": {"TaskDefinitionArn": "t"}}]}"#;
    let both = from_eventbridge(&[("broken", "{} {"), ("rule", rule)]);
    assert_eq!(both[0].job.as_ref().unwrap()["id"], "r");
    let broken = both.iter().find(|one| one.source == "file broken").unwrap();
    assert!(remark(broken, "").starts_with("not JSON: "));
}

#[test]
fn cloudformation_template_is_refused_with_the_commands_to_use() {
    let template = r#"{"Resources": {"Nightly": {"Type": "AWS::Scheduler::Schedule"}}}"#;
    assert!(
        remark(&from_eventbridge(&[("stack", template)])[0], "").contains("`aws scheduler get-schedule`")
    );
    assert!(remark(&from_eventbridge(&[("other", "{\"x\": 1}")])[0], "").starts_with("neither a schedule"));
}

#[test]
fn revision_latest_is_removed() {
    for definition in ["report:latest", "arn:aws:ecs:eu-west-1:123456789012:task-definition/report:latest"] {
        let text = format!(
            r#"{{"Name": "s", "ScheduleExpression": "cron(0 9 * * ? *)", "Target": {{
                "Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/c",
                "EcsParameters": {{"TaskDefinitionArn": "{definition}"}}}}}}"#
        );
        let converted = from_eventbridge(&[("s", &text)]).remove(0);
        assert_eq!(converted.job.as_ref().unwrap()["taskDefinition"], "report");
        assert!(
            remark(&converted, "Target.EcsParameters.taskDefinition")
                .starts_with("`latest` is not a revision")
        );
    }
}

/// The text about a field.
fn remark<'a>(converted: &'a Converted, field: &str) -> &'a str {
    let found = converted.remarks.iter().find(|remark| remark.field == field);
    &found.unwrap_or_else(|| panic!("nothing about {field:?}: {converted:#?}")).text
}

/// A `ScaledJob` with these triggers.
fn scaled_job(triggers: &Value) -> Converted {
    let object = serde_json::json!({
        "kind": "ScaledJob", "metadata": {"name": "a"},
        "spec": {"maxReplicaCount": 20, "triggers": triggers},
    });
    from_keda(&object.to_string()).remove(0)
}

fn window(start: &str, end: &str, timezone: &str, replicas: &str) -> Value {
    serde_json::json!({"type": "cron", "metadata":
        {"timezone": timezone, "start": start, "end": end, "desiredReplicas": replicas}})
}

const REPLICAS: &str = "spec.triggers[0].metadata.desiredReplicas";
const END: &str = "spec.triggers[0].metadata.end";

#[test]
fn window_without_replicas_is_left_out() {
    let none = window("0 22 * * *", "0 23 * * *", "UTC", "0");
    let alone = scaled_job(&Value::from(vec![none.clone()]));
    assert_eq!(alone.job, None);
    assert!(remark(&alone, REPLICAS).contains("asks for no tasks"), "{alone:#?}");
    let day = window("0 8 * * *", "0 18 * * *", "UTC", "3");
    let beside = scaled_job(&Value::from(vec![none, day]));
    assert!(remark(&beside, REPLICAS).contains("left out"), "{beside:#?}");
    let job = beside.job.unwrap();
    assert_eq!((&job["trigger"]["start"], &job["taskCount"]), (&"0 8 * * *".into(), &3.into()));
}

#[test]
fn largest_of_several_windows_is_the_floor_and_is_remarked() {
    let (day, night) =
        (window("0 8 * * *", "0 18 * * *", "UTC", "10"), window("0 22 * * *", "0 23 * * *", "UTC", "5"));
    for triggers in [[day.clone(), night.clone()], [night, day]] {
        let converted = scaled_job(&Value::from(triggers.to_vec()));
        assert_eq!(converted.job.as_ref().unwrap()["taskCount"], 10);
        let texts: Vec<&str> = converted.remarks.iter().map(|remark| &*remark.text).collect();
        assert!(
            texts.iter().any(|text| text.starts_with("5: a job has one taskCount") && text.contains("10")),
            "{texts:?}"
        );
    }
    let many = scaled_job(&Value::from(vec![window("0 8 * * *", "0 18 * * *", "UTC", "90")]));
    assert_eq!(many.job.as_ref().unwrap()["taskCount"], 50);
    assert!(remark(&many, REPLICAS).contains("ECSS_MAX_TASKS"), "{many:#?}");
}

#[test]
fn window_that_differs_from_keda_gets_a_remark_with_the_time() {
    let of =
        |start: &str, end: &str, zone: &str| scaled_job(&Value::from(vec![window(start, end, zone, "1")]));
    let berlin = of("0 22 * * *", "0 6 * * *", "Europe/Berlin");
    assert_eq!(berlin.job.as_ref().unwrap()["trigger"]["duration"], "8h");
    assert!(remark(&berlin, END).contains("on 2026-10-25 and 2027-03-28"), "{berlin:#?}");
    let weekdays = of("0 8 * * MON-FRI", "0 18 * * *", "UTC");
    assert_eq!(weekdays.job.as_ref().unwrap()["trigger"]["duration"], "10h");
    assert!(
        remark(&weekdays, END).contains("KEDA's window is open from 2026-10-02 18:00 to 2026-10-03 18:00"),
        "{weekdays:#?}"
    );
    let same = of("0 6 * * *", "0 6 * * *", "UTC");
    assert!(same.job.is_none() && remark(&same, "spec.triggers[0].metadata.start").contains("KEDA refuses"));
    let plain = of("0 8 * * 1-5", "0 18 * * 1-5", "Europe/Berlin");
    assert!(plain.remarks.iter().all(|remark| remark.field != END), "{plain:#?}");
}

#[test]
fn crontab_lines_keep_their_meaning_in_keda() {
    let start = |start: &str, end: &str| {
        let converted = scaled_job(&Value::from(vec![window(start, end, "UTC", "1")]));
        converted.job.map(|job| job["trigger"]["start"].as_str().unwrap().to_owned()).ok_or(converted.remarks)
    };
    assert_eq!(start("0 8 ? * MON", "0 9 ? * MON").unwrap(), "0 8 * * MON");
    assert_eq!(start("0 8 */2 * 1", "0 9 */2 * 1").unwrap(), "0 8 1-31/2 * MON");
    assert_eq!(start("0 8 */1 * 1", "0 9 */1 * 1").unwrap(), "0 8 * * MON");
    assert_eq!(start("0 8 5,*/1 * 1", "0 9 ? * 1").unwrap(), "0 8 * * MON");
    assert_eq!(start("0 8 1 * */1", "0 9 1 * */1").unwrap(), "0 8 1 * *");
    assert_eq!(start("0 8 1 * */2", "0 9 1 * */2").unwrap(), "0 8 1 * SUN-SAT/2");
    assert_eq!(start("0 */24 * * *", "30 */24 * * *").unwrap(), "0 */24 * * *");
    let six = start("0 0 8 * * *", "0 0 9 * * *").unwrap_err();
    assert!(six.iter().any(|remark| remark.text.contains("five fields")), "{six:#?}");
    let unset: Value =
        serde_json::json!([{"type": "cron", "metadata": {"start": "0 8 * * *", "end": "0 9 * * *"}}]);
    let unset = scaled_job(&unset);
    assert!(remark(&unset, "spec.triggers[0].metadata.timezone").contains("UTC is used"));
    assert!(remark(&unset, REPLICAS).contains("1 is used"));
}

#[cfg(feature = "aws")]
#[test]
fn expression_takes_precedence_over_a_metric_as_in_keda() {
    let trigger = serde_json::json!([{"type": "aws-cloudwatch", "metadata": {
        "namespace": "AWS/SQS", "metricName": "ApproximateNumberOfMessagesVisible", "dimensionName": "QueueName",
        "dimensionValue": "keda", "metricUnit": "Count", "metricStat": "Average",
        "expression": "SELECT MAX(\"ApproximateNumberOfMessagesVisible\") FROM \"AWS/SQS\" WHERE QueueName = 'keda'",
        "targetMetricValue": "2.1", "minMetricValue": "0", "awsRegion": "eu-west-1"}}]);
    let converted = scaled_job(&trigger);
    let trigger = &converted.job.as_ref().unwrap_or_else(|| panic!("{converted:#?}"))["trigger"];
    assert!(trigger["expression"].as_str().unwrap().starts_with("SELECT MAX"));
    for (ours, theirs) in [
        ("namespace", "namespace"),
        ("metricName", "metricName"),
        ("unit", "metricUnit"),
        ("stat", "metricStat"),
    ] {
        assert_eq!(trigger.get(ours), None);
        let field = format!("spec.triggers[0].metadata.{theirs}");
        assert!(remark(&converted, &field).contains("expression is used alone"));
    }
}

#[test]
fn kubernetes_variables_are_expanded_and_unknown_ones_are_remarked() {
    let object = serde_json::json!({
        "kind": "ScaledJob", "metadata": {"name": "a"},
        "spec": {
            "jobTargetRef": {"activeDeadlineSeconds": 900, "template": {"spec": {"activeDeadlineSeconds": 600, "containers": [{
                "name": "w", "image": "x",
                "args": ["--queue=$(QUEUE)", "$$(QUEUE)", "$(SECRET)", "costs $5"],
                "env": [
                    {"name": "QUEUE", "value": "q1"},
                    {"name": "FULL", "value": "$(QUEUE)/x"},
                    {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                ],
            }]}}},
            "triggers": [window("0 8 * * *", "0 9 * * *", "UTC", "1")],
        },
    });
    let converted = from_keda(&object.to_string()).remove(0);
    let job = converted.job.as_ref().unwrap();
    let expected = serde_json::json!(["--queue=q1", "$(QUEUE)", "$(SECRET)", "costs $5"]);
    assert_eq!(job["overrides"][0]["command"], expected);
    assert_eq!(job["overrides"][0]["environment"]["FULL"], "q1/x");
    assert_eq!(job["timeout"], "600s", "the shorter of both deadlines");
    let args = "spec.jobTargetRef.template.spec.containers[0].args";
    assert!(remark(&converted, args).starts_with("$(SECRET) is unchanged"), "{converted:#?}");
}

/// A schedule whose parameters for ECS have these fields in addition.
fn schedule_with(parameters: &str, policy: &str) -> Converted {
    let text = format!(
        r#"{{"Name": "s", "ScheduleExpression": "cron(0 9 * * ? *)", "Target": {{
            "Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/c", "RetryPolicy": {policy},
            "EcsParameters": {{"TaskDefinitionArn": "t", {parameters}}}}}}}"#
    );
    from_eventbridge(&[("s", &text)]).remove(0)
}

#[test]
fn tags_of_both_shapes_keep_their_case() {
    let tags = |text: &str| {
        let converted = schedule_with(&format!(r#""Tags": {text}"#), "{}");
        (converted.job.as_ref().unwrap()["launch"]["tags"].clone(), converted)
    };
    let media = serde_json::json!({"team": "media", "Env": "prod"});
    assert_eq!(tags(r#"[{"team": "media", "Env": "prod"}]"#).0, media);
    assert_eq!(tags(r#"[{"team": "media"}, {"Env": "prod"}]"#).0, media);
    assert_eq!(tags(r#"[{"Key": "team", "Value": "media"}, {"key": "Env", "value": "prod"}]"#).0, media);
    assert_eq!(tags(r#"[{"empty": ""}]"#).0, serde_json::json!({"empty": ""}));
    let (some, odd) = tags(r#"[{"team": "media", "Env": ["prod"]}, "loose"]"#);
    assert_eq!(some, serde_json::json!({"team": "media"}));
    assert!(remark(&odd, "Target.EcsParameters.tags[0].Env").contains("its shape is not"));
    assert!(remark(&odd, "Target.EcsParameters.tags[1]").starts_with("loose"));
}

#[test]
fn variables_and_tags_that_are_there_twice_or_have_no_name_are_remarked() {
    const PLACE: &str = "Target.EcsParameters.overrides.containerOverrides[0].environment";
    let input = |environment: &str| {
        let input =
            format!(r#"{{"containerOverrides": [{{"name": "main", "environment": {environment}}}]}}"#);
        let text = format!(
            r#"{{"Name": "s", "ScheduleExpression": "cron(0 9 * * ? *)", "Target": {{
                "Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/c", "Input": {},
                "EcsParameters": {{"TaskDefinitionArn": "t"}}}}}}"#,
            Value::from(input)
        );
        from_eventbridge(&[("s", &text)]).remove(0)
    };
    let variables =
        |converted: &Converted| converted.job.as_ref().unwrap()["overrides"][0]["environment"].clone();
    let twice = input(r#"[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]"#);
    assert_eq!(variables(&twice), serde_json::json!({"A": "2"}));
    assert_eq!(remark(&twice, &format!("{PLACE}[1].name")), "A is there twice: the last value is used");
    let lonely = input(r#"[{"name": "A", "value": "1"}, {"value": "lonely"}]"#);
    assert_eq!(variables(&lonely), serde_json::json!({"A": "1"}));
    assert!(remark(&lonely, &format!("{PLACE}[1].name")).contains("the entry is left out"));
    let tags = r#""Tags": [{"Key": "team", "Value": "a"}, {"team": "b"}, {"Key": "", "Value": "c"}]"#;
    let tags = schedule_with(tags, "{}");
    assert_eq!(tags.job.as_ref().unwrap()["launch"]["tags"], serde_json::json!({"team": "b"}));
    assert!(remark(&tags, "Target.EcsParameters.tags[1].key").starts_with("team is there twice"));
    assert!(remark(&tags, "Target.EcsParameters.tags[2].key").contains("the entry is left out"));
}

#[test]
fn member_that_is_there_twice_is_refused() {
    let twice =
        r#"{"Name": "s", "ScheduleExpression": "rate(1 day)", "ScheduleExpression": "rate(1 minute)"}"#;
    let converted = from_eventbridge(&[("s", twice)]).remove(0);
    assert!(
        converted.job.is_none() && remark(&converted, "").contains("\"ScheduleExpression\" is there twice")
    );
    let input = Value::from(r#"{"containerOverrides": [], "containerOverrides": [{"name": "main"}]}"#);
    let target = format!(
        r#"{{"Name": "s", "ScheduleExpression": "cron(0 9 * * ? *)", "Target": {{"Input": {input},
            "Arn": "arn:aws:ecs:eu-west-1:1:cluster/c", "EcsParameters": {{"TaskDefinitionArn": "t"}}}}}}"#
    );
    let converted = from_eventbridge(&[("s", &target)]).remove(0);
    let text = remark(&converted, "Target.Input");
    assert!(converted.job.is_none() && text.contains("\"containerOverrides\" is there twice"), "{text}");
}

#[test]
fn zero_retries_become_the_shortest_max_age() {
    let policy = r#"{"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 0}"#;
    let none = schedule_with(r#""TaskCount": 1"#, policy);
    assert_eq!(none.job.as_ref().unwrap()["retry"]["launch"]["maxAge"], "1s");
    assert!(remark(&none, "Target.RetryPolicy.MaximumRetryAttempts").contains("one second"));
    let unset = schedule_with(r#""TaskCount": 1"#, "{}");
    assert_eq!(unset.job.as_ref().unwrap().get("retry"), None);
    assert!(remark(&unset, "Target.RetryPolicy.MaximumEventAgeInSeconds").contains("24 hours"));
}

#[test]
fn rule_with_a_rate_gets_a_remark_about_its_start() {
    let rule = |expression: &str| {
        let text = format!(
            r#"{{"Name": "r", "Arn": "arn:aws:events:us-east-1:123456789012:rule/r", "State": "ENABLED",
                "ScheduleExpression": "{expression}", "Targets": [{{"Id": "1",
                "Arn": "arn:aws:ecs:us-east-1:123456789012:cluster/c", "EcsParameters": {{"TaskDefinitionArn": "t"}}}}]}}"#
        );
        from_eventbridge(&[("r", &text)]).remove(0)
    };
    assert!(remark(&rule("rate(1 day)"), "ScheduleExpression").contains("set scheduleStart"));
    assert!(rule("cron(0 9 * * ? *)").remarks.iter().all(|remark| remark.field != "ScheduleExpression"));
}

#[test]
fn a_rule_that_two_documents_describe_differently_has_a_remark_with_both_values() {
    let rule = |rate: &str, state: &str| {
        format!(
            r#"{{"Name": "r", "Arn": "arn:aws:events:us-east-1:1:rule/r", "State": "{state}", "ScheduleExpression": "{rate}"}}"#
        )
    };
    let target = r#"{"Targets": [{"Id": "1", "Arn": "arn:aws:ecs:us-east-1:1:cluster/c", "EcsParameters":
        {"TaskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/t"}}]}"#;
    let list = |one: &str, other: &str| {
        let rules = format!(r#"{{"Rules": [{one}, {other}]}}"#);
        from_eventbridge(&[("rules", &rules), ("r", target)])
    };
    let twice = list(&rule("rate(1 day)", "ENABLED"), &rule("rate(1 hour)", "ENABLED"));
    assert_eq!(twice.len(), 1);
    assert_eq!(twice[0].job.as_ref().unwrap()["schedule"], "rate(1 hour)");
    let texts: Vec<&str> = twice[0]
        .remarks
        .iter()
        .filter(|remark| remark.field == "ScheduleExpression")
        .map(|remark| remark.text.as_str())
        .collect();
    assert!(
        texts.iter().any(|text| text.contains("\"rate(1 day)\"") && text.contains("\"rate(1 hour)\"")),
        "{texts:?}"
    );
    let same = list(&rule("cron(0 9 * * ? *)", "ENABLED"), &rule("cron(0 9 * * ? *)", "ENABLED"));
    let is_silent = |remark: &Remark| remark.field != "ScheduleExpression";
    assert!(same[0].remarks.iter().all(is_silent), "{:?}", same[0].remarks);
}

#[test]
fn incomplete_lists_and_rules_of_the_same_name_are_refused() {
    let page = r#"{"Rules": [], "NextToken": "more"}"#;
    assert!(remark(&from_eventbridge(&[("rules", page)])[0], "NextToken").contains("incomplete"));
    let rule = |bus: &str| {
        format!(
            r#"{{"Name": "r", "Arn": "arn:aws:events:us-east-1:1:rule/{bus}/r", "ScheduleExpression": "rate(1 day)"}}"#
        )
    };
    let twice = from_eventbridge(&[("one", &rule("a")), ("two", &rule("b"))]);
    assert!(twice.iter().any(|one| one.remarks.iter().any(|remark| remark.text.contains("two event buses"))));
    let apart = r#"{"Rule": "r", "Targets": [{"Id": "1", "Arn": "arn:aws:ecs:us-east-1:1:cluster/c",
        "EcsParameters": {"TaskDefinitionArn": "t"}}]}"#;
    let joined = from_eventbridge(&[("one", &rule("a")), ("as-put-targets-takes-it", apart)]);
    assert_eq!(joined[0].job.as_ref().unwrap()["id"], "r");
    let no_target = r#"{"Name": "r", "Arn": "arn:aws:events:us-east-1:1:rule/r", "ScheduleExpression": "rate(1 day)", "Targets": []}"#;
    assert_eq!(remark(&from_eventbridge(&[("r", no_target)])[0], "Targets"), "the rule has no targets");
}

#[test]
fn targets_belong_to_the_only_rule_whatever_the_file_name() {
    let rule = r#"{"Rules": [{"Name": "r", "Arn": "arn:aws:events:eu-west-1:1:rule/r", "State": "ENABLED",
        "ScheduleExpression": "rate(5 minutes)"}]}"#;
    let converted = from_eventbridge(&[("printed", rule), ("out", HOURLY)]);
    assert_eq!(converted[0].job.as_ref().unwrap()["id"], "r");
    let unknown = from_eventbridge(&[("rules", RULES), ("out", HOURLY)]);
    assert!(unknown.iter().any(|one| one.source == "targets in out" && one.job.is_none()));
}

#[test]
fn past_schedule_is_refused() {
    let schedule = r#"{"Name": "once", "ScheduleExpression": "at(2020-01-01T00:00:00)", "Target": {
        "Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/c", "EcsParameters": {"TaskDefinitionArn": "t"}}}"#;
    let converted = from_eventbridge(&[("once", schedule)]);
    assert!(converted[0].job.is_none(), "{:?}", converted[0]);
    assert!(converted[0].remarks.iter().any(|remark| remark.field == "/schedule"), "{:?}", converted[0]);
}
