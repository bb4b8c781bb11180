//! The task fields of a job: `taskDefinition`, `overrides`, `launch`, `succeedsBy`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::prefix_error;
use super::reader::Reader;
use super::scalar::{MISSING, NOT_A_STRING, NULL, collect_error, object, string};
use crate::job::JobId;
use crate::job::field_error::{FieldError, FieldPath};
use crate::registry::ConfigError;
use crate::task::{Override, TaskSpec};

/// The maximum length of a job's overrides, in characters of JSON.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html>: 8,192 characters with
/// formatting and escape characters.
pub const MAX_OVERRIDES: usize = 8_192;

/// The Python version's message about an invalid name.
pub(super) const WRONG_NAME: &str =
    "task definition names must contain only alphanumeric, underscore, and hyphen";

/// The message about an ARN of another kind of resource.
pub(super) const WRONG_ARN: &str = "Must be the ARN of a task definition, such as \
     arn:aws:ecs:eu-central-1:123456789012:task-definition/report:3; without a revision it means the family's newest.";

/// Fields of one override; those that are passed to the launcher unchanged come last.
const FIELDS: [&str; 8] = [
    "containerName",
    "environment",
    "command",
    "cpu",
    "memory",
    "memoryReservation",
    "environmentFiles",
    "resourceRequirements",
];

/// Reads the task fields.
pub(super) fn read(reader: &mut Reader<'_>, id: &JobId) -> TaskSpec {
    let definition = definition(reader, id).unwrap_or_default();
    let overrides = overrides(reader);
    let options = options(reader);
    let succeeds_by = reader.field("succeedsBy", string).map(str::to_owned);
    let task = TaskSpec { definition, overrides, options, succeeds_by };
    if let Some(launcher) = reader.cx.launcher {
        let is_written = ["launch", "overrides", "taskDefinition"].iter().any(|name| reader.is_strict(name));
        let wrong = match launcher.check(&task) {
            Err(error) => vec![error],
            Ok(()) if is_written => launcher.review(&task).err().unwrap_or_default(),
            Ok(()) => Vec::new(),
        };
        reader.errors.extend(wrong.iter().map(launcher_error));
    }
    task
}

/// Makes a field error of a launcher's error, whose pointer begins at the document root.
fn launcher_error(error: &ConfigError) -> FieldError {
    let path = error.pointer.strip_prefix('/').unwrap_or_default();
    let (field, rest) = match path.split_once('/') {
        Some((field, _)) => (field, &error.pointer[field.len() + 1..]),
        None => (path, ""),
    };
    let field = if field.is_empty() { "launch" } else { field };
    prefix_error(&FieldPath::field(field), &ConfigError::at(rest, error.message.as_str()))
}

fn definition(reader: &mut Reader<'_>, id: &JobId) -> Option<String> {
    const NAME: &str = "taskDefinition";
    let Some(value) = reader.get(NAME) else {
        if reader.is_strict(NAME) && reader.was_removed(NAME) {
            reader.errors.push(FieldPath::field(NAME).error(NULL));
        }
        return Some(id.as_str().to_owned());
    };
    let path = FieldPath::field(NAME);
    let text = collect_error(string(value, &path), &mut reader.errors)?;
    if !is_definition(text) {
        reader.errors.push(path.error(if text.starts_with("arn:") { WRONG_ARN } else { WRONG_NAME }));
        return None;
    }
    Some(text.to_owned())
}

/// Tells whether a text is a family, `family:revision`, or the ARN of one of them.
pub(super) fn is_definition(text: &str) -> bool {
    let Some(arn) = text.strip_prefix("arn:") else { return is_family_revision(text) };
    let mut parts = arn.splitn(5, ':');
    let named = |part: Option<&str>| {
        part.is_some_and(|part| {
            !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        })
    };
    named(parts.next())
        && parts.next() == Some("ecs")
        && named(parts.next())
        && named(parts.next())
        && parts.next().and_then(|rest| rest.strip_prefix("task-definition/")).is_some_and(is_family_revision)
}

fn is_family_revision(text: &str) -> bool {
    match text.split_once(':') {
        None => JobId::new(text).is_ok(),
        Some((family, revision)) => {
            JobId::new(family).is_ok()
                && revision.parse::<u32>().is_ok_and(|n| n > 0)
                && revision.bytes().all(|c| c.is_ascii_digit())
        }
    }
}

fn overrides(reader: &mut Reader<'_>) -> Vec<Override> {
    const NAME: &str = "overrides";
    let Some(value) = reader.get(NAME) else { return Vec::new() };
    let path = FieldPath::field(NAME);
    let Value::Array(items) = value else {
        let message = if value.is_null() { NULL } else { "Not a valid list." };
        reader.errors.push(path.error(message));
        return Vec::new();
    };
    let strict = reader.is_strict(NAME);
    if strict && value.to_string().chars().count() > MAX_OVERRIDES {
        reader.errors.push(path.error(format!("Longer than maximum length {MAX_OVERRIDES} as JSON.")));
        return Vec::new();
    }
    let mut coerced = false;
    let read = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| {
            one_override(item, &path.index(index), strict, &mut coerced, &mut reader.errors)
        })
        .collect();
    if coerced {
        reader.rewrite(NAME, stringify_environments);
    }
    read
}

fn one_override(
    value: &Value,
    path: &FieldPath<'_>,
    strict: bool,
    coerced: &mut bool,
    errors: &mut Vec<FieldError>,
) -> Option<Override> {
    let fields = object(value, path, &FIELDS, strict, errors)?;
    let container_name = match fields.get("containerName") {
        None => Err(path.key("containerName").error(MISSING)),
        Some(name) => string(name, &path.key("containerName")),
    };
    let container_name = collect_error(container_name, errors).map(str::to_owned);
    let environment = match fields.get("environment") {
        None => BTreeMap::new(),
        Some(value) => environment(value, &path.key("environment"), strict, coerced, errors),
    };
    let command = fields.get("command").and_then(|value| command(value, &path.key("command"), errors));
    let mut resources = Map::new();
    for name in &FIELDS[3..] {
        if let Some(value) = fields.get(*name) {
            resource(name, value, &path.key(name), errors);
            resources.insert((*name).to_owned(), value.clone());
        }
    }
    Some(Override { container_name: container_name?, environment, command, resources })
}

fn environment(
    value: &Value,
    path: &FieldPath<'_>,
    strict: bool,
    coerced: &mut bool,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<String, String> {
    let Value::Object(variables) = value else {
        if strict || !value.is_null() {
            errors.push(path.error(if value.is_null() { NULL } else { "Not a valid mapping type." }));
        }
        return BTreeMap::new();
    };
    let mut environment = BTreeMap::new();
    for (name, value) in variables {
        *coerced |= !value.is_string();
        let scalar = matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
        if strict && !scalar {
            errors.push(path.key(name).error(NOT_A_STRING));
        }
        environment.insert(name.clone(), stringify(value));
    }
    environment
}

/// Writes a value as the text of an environment variable: a string as is, `null` as the empty string, the rest as JSON.
fn stringify(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn stringify_environments(overrides: &mut Value) {
    let items = overrides.as_array_mut().into_iter().flatten();
    for variables in items.filter_map(|item| item.get_mut("environment")?.as_object_mut()) {
        for value in variables.values_mut().filter(|value| !value.is_string()) {
            *value = Value::String(stringify(value));
        }
    }
}

fn command(value: &Value, path: &FieldPath<'_>, errors: &mut Vec<FieldError>) -> Option<Vec<String>> {
    let Value::Array(words) = value else {
        errors.push(path.error(if value.is_null() { NULL } else { "Not a valid list." }));
        return None;
    };
    let words = words.iter().enumerate();
    let words = words.filter_map(|(index, word)| collect_error(string(word, &path.index(index)), errors));
    Some(words.map(str::to_owned).collect())
}

/// Checks the type of a field that is passed to the launcher unchanged.
fn resource(name: &str, value: &Value, path: &FieldPath<'_>, errors: &mut Vec<FieldError>) {
    let message = if value.is_null() {
        NULL
    } else if matches!(name, "environmentFiles" | "resourceRequirements") {
        if value.is_array() {
            return;
        }
        "Not a valid list."
    } else {
        if value.as_u64().is_some_and(|n| i32::try_from(n).is_ok()) {
            return;
        }
        "Not a valid integer."
    };
    errors.push(path.error(message));
}

fn options(reader: &mut Reader<'_>) -> Map<String, Value> {
    const NAME: &str = "launch";
    let Some(value) = reader.get(NAME) else { return Map::new() };
    let path = FieldPath::field(NAME);
    match value {
        Value::Object(options) => return options.clone(),
        Value::Null => reader.errors.push(path.error(NULL)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            reader.errors.push(path.error_of_whole("Invalid input type."));
        }
    }
    Map::new()
}
