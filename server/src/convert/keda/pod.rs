//! `jobTargetRef`: what a job in Kubernetes is made of, as far as a task can be told it when it starts.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::{Draft, Fields, Remarks};

const OF_THE_DEFINITION: &str = "belongs to the task definition or the cluster";

/// What triggers need to know of the pod.
#[derive(Debug, Default)]
pub(super) struct Pod {
    /// The plain variables of the container that triggers read.
    pub(super) environment: BTreeMap<String, String>,
}

/// Reads the template into overrides.
pub(super) fn read(
    mut target: Fields,
    source: Option<String>,
    id: &str,
    draft: &mut Draft,
    remarks: &mut Remarks,
) -> Pod {
    if let Some(seconds) = target.count("activeDeadlineSeconds", remarks).filter(|seconds| *seconds > 0) {
        draft.set("timeout", format!("{seconds}s"));
    }
    for name in ["parallelism", "completions"] {
        if let Some(count) = target.count(name, remarks).filter(|count| *count > 1) {
            let text =
                format!("{count}: one task is started where KEDA starts one job; lower what one task takes");
            remarks.lost(target.path(name), text);
        }
    }
    if let Some(retries) = target.count("backoffLimit", remarks).filter(|retries| *retries > 0) {
        let text =
            format!("{retries}: a task that fails is not started again for its own sake; its messages are");
        remarks.lost(target.path("backoffLimit"), text);
    }
    target.ignore(&["ttlSecondsAfterFinished"]);
    let mut template = target.object("template");
    let mut spec = template.object("spec");
    let path = spec.path("containers");
    let (mut overrides, mut pod, mut images) = (Vec::new(), Pod::default(), Vec::new());
    for (number, container) in spec.list("containers").into_iter().enumerate() {
        let mut container = Fields::at(format!("{path}[{number}]"), container);
        let name = container.text("name").unwrap_or_default();
        images.push(format!("container \"{name}\" ({})", container.text("image").unwrap_or_default()));
        let environment = environment(&mut container, remarks);
        if source.as_ref().map_or(number == 0, |source| *source == name) {
            pod.environment = environment.clone();
        }
        overrides.extend(container_override(container, &name, environment, remarks));
    }
    remarks.needed(
        "spec.jobTargetRef.template",
        format!("register task definition \"{id}\" with {}, and what else the pod has", images.join(", ")),
    );
    if !overrides.is_empty() {
        draft.set("overrides", overrides);
    }
    spec.ignore(&["restartPolicy"]);
    spec.end(OF_THE_DEFINITION, remarks);
    template.ignore(&["metadata"]);
    template.end(OF_THE_DEFINITION, remarks);
    target.end("has no counterpart", remarks);
    pod
}

/// Takes the variables with plain values.
fn environment(container: &mut Fields, remarks: &mut Remarks) -> BTreeMap<String, String> {
    let path = container.path("env");
    let mut plain = BTreeMap::new();
    for (number, variable) in container.list("env").into_iter().enumerate() {
        let mut variable = Fields::at(format!("{path}[{number}]"), variable);
        let name = variable.text("name").unwrap_or_default();
        if variable.take("valueFrom").is_some() {
            let text = format!("{name}: give it to the task definition, as a secret or from a file");
            remarks.needed(variable.path("valueFrom"), text);
        } else {
            plain.insert(name, variable.text("value").unwrap_or_default());
        }
        variable.end("has no counterpart", remarks);
    }
    container.lose("envFrom", "give these variables to the task definition", remarks);
    plain
}

/// Makes the override of a container; none when there is nothing to change.
fn container_override(
    mut container: Fields,
    name: &str,
    environment: BTreeMap<String, String>,
    remarks: &mut Remarks,
) -> Option<Value> {
    let mut change = Map::new();
    if !environment.is_empty() {
        change.insert("environment".to_owned(), json!(environment));
    }
    let arguments = container.list("args");
    if !arguments.is_empty() {
        change.insert("command".to_owned(), arguments.into());
    }
    container.lose("command", "an entry point belongs to the task definition", remarks);
    let mut resources = container.object("resources");
    let (mut requests, mut limits) = (resources.object("requests"), resources.object("limits"));
    let numbers = [
        ("cpu", quantity(&mut requests, "cpu", 1_024.0, remarks)),
        ("memoryReservation", quantity(&mut requests, "memory", MEBI, remarks)),
        ("memory", quantity(&mut limits, "memory", MEBI, remarks)),
    ];
    change.extend(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?.into()))));
    for rest in [requests, limits, resources, container] {
        rest.end(OF_THE_DEFINITION, remarks);
    }
    if change.is_empty() {
        return None;
    }
    change.insert("containerName".to_owned(), name.into());
    Some(change.into())
}

/// What a quantity of memory is multiplied with to have MiB.
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
