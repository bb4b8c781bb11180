//! The region and cluster of a task, read from its ARN, so that nothing need be stored.

use ecs_scheduler_core::TaskId;

#[cfg(test)]
mod tests;

/// A region and a cluster in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskLocation {
    /// The region; the default one when absent.
    pub(crate) region: Option<String>,
    /// The cluster, by name or ARN.
    pub(crate) cluster: String,
}

impl TaskLocation {
    /// Reads the location of a task: `arn:aws:ecs:<region>:<account>:task/<cluster>/<id>`. Tasks with ARNs of the old
    /// format, and ids that are no ARNs, count as tasks of the default cluster.
    pub(crate) fn from_task_id(task: &TaskId, default: &str) -> Self {
        let mut parts = task.as_str().splitn(6, ':');
        let region = parts.nth(3).filter(|region| !region.is_empty()).map(str::to_owned);
        let cluster = parts.nth(1).and_then(|rest| rest.strip_prefix("task/")?.split_once('/'));
        let cluster = cluster.map_or_else(|| default.to_owned(), |(cluster, _)| cluster.to_owned());
        Self { region, cluster }
    }
}

/// Returns a cluster's name, given its name or ARN.
pub(crate) fn cluster_name(cluster: &str) -> &str {
    cluster.rsplit_once("cluster/").map_or(cluster, |(_, name)| name)
}
