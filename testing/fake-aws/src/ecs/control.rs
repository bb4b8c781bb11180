//! Control of the fake ECS by tests, without calling it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::model::{EcsState, Status};
use super::render::{Dates, render_task};
use super::task_lifecycle::StopCause;
use crate::fake::Fake;
use crate::{Refused, Service};

/// The control of the fake ECS, from the same process.
#[derive(Debug, Clone, Copy)]
pub struct EcsControl<'a>(pub(crate) &'a Fake);

impl EcsControl<'_> {
    /// Makes a cluster with the Fargate capacity providers.
    pub fn create_cluster(&self, name: &str) {
        let body = json!({ "clusterName": name, "capacityProviders": ["FARGATE", "FARGATE_SPOT"] });
        self.0.call(Service::Ecs, "CreateCluster", &body).expect("test clusters have good names");
    }

    /// Registers a task definition, as in `RegisterTaskDefinition`, and returns its ARN.
    ///
    /// # Errors
    ///
    /// Fails when ECS would not accept it.
    pub fn register(&self, definition: &Value) -> Result<String, Refused> {
        let answer = self.0.call(Service::Ecs, "RegisterTaskDefinition", definition)?;
        Ok(answer["taskDefinition"]["taskDefinitionArn"].as_str().unwrap_or_default().to_owned())
    }

    /// Registers a task definition with one container named `main`, for Fargate and EC2, and returns its ARN.
    pub fn register_simple(&self, family: &str) -> String {
        let definition = json!({
            "family": family,
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "containerDefinitions": [{ "name": "main", "image": "busybox", "essential": true }],
        });
        self.register(&definition).expect("the definition is complete")
    }

    /// Returns all tasks that ECS still shows, in the order of their starts.
    #[must_use]
    pub fn tasks(&self) -> Vec<Value> {
        self.0.with_state(|state, _| state.ecs.all_tasks())
    }

    /// Ends a running task with an exit code of its containers; returns whether it was running.
    #[must_use]
    pub fn finish(&self, task_arn: &str, exit_code: i32) -> bool {
        self.0.with_state(|state, now| {
            let done = state.ecs.finish(task_arn, exit_code, now);
            state.advance(now);
            done
        })
    }
}

impl EcsState {
    pub(crate) fn all_tasks(&self) -> Vec<Value> {
        self.tasks.values().map(|task| render_task(task, Dates::Epoch, true)).collect()
    }

    /// Lets a running task end by itself, now.
    pub(crate) fn finish(&mut self, arn: &str, exit_code: i32, now: Timestamp) -> bool {
        let Some(&number) = self.by_arn.get(arn) else { return false };
        let task = self.tasks.get_mut(&number).expect("every indexed task is kept");
        if task.last != Status::Running || task.to_stop {
            return false;
        }
        for container in &mut task.containers {
            container.exit_code = Some(exit_code);
        }
        let reason = "Essential container in task exited".to_owned();
        self.stop(number, &StopCause { code: "EssentialContainerExited", reason }, now);
        true
    }
}
