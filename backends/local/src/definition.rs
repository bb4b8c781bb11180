//! A task definition in ECS's own JSON, as far as a local process can honour it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(test)]
mod tests;

/// How long a container may take to end after SIGTERM when its definition does not say, in seconds.
pub const DEFAULT_STOP_TIMEOUT_SECS: u64 = 30;

/// The longest time between SIGTERM and SIGKILL, in seconds.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>: `stopTimeout` is at most 120.
pub const MAX_STOP_TIMEOUT_SECS: u64 = 120;

/// The most containers of a task definition.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const MAX_CONTAINERS: usize = 10;

/// The most characters of a family's or a container's name; container names become file names.
const MAX_NAME: usize = 200;

/// What `describe-task-definition` adds for people to read: nothing is lost by passing over it.
const DESCRIPTIVE: [&str; 12] = [
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

/// What is wrong with a file of task definitions, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DefinitionProblem {
    /// The file.
    pub file: PathBuf,
    /// The field, for example `containerDefinitions[0].command`; empty when the file as a whole is meant.
    pub field: String,
    /// What is wrong and what is expected.
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
pub struct Definition {
    /// Its family.
    pub family: String,
    /// Its revision, from 1.
    pub revision: u32,
    /// The file that it was read from.
    pub file: PathBuf,
    /// Its containers, in the file's order.
    pub containers: Vec<Container>,
    /// Fields that have no effect on a local process, for example `containerDefinitions[0].portMappings`.
    pub ignored: Vec<String>,
}

impl Definition {
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
    /// What stands before the command.
    pub entry_point: Vec<String>,
    /// The command, which a job may replace; without an entry point too, a job must give it.
    pub command: Vec<String>,
    /// Its own variables.
    pub environment: BTreeMap<String, String>,
    /// Whether its end ends the task.
    pub essential: bool,
    /// Where it starts; relative to the folder of the definitions.
    pub working_directory: Option<PathBuf>,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_timeout_secs: u64,
    /// What must have happened to other containers before this one starts.
    pub depends_on: Vec<Dependency>,
}

/// What a container waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// The other container.
    pub container_name: String,
    /// What must have happened to it.
    pub condition: Condition,
}

/// What must have happened to a container before one that depends on it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Condition {
    /// It was started.
    Start,
    /// It ended.
    Complete,
    /// It ended with exit code 0.
    Success,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDefinition {
    family: String,
    revision: Option<u32>,
    container_definitions: Vec<WireContainer>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDependency {
    container_name: String,
    condition: String,
}

#[derive(Deserialize)]
struct WireVariable {
    name: String,
    value: String,
}

/// Tells whether a process behind a POSIX shell can be given a variable of this name.
pub(crate) fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Reads one file's text: a task definition, bare or as `describe-task-definition` prints it.
///
/// # Errors
///
/// Fails with the field that is wrong.
pub fn parse(file: &Path, text: &str) -> Result<Definition, DefinitionProblem> {
    let problem =
        |field: String, message: String| DefinitionProblem { file: file.to_owned(), field, message };
    let value: Value = serde_json::from_str(text)
        .map_err(|error| problem(String::new(), format!("is not valid JSON: {error}")))?;
    let (prefix, value) = match value.get("taskDefinition") {
        Some(inner) => ("taskDefinition.", inner.clone()),
        None => ("", value),
    };
    let wire: WireDefinition = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field =
            if path == "." { prefix.trim_end_matches('.').to_owned() } else { format!("{prefix}{path}") };
        problem(field, error.into_inner().to_string())
    })?;
    check_name(&wire.family).map_err(|message| problem(format!("{prefix}family"), message))?;
    let revision = wire.revision.unwrap_or(1);
    if revision == 0 {
        return Err(problem(format!("{prefix}revision"), "counts from 1".to_owned()));
    }
    let mut ignored = ignored_keys(prefix, &wire.other);
    let mut containers = Vec::with_capacity(wire.container_definitions.len());
    for (index, container) in wire.container_definitions.into_iter().enumerate() {
        let at = format!("{prefix}containerDefinitions[{index}].");
        ignored.extend(ignored_keys(&at, &container.other));
        let container =
            checked(container).map_err(|(field, message)| problem(format!("{at}{field}"), message))?;
        containers.push(container);
    }
    check_together(&containers)
        .map_err(|(field, message)| problem(format!("{prefix}containerDefinitions{field}"), message))?;
    Ok(Definition { family: wire.family, revision, file: file.to_owned(), containers, ignored })
}

fn ignored_keys(prefix: &str, other: &Map<String, Value>) -> Vec<String> {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let weighs = |(key, value): &(&String, &Value)| !DESCRIPTIVE.contains(&key.as_str()) && !empty(value);
    other.iter().filter(weighs).map(|(key, _)| format!("{prefix}{key}")).collect()
}

fn check_name(name: &str) -> Result<(), String> {
    let fine = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fine) {
        return Err(format!("\"{name}\" must be 1 to {MAX_NAME} letters, digits, hyphens and underscores"));
    }
    Ok(())
}

type FieldProblem = (String, String);

fn checked(wire: WireContainer) -> Result<Container, FieldProblem> {
    let at = |field: &str, message: &str| (field.to_owned(), message.to_owned());
    check_name(&wire.name).map_err(|message| ("name".to_owned(), message))?;
    let entry_point = wire.entry_point.unwrap_or_default();
    let command = wire.command.unwrap_or_default();
    if entry_point.iter().chain(&command).any(|word| word.contains('\0')) {
        return Err(at("command", "holds a NUL character"));
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
        let condition = condition(&dependency.condition)
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
    })
}

fn condition(text: &str) -> Result<Condition, String> {
    match text {
        "START" => Ok(Condition::Start),
        "COMPLETE" => Ok(Condition::Complete),
        "SUCCESS" => Ok(Condition::Success),
        "HEALTHY" => {
            Err("HEALTHY cannot be had: the local launcher runs no health checks; use START, or COMPLETE or \
                          SUCCESS of a container that ends"
                .to_owned())
        }
        other => Err(format!("\"{other}\" is not a condition; use START, COMPLETE or SUCCESS")),
    }
}

/// Checks one environment variable.
///
/// # Errors
///
/// Fails with what is wrong when a local process cannot be given it.
pub(crate) fn check_variable(name: &str, value: &str) -> Result<(), String> {
    if !is_variable_name(name) {
        return Err(format!(
            "\"{name}\" cannot be given to a local process: use letters, digits and underscores, not a digit first"
        ));
    }
    if value.contains('\0') {
        return Err(format!("the value of \"{name}\" holds a NUL character"));
    }
    Ok(())
}

fn check_together(containers: &[Container]) -> Result<(), FieldProblem> {
    if containers.is_empty() {
        return Err((String::new(), "must hold at least one container".to_owned()));
    }
    if containers.len() > MAX_CONTAINERS {
        let message = format!("holds {} containers; it must hold at most {MAX_CONTAINERS}", containers.len());
        return Err((String::new(), message));
    }
    if !containers.iter().any(|container| container.essential) {
        return Err((String::new(), "at least one container must be essential".to_owned()));
    }
    for (index, container) in containers.iter().enumerate() {
        if containers[..index].iter().any(|other| other.name == container.name) {
            return Err((format!("[{index}].name"), format!("\"{}\" is used twice", container.name)));
        }
        for (place, dependency) in container.depends_on.iter().enumerate() {
            let field = format!("[{index}].dependsOn[{place}]");
            let name = &dependency.container_name;
            let Some(other) = containers.iter().find(|other| other.name == *name) else {
                return Err((field, format!("no container is called \"{name}\"")));
            };
            if other.essential && dependency.condition != Condition::Start {
                let message = format!("\"{name}\" is essential: its end would end the task");
                return Err((field, message));
            }
        }
    }
    check_order(containers)
}

/// Starts containers whose dependencies have started, until none is left; what remains depends on itself.
fn check_order(containers: &[Container]) -> Result<(), FieldProblem> {
    let mut started = HashSet::new();
    let mut left: Vec<usize> = (0..containers.len()).collect();
    while let Some(first) = left.first().copied() {
        let before = left.len();
        left.retain(|index| {
            let container = &containers[*index];
            let mut depends_on = container.depends_on.iter();
            let starts = depends_on.all(|dependency| started.contains(dependency.container_name.as_str()));
            !(starts && started.insert(container.name.as_str()))
        });
        if left.len() == before {
            let message = "containers wait for each other in a circle".to_owned();
            return Err((format!("[{first}].dependsOn"), message));
        }
    }
    Ok(())
}
