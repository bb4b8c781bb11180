//! KEDA's triggers.

use std::collections::{BTreeMap, HashSet};

use ecs_scheduler_core::Timestamp;
use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec, parse_cron_or};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde_json::{Map, Value, json};

use super::super::{Draft, Fields, Remarks};
use super::pod::Pod;
use super::{Circumstances, UNKNOWN};

/// `queueLength` where none is given.
const QUEUE_LENGTH: u64 = 5;
/// `metricStatPeriod` where none is given, in seconds.
const PERIOD: u64 = 300;
/// How many windows are compared to see that all are equally long.
const WINDOWS: usize = 64;
const CREDENTIALS: &str =
    "sources are read with the scheduler's own role; `ecs-scheduler iam-policy` prints its policy";

/// Reads the list of triggers.
pub(super) fn read(
    items: Vec<Value>,
    combined: Option<&str>,
    pod: &Pod,
    circumstances: &Circumstances,
    draft: &mut Draft,
    remarks: &mut Remarks,
) {
    let many = items.len() > 1;
    let mut made = Vec::new();
    for (number, item) in items.into_iter().enumerate() {
        let mut trigger = Fields::at(format!("spec.triggers[{number}]"), item);
        let kind = trigger.text("type").unwrap_or_default();
        let metadata = trigger.object("metadata");
        made.extend(match kind.as_str() {
            "aws-sqs-queue" => queue(metadata, pod, remarks),
            "aws-cloudwatch" => metric(metadata, remarks),
            "cron" => window(metadata, many, circumstances, draft, remarks),
            other => {
                let text = format!(
                    "{other}: no trigger of this kind; aws-sqs-queue, aws-cloudwatch and cron are read"
                );
                remarks.refused(trigger.path("type"), text);
                None
            }
        });
        trigger.lose("authenticationRef", CREDENTIALS, remarks);
        trigger.ignore(&["name", "useCachedMetrics"]);
        trigger.end(UNKNOWN, remarks);
    }
    match made.len() {
        0 => remarks
            .refused("spec.triggers", "none of them can be read, and without one every tick would fire"),
        1 => draft.set("trigger", made.remove(0)),
        _ => draft.set("trigger", json!({ "type": combination(combined, remarks), "of": made })),
    }
}

fn combination(combined: Option<&str>, remarks: &mut Remarks) -> &'static str {
    const FIELD: &str = "spec.scalingStrategy.multipleScalersCalculation";
    match combined {
        None | Some("max") => "any",
        Some("sum") => "sum",
        Some("min") => {
            remarks
                .changed(FIELD, "min: `all` asks for nothing as soon as one is idle, and else for the most");
            "all"
        }
        Some(other) => {
            remarks.changed(FIELD, format!("{other}: the greatest demand counts"));
            "any"
        }
    }
}

fn queue(mut metadata: Fields, pod: &Pod, remarks: &mut Remarks) -> Option<Value> {
    let mut trigger = Map::from_iter([("type".to_owned(), json!("sqs"))]);
    let named = metadata.text("queueURLFromEnv");
    let from_pod = named.as_ref().and_then(|name| pod.environment.get(name).cloned());
    let region = metadata.text("awsRegion");
    let Some(queue) = metadata.text("queueURL").or(from_pod) else {
        let text = named.map_or_else(
            || "no queue is named".to_owned(),
            |name| format!("{name} has no plain value in the container; write queueURL instead"),
        );
        remarks.refused(metadata.path("queueURL"), text);
        return None;
    };
    if queue.contains("://") {
        trigger.insert("queueUrl".to_owned(), queue.into());
    } else {
        trigger.insert("queueName".to_owned(), queue.into());
        trigger.extend(region.map(|region| ("region".to_owned(), region.into())));
    }
    let length = metadata.count("queueLength", remarks).unwrap_or(QUEUE_LENGTH);
    trigger.insert("messagesPerTask".to_owned(), length.into());
    if let Some(activation) = metadata.count("activationQueueLength", remarks).filter(|count| *count > 0) {
        trigger.insert("activation".to_owned(), activation.into());
    }
    trigger.insert("countInFlight".to_owned(), metadata.flag("scaleOnInFlight").unwrap_or(true).into());
    if metadata.flag("scaleOnDelayed") == Some(true) {
        trigger.insert("countDelayed".to_owned(), true.into());
    }
    access(metadata, remarks);
    Some(trigger.into())
}

fn metric(mut metadata: Fields, remarks: &mut Remarks) -> Option<Value> {
    let mut trigger =
        Map::from_iter([("type".to_owned(), json!("cloudwatch")), ("comparison".to_owned(), json!(">"))]);
    let texts = [
        ("namespace", "namespace"),
        ("metricName", "metricName"),
        ("expression", "expression"),
        ("stat", "metricStat"),
        ("unit", "metricUnit"),
        ("region", "awsRegion"),
    ];
    for (ours, theirs) in texts {
        trigger.extend(metadata.text(theirs).map(|text| (ours.to_owned(), text.into())));
    }
    let dimensions = dimensions(&mut metadata, remarks);
    if !dimensions.is_empty() {
        trigger.insert("dimensions".to_owned(), json!(dimensions));
    }
    trigger.insert("period".to_owned(), metadata.count("metricStatPeriod", remarks).unwrap_or(PERIOD).into());
    let activation = metadata.number("activationTargetMetricValue", remarks).unwrap_or(0.0);
    trigger.insert("threshold".to_owned(), json!(activation));
    let target = metadata.number("targetMetricValue", remarks);
    match target.filter(|target| *target > 0.0) {
        Some(target) => drop(trigger.insert("valuePerTask".to_owned(), json!(target))),
        None => {
            remarks.changed(metadata.path("targetMetricValue"), "not above 0: taskCount tasks are asked for")
        }
    }
    if let Some(delay) = metadata.count("metricEndTimeOffset", remarks).filter(|delay| *delay > 0) {
        trigger.insert("delay".to_owned(), delay.into());
    }
    if let Some(span) = metadata.count("metricCollectionTime", remarks) {
        let text = format!("{span}: the newest whole period decides, so no span of time is searched");
        remarks.changed(metadata.path("metricCollectionTime"), text);
    }
    let least = metadata.number("minMetricValue", remarks).unwrap_or(0.0);
    let missing = match metadata.flag("ignoreNullValues") {
        Some(false) => "hold",
        Some(true) | None if least > activation => {
            let text = format!("{least} where there is no value: taskCount tasks are asked for then");
            remarks.changed(metadata.path("minMetricValue"), text);
            "breaching"
        }
        Some(true) | None => "notBreaching",
    };
    trigger.insert("treatMissingData".to_owned(), missing.into());
    access(metadata, remarks);
    Some(trigger.into())
}

fn dimensions(metadata: &mut Fields, remarks: &mut Remarks) -> BTreeMap<String, String> {
    let (names, values) = (metadata.text("dimensionName"), metadata.text("dimensionValue"));
    let split = |text: Option<String>| -> Vec<String> {
        text.map(|text| text.split(';').map(|part| part.trim().to_owned()).collect()).unwrap_or_default()
    };
    let (names, values) = (split(names), split(values));
    if names.len() != values.len() {
        let text = format!("{} names and {} values", names.len(), values.len());
        remarks.refused(metadata.path("dimensionName"), text);
    }
    names.into_iter().zip(values).collect()
}

/// Remarks upon what says how KEDA reaches AWS, and ends the trigger.
fn access(mut metadata: Fields, remarks: &mut Remarks) {
    metadata.lose("awsEndpoint", "AWS_ENDPOINT_URL sets it for the whole scheduler", remarks);
    metadata.ignore(&["awsRegion"]);
    for name in
        ["identityOwner", "awsAccessKeyIDFromEnv", "awsSecretAccessKeyFromEnv", "awsSessionTokenFromEnv"]
    {
        metadata.lose(name, CREDENTIALS, remarks);
    }
    metadata.end(UNKNOWN, remarks);
}

/// A window of time during which `desiredReplicas` run.
fn window(
    mut metadata: Fields,
    many: bool,
    circumstances: &Circumstances,
    draft: &mut Draft,
    remarks: &mut Remarks,
) -> Option<Value> {
    let timezone = metadata.text("timezone").unwrap_or_else(|| "UTC".to_owned());
    let mut expression = |name| metadata.text(name).map(|text| named_weekdays(&text));
    let (start, end) = (expression("start"), expression("end"));
    let desired = metadata.count("desiredReplicas", remarks).unwrap_or(1).max(1);
    let bounded = desired.min(u64::from(circumstances.max_tasks));
    draft.set("taskCount", bounded);
    if many && bounded > 1 {
        let text = format!(
            "{bounded}: taskCount is the least of every trigger that asks for tasks, also outside the window"
        );
        remarks.changed(metadata.path("desiredReplicas"), text);
    }
    let field = metadata.path("start");
    metadata.end(UNKNOWN, remarks);
    let (Some(start), Some(end)) = (start, end) else {
        remarks.refused(field, "start and end are both needed");
        return None;
    };
    match length(&start, &end, &timezone, circumstances.now) {
        Ok(length) => {
            Some(json!({ "type": "window", "start": start, "duration": length, "timezone": timezone }))
        }
        Err(why) => {
            remarks.refused(field, why);
            None
        }
    }
}

/// Names the weekdays of a `cron` line, which Linux counts from 0 = Sunday and EventBridge from 1 = Sunday.
fn named_weekdays(expression: &str) -> String {
    const NAMES: [&str; 8] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
    let mut fields: Vec<&str> = expression.split_whitespace().collect();
    let (5, Some(weekdays)) = (fields.len(), fields.last_mut()) else { return expression.to_owned() };
    let name = |day: &str| {
        let name = day.parse::<usize>().ok().and_then(|number| NAMES.get(number).copied());
        name.unwrap_or(day).to_owned()
    };
    let item = |item: &str| {
        let (days, step) = item.split_once('/').map_or((item, None), |(days, step)| (days, Some(step)));
        let days = days.split('-').map(name).collect::<Vec<_>>().join("-");
        step.map_or(days.clone(), |step| format!("{days}/{step}"))
    };
    let named = weekdays.split(',').map(item).collect::<Vec<_>>().join(",");
    *weekdays = &named;
    fields.join(" ")
}

/// Finds out how long the window is open, by the wall clock.
fn length(start: &str, end: &str, timezone: &str, now: Timestamp) -> Result<String, String> {
    let parse = |text: &str| {
        let expressions = [parse_cron_or(text).into_owned()];
        let spec = ScheduleSpec { timezone: Some(timezone), ..ScheduleSpec::written(&expressions) };
        Schedule::parse(&spec).map_err(|error| format!("\"{text}\": {error}"))
    };
    let (opens, closes) = (parse(start)?, parse(end)?);
    let wall = |at: Timestamp| -> DateTime { at.to_zoned(opens.time_zone().clone()).datetime() };
    let spans = opens
        .upcoming(now)
        .take(WINDOWS)
        .filter_map(|open| Some(wall(closes.next_after(open)?).duration_since(wall(open))));
    let lengths: HashSet<SignedDuration> = spans.collect();
    let mut lengths: Vec<SignedDuration> = lengths.into_iter().collect();
    match (lengths.pop(), lengths.is_empty()) {
        (Some(length), true) => {
            let length = std::time::Duration::try_from(length).unwrap_or_default();
            Ok(ecs_scheduler_core::job::format_duration(length))
        }
        (Some(_), false) => Err(format!(
            "from \"{start}\" to \"{end}\" is not always equally long; write one window per length"
        )),
        (None, _) => Err(format!("the window from \"{start}\" to \"{end}\" never opens again")),
    }
}
