//! The variables that the scheduler adds to the containers of a task, and the length of a job's overrides with them.

use std::collections::BTreeMap;

use ecs_scheduler_core::{TaskSpec, Timestamp};
use serde_json::{Value, json};

use super::{LaunchOptions, TaskOverrides};

/// The variable by which the Python version marked its tasks.
const OVERRIDE_TAG: &str = "ECS_SCHEDULER_OVERRIDE_TAG";
/// The variable that names the firing.
pub(crate) const FIRING_ID: &str = "ECSS_FIRING_ID";
/// The variable with the nominal moment.
pub(crate) const SCHEDULED_AT: &str = "ECSS_SCHEDULED_AT";

/// The variables that name the firing to a task's containers.
pub(crate) struct FiringVariables<'a> {
    pub(crate) job: &'a str,
    pub(crate) firing: &'a str,
    pub(crate) scheduled_at: &'a str,
}

impl FiringVariables<'_> {
    /// Returns the variables that every container gets.
    pub(crate) fn firing(&self) -> [(&'static str, &str); 2] {
        [(FIRING_ID, self.firing), (SCHEDULED_AT, self.scheduled_at)]
    }

    /// Returns the variables of a container that the job overrides: the user's in order, then the scheduler's, which
    /// replace equal names.
    pub(crate) fn environment(&self, user: &BTreeMap<String, String>) -> Vec<(String, String)> {
        let mut all: Vec<_> = user.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, value) in std::iter::once((OVERRIDE_TAG, self.job)).chain(self.firing()) {
            match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => value.clone_into(old),
                None => all.push((name.to_owned(), value.to_owned())),
            }
        }
        all
    }
}

/// Returns the maximum length of a job's overrides, in characters of JSON, with the firing's variables for them and
/// for the other containers.
pub(crate) fn overrides_length(task: &TaskSpec, options: &LaunchOptions, others: &[&str]) -> usize {
    // A firing's id has 32 digits; the longest job name fits its `startedBy`.
    let variables = FiringVariables {
        job: &"j".repeat(64),
        firing: &"f".repeat(32),
        scheduled_at: &Timestamp::MAX.to_string(),
    };
    let pair = |name: &str, value: &str| json!({"name": name, "value": value});
    let changed = task.overrides.iter().map(|change| {
        let variables = variables.environment(&change.environment);
        let variables: Vec<_> = variables.iter().map(|(name, value)| pair(name, value)).collect();
        let mut object = json!({"name": change.container_name, "environment": variables});
        if let Some(command) = &change.command {
            object["command"] = json!(command);
        }
        for (name, value) in &change.resources {
            object[name.as_str()] = value.clone();
        }
        object
    });
    let others = others.iter().map(|container| {
        let variables = variables.firing().map(|(name, value)| pair(name, value));
        json!({"name": container, "environment": variables})
    });
    let containers: Vec<Value> = changed.chain(others).collect();
    let whole = &options.overrides;
    if containers.is_empty() && *whole == TaskOverrides::default() {
        return 0;
    }
    let all = json!({
        "containerOverrides": containers, "cpu": whole.cpu, "memory": whole.memory, "taskRoleArn": whole.task_role_arn,
        "executionRoleArn": whole.execution_role_arn, "ephemeralStorage": whole.ephemeral_storage,
    });
    all.to_string().chars().count()
}
