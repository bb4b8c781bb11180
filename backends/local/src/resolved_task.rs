//! What exactly a launch starts: a definition with the job's overrides in it, as RunTask merges them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ecs_scheduler_core::{ConfigError, LaunchRequest, Override, TaskSpec};
use serde::{Deserialize, Serialize};

use crate::LocalOptions;
use crate::definition::{Container, Definition, Dependency, check_variable};

#[cfg(test)]
mod tests;

/// The variable that marks containers which a job overrides, as in the Python version.
const OVERRIDE_TAG: &str = "ECS_SCHEDULER_OVERRIDE_TAG";

/// One container with everything that its process is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PlannedContainer {
    pub(crate) name: String,
    /// Program and arguments; never empty.
    pub(crate) argv: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    /// Absolute; absent for the task's own scratch folder.
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
/// Fails with what RunTask would call an invalid parameter.
pub(crate) fn plan(
    definition: &Definition,
    request: &LaunchRequest,
    options: &LocalOptions,
    folder: &Path,
) -> Result<Vec<PlannedContainer>, String> {
    check(definition, &request.task)?;
    Ok(definition.containers.iter().map(|container| merged(container, request, options, folder)).collect())
}

/// Looks for what a launch of this definition would refuse in a job.
///
/// # Errors
///
/// Fails with what RunTask would call an invalid parameter.
pub(crate) fn check(definition: &Definition, task: &TaskSpec) -> Result<(), String> {
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
            check_variable(name, value)
                .map_err(|what| format!("environment of container \"{}\": {what}", change.container_name))?;
        }
    }
    for container in &definition.containers {
        let argv = argv(container, &task.overrides);
        if argv.is_empty() {
            return Err(format!(
                "container \"{}\" has no command, and a local process has no image to take it from; give it one in \
                 the job's overrides or in task definition {}",
                container.name,
                definition.name()
            ));
        }
        if argv[0].is_empty() || argv.iter().any(|word| word.contains('\0')) {
            let name = &container.name;
            return Err(format!("the command of container \"{name}\" is empty or holds a NUL character"));
        }
    }
    Ok(())
}

fn changes_of<'a>(container: &'a Container, overrides: &'a [Override]) -> impl Iterator<Item = &'a Override> {
    overrides.iter().filter(|change| change.container_name == container.name)
}

/// Returns program and arguments of a container: the last command that the job gives counts.
fn argv(container: &Container, overrides: &[Override]) -> Vec<String> {
    let command = changes_of(container, overrides).filter_map(|change| change.command.as_ref()).last();
    container.entry_point.iter().chain(command.unwrap_or(&container.command)).cloned().collect()
}

fn merged(
    container: &Container,
    request: &LaunchRequest,
    options: &LocalOptions,
    folder: &Path,
) -> PlannedContainer {
    let overrides = &request.task.overrides;
    let mut environment = options.environment.clone();
    environment.extend(container.environment.clone());
    for change in changes_of(container, overrides) {
        environment.extend(change.environment.clone());
    }
    let is_overridden = changes_of(container, overrides).next().is_some();
    if is_overridden {
        environment.insert(OVERRIDE_TAG.to_owned(), request.job.to_string());
    }
    environment.insert("ECSS_JOB_ID".to_owned(), request.job.to_string());
    if is_overridden || options.variables {
        environment.insert("ECSS_FIRING_ID".to_owned(), request.firing.to_string());
        environment.insert("ECSS_SCHEDULED_AT".to_owned(), request.scheduled_at.to_string());
    }
    PlannedContainer {
        name: container.name.clone(),
        argv: argv(container, overrides),
        environment,
        working_directory: container.working_directory.as_ref().map(|path| folder.join(path)),
        essential: container.essential,
        stop_timeout_secs: container.stop_timeout_secs,
        depends_on: container.depends_on.clone(),
    }
}

/// Names what the job asks for and a local process cannot have.
pub(crate) fn unsupported(task: &TaskSpec) -> Vec<String> {
    let overrides = task.overrides.iter().flat_map(|change| {
        change.resources.keys().map(move |key| format!("overrides of {}: {key}", change.container_name))
    });
    overrides.chain(task.options.keys().map(|key| format!("launch: {key}"))).collect()
}

/// Looks at a job that is written now. Returns what is worth a warning.
///
/// # Errors
///
/// Fails with what its launches would be refused for.
pub(crate) fn review(
    definition: Result<&Definition, String>,
    task: &TaskSpec,
) -> Result<Vec<String>, ConfigError> {
    let mut warnings: Vec<String> = unsupported(task)
        .into_iter()
        .map(|what| format!("the local launcher cannot honour {what}; it is ignored"))
        .collect();
    match definition {
        Ok(definition) => {
            check(definition, task).map_err(|message| ConfigError::at("/overrides", message))?;
            let absent = |name: &&String| definition.containers.iter().all(|one| one.name != **name);
            if let Some(name) = task.succeeds_by.as_ref().filter(absent) {
                let definition = definition.name();
                warnings.push(format!("succeedsBy names \"{name}\", which {definition} does not have"));
            }
        }
        Err(missing) => warnings.push(missing),
    }
    Ok(warnings)
}
