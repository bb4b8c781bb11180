//! `jobTargetRef`: the pod of a Kubernetes job, as far as task overrides can express it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::converted::{JobDraft, Remarks};
use super::super::fields::Fields;

/// The default of `backoffLimit`.
const DEFAULT_BACKOFF_LIMIT: u64 = 6;
/// The maximum of `retry.task.attempts`.
const MAX_ATTEMPTS: u64 = 10;
/// The maximum of `timeout`, in seconds.
const MAX_TIMEOUT: u64 = 31 * 86_400;
const BELONGS_TO_DEFINITION: &str = "belongs to the task definition or the cluster";

/// Facts about the pod that other parts need.
#[derive(Debug, Default)]
pub(super) struct Pod {
    /// The plain variables of the container that triggers read.
    pub(super) environment: BTreeMap<String, String>,
    /// `backoffLimit`: how often Kubernetes starts a failed pod again.
    backoff_limit: u64,
}

impl Pod {
    /// Sets `retry.task`, which a queue rule replaces: the queue delivers the message of a failed task again.
    pub(super) fn set_retry(&self, has_queue_rule: bool, draft: &mut JobDraft, remarks: &mut Remarks) {
        const FIELD: &str = "spec.jobTargetRef.backoffLimit";
        let limit = self.backoff_limit;
        if limit == 0 {
            return;
        }
        if has_queue_rule {
            let text = format!(
                "{limit}: mode oneShot has no retry.task; the queue delivers the message of a failed task again"
            );
            return remarks.lost(FIELD, text);
        }
        let attempts = limit.min(MAX_ATTEMPTS);
        draft.set("retry", json!({ "task": { "attempts": attempts } }));
        let text = format!(
            "{limit}: retry.task starts a failed task again, {attempts} times at most; the next tick of the job ends the retries"
        );
        remarks.changed(FIELD, text);
    }
}

/// Reads the template into overrides.
pub(super) fn read(
    mut target: Fields,
    source: Option<String>,
    id: &str,
    draft: &mut JobDraft,
    remarks: &mut Remarks,
) -> Pod {
    read_counts(&mut target, draft, remarks);
    let backoff_limit = target.count_or("backoffLimit", 0, DEFAULT_BACKOFF_LIMIT, remarks);
    target.report_lost(
        "podFailurePolicy",
        "write the exit codes after which no task starts again to retry.task.rules",
        remarks,
    );
    target.report_lost("ttlSecondsAfterFinished", "history is kept for whole days: history.days", remarks);
    let mut template = target.object("template");
    let mut spec = template.object("spec");
    set_timeout(&mut target, &mut spec, draft, remarks);
    let (mut overrides, mut images) = (Vec::new(), Vec::new());
    let mut pod = Pod { backoff_limit, ..Pod::default() };
    for (number, mut container) in spec.objects("containers", remarks).into_iter().enumerate() {
        let name = container.text("name").unwrap_or_default();
        images.push(format!("container \"{name}\" ({})", container.text("image").unwrap_or_default()));
        let environment = environment(&mut container, remarks);
        if source.as_ref().map_or(number == 0, |source| *source == name) {
            pod.environment = environment.clone();
        }
        overrides.extend(container_override(container, &name, environment, remarks));
    }
    let text = if images.is_empty() {
        format!("register task definition \"{id}\"; this file does not contain the pod")
    } else {
        format!("register task definition \"{id}\" with {}, and the rest of the pod", images.join(", "))
    };
    remarks.needed("spec.jobTargetRef.template", text);
    if !overrides.is_empty() {
        draft.set("overrides", overrides);
    }
    if let Some(policy) = spec.text("restartPolicy").filter(|policy| policy != "Never") {
        remarks.lost(
            spec.path("restartPolicy"),
            format!("{policy}: a container that fails is not restarted in its task"),
        );
    }
    spec.report_unread(BELONGS_TO_DEFINITION, remarks);
    template.report_unread(BELONGS_TO_DEFINITION, remarks);
    target.report_unread("has no counterpart", remarks);
    pod
}

/// Reads the numbers of pods of a job: one task stands for them.
fn read_counts(target: &mut Fields, draft: &mut JobDraft, remarks: &mut Remarks) {
    for name in ["parallelism", "completions"] {
        match target.count(name, remarks) {
            Some(0) => {
                let text = "0: such a job runs no pod in Kubernetes, so the job is suspended";
                remarks.changed(target.path(name), text);
                draft.set("suspended", true);
            }
            Some(count @ 2..) => {
                let text = format!(
                    "{count}: one task starts where KEDA starts one job; lower the share of one task"
                );
                remarks.lost(target.path(name), text);
            }
            Some(1) | None => {}
        }
    }
}

/// Sets `timeout` to the shorter of both deadlines.
fn set_timeout(target: &mut Fields, spec: &mut Fields, draft: &mut JobDraft, remarks: &mut Remarks) {
    const NAME: &str = "activeDeadlineSeconds";
    let mut read = |fields: &mut Fields| {
        let seconds = fields.count(NAME, remarks)?;
        if seconds == 0 {
            let text = "0: Kubernetes ends such a pod at once; here the task has no limit";
            remarks.lost(fields.path(NAME), text);
        }
        Some(seconds).filter(|seconds| *seconds > 0)
    };
    let (of_job, of_pod) = (read(target), read(spec));
    let Some(seconds) = [of_job, of_pod].into_iter().flatten().min() else { return };
    let bounded = seconds.min(MAX_TIMEOUT);
    let is_of_job = of_job == Some(seconds);
    if bounded != seconds {
        let place = if is_of_job { target.path(NAME) } else { spec.path(NAME) };
        remarks.changed(place, format!("{seconds}: {bounded} is used, the maximum of timeout"));
    }
    if let Some(of_job) = of_job.filter(|_| !is_of_job) {
        let text = format!(
            "{of_job}: the shorter limit of each pod is used; no limit holds for the retries of a task together"
        );
        remarks.lost(target.path(NAME), text);
    }
    if let Some(of_pod) = of_pod.filter(|of_pod| *of_pod != seconds) {
        remarks.lost(spec.path(NAME), format!("{of_pod}: the shorter limit of the job is used"));
    }
    if is_of_job {
        let text =
            format!("{bounded}: each task has this limit; in Kubernetes the retries of a job share it");
        remarks.changed(target.path(NAME), text);
    }
    draft.set("timeout", format!("{bounded}s"));
}

/// Takes the variables with plain values.
fn environment(container: &mut Fields, remarks: &mut Remarks) -> BTreeMap<String, String> {
    let mut plain = BTreeMap::new();
    for mut variable in container.objects("env", remarks) {
        let name = variable.text("name").unwrap_or_default();
        if plain.remove(&name).is_some() {
            remarks.changed(variable.path("name"), format!("{name} is there twice: the last value is used"));
        }
        if variable.take("valueFrom").is_some() {
            let text = format!("{name}: add it to the task definition, as a secret or from a file");
            remarks.needed(variable.path("valueFrom"), text);
        } else {
            let value = variable.text("value").unwrap_or_default();
            let value = expand(&value, &plain, &variable.path("value"), remarks);
            plain.insert(name, value);
        }
        variable.report_unread("has no counterpart", remarks);
    }
    container.report_lost("envFrom", "add these variables to the task definition", remarks);
    plain
}

/// Makes the override of a container; none if nothing changes.
fn container_override(
    mut container: Fields,
    name: &str,
    environment: BTreeMap<String, String>,
    remarks: &mut Remarks,
) -> Option<Value> {
    let mut change = Map::new();
    let path = container.path("args");
    let arguments: Vec<Value> = container
        .list("args")
        .into_iter()
        .map(|argument| match argument.as_str() {
            Some(text) => expand(text, &environment, &path, remarks).into(),
            None => argument,
        })
        .collect();
    if !arguments.is_empty() {
        change.insert("command".to_owned(), arguments.into());
    }
    if !environment.is_empty() {
        change.insert("environment".to_owned(), json!(environment));
    }
    container.report_lost("command", "an entry point belongs to the task definition", remarks);
    let mut resources = container.object("resources");
    let (mut requests, mut limits) = (resources.object("requests"), resources.object("limits"));
    let numbers = [
        ("cpu", quantity(&mut requests, "cpu", 1_024.0, remarks)),
        ("memoryReservation", quantity(&mut requests, "memory", MEBI, remarks)),
        ("memory", quantity(&mut limits, "memory", MEBI, remarks)),
    ];
    change.extend(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?.into()))));
    for rest in [requests, limits, resources, container] {
        rest.report_unread(BELONGS_TO_DEFINITION, remarks);
    }
    if change.is_empty() {
        return None;
    }
    change.insert("containerName".to_owned(), name.into());
    Some(change.into())
}

/// Replaces `$(NAME)` by the variable's plain value, as Kubernetes does before a container starts and ECS never does;
/// `$$` stands for `$`.
///
/// # Source
///
/// <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>
fn expand(text: &str, plain: &BTreeMap<String, String>, field: &str, remarks: &mut Remarks) -> String {
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let reference = after.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        rest = match (after.strip_prefix('$'), reference) {
            (Some(behind), _) => {
                expanded.push('$');
                behind
            }
            (None, Some((name, behind))) => {
                if let Some(value) = plain.get(name) {
                    expanded.push_str(value);
                } else {
                    let reason = "no earlier variable has a plain value for it, and ECS does not replace it";
                    remarks.changed(field, format!("$({name}) is unchanged: {reason}"));
                    expanded.push_str(&format!("$({name})"));
                }
                behind
            }
            (None, None) => {
                expanded.push('$');
                after
            }
        };
    }
    expanded + rest
}

/// The factor from bytes to MiB.
const MEBI: f64 = 1.0 / 1_048_576.0;

/// Takes a quantity of Kubernetes, rounded up to whole units of ECS: 1,024 to a CPU, or MiB.
///
/// # Source
///
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
fn quantity(fields: &mut Fields, name: &str, factor: f64, remarks: &mut Remarks) -> Option<u64> {
    const SUFFIXES: [(&str, f64); 13] = [
        ("Ki", 1_024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let written = fields.text(name)?;
    let suffix = SUFFIXES.iter().find_map(|(suffix, of)| Some((written.strip_suffix(suffix)?, *of)));
    let (digits, of) = suffix.unwrap_or((&written, 1.0));
    let units = digits.parse::<f64>().ok().map(|number| (number * of * factor).ceil());
    let whole = units.and_then(|units| format!("{units:.0}").parse().ok());
    if whole.is_none() {
        remarks.lost(fields.path(name), format!("\"{written}\" is not a quantity"));
    }
    whole
}
