//! The containers that a launch starts: a definition merged with the job's overrides, as RunTask merges them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ecs_scheduler_core::{ConfigError, LaunchRequest, Override, TaskSize, TaskSpec};
use serde::{Deserialize, Serialize};

use crate::definition::{Container, Dependency, LocalDefinition, amount, check_variable, container_size};
use crate::options::LocalOptions;

#[cfg(test)]
mod tests;

/// The variable of containers that a job overrides, as in the Python version.
const OVERRIDE_TAG: &str = "ECS_SCHEDULER_OVERRIDE_TAG";

/// A container with the resolved command, environment and working directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResolvedContainer {
    pub(crate) name: String,
    /// Program and arguments; never empty.
    pub(crate) argv: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// The absolute path; absent for the task's own scratch folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) working_directory: Option<PathBuf>,
    pub(crate) essential: bool,
    pub(crate) stop_timeout_secs: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends_on: Vec<Dependency>,
}

/// Merges a definition and the job's overrides.
///
/// # Errors
///
/// Fails with the reason why RunTask would reject a parameter.
pub(crate) fn resolve_task(
    definition: &LocalDefinition,
    request: &LaunchRequest,
    options: &LocalOptions,
    folder: &Path,
) -> Result<Vec<ResolvedContainer>, String> {
    check_overrides(definition, &request.task)?;
    let resolve = |container| resolve_container(container, request, options, folder);
    Ok(definition.containers.iter().map(resolve).collect())
}

/// Checks that this definition can be launched with the job's overrides.
///
/// # Errors
///
/// Fails with the reason why RunTask would reject a parameter.
pub(crate) fn check_overrides(definition: &LocalDefinition, task: &TaskSpec) -> Result<(), String> {
    for change in &task.overrides {
        if !definition.containers.iter().any(|container| container.name == change.container_name) {
            let known: Vec<&str> = definition.containers.iter().map(|container| &*container.name).collect();
            return Err(format!(
                "override for container named \"{}\" is not a container in task definition {}; its containers are {}",
                change.container_name,
                definition.name(),
                known.join(", ")
            ));
        }
        for (name, value) in &change.environment {
            check_variable(name, value).map_err(|reason| {
                format!("environment of container \"{}\": {reason}", change.container_name)
            })?;
        }
    }
    for container in &definition.containers {
        let argv = argv(container, &task.overrides);
        if argv.is_empty() {
            return Err(format!(
                "container \"{}\" has no command, and a local process has no image to take it from; set one in \
                 the job's overrides or in task definition {}",
                container.name,
                definition.name()
            ));
        }
        if argv[0].is_empty() || argv.iter().any(|word| word.contains('\0')) {
            let name = &container.name;
            return Err(format!("the command of container \"{name}\" is empty or contains a NUL character"));
        }
    }
    Ok(())
}

fn overrides_for<'a>(
    container: &'a Container,
    overrides: &'a [Override],
) -> impl Iterator<Item = &'a Override> {
    overrides.iter().filter(|change| change.container_name == container.name)
}

/// Returns program and arguments of a container; the last command in the job's overrides counts.
fn argv(container: &Container, overrides: &[Override]) -> Vec<String> {
    let command = overrides_for(container, overrides).filter_map(|change| change.command.as_ref()).last();
    container.entry_point.iter().chain(command.unwrap_or(&container.command)).cloned().collect()
}

fn resolve_container(
    container: &Container,
    request: &LaunchRequest,
    options: &LocalOptions,
    folder: &Path,
) -> ResolvedContainer {
    let overrides = &request.task.overrides;
    let mut environment = options.environment.clone();
    environment.extend(container.environment.clone());
    for change in overrides_for(container, overrides) {
        environment.extend(change.environment.clone());
    }
    let is_overridden = overrides_for(container, overrides).next().is_some();
    if is_overridden {
        environment.insert(OVERRIDE_TAG.to_owned(), request.job.to_string());
    }
    environment.insert("ECSS_JOB_ID".to_owned(), request.job.to_string());
    if is_overridden || options.variables {
        environment.insert("ECSS_FIRING_ID".to_owned(), request.firing.to_string());
        environment.insert("ECSS_SCHEDULED_AT".to_owned(), request.scheduled_at.to_string());
    }
    ResolvedContainer {
        name: container.name.clone(),
        argv: argv(container, overrides),
        environment,
        working_directory: container.working_directory.as_ref().map(|path| folder.join(path)),
        essential: container.essential,
        stop_timeout_secs: container.stop_timeout_secs,
        depends_on: container.depends_on.clone(),
    }
}

/// Returns the size of a task as ECS would count it: that of the job's `launch.overrides`, of the definition, or of all containers.
pub(crate) fn measure(definition: &LocalDefinition, task: &TaskSpec) -> TaskSize {
    let of_job = task.options.get("overrides").and_then(serde_json::Value::as_object);
    let of_job = |key, parse| of_job.and_then(|fields| amount(fields, key, parse));
    let cpu = of_job("cpu", TaskSize::parse_cpu).or(definition.size.cpu);
    let memory = of_job("memory", TaskSize::parse_memory).or(definition.size.memory);
    let containers = definition.containers.iter().map(|container| {
        overrides_for(container, &task.overrides).fold(container.size, |(cpu, memory), change| {
            let changed = container_size(&change.resources);
            (changed.0.or(cpu), changed.1.or(memory))
        })
    });
    TaskSize::new(cpu, memory).or_containers(containers)
}

/// Returns the fields of the job that a local process cannot honour.
pub(crate) fn unsupported_fields(task: &TaskSpec) -> Vec<String> {
    let overrides = task.overrides.iter().flat_map(|change| {
        change.resources.keys().map(move |key| format!("overrides of {}: {key}", change.container_name))
    });
    overrides.chain(task.options.keys().map(|key| format!("launch: {key}"))).collect()
}

/// Reviews a job that is about to be written; returns warnings.
///
/// # Errors
///
/// Fails with the reason why its launches would be refused.
pub(crate) fn review(
    definition: Result<&LocalDefinition, String>,
    task: &TaskSpec,
) -> Result<Vec<String>, ConfigError> {
    let mut warnings: Vec<String> = unsupported_fields(task)
        .into_iter()
        .map(|field| format!("the local launcher cannot honour {field}; it is ignored"))
        .collect();
    match definition {
        Ok(definition) => {
            check_overrides(definition, task).map_err(|message| ConfigError::at("/overrides", message))?;
            let is_unknown = |name: &&String| definition.containers.iter().all(|one| one.name != **name);
            if let Some(name) = task.succeeds_by.as_ref().filter(is_unknown) {
                let definition = definition.name();
                warnings.push(format!("succeedsBy names \"{name}\", which {definition} does not have"));
            }
        }
        Err(missing) => warnings.push(missing),
    }
    Ok(warnings)
}
