//! `ListTasks`, `DescribeTasks`, `StopTask`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{ClusterKey, EcsState, Task};
use super::page::Page;
use super::render::{Dates, render_task};
use super::settings::EcsSettings;
use super::task_lifecycle::StopCause;
use crate::clock::later;
use crate::launch_log::LaunchLog;
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

/// Maximum number of tasks in one `DescribeTasks`.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>
const MAX_DESCRIBED: usize = 100;

/// Maximum length of a task's id. One longer id makes the whole call fail.
const MAX_ID_LENGTH: usize = 36;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    cluster: Option<String>,
    started_by: Option<String>,
    family: Option<String>,
    launch_type: Option<String>,
    service_name: Option<String>,
    container_instance: Option<String>,
    desired_status: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Describe {
    cluster: Option<String>,
    #[serde(default)]
    tasks: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stop {
    cluster: Option<String>,
    task: String,
    reason: Option<String>,
}

impl List {
    fn check(&self) -> Result<(), Failure> {
        let others = [&self.family, &self.launch_type, &self.service_name, &self.container_instance];
        if self.started_by.is_some() && others.into_iter().any(Option::is_some) {
            return Err(Failure::parameter("cannot specify startedBy with other arguments"));
        }
        if self.family.is_some() && self.service_name.is_some() {
            return Err(Failure::parameter("cannot specify family and serviceName together"));
        }
        match self.desired_status.as_deref() {
            None | Some("RUNNING" | "PENDING" | "STOPPED") => Ok(()),
            Some(_) => Err(Failure::parameter("desiredStatus should be one of [RUNNING, PENDING, STOPPED].")),
        }
    }

    fn matches(&self, task: &Task) -> bool {
        let same = |wanted: &Option<String>, has: Option<&str>| wanted.is_none() || wanted.as_deref() == has;
        let status = self.desired_status.as_deref().unwrap_or("RUNNING");
        status == task.desired()
            && same(&self.started_by, task.started_by.as_deref())
            && same(&self.family, Some(&task.family))
            && same(&self.launch_type, Some(&task.launch_type))
            && same(&self.container_instance, task.instance.as_deref())
            && self.service_name.is_none()
    }
}

impl EcsState {
    pub(crate) fn list_tasks(
        &self,
        scope: &AwsScope,
        body: &Value,
        now: Timestamp,
        settings: &EcsSettings,
    ) -> Result<Value, Failure> {
        let request: List = read(body)?;
        request.check()?;
        let (key, _) = self.cluster(scope, request.cluster.as_deref())?;
        let page = Page::from_request(request.max_results, request.next_token.as_deref(), body)?;
        let all = self.tasks.range(page.after + 1..);
        let shown = all.filter(|(_, task)| {
            task.cluster == key && request.matches(task) && later(task.created_at, settings.list_lag) <= now
        });
        Ok(page.answer("taskArns", shown.map(|(number, task)| (*number, task.arn.clone()))))
    }

    pub(crate) fn describe_tasks(&self, scope: &AwsScope, body: &Value) -> Result<Value, Failure> {
        let request: Describe = read(body)?;
        let (key, _) = self.cluster(scope, request.cluster.as_deref())?;
        if request.tasks.is_empty() {
            return Err(Failure::parameter("Tasks cannot be empty."));
        }
        if request.tasks.len() > MAX_DESCRIBED {
            return Err(Failure::parameter("Tasks cannot have more than 100 elements"));
        }
        if request.tasks.iter().any(|named| id_of(named).len() > MAX_ID_LENGTH) {
            return Err(Failure::parameter(format!("taskId longer than {MAX_ID_LENGTH}.")));
        }
        let with_tags = request.include.iter().any(|what| what == "TAGS");
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for named in &request.tasks {
            match self.task_number(&key, named) {
                Some(number) => found.push(render_task(&self.tasks[&number], Dates::Epoch, with_tags)),
                None => failures.push(json!({ "arn": full_arn(&key, named), "reason": "MISSING" })),
            }
        }
        Ok(json!({ "tasks": found, "failures": failures }))
    }

    pub(crate) fn stop_task(
        &mut self,
        scope: &AwsScope,
        body: &Value,
        now: Timestamp,
        settings: &EcsSettings,
        launch_log: &mut LaunchLog,
    ) -> Result<Value, Failure> {
        let request: Stop = read(body)?;
        let (key, _) = self.cluster(scope, request.cluster.as_deref())?;
        if request.reason.as_ref().is_some_and(|reason| reason.chars().count() > 255) {
            return Err(Failure::parameter("reason must be at most 255 characters."));
        }
        let unknown = || Failure::parameter("The referenced task was not found.");
        let number = self.task_number(&key, &request.task).ok_or_else(unknown)?;
        let reason = request.reason.unwrap_or_else(|| "Task stopped by user".to_owned());
        self.stop(number, &StopCause { code: "UserInitiated", reason }, now);
        self.advance(now, settings, launch_log);
        Ok(json!({ "task": render_task(&self.tasks[&number], Dates::Epoch, true) }))
    }

    /// Finds a task of a cluster by its id or ARN.
    fn task_number(&self, cluster: &ClusterKey, named: &str) -> Option<u64> {
        let number = self.by_arn.get(&full_arn(cluster, named))?;
        (self.tasks[number].cluster == *cluster).then_some(*number)
    }
}

/// Returns the last part of a task's id or ARN.
fn id_of(named: &str) -> &str {
    named.rsplit('/').next().unwrap_or(named)
}

fn full_arn(cluster: &ClusterKey, named: &str) -> String {
    if named.starts_with("arn:") {
        return named.to_owned();
    }
    cluster.scope.arn("ecs", &format!("task/{}/{named}", cluster.name))
}
