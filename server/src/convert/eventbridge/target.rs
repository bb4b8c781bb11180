//! The target of a schedule or a rule: RunTask, with everything that EventBridge hands to it.

use serde_json::{Map, Value, json};

use super::super::{Draft, Fields, Remarks};
use super::UNKNOWN;

/// EventBridge Scheduler's own way to call RunTask, whose input is the request.
const UNIVERSAL: &str = ":aws-sdk:ecs:runTask";
/// The bounds of `retry.launch.maxAge`, in seconds.
const MAX_AGE: std::ops::RangeInclusive<u64> = 1..=86_400;

/// What a job's `launch` takes as RunTask does.
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
pub(super) fn read(mut target: Fields, draft: &mut Draft, remarks: &mut Remarks) -> bool {
    let arn = target.text("Arn").unwrap_or_default();
    let input = target.text("Input");
    let parameters = target.take("EcsParameters");
    let mut request = if arn.ends_with(UNIVERSAL) {
        let request = parse(input.as_deref(), remarks);
        Fields::at("Target.Input", camel(request))
    } else if let Some(parameters) = parameters {
        let mut parameters = camel(parameters);
        parameters["cluster"] = arn.into();
        parameters["overrides"] = parse(input.as_deref(), remarks);
        Fields::at("Target.EcsParameters", parameters)
    } else {
        return false;
    };
    policies(&mut target, draft, remarks);
    let own_role =
        "tasks are started with the scheduler's own role; `ecs-scheduler iam-policy` prints what it needs";
    target.lose("RoleArn", own_role, remarks);
    for name in ["InputPath", "InputTransformer"] {
        target.lose(name, "there is no event that it could be taken from", remarks);
    }
    target.ignore(&["Id"]);
    target.end(UNKNOWN, remarks);
    let definition = request.text("taskDefinitionArn").or_else(|| request.text("taskDefinition"));
    draft.set("taskDefinition", definition.map(|arn| without_arn(&arn)).unwrap_or_default());
    let count = request.count("taskCount", remarks).or_else(|| request.count("count", remarks));
    draft.set("taskCount", count.unwrap_or(1));
    let of_the_task = overrides(request.object("overrides"), draft, remarks);
    launch(request, of_the_task, draft, remarks);
    true
}

fn parse(input: Option<&str>, remarks: &mut Remarks) -> Value {
    let Some(input) = input else { return Value::Null };
    if input.contains("<aws.scheduler.") {
        let text = "its placeholders stay as they are; a task finds its tick in ECSS_SCHEDULED_AT, its firing in ECSS_FIRING_ID";
        remarks.changed("Target.Input", text);
    }
    serde_json::from_str(input).unwrap_or_else(|error| {
        remarks.lost("Target.Input", format!("it is not JSON: {error}"));
        Value::Null
    })
}

fn policies(target: &mut Fields, draft: &mut Draft, remarks: &mut Remarks) {
    target.lose("DeadLetterConfig", "a launch that fails is in the job's history, with the reason", remarks);
    let mut retry = target.object("RetryPolicy");
    if let Some(age) = retry.count("MaximumEventAgeInSeconds", remarks) {
        let age = age.clamp(*MAX_AGE.start(), *MAX_AGE.end());
        draft.set("retry", json!({ "launch": { "maxAge": format!("{age}s") } }));
    }
    if let Some(attempts) = retry.count("MaximumRetryAttempts", remarks) {
        let text = format!("{attempts}: attempts are not counted; retry.launch.maxAge ends them");
        remarks.changed("Target.RetryPolicy.MaximumRetryAttempts", text);
    }
    retry.end(UNKNOWN, remarks);
}

/// Makes keys begin with a small letter, as ECS and the job's document write them; `Input` of a universal target and
/// `EcsParameters` have them otherwise.
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
            map.into_iter().map(|(key, value)| (small(key), camel(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(camel).collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

/// An ARN without a revision means the newest one, as the family's name does.
fn without_arn(definition: &str) -> String {
    match definition.rsplit_once(":task-definition/") {
        Some((_, family)) if !family.contains(':') => family.to_owned(),
        _ => definition.to_owned(),
    }
}

/// Reads what RunTask calls `overrides`; returns what is changed for the task as a whole.
fn overrides(mut task: Fields, draft: &mut Draft, remarks: &mut Remarks) -> Map<String, Value> {
    let path = task.path("containerOverrides");
    let mut changes = Vec::new();
    for (number, container) in task.list("containerOverrides").into_iter().enumerate() {
        let mut container = Fields::at(format!("{path}[{number}]"), container);
        let mut change = Map::new();
        change.insert("containerName".to_owned(), container.text("name").unwrap_or_default().into());
        let pair =
            |mut variable: Value| Some((variable["name"].as_str()?.to_owned(), variable["value"].take()));
        let environment: Map<String, Value> =
            container.list("environment").into_iter().filter_map(pair).collect();
        if !environment.is_empty() {
            change.insert("environment".to_owned(), environment.into());
        }
        for name in
            ["command", "cpu", "memory", "memoryReservation", "environmentFiles", "resourceRequirements"]
        {
            change.extend(container.take(name).map(|value| (name.to_owned(), value)));
        }
        container.end(UNKNOWN, remarks);
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
    storage.end(UNKNOWN, remarks);
    task.end(UNKNOWN, remarks);
    whole
}

/// Reads the rest of RunTask's request.
fn launch(mut request: Fields, of_the_task: Map<String, Value>, draft: &mut Draft, remarks: &mut Remarks) {
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
    let mut configuration = request.object("networkConfiguration");
    let mut vpc = configuration.object("awsvpcConfiguration");
    let subnets = vpc.list("subnets");
    if !subnets.is_empty() {
        let public = vpc.text("assignPublicIp").as_deref() == Some("ENABLED");
        let network = json!({ "subnets": subnets, "securityGroups": vpc.list("securityGroups"), "assignPublicIp": public });
        launch.insert("network".to_owned(), network);
    }
    vpc.end(UNKNOWN, remarks);
    configuration.end(UNKNOWN, remarks);
    let tags = tags(request.list("tags"));
    if !tags.is_empty() {
        launch.insert("tags".to_owned(), tags.into());
    }
    request.lose("referenceId", "tasks carry the job's name in `startedBy` and in the tag ecss:job", remarks);
    request.ignore(&["clientToken", "startedBy"]);
    request.end(UNKNOWN, remarks);
    draft.set("launch", launch);
}

fn tags(items: Vec<Value>) -> Map<String, Value> {
    let pair = |mut tag: Value| Some((tag["key"].as_str()?.to_owned(), tag["value"].take()));
    items.into_iter().filter_map(pair).collect()
}
