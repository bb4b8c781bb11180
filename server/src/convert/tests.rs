use super::eventbridge::{self, Printed};
use super::keda::{self, Circumstances};
use super::*;
use crate::Server;

const KEDA: &str = include_str!("../../tests/fixtures/convert/keda.yaml");
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
    checked(keda::convert(text, &Circumstances { max_tasks: 50, now: now() }).unwrap())
}

fn from_eventbridge(files: &[(&str, &str)]) -> Vec<Converted> {
    let file = |(stem, text): &(&str, &str)| Printed { stem: (*stem).to_owned(), text: (*text).to_owned() };
    checked(eventbridge::convert(&files.iter().map(file).collect::<Vec<_>>()).unwrap())
}

/// Lays everything out for a snapshot.
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
fn scaled_jobs_become_jobs_and_what_does_not_map_is_listed() {
    insta::assert_snapshot!(shown(&from_keda(KEDA)));
}

#[cfg(feature = "aws")]
#[test]
fn schedules_and_rules_become_jobs_and_what_does_not_map_is_listed() {
    let files = [("schedules", SCHEDULES), ("rules", RULES), ("hourly", HOURLY)];
    insta::assert_snapshot!(shown(&from_eventbridge(&files)));
}

#[test]
fn a_window_that_is_not_always_equally_long_is_refused() {
    let text = "kind: ScaledJob\nmetadata: {name: a}\nspec: {triggers: [{type: cron, metadata: \
                {start: 0 6 * * *, end: 0 20 * * 5, desiredReplicas: '1'}}]}";
    let converted = from_keda(text);
    assert_eq!(converted[0].job, None);
    let refused = |remark: &&Remark| remark.kind == Kind::Refused;
    let said: Vec<_> = converted[0].remarks.iter().filter(refused).map(|remark| &*remark.text).collect();
    assert!(said.iter().any(|text| text.contains("not always equally long")), "{said:?}");
}

#[test]
fn weekdays_of_linux_are_named_as_they_are_meant() {
    let text = "kind: ScaledJob\nmetadata: {name: a}\nspec: {triggers: [{type: cron, metadata: \
                {start: '0 8 * * 0,3-5', end: '0 9 * * 0,3-5', desiredReplicas: '1'}}]}";
    let job = from_keda(text)[0].job.clone().unwrap();
    assert_eq!(job["trigger"]["start"], "0 8 * * SUN,WED-FRI");
    assert_eq!(job["trigger"]["duration"], "1h");
}

#[test]
fn two_objects_of_one_name_give_one_job() {
    let text = "kind: ScaledJob\nmetadata: {name: a, namespace: X}\nspec: {triggers: [{type: cron, metadata: \
                {start: 0 6 * * *, end: 0 7 * * *}}]}";
    let converted = from_keda(&format!("{text}\n---\n{text}"));
    assert!(converted[0].job.is_some() && converted[1].job.is_none());
    assert!(converted[1].remarks.iter().any(|remark| remark.text.contains("already")));
}

#[test]
fn lists_of_kubectl_are_opened() {
    let text =
        "kind: List\nitems: [{kind: Secret, metadata: {name: s}}, {kind: ConfigMap, metadata: {name: c}}]";
    let sources: Vec<_> = from_keda(text).into_iter().map(|one| one.source).collect();
    assert_eq!(sources, ["Secret s", "ConfigMap c"]);
}

#[test]
fn what_is_not_yaml_or_json_is_an_error() {
    assert!(keda::convert("a: [", &Circumstances { max_tasks: 50, now: now() }).is_err());
    let file = Printed { stem: "a".to_owned(), text: "{} {".to_owned() };
    assert_eq!(eventbridge::convert(&[file]).unwrap_err().0, 0);
}

#[test]
fn targets_belong_to_the_only_rule_whatever_their_file_is_called() {
    let rule = r#"{"Rules": [{"Name": "r", "Arn": "arn:aws:events:eu-west-1:1:rule/r", "State": "ENABLED",
        "ScheduleExpression": "rate(5 minutes)"}]}"#;
    let converted = from_eventbridge(&[("printed", rule), ("out", HOURLY)]);
    assert_eq!(converted[0].job.as_ref().unwrap()["id"], "r");
    let unknown = from_eventbridge(&[("rules", RULES), ("out", HOURLY)]);
    assert!(unknown.iter().any(|one| one.source == "targets in out" && one.job.is_none()));
}

#[test]
fn a_schedule_that_is_over_is_refused() {
    let schedule = r#"{"Name": "once", "ScheduleExpression": "at(2020-01-01T00:00:00)", "Target": {
        "Arn": "arn:aws:ecs:eu-west-1:123456789012:cluster/c", "EcsParameters": {"TaskDefinitionArn": "t"}}}"#;
    let converted = from_eventbridge(&[("once", schedule)]);
    assert!(converted[0].job.is_none(), "{:?}", converted[0]);
    assert!(converted[0].remarks.iter().any(|remark| remark.field == "/schedule"), "{:?}", converted[0]);
}
