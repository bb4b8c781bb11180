//! Task definitions in ECS's own JSON, as far as a local process can honour them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use ecs_scheduler_core::TaskSize;
use ecs_scheduler_core::text::describe_types;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// Default number of seconds between SIGTERM and SIGKILL.
pub const DEFAULT_STOP_TIMEOUT_SECS: u64 = 30;

/// Maximum number of seconds between SIGTERM and SIGKILL.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>: `stopTimeout` is at most 120.
pub const MAX_STOP_TIMEOUT_SECS: u64 = 120;

/// Maximum number of containers in a task definition.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const MAX_CONTAINERS: usize = 10;

/// Maximum length of the name of a family or container; container names become file names.
const MAX_NAME_LENGTH: usize = 200;

/// Descriptive fields of `describe-task-definition`, which have no effect on a task.
const DESCRIPTIVE_FIELDS: [&str; 12] = [
    "taskDefinitionArn",
    "status",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "compatibilities",
    "requiresCompatibilities",
    "requiresAttributes",
    "tags",
    "networkMode",
    "image",
    "dockerLabels",
];

/// A problem in a file of task definitions: the file, the field and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DefinitionProblem {
    /// The file.
    pub file: PathBuf,
    /// The field, for example `containerDefinitions[0].command`; empty when the problem is the whole file.
    pub field: String,
    /// The reason and the expected value.
    pub message: String,
}

impl fmt::Display for DefinitionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// One revision of a task definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDefinition {
    /// Its family.
    pub family: String,
    /// Its revision, from 1.
    pub revision: u32,
    /// The file that it was read from.
    pub file: PathBuf,
    /// Its containers, in the file's order.
    pub containers: Vec<Container>,
    /// The size of its tasks, with which budgets count. A local process is not bound to it.
    pub size: TaskSize,
    /// Fields that have no effect on a local process, for example `containerDefinitions[0].portMappings`.
    pub ignored: Vec<String>,
}

impl LocalDefinition {
    /// Returns `family:revision`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.family, self.revision)
    }
}

/// One container of a task definition: here, one process with its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Program and arguments before the command.
    pub entry_point: Vec<String>,
    /// The command, which a job may replace; a job must set it when the entry point is empty too.
    pub command: Vec<String>,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// Whether its end ends the task.
    pub essential: bool,
    /// The working directory, relative to the folder of the definitions.
    pub working_directory: Option<PathBuf>,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_timeout_secs: u64,
    /// The conditions on other containers before this one starts.
    pub depends_on: Vec<Dependency>,
    /// Its CPU units and MiB. A local process is not bound to them.
    pub size: (Option<u32>, Option<u32>),
}

/// A condition on another container before a container starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// The other container.
    pub container_name: String,
    /// The condition.
    pub condition: StartCondition,
}

/// The state of a container that a dependent one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StartCondition {
    /// It has started.
    Start,
    /// It has ended.
    Complete,
    /// It has ended with exit code 0.
    Success,
}

/// The output of `describe-task-definition`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDescription {
    task_definition: WireDefinition,
}

/// The JSON of a task definition.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDefinition {
    family: String,
    revision: Option<u32>,
    container_definitions: Vec<WireContainer>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The JSON of a container.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireContainer {
    name: String,
    entry_point: Option<Vec<String>>,
    command: Option<Vec<String>>,
    environment: Option<Vec<WireVariable>>,
    essential: Option<bool>,
    working_directory: Option<PathBuf>,
    stop_timeout: Option<u64>,
    depends_on: Option<Vec<WireDependency>>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The JSON of a dependency.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDependency {
    container_name: String,
    condition: String,
}

/// The JSON of an environment variable.
#[derive(Deserialize)]
struct WireVariable {
    name: String,
    value: String,
}

/// Tells whether a POSIX shell passes a variable of this name to a process.
pub(crate) fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Parses the text of a file: a task definition, alone or in the output of `describe-task-definition`.
///
/// # Errors
///
/// Fails with the field that is wrong.
pub fn parse(file: &Path, text: &str) -> Result<LocalDefinition, DefinitionProblem> {
    let problem =
        |field: String, message: String| DefinitionProblem { file: file.to_owned(), field, message };
    let value: Value = serde_json::from_str(text)
        .map_err(|error| problem(String::new(), format!("is not valid JSON: {error}")))?;
    // Reading the text again, not the value, finds members that are there twice.
    let mut reader = serde_json::Deserializer::from_str(text);
    let (prefix, wire) = if value.get("taskDefinition").is_some() {
        let described: Result<WireDescription, _> = serde_path_to_error::deserialize(&mut reader);
        ("taskDefinition.", described.map(|described| described.task_definition))
    } else {
        ("", serde_path_to_error::deserialize(&mut reader))
    };
    let wire: WireDefinition = wire.map_err(|error| {
        let path = error.path().to_string();
        problem(
            if path == "." { String::new() } else { path },
            describe_types(&error.into_inner().to_string()),
        )
    })?;
    check_name(&wire.family).map_err(|message| problem(format!("{prefix}family"), message))?;
    let revision = wire.revision.unwrap_or(1);
    if revision == 0 {
        return Err(problem(format!("{prefix}revision"), "counts from 1".to_owned()));
    }
    let mut ignored = ignored_keys(prefix, &wire.other);
    let size = TaskSize::new(
        amount(&wire.other, "cpu", TaskSize::parse_cpu),
        amount(&wire.other, "memory", TaskSize::parse_memory),
    );
    let mut containers = Vec::with_capacity(wire.container_definitions.len());
    for (index, container) in wire.container_definitions.into_iter().enumerate() {
        let at = format!("{prefix}containerDefinitions[{index}].");
        ignored.extend(ignored_keys(&at, &container.other));
        let container = validate_container(container)
            .map_err(|(field, message)| problem(format!("{at}{field}"), message))?;
        containers.push(container);
    }
    validate_containers(&containers)
        .map_err(|(field, message)| problem(format!("{prefix}containerDefinitions{field}"), message))?;
    Ok(LocalDefinition { family: wire.family, revision, file: file.to_owned(), containers, size, ignored })
}

/// Returns a number of CPU units or MiB, if it is given.
pub(crate) fn amount(fields: &Map<String, Value>, key: &str, parse: fn(&str) -> Option<u32>) -> Option<u32> {
    match fields.get(key)? {
        Value::String(text) => parse(text),
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns the CPU units and the MiB of a container, as far as they are given: the memory that is reserved, or else its limit.
pub(crate) fn container_size(fields: &Map<String, Value>) -> (Option<u32>, Option<u32>) {
    let memory = |key| amount(fields, key, TaskSize::parse_memory);
    (amount(fields, "cpu", TaskSize::parse_cpu), memory("memoryReservation").or_else(|| memory("memory")))
}

fn ignored_keys(prefix: &str, other: &Map<String, Value>) -> Vec<String> {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let has_effect =
        |(key, value): &(&String, &Value)| !DESCRIPTIVE_FIELDS.contains(&key.as_str()) && !empty(value);
    other.iter().filter(has_effect).map(|(key, _)| format!("{prefix}{key}")).collect()
}

fn check_name(name: &str) -> Result<(), String> {
    let valid = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    if name.is_empty() || name.len() > MAX_NAME_LENGTH || !name.bytes().all(valid) {
        return Err(format!(
            "\"{name}\" must be 1 to {MAX_NAME_LENGTH} letters, digits, hyphens and underscores"
        ));
    }
    Ok(())
}

/// A field and the reason why its value is invalid.
type FieldProblem = (String, String);

fn validate_container(wire: WireContainer) -> Result<Container, FieldProblem> {
    let at = |field: &str, message: &str| (field.to_owned(), message.to_owned());
    check_name(&wire.name).map_err(|message| ("name".to_owned(), message))?;
    let entry_point = wire.entry_point.unwrap_or_default();
    let command = wire.command.unwrap_or_default();
    if entry_point.iter().chain(&command).any(|word| word.contains('\0')) {
        return Err(at("command", "contains a NUL character"));
    }
    let mut environment = BTreeMap::new();
    for (index, WireVariable { name, value }) in wire.environment.unwrap_or_default().into_iter().enumerate()
    {
        check_variable(&name, &value).map_err(|message| (format!("environment[{index}]"), message))?;
        environment.insert(name, value);
    }
    let stop_timeout_secs = wire.stop_timeout.unwrap_or(DEFAULT_STOP_TIMEOUT_SECS);
    if stop_timeout_secs > MAX_STOP_TIMEOUT_SECS {
        let message = format!("is {stop_timeout_secs}; it must be at most {MAX_STOP_TIMEOUT_SECS} seconds");
        return Err(at("stopTimeout", &message));
    }
    let mut depends_on = Vec::new();
    for (index, dependency) in wire.depends_on.unwrap_or_default().into_iter().enumerate() {
        let condition = parse_condition(&dependency.condition)
            .map_err(|message| (format!("dependsOn[{index}].condition"), message))?;
        depends_on.push(Dependency { container_name: dependency.container_name, condition });
    }
    Ok(Container {
        name: wire.name,
        entry_point,
        command,
        environment,
        essential: wire.essential.unwrap_or(true),
        working_directory: wire.working_directory,
        stop_timeout_secs,
        depends_on,
        size: container_size(&wire.other),
    })
}

fn parse_condition(text: &str) -> Result<StartCondition, String> {
    match text {
        "START" => Ok(StartCondition::Start),
        "COMPLETE" => Ok(StartCondition::Complete),
        "SUCCESS" => Ok(StartCondition::Success),
        "HEALTHY" => Err(
            "HEALTHY is not supported: the local launcher runs no health checks; use START, or COMPLETE or \
             SUCCESS for a container that ends"
                .to_owned(),
        ),
        other => Err(format!("\"{other}\" is not a condition; use START, COMPLETE or SUCCESS")),
    }
}

/// Checks one environment variable.
///
/// # Errors
///
/// Fails with the reason when a local process cannot have this variable.
pub(crate) fn check_variable(name: &str, value: &str) -> Result<(), String> {
    if !is_variable_name(name) {
        return Err(format!(
            "\"{name}\" is not a valid variable name: use letters, digits and underscores, not a digit first"
        ));
    }
    if value.contains('\0') {
        return Err(format!("the value of \"{name}\" contains a NUL character"));
    }
    Ok(())
}

fn validate_containers(containers: &[Container]) -> Result<(), FieldProblem> {
    if containers.is_empty() {
        return Err((String::new(), "must contain at least one container".to_owned()));
    }
    if containers.len() > MAX_CONTAINERS {
        let message =
            format!("contains {} containers; at most {MAX_CONTAINERS} are allowed", containers.len());
        return Err((String::new(), message));
    }
    if !containers.iter().any(|container| container.essential) {
        return Err((String::new(), "at least one container must be essential".to_owned()));
    }
    for (index, container) in containers.iter().enumerate() {
        if containers[..index].iter().any(|other| other.name == container.name) {
            return Err((format!("[{index}].name"), format!("\"{}\" is used twice", container.name)));
        }
        for (position, dependency) in container.depends_on.iter().enumerate() {
            let field = format!("[{index}].dependsOn[{position}]");
            let name = &dependency.container_name;
            let Some(other) = containers.iter().find(|other| other.name == *name) else {
                return Err((field, format!("no container is named \"{name}\"")));
            };
            if other.essential && dependency.condition != StartCondition::Start {
                let message = format!("\"{name}\" is essential: its end would end the task");
                return Err((field, message));
            }
        }
    }
    check_cycles(containers)
}

/// Removes containers whose dependencies are removed, until none is left; containers that remain form a cycle.
fn check_cycles(containers: &[Container]) -> Result<(), FieldProblem> {
    let mut removed = HashSet::new();
    let mut left: Vec<usize> = (0..containers.len()).collect();
    while let Some(first) = left.first().copied() {
        let before = left.len();
        left.retain(|index| {
            let container = &containers[*index];
            let mut depends_on = container.depends_on.iter();
            let is_free = depends_on.all(|dependency| removed.contains(dependency.container_name.as_str()));
            !(is_free && removed.insert(container.name.as_str()))
        });
        if left.len() == before {
            let message = "the dependencies of the containers form a cycle".to_owned();
            return Err((format!("[{first}].dependsOn"), message));
        }
    }
    Ok(())
}
