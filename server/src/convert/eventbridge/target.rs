//! The target of a schedule or a rule: RunTask, with all parameters that EventBridge passes to it.

use serde_json::{Map, Value, json};

use super::super::converted::{JobDraft, Remarks};
use super::super::fields::{Fields, ODD_SHAPE, UNKNOWN_FIELD, excerpt};

/// EventBridge Scheduler's own way to call RunTask, whose input is the request.
const UNIVERSAL: &str = ":aws-sdk:ecs:runTask";
/// The bounds of `retry.launch.maxAge`, in seconds.
const MAX_AGE: std::ops::RangeInclusive<u64> = 1..=86_400;
/// The parameters that a target adds to each launch.
const OWN: &str = "each launch sets its own value; find tasks by `startedBy` and the tag ecss:job";

/// The counterpart of a role.
pub(super) const OWN_ROLE: &str =
    "the scheduler's own role starts tasks; `ecs-scheduler iam-policy` prints the required permissions";

/// The counterpart of a dead-letter queue.
const DEAD_LETTERS: &str = "no queue gets failed launches; the job's history lists them with the reason. To hear of them, configure \
                            a channel for notifications and add \"notify\": [{\"to\": \"CHANNEL\", \"on\": [\"failing:1\", \"missed\"]}]";

/// Parameters that a job's `launch` takes unchanged.
const AS_IT_IS: [&str; 8] = [
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "group",
    "placementConstraints",
    "placementStrategy",
    "propagateTags",
    "enableExecuteCommand",
];

/// Reads a target; tells whether it starts ECS tasks.
pub(super) fn read(mut target: Fields, draft: &mut JobDraft, remarks: &mut Remarks) -> bool {
    let arn = target.text("Arn").unwrap_or_default();
    let input = target.text("Input");
    let parameters = target.take("EcsParameters");
    let mut request = if arn.ends_with(UNIVERSAL) {
        let request = parse(input.as_deref(), remarks);
        Fields::at("Target.Input", camel(request))
    } else if let Some(parameters @ Value::Object(_)) = parameters.filter(|_| !is_of_another_service(&arn)) {
        let mut parameters = camel(parameters);
        parameters["cluster"] = arn.into();
        parameters["overrides"] = parse(input.as_deref(), remarks);
        Fields::at("Target.EcsParameters", parameters)
    } else {
        return false;
    };
    policies(&mut target, draft, remarks);
    target.report_lost("RoleArn", OWN_ROLE, remarks);
    for name in ["InputPath", "InputTransformer"] {
        target.report_lost(name, "a job has no event to read values from", remarks);
    }
    target.ignore(&["Id"]);
    target.report_unread(UNKNOWN_FIELD, remarks);
    let definition = request.text("taskDefinitionArn").or_else(|| request.text("taskDefinition"));
    let definition = definition.map(|arn| without_arn(&arn)).unwrap_or_default();
    let family = definition.strip_suffix(":latest");
    if family.is_some() {
        let text =
            "`latest` is not a revision of ECS: it is left out, which means the newest active revision";
        remarks.changed(request.path("taskDefinition"), text);
    }
    draft.set("taskDefinition", family.unwrap_or(&definition));
    let count = request.count("taskCount", remarks).or_else(|| request.count("count", remarks));
    draft.set("taskCount", count.unwrap_or(1));
    let of_the_task = overrides(request.object("overrides"), draft, remarks);
    launch(request, of_the_task, draft, remarks);
    true
}

/// Tells whether an ARN names something else than a cluster. A text that is no ARN is judged as the name of a cluster.
fn is_of_another_service(arn: &str) -> bool {
    arn.starts_with("arn:") && arn.split(':').nth(2) != Some("ecs")
}

fn parse(input: Option<&str>, remarks: &mut Remarks) -> Value {
    let Some(input) = input else { return Value::Null };
    if input.contains("<aws.scheduler.") {
        let text = "placeholders are not replaced: let the task read its tick from ECSS_SCHEDULED_AT, and its firing from ECSS_FIRING_ID";
        remarks.needed("Target.Input", text);
    }
    let lost = match crate::json::parse(input.as_bytes()) {
        Ok(request @ Value::Object(_)) => return request,
        Err(error) if error.is_data() => {
            remarks.refuse("Target.Input", error.to_string());
            return Value::Null;
        }
        Ok(other) => format!("{}: {ODD_SHAPE}", excerpt(&other)),
        Err(error) => format!("not JSON: {error}"),
    };
    remarks.lost("Target.Input", lost);
    Value::Null
}

fn policies(target: &mut Fields, draft: &mut JobDraft, remarks: &mut Remarks) {
    if let Some(queue) = target.take("DeadLetterConfig") {
        let text = format!("{}: {DEAD_LETTERS}", excerpt(&queue));
        remarks.needed(target.path("DeadLetterConfig"), text);
    }
    let mut retry = target.object("RetryPolicy");
    let mut age = retry.count("MaximumEventAgeInSeconds", remarks);
    match retry.count("MaximumRetryAttempts", remarks) {
        Some(0) => {
            let text = "0: a launch is retried for one second, the minimum of retry.launch.maxAge";
            remarks.changed(retry.path("MaximumRetryAttempts"), text);
            age = Some(*MAX_AGE.start());
        }
        Some(attempts) => {
            let text = format!(
                "{attempts}: retries are not limited by number; retry.launch.maxAge limits their time"
            );
            remarks.changed(retry.path("MaximumRetryAttempts"), text);
        }
        None => {}
    }
    match age {
        Some(age) => {
            let bounded = age.clamp(*MAX_AGE.start(), *MAX_AGE.end());
            if bounded != age {
                remarks.changed(retry.path("MaximumEventAgeInSeconds"), format!("{age}: {bounded} is used"));
            }
            draft.set("retry", json!({ "launch": { "maxAge": format!("{bounded}s") } }));
        }
        None => {
            let text = "not set: EventBridge retries for 24 hours, the job for 10 minutes (the default of retry.launch.maxAge)";
            remarks.changed(retry.path("MaximumEventAgeInSeconds"), text);
        }
    }
    retry.report_unread(UNKNOWN_FIELD, remarks);
}

/// Makes keys begin with a small letter, as ECS and the job's document write them; `Input` of a universal target and
/// `EcsParameters` have them otherwise. Keys of tags are names, and stay.
fn camel(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let small = |key: String| {
                let mut chars = key.chars();
                chars
                    .next()
                    .map(|first| first.to_ascii_lowercase())
                    .into_iter()
                    .chain(chars)
                    .collect::<String>()
            };
            let lower = |(key, value): (String, Value)| {
                let value = if key.eq_ignore_ascii_case("tags") { value } else { camel(value) };
                (small(key), value)
            };
            map.into_iter().map(lower).collect()
        }
        Value::Array(items) => items.into_iter().map(camel).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

/// An ARN without a revision means the newest one, as the family's name does.
fn without_arn(definition: &str) -> String {
    match definition.rsplit_once(":task-definition/") {
        Some((_, family)) if !family.contains(':') || family.ends_with(":latest") => family.to_owned(),
        _ => definition.to_owned(),
    }
}

/// Reads what RunTask calls `overrides`; returns what is changed for the task as a whole.
fn overrides(mut task: Fields, draft: &mut JobDraft, remarks: &mut Remarks) -> Map<String, Value> {
    let mut changes = Vec::new();
    for mut container in task.objects("containerOverrides", remarks) {
        let mut change = Map::new();
        change.insert("containerName".to_owned(), container.text("name").unwrap_or_default().into());
        let mut environment = Map::new();
        for mut variable in container.objects("environment", remarks) {
            let place = variable.path("name");
            let name = variable.text("name").unwrap_or_default();
            let value = variable.text("value").unwrap_or_default();
            insert(&mut environment, place, name, value, remarks);
            variable.report_unread(UNKNOWN_FIELD, remarks);
        }
        if !environment.is_empty() {
            change.insert("environment".to_owned(), environment.into());
        }
        for name in
            ["command", "cpu", "memory", "memoryReservation", "environmentFiles", "resourceRequirements"]
        {
            change.extend(container.take(name).map(|value| (name.to_owned(), value)));
        }
        container.report_unread(UNKNOWN_FIELD, remarks);
        changes.push(Value::Object(change));
    }
    if !changes.is_empty() {
        draft.set("overrides", changes);
    }
    let mut whole = Map::new();
    for name in ["cpu", "memory", "taskRoleArn", "executionRoleArn"] {
        whole.extend(task.text(name).map(|text| (name.to_owned(), text.into())));
    }
    let mut storage = task.object("ephemeralStorage");
    whole.extend(storage.take("sizeInGiB").map(|size| ("ephemeralStorage".to_owned(), size)));
    storage.report_unread(UNKNOWN_FIELD, remarks);
    task.report_unread(UNKNOWN_FIELD, remarks);
    whole
}

/// Reads the rest of RunTask's request.
fn launch(mut request: Fields, of_the_task: Map<String, Value>, draft: &mut JobDraft, remarks: &mut Remarks) {
    let mut launch = Map::new();
    if !of_the_task.is_empty() {
        launch.insert("overrides".to_owned(), of_the_task.into());
    }
    if let Some(cluster) = request.text("cluster") {
        let region = cluster.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        launch.extend(region.map(|region| ("region".to_owned(), region.into())));
        launch.insert("cluster".to_owned(), cluster.into());
    }
    for name in AS_IT_IS {
        let value = request.take(name).filter(|value| !value.as_array().is_some_and(Vec::is_empty));
        launch.extend(value.map(|value| (name.to_owned(), value)));
    }
    launch
        .extend(request.take("enableECSManagedTags").map(|value| ("enableEcsManagedTags".to_owned(), value)));
    let volumes: Vec<Value> = request
        .objects("volumeConfigurations", remarks)
        .into_iter()
        .map(|volume| one_volume(volume, remarks))
        .collect();
    if !volumes.is_empty() {
        launch.insert("volumeConfigurations".to_owned(), volumes.into());
    }
    let mut configuration = request.object("networkConfiguration");
    let mut vpc = configuration.object("awsvpcConfiguration");
    let subnets = vpc.list("subnets");
    if !subnets.is_empty() {
        let public = vpc.text("assignPublicIp").as_deref() == Some("ENABLED");
        let network = json!({ "subnets": subnets, "securityGroups": vpc.list("securityGroups"), "assignPublicIp": public });
        launch.insert("network".to_owned(), network);
    }
    vpc.report_unread(UNKNOWN_FIELD, remarks);
    configuration.report_unread(UNKNOWN_FIELD, remarks);
    let mut tags = Map::new();
    for tag in request.objects("tags", remarks) {
        let place = tag.path("key");
        for (name, value) in one_tag(tag, remarks) {
            insert(&mut tags, place.clone(), name, value, remarks);
        }
    }
    if !tags.is_empty() {
        launch.insert("tags".to_owned(), tags.into());
    }
    for name in ["referenceId", "clientToken", "startedBy"] {
        request.report_lost(name, OWN, remarks);
    }
    request.report_unread(UNKNOWN_FIELD, remarks);
    draft.set("launch", launch);
}

/// Inserts a variable or a tag, and remarks on one without a name and on one that replaces another.
fn insert(map: &mut Map<String, Value>, place: String, name: String, value: String, remarks: &mut Remarks) {
    if name.is_empty() {
        return remarks.lost(place, "not set: the entry is left out");
    }
    if map.contains_key(&name) {
        remarks.changed(place, format!("{name} is there twice: the last value is used"));
    }
    map.insert(name, value.into());
}

/// Reads `{"Key": "team", "Value": "media"}`, as rules and RunTask have it, or `{"team": "media"}`, as schedules do.
fn one_tag(mut tag: Fields, remarks: &mut Remarks) -> Vec<(String, String)> {
    let names = tag.names();
    let of = |wanted: &str| names.iter().find(|name| name.eq_ignore_ascii_case(wanted));
    let pairs = match (names.len(), of("key"), of("value")) {
        (2, Some(key), Some(value)) => {
            let name = tag.plain(key).unwrap_or_default();
            vec![(name, tag.plain(value).unwrap_or_default())]
        }
        (1, Some(key), None) => vec![(tag.plain(key).unwrap_or_default(), String::new())],
        _ => names.iter().filter_map(|name| Some((name.clone(), tag.plain(name)?))).collect(),
    };
    tag.report_unread(ODD_SHAPE, remarks);
    pairs
}

/// Reads a volume, whose names are partly ECS's own and partly the job's.
fn one_volume(mut volume: Fields, remarks: &mut Remarks) -> Value {
    let name = volume.text("name");
    let mut ebs = volume.object("managedEBSVolume");
    let mut made = Map::new();
    for name in [
        "roleArn",
        "encrypted",
        "kmsKeyId",
        "volumeType",
        "sizeInGiB",
        "snapshotId",
        "iops",
        "throughput",
        "filesystemType",
    ] {
        made.extend(ebs.take(name).map(|value| (name.to_owned(), value)));
    }
    let mut end = ebs.object("terminationPolicy");
    made.extend(end.take("deleteOnTermination").map(|value| ("deleteOnTermination".to_owned(), value)));
    for rest in [end, ebs, volume] {
        rest.report_unread(UNKNOWN_FIELD, remarks);
    }
    json!({ "name": name, "managedEbsVolume": made })
}
