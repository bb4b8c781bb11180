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

use serde_json::Value;

pub use context::ConversionContext;

use super::converted::{Converted, JobDraft, Remarks, job_id};
use super::fields::{Fields, UNKNOWN_FIELD};

/// `pollingInterval` where none is given, in seconds.
const DEFAULT_POLLING_INTERVAL: u64 = 30;
/// `maxReplicaCount` where none is given.
const DEFAULT_MAX_REPLICAS: u64 = 100;
/// The annotation that pauses a `ScaledJob`.
const PAUSED_ANNOTATION: &str = "autoscaling.keda.sh/paused";
const NEVER_STOPPED: &str = "an edit never stops running tasks here";

/// Converts the documents of a YAML file. One that is not YAML is listed.
#[must_use]
pub fn convert(file: &str, text: &str, context: &ConversionContext) -> Vec<Converted> {
    let documents: Vec<Value> = match serde_saphyr::from_multiple(text) {
        Ok(documents) => documents,
        Err(error) => return vec![Converted::unreadable(file, not_yaml(text, &error.to_string()))],
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
        return "it is a template that is not rendered: import what `helm template` prints".to_owned();
    }
    // The rest is advice to callers of the parser.
    let error = error.split(", set DuplicateKeyPolicy").next().unwrap_or(error);
    format!("it is not YAML: {error}")
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
        remarks.changed("metadata.name", format!("a job's name cannot have all of these characters: {id}"));
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
            "it scales something that runs all the time; only a ScaledJob starts tasks that end"
        }
        "TriggerAuthentication" | "ClusterTriggerAuthentication" | "Secret" => {
            "sources are read with the scheduler's own role; `ecs-scheduler iam-policy` prints what that needs"
        }
        _ => "only a ScaledJob gives a job",
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
        "a suspended job starts nothing; suspend it by hand",
        remarks,
    );
    annotations.ignore(&["kubectl.kubernetes.io/last-applied-configuration"]);
    annotations.report_unread("notes of other programs stay behind", remarks);
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
        remarks.changed("spec.maxReplicaCount", "0: a job's maxCount is at least 1, so the job is suspended");
        draft.set("suspended", true);
    }
    let bound = u64::from(context.max_tasks);
    if most > bound {
        let text = format!("{most}, and ECSS_MAX_TASKS bounds every job at {bound}; raise it to have more");
        remarks.changed("spec.maxReplicaCount", text);
    }
    draft.set("maxCount", most.clamp(1, bound));
    if let Some(least) = spec.count("minReplicaCount", remarks).filter(|least| *least > 0) {
        let text = format!("{least}: no task is started while the triggers ask for none");
        remarks.lost("spec.minReplicaCount", text);
    }
    for name in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        spec.report_lost(name, "history is kept by age, of all jobs alike", remarks);
    }
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
    read_strategy(strategy, reports_queue_depth, draft, remarks);
    spec.report_unread(UNKNOWN_FIELD, remarks);
}

fn read_strategy(
    mut strategy: Fields,
    reports_queue_depth: bool,
    draft: &mut JobDraft,
    remarks: &mut Remarks,
) {
    let field = strategy.path("strategy");
    let named = strategy.text("strategy");
    match named.as_deref() {
        None | Some("default") => {}
        Some("accurate") if reports_queue_depth => {
            draft.set("mode", "oneShot");
            draft.set("settle", "60s");
            let text = "accurate: mode oneShot counts by the scheduler's own record which messages have no task yet, and \
                        trusts no count that is younger than `settle`";
            remarks.changed(field, text);
        }
        Some("accurate") => {
            remarks.changed(field, "counted as `default` is: mode oneShot needs an sqs trigger of its own");
        }
        Some("eager") => remarks.changed(
            field,
            "counted as `default` is: tasks that run are taken to work on the messages that are there; mode drain or \
             oneShot may suit",
        ),
        Some(other) => {
            remarks.changed(field, format!("{other}: counted as `default` is; see the job's field `mode`"));
        }
    }
    let of_custom = "KEDA reads it with the strategy custom alone";
    let why = if named.as_deref() == Some("custom") {
        "the strategy is counted as `default` is"
    } else {
        of_custom
    };
    for name in ["customScalingQueueLengthDeduction", "customScalingRunningJobPercentage"] {
        strategy.report_lost(name, why, remarks);
    }
    strategy.report_lost("pendingPodConditions", "a task is pending until ECS calls it RUNNING", remarks);
    strategy.report_unread(UNKNOWN_FIELD, remarks);
}
