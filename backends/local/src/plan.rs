//! What exactly a launch starts: a definition with the job's overrides in it, as RunTask merges them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ecs_scheduler_core::{LaunchRequest, Override};
use serde::{Deserialize, Serialize};

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
    inherited: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<Vec<PlannedContainer>, String> {
    for change in &request.task.overrides {
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
    definition.containers.iter().map(|container| merged(container, request, inherited, folder)).collect()
}

fn merged(
    container: &Container,
    request: &LaunchRequest,
    inherited: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<PlannedContainer, String> {
    let mine = |change: &&Override| change.container_name == container.name;
    let changes: Vec<&Override> = request.task.overrides.iter().filter(mine).collect();
    let command =
        changes.iter().rev().find_map(|change| change.command.as_ref()).unwrap_or(&container.command);
    let argv: Vec<String> = container.entry_point.iter().chain(command).cloned().collect();
    if argv.first().is_none_or(String::is_empty) || argv.iter().any(|word| word.contains('\0')) {
        return Err(format!(
            "the command of container \"{}\" is empty or holds a NUL character",
            container.name
        ));
    }
    let mut environment = inherited.clone();
    environment.extend(container.environment.clone());
    for change in &changes {
        environment.extend(change.environment.clone());
    }
    if !changes.is_empty() {
        environment.insert(OVERRIDE_TAG.to_owned(), request.job.to_string());
    }
    environment.insert("ECSS_JOB_ID".to_owned(), request.job.to_string());
    environment.insert("ECSS_FIRING_ID".to_owned(), request.firing.to_string());
    environment.insert("ECSS_SCHEDULED_AT".to_owned(), request.scheduled_at.to_string());
    Ok(PlannedContainer {
        name: container.name.clone(),
        argv,
        environment,
        working_directory: container.working_directory.as_ref().map(|path| folder.join(path)),
        essential: container.essential,
        stop_timeout_secs: container.stop_timeout_secs,
        depends_on: container.depends_on.clone(),
    })
}

/// Names what the job asks for and a local process cannot have.
pub(crate) fn unsupported(request: &LaunchRequest) -> Vec<String> {
    let overrides = request.task.overrides.iter().flat_map(|change| {
        change.resources.keys().map(move |key| format!("overrides of {}: {key}", change.container_name))
    });
    overrides.chain(request.task.options.keys().map(|key| format!("launch: {key}"))).collect()
}
