//! KEDA's `ScaledJob`s.
//!
//! | KEDA | here |
//! |---|---|
//! | `pollingInterval` | `schedule`: `rate(30 seconds)` |
//! | `maxReplicaCount` | `maxCount` |
//! | `aws-sqs-queue`, `aws-cloudwatch`, `cron` | triggers `sqs`, `cloudwatch`, `window` |
//! | several triggers, `multipleScalersCalculation` | `any` (max), `sum`, `all` (min) |
//! | `scalingStrategy` `default`, `accurate` | `mode` `total`, `oneShot` |
//! | `activeDeadlineSeconds` | `timeout` |
//! | `backoffLimit` | `retry.task.attempts` |
//! | `successfulJobsHistoryLimit`, `failedJobsHistoryLimit` | `history.keep` |
//! | the containers' `env`, `args`, `resources` | `overrides` |
//! | annotation `autoscaling.keda.sh/paused` | `suspended` |
//!
//! The content of a pod (images, volumes, service accounts, secrets) belongs to the task definition, which must exist: the
//! job names it by the `ScaledJob`'s name.
//!
//! # Source
//!
//! <https://keda.sh/docs/latest/reference/scaledjob-spec/>, <https://keda.sh/docs/latest/scalers/aws-sqs/>,
//! <https://keda.sh/docs/latest/scalers/aws-cloudwatch/>, <https://keda.sh/docs/latest/scalers/cron/>

mod context;
mod pod;
mod triggers;
mod window;

use ecs_scheduler_core::HistoryRule;
use serde_json::{Value, json};

pub use context::ConversionContext;

use super::converted::{Converted, JobDraft, Remarks, job_id};
use super::fields::{Fields, UNKNOWN_FIELD};
use crate::yaml;

/// The default of `pollingInterval`, in seconds.
const DEFAULT_POLLING_INTERVAL: u64 = 30;
/// The default of `maxReplicaCount`.
const DEFAULT_MAX_REPLICAS: u64 = 100;
/// The annotation that pauses a `ScaledJob`.
const PAUSED_ANNOTATION: &str = "autoscaling.keda.sh/paused";
/// The default of both history limits.
const DEFAULT_HISTORY_LIMIT: u64 = 100;
const NEVER_STOPPED: &str = "an edit never stops running tasks";

/// Converts the documents of a YAML file. One that is not YAML is listed.
#[must_use]
pub fn convert(file: &str, text: &str, context: &ConversionContext) -> Vec<Converted> {
    let documents = match yaml::parse_many(text) {
        Ok(documents) => documents,
        Err(error) => return vec![Converted::unreadable(file, not_yaml(text, &error))],
    };
    // `kubectl get -o yaml` prints a list.
    let objects = documents.into_iter().flat_map(|mut document| {
        let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if is_list => items,
            _ => vec![document],
        }
    });
    // Comments and separators alone make an empty document.
    let objects = objects.filter(|object| !object.is_null());
    objects.map(|object| object_to_job(object, context)).collect()
}

fn not_yaml(text: &str, error: &str) -> String {
    if text.contains("{{") {
        return "a template that is not rendered: import the output of `helm template`".to_owned();
    }
    format!("not YAML: {error}")
}

fn object_to_job(object: Value, context: &ConversionContext) -> Converted {
    let mut root = Fields::root(object);
    let kind = root.text("kind").unwrap_or_else(|| "object".to_owned());
    let mut metadata = root.object("metadata");
    let name = metadata.text("name").unwrap_or_default();
    let namespace = metadata.text("namespace");
    let source = match &namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    };
    let mut remarks = Remarks::default();
    if kind != "ScaledJob" {
        remarks.refuse("kind", not_a_job(&kind));
        return Converted::new(source, JobDraft::default(), remarks);
    }
    let mut draft = JobDraft::default();
    let id = job_id(&name);
    draft.set("id", id.as_str());
    draft.set("taskDefinition", id.as_str());
    if id != name {
        remarks
            .changed("metadata.name", format!("not all characters are valid in a job name: it becomes {id}"));
    }
    read_metadata(metadata, namespace, &mut draft, &mut remarks);
    read_spec(root.object("spec"), &id, context, &mut draft, &mut remarks);
    root.ignore(&["apiVersion", "status"]);
    root.report_unread(UNKNOWN_FIELD, &mut remarks);
    Converted::new(source, draft, remarks)
}

fn not_a_job(kind: &str) -> &'static str {
    match kind {
        "ScaledObject" => {
            "a ScaledObject scales a service that runs all the time; only a ScaledJob starts tasks that end"
        }
        "TriggerAuthentication" | "ClusterTriggerAuthentication" | "Secret" => {
            "the scheduler reads sources with its own role; `ecs-scheduler iam-policy` prints the required permissions"
        }
        _ => "only a ScaledJob becomes a job",
    }
}

fn read_metadata(
    mut metadata: Fields,
    namespace: Option<String>,
    draft: &mut JobDraft,
    remarks: &mut Remarks,
) {
    let mut labels = metadata.map("labels");
    if let Some(namespace) = namespace {
        labels.insert("kubernetes/namespace".to_owned(), namespace.into());
    }
    if !labels.is_empty() {
        draft.set("labels", labels);
    }
    let mut annotations = metadata.object("annotations");
    if annotations.flag(PAUSED_ANNOTATION, remarks) == Some(true) {
        draft.set("suspended", true);
    }
    annotations.report_lost(
        "autoscaling.keda.sh/paused-replicas",
        "a suspended job starts no tasks; suspend the job by hand",
        remarks,
    );
    annotations.ignore(&["kubectl.kubernetes.io/last-applied-configuration"]);
    annotations.report_unread("annotations of other programs are not copied", remarks);
    metadata.ignore(&[
        "creationTimestamp",
        "finalizers",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "uid",
    ]);
    metadata.report_unread(UNKNOWN_FIELD, remarks);
}

fn read_spec(
    mut spec: Fields,
    id: &str,
    context: &ConversionContext,
    draft: &mut JobDraft,
    remarks: &mut Remarks,
) {
    let seconds = spec.count_or("pollingInterval", 1, DEFAULT_POLLING_INTERVAL, remarks);
    draft.set("schedule", format!("rate({seconds} second{})", if seconds == 1 { "" } else { "s" }));
    let most = spec.count_or("maxReplicaCount", 0, DEFAULT_MAX_REPLICAS, remarks);
    if most == 0 {
        remarks.changed("spec.maxReplicaCount", "0: the minimum of maxCount is 1, so the job is suspended");
        draft.set("suspended", true);
    }
    let bound = u64::from(context.max_tasks);
    if most > bound {
        let text = format!("{most}: ECSS_MAX_TASKS limits each job to {bound}; raise it to allow more");
        remarks.changed("spec.maxReplicaCount", text);
    }
    draft.set("maxCount", most.clamp(1, bound));
    if let Some(least) = spec.count("minReplicaCount", remarks).filter(|least| *least > 0) {
        let text = format!("{least}: no task starts while the triggers have no demand");
        remarks.lost("spec.minReplicaCount", text);
    }
    read_history_limits(&mut spec, draft, remarks);
    let mut rollout = spec.object("rollout");
    let strategies = [
        (spec.path("rolloutStrategy"), spec.text("rolloutStrategy")),
        (rollout.path("strategy"), rollout.text("strategy")),
    ];
    for (field, strategy) in strategies {
        if let Some(strategy) = strategy.filter(|strategy| strategy != "gradual") {
            remarks.changed(field, format!("{strategy}: {NEVER_STOPPED}"));
        }
    }
    rollout.report_lost("propagationPolicy", NEVER_STOPPED, remarks);
    rollout.report_unread(UNKNOWN_FIELD, remarks);
    let mut strategy = spec.object("scalingStrategy");
    let combined = strategy.text("multipleScalersCalculation");
    let pod = pod::read(spec.object("jobTargetRef"), spec.text("envSourceContainerName"), id, draft, remarks);
    let items = spec.objects("triggers", remarks);
    let reports_queue_depth = triggers::read(items, combined.as_deref(), &pod, context, draft, remarks);
    let has_queue_rule = read_strategy(strategy, reports_queue_depth, draft, remarks);
    pod.set_retry(has_queue_rule, draft, remarks);
    spec.report_unread(UNKNOWN_FIELD, remarks);
}

/// Reads how many finished jobs Kubernetes keeps: of both kinds together, they become `history.keep`.
fn read_history_limits(spec: &mut Fields, draft: &mut JobDraft, remarks: &mut Remarks) {
    let names = ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"];
    let limits = names.map(|name| spec.count(name, remarks));
    if limits == [None, None] {
        return;
    }
    let sum = limits.iter().map(|limit| limit.unwrap_or(DEFAULT_HISTORY_LIMIT)).fold(0, u64::saturating_add);
    let keep = sum.clamp(1, u64::from(HistoryRule::MAX_KEEP));
    draft.set("history", json!({ "keep": keep }));
    for (name, limit) in names.iter().zip(limits) {
        if let Some(limit) = limit {
            let text = format!(
                "{limit}: the newest {keep} decisions are kept, and all of the last ECSS_HISTORY_DAYS days"
            );
            remarks.changed(spec.path(name), text);
        }
    }
}

/// Reads the strategy; tells whether the job has the queue rule.
fn read_strategy(
    mut strategy: Fields,
    reports_queue_depth: bool,
    draft: &mut JobDraft,
    remarks: &mut Remarks,
) -> bool {
    let field = strategy.path("strategy");
    let named = strategy.text("strategy");
    let has_queue_rule = named.as_deref() == Some("accurate") && reports_queue_depth;
    match named.as_deref() {
        None | Some("default") => {}
        Some("accurate") if has_queue_rule => {
            draft.set("mode", "oneShot");
            draft.set("settle", "60s");
            let text = "accurate: mode oneShot computes the messages without a task from the scheduler's own record, \
                        and assumes that the queue's counts are up to `settle` old";
            remarks.changed(&field, text);
            let trigger = draft.0.get("trigger").unwrap_or(&Value::Null);
            let queue = trigger["queueUrl"].as_str().or_else(|| trigger["queueName"].as_str());
            if let Some(queue) = queue.filter(|queue| queue.ends_with(".fifo")) {
                remarks.changed(
                    field,
                    format!(
                        "{queue} is a FIFO queue: only one task at a time finds messages of a message group, so \
                         oneShot may start tasks that find nothing; set maxCount to the number of groups to process at once"
                    ),
                );
            }
        }
        Some("accurate") => {
            remarks.changed(field, "treated like `default`: mode oneShot needs sqs as the only trigger");
        }
        Some("eager") => remarks.changed(
            field,
            "treated like `default`, which assumes that running tasks process the existing messages; consider mode drain or oneShot",
        ),
        Some(other) => {
            remarks.changed(field, format!("{other}: treated like `default`; see the job's field `mode`"));
        }
    }
    let of_custom = "KEDA uses it only with the strategy custom";
    let why =
        if named.as_deref() == Some("custom") { "the strategy is treated like `default`" } else { of_custom };
    for name in ["customScalingQueueLengthDeduction", "customScalingRunningJobPercentage"] {
        strategy.report_lost(name, why, remarks);
    }
    strategy.report_lost(
        "pendingPodConditions",
        "a task is pending until ECS reports it as RUNNING",
        remarks,
    );
    strategy.report_unread(UNKNOWN_FIELD, remarks);
    has_queue_rule
}
