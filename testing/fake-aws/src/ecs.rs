//! The fake ECS.

mod check;
mod cluster;
mod control;
mod definition;
mod events;
mod model;
mod names;
mod overrides;
mod page;
mod placement;
mod render;
mod run_task;
mod settings;
mod sizes;
mod tags;
mod task_lifecycle;
mod tasks;
mod token;
mod volumes;

use jiff::Timestamp;
use serde_json::Value;

use crate::launch_log::LaunchLog;
use crate::scope::AwsScope;
use crate::wire::Failure;

pub(crate) use cluster::key as cluster_key;
pub(crate) use model::{EcsState, Task};
pub(crate) use render::seconds;

pub use control::EcsControl;
pub use model::Tag;
pub use settings::{Capacity, EcsSettings, EventFeed, EventForm, TaskLifecycle};

impl EcsState {
    /// Answers a call.
    pub(crate) fn handle(
        &mut self,
        scope: &AwsScope,
        operation: &str,
        body: &Value,
        now: Timestamp,
        settings: &mut EcsSettings,
        launch_log: &mut LaunchLog,
    ) -> Result<Value, Failure> {
        let mut answer = match operation {
            "RunTask" => self.run_task(scope, body, now, settings, launch_log),
            "ListTasks" => self.list_tasks(scope, body, now, settings),
            "DescribeTasks" => self.describe_tasks(scope, body),
            "StopTask" => self.stop_task(scope, body, now, settings, launch_log),
            "RegisterTaskDefinition" => self.register(scope, body, seconds(now)),
            "DescribeTaskDefinition" => self.describe_definition(scope, body),
            "DeregisterTaskDefinition" => self.deregister(scope, body, seconds(now)),
            "ListTaskDefinitions" => self.list_definitions(scope, body),
            "CreateCluster" => self.create_cluster(scope, body),
            "DescribeClusters" => self.describe_clusters(scope, body),
            "ListTagsForResource" => self.list_tags(scope, body),
            "TagResource" => self.tag(scope, body),
            _ => Err(Failure::client(
                "UnknownOperationException",
                format!("the fake has no ECS operation {operation}"),
            )),
        }?;
        if settings.without_versions {
            let tasks = answer.get_mut("tasks").and_then(Value::as_array_mut).into_iter().flatten();
            for task in tasks.filter_map(Value::as_object_mut) {
                task.remove("version");
            }
        }
        Ok(answer)
    }
}
