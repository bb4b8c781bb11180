//! The lasting faults of clusters, so that the log has a line when a fault begins or changes, and one when it ends.

use std::collections::HashMap;

use ecs_scheduler_backend_aws::AwsScope;
use parking_lot::Mutex;

#[cfg(test)]
mod tests;

/// The text of the present fault of each cluster that has one, for one kind of call.
#[derive(Debug, Default)]
pub(crate) struct ClusterFaults(Mutex<HashMap<(AwsScope, String), String>>);

impl ClusterFaults {
    /// Records the fault of a cluster. Returns whether it is new, or has another text than before.
    pub(crate) fn insert(&self, scope: &AwsScope, cluster: &str, text: &str) -> bool {
        let before = self.0.lock().insert((scope.clone(), cluster.to_owned()), text.to_owned());
        before.is_none_or(|before| before != text)
    }

    /// Records that a call for a cluster succeeded. Returns whether the cluster had a fault.
    pub(crate) fn clear(&self, scope: &AwsScope, cluster: &str) -> bool {
        let mut faults = self.0.lock();
        !faults.is_empty() && faults.remove(&(scope.clone(), cluster.to_owned())).is_some()
    }
}
