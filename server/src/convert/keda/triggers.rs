//! KEDA's triggers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::converted::{JobDraft, Remarks};
use super::super::fields::{Fields, UNKNOWN_FIELD};
use super::context::ConversionContext;
use super::pod::Pod;
use super::window;

/// The default of `queueLength`.
const QUEUE_LENGTH: u64 = 5;
/// The default of `metricStatPeriod`, in seconds.
const PERIOD: u64 = 300;
/// Characters of an unfilled placeholder. No queue name or URL contains them.
const PLACEHOLDER: [char; 5] = ['<', '>', '{', '}', '$'];
/// Fields that KEDA reads for a metric, and ignores beside `expression`.
const OF_ONE_METRIC: [&str; 6] =
    ["namespace", "metricName", "dimensionName", "dimensionValue", "metricStat", "metricUnit"];
const CREDENTIALS: &str = "the scheduler reads sources with its own role; `ecs-scheduler iam-policy` prints the required permissions";

/// Reads the list of triggers; returns whether the only trigger is a queue.
pub(super) fn read(
    items: Vec<Fields>,
    combined: Option<&str>,
    pod: &Pod,
    context: &ConversionContext,
    draft: &mut JobDraft,
    remarks: &mut Remarks,
) -> bool {
    let mut made: Vec<Value> = Vec::new();
    let mut replicas = Vec::new();
    for mut trigger in items {
        let kind = trigger.text("type").unwrap_or_default();
        let metadata = trigger.object("metadata");
        made.extend(match kind.as_str() {
            "aws-sqs-queue" => queue(metadata, pod, remarks),
            "aws-cloudwatch" => metric(metadata, remarks),
            "cron" => window::read(metadata, combined, context, &mut replicas, remarks),
            other => {
                let text = format!(
                    "{other}: unsupported trigger; supported are aws-sqs-queue, aws-cloudwatch and cron"
                );
                remarks.refuse(trigger.path("type"), text);
                None
            }
        });
        trigger.report_lost("authenticationRef", CREDENTIALS, remarks);
        trigger.report_lost(
            "metricType",
            "a value is always divided among tasks, as with AverageValue",
            remarks,
        );
        trigger.report_lost(
            "useCachedMetrics",
            "a source is always read once per round, for all jobs",
            remarks,
        );
        trigger.ignore(&["name"]);
        trigger.report_unread(UNKNOWN_FIELD, remarks);
    }
    window::set_task_count(&replicas, made.len() > 1, context, draft, remarks);
    let is_queue = made.len() == 1 && made[0]["type"] == "sqs";
    match made.len() {
        0 => remarks.refuse(
            "spec.triggers",
            "no trigger has a demand for tasks, and without a trigger every tick would fire",
        ),
        1 => draft.set("trigger", made.remove(0)),
        _ => draft.set("trigger", json!({ "type": combination(combined, remarks), "of": made })),
    }
    is_queue
}

fn combination(combined: Option<&str>, remarks: &mut Remarks) -> &'static str {
    const FIELD: &str = "spec.scalingStrategy.multipleScalersCalculation";
    match combined {
        None | Some("max") => "any",
        Some("sum") => "sum",
        Some("min") => {
            remarks.changed(
                FIELD,
                "min: `all` has no demand if one trigger is idle, and else the greatest demand",
            );
            "all"
        }
        Some(other) => {
            remarks.changed(FIELD, format!("{other}: the greatest demand is used"));
            "any"
        }
    }
}

fn queue(mut metadata: Fields, pod: &Pod, remarks: &mut Remarks) -> Option<Value> {
    let mut trigger = Map::from_iter([("type".to_owned(), json!("sqs"))]);
    let named = metadata.text("queueURLFromEnv");
    let from_pod = named.as_ref().and_then(|name| pod.environment.get(name).cloned());
    let region = metadata.text("awsRegion");
    let given = metadata.text("queueURL");
    if let (Some(_), Some(name)) = (&given, &named) {
        remarks.lost(metadata.path("queueURLFromEnv"), format!("{name}: queueURL is used, as in KEDA"));
    }
    let Some(queue) = given.or(from_pod) else {
        let text = named.map_or_else(
            || "there is no queue".to_owned(),
            |name| format!("{name} has no plain value in the container; set queueURL instead"),
        );
        remarks.refuse(metadata.path("queueURL"), text);
        return None;
    };
    if queue.contains(PLACEHOLDER) {
        remarks.refuse(metadata.path("queueURL"), format!("{queue}: unfilled placeholder"));
    }
    if queue.contains("://") {
        if let Some(region) = region.filter(|region| !queue.contains(region.as_str())) {
            let text = format!(
                "{region}: the region comes from the queue's URL, else from the scheduler's configuration"
            );
            remarks.lost(metadata.path("awsRegion"), text);
        }
        trigger.insert("queueUrl".to_owned(), queue.into());
    } else {
        trigger.insert("queueName".to_owned(), queue.into());
        trigger.extend(region.map(|region| ("region".to_owned(), region.into())));
    }
    let length = metadata.count_or("queueLength", 1, QUEUE_LENGTH, remarks);
    trigger.insert("messagesPerTask".to_owned(), length.into());
    let activation = metadata.count_or("activationQueueLength", 0, 0, remarks);
    if activation > 0 {
        trigger.insert("activation".to_owned(), activation.into());
    }
    let in_flight = metadata.flag("scaleOnInFlight", remarks).unwrap_or(true);
    trigger.insert("countInFlight".to_owned(), in_flight.into());
    if metadata.flag("scaleOnDelayed", remarks) == Some(true) {
        trigger.insert("countDelayed".to_owned(), true.into());
    }
    access(metadata, remarks);
    Some(trigger.into())
}

fn metric(mut metadata: Fields, remarks: &mut Remarks) -> Option<Value> {
    let mut trigger =
        Map::from_iter([("type".to_owned(), json!("cloudwatch")), ("comparison".to_owned(), json!(">"))]);
    let with_expression = [("expression", "expression"), ("region", "awsRegion")];
    let of_one = [
        ("namespace", "namespace"),
        ("metricName", "metricName"),
        ("stat", "metricStat"),
        ("unit", "metricUnit"),
    ];
    let copy = |names: &[(&str, &str)], trigger: &mut Map<String, Value>, metadata: &mut Fields| {
        for (ours, theirs) in names {
            trigger.extend(metadata.text(theirs).map(|text| ((*ours).to_owned(), text.into())));
        }
    };
    copy(&with_expression, &mut trigger, &mut metadata);
    if let Some(expression) = trigger.get("expression").and_then(Value::as_str) {
        if makes_several_series(expression) {
            remarks.changed(
                metadata.path("expression"),
                "KEDA takes the first of several time series; here the expression must make one: leave GROUP BY out, \
                 or put SUM(…) or MAX(…) around SEARCH",
            );
        }
        for name in OF_ONE_METRIC {
            metadata.report_lost(name, "expression is used alone, as in KEDA", remarks);
        }
    } else {
        copy(&of_one, &mut trigger, &mut metadata);
        let dimensions = dimensions(&mut metadata, remarks);
        if !dimensions.is_empty() {
            trigger.insert("dimensions".to_owned(), json!(dimensions));
        }
    }
    let period = metadata.count_or("metricStatPeriod", 1, PERIOD, remarks);
    trigger.insert("period".to_owned(), period.into());
    let activation = metadata.number("activationTargetMetricValue", remarks).unwrap_or(0.0);
    trigger.insert("threshold".to_owned(), json!(activation));
    let target = metadata.number("targetMetricValue", remarks);
    match target.filter(|target| *target > 0.0) {
        Some(target) => drop(trigger.insert("valuePerTask".to_owned(), json!(target))),
        None => {
            remarks.changed(metadata.path("targetMetricValue"), "not above 0: the demand is taskCount tasks")
        }
    }
    let delay = metadata.count_or("metricEndTimeOffset", 0, 0, remarks);
    if delay > 0 {
        trigger.insert("delay".to_owned(), delay.into());
    }
    if let Some(span) = metadata.count("metricCollectionTime", remarks) {
        let text = format!("{span}: only the newest complete period is read");
        remarks.changed(metadata.path("metricCollectionTime"), text);
    }
    let least = metadata.number("minMetricValue", remarks).unwrap_or(0.0);
    let missing = missing_data(&mut metadata, least, activation, remarks);
    trigger.insert("treatMissingData".to_owned(), missing.into());
    access(metadata, remarks);
    Some(trigger.into())
}

/// Returns the treatment of missing data: KEDA takes `least` for a missing value.
fn missing_data(metadata: &mut Fields, least: f64, activation: f64, remarks: &mut Remarks) -> &'static str {
    match metadata.flag("ignoreNullValues", remarks) {
        Some(false) => "hold",
        Some(true) | None if least > activation => {
            let text = format!("{least}: if there is no value, the demand is taskCount tasks");
            remarks.changed(metadata.path("minMetricValue"), text);
            "breaching"
        }
        Some(true) | None => "notBreaching",
    }
}

/// Tells whether the spelling of an expression shows that it may make more than one time series.
fn makes_several_series(expression: &str) -> bool {
    let words = expression.to_uppercase().split_whitespace().collect::<Vec<_>>().join(" ");
    words.starts_with("SEARCH") || (words.contains("GROUP BY") && !words.ends_with("LIMIT 1"))
}

fn dimensions(metadata: &mut Fields, remarks: &mut Remarks) -> BTreeMap<String, String> {
    let (names, values) = (metadata.text("dimensionName"), metadata.text("dimensionValue"));
    let split = |text: Option<String>| -> Vec<String> {
        text.map(|text| text.split(';').map(|part| part.trim().to_owned()).collect()).unwrap_or_default()
    };
    let (names, values) = (split(names), split(values));
    if names.len() != values.len() {
        let text = format!("{} names and {} values", names.len(), values.len());
        remarks.refuse(metadata.path("dimensionName"), text);
    }
    names.into_iter().zip(values).collect()
}

/// Adds remarks about KEDA's access to AWS and about the remaining fields.
fn access(mut metadata: Fields, remarks: &mut Remarks) {
    metadata.report_lost("awsEndpoint", "AWS_ENDPOINT_URL sets it for the whole scheduler", remarks);
    for name in
        ["identityOwner", "awsAccessKeyIDFromEnv", "awsSecretAccessKeyFromEnv", "awsSessionTokenFromEnv"]
    {
        metadata.report_lost(name, CREDENTIALS, remarks);
    }
    metadata.report_unread(UNKNOWN_FIELD, remarks);
}
