//! What became of a call whose token ECS may have forgotten.

use aws_sdk_ecs::types::{DesiredStatus, Task};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{LaunchRequest, Search, StartedTask, TaskId, Timestamp};
use jiff::SignedDuration;

use crate::clients::{Clients, Regional};
use crate::cluster_poller::list;
use crate::describe;
use crate::request::{self, FIRING_ID, FIRING_TAG};
use crate::task_snapshot::TaskView;

#[cfg(test)]
mod tests;

/// For how long after a call the absence of its tasks proves that it started none: a stopped task is listed for an hour, and
/// clocks and listings may be off by a little.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>: stopped tasks appear for at least one hour.
const PROVES: SignedDuration = SignedDuration::from_mins(58);

/// How far ECS's clock may be behind this one.
const CLOCKS: SignedDuration = SignedDuration::from_secs(10);

/// Where to look.
pub(crate) struct Scope<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) at: &'a Regional,
    pub(crate) cluster: &'a str,
}

/// Looks for the tasks of a call.
pub(crate) async fn search(
    scope: &Scope<'_>,
    request: &LaunchRequest,
    sent_at: Timestamp,
    now: Timestamp,
) -> Result<Search, Fault> {
    let owner = request::started_by(&request.started_by);
    let (mut tasks, mut unreadable) = (Vec::new(), 0);
    for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
        let mut token = None;
        loop {
            let (page, next) =
                list(scope.clients, scope.at, scope.cluster, Some(&owner), status.clone(), token).await?;
            if !page.is_empty() {
                let read = describe::each(scope.clients, scope.at, scope.cluster, &page, true).await?;
                tasks.extend(read.tasks);
                unreadable += read.unreadable.len();
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
    }
    let found = judge(&tasks, request, sent_at, now);
    if matches!(found, Search::Nothing) && unreadable > 0 {
        return Ok(Search::Unclear(format!("{unreadable} tasks of the job cannot be read")));
    }
    Ok(found)
}

/// Whose a task is.
enum Belongs {
    ToIt,
    Elsewhere,
    Unmarked,
}

fn judge(tasks: &[Task], request: &LaunchRequest, sent_at: Timestamp, now: Timestamp) -> Search {
    let mut found = Vec::new();
    let mut unmarked = 0;
    for task in tasks {
        match belongs(task, request, sent_at) {
            Belongs::ToIt => found.push(StartedTask {
                task_id: TaskId::new(task.task_arn().unwrap_or_default()),
                host_id: task.container_instance_arn().map(str::to_owned),
            }),
            Belongs::Elsewhere => {}
            Belongs::Unmarked => unmarked += 1,
        }
    }
    found.sort_by(|one, other| one.task_id.cmp(&other.task_id));
    found.dedup_by(|one, other| one.task_id == other.task_id);
    if !found.is_empty() {
        return Search::Found(found);
    }
    if unmarked > 0 {
        return Search::Unclear(format!(
            "{unmarked} tasks of the job were started since, and carry neither the tag {FIRING_TAG} nor {FIRING_ID}"
        ));
    }
    if now.duration_since(sent_at) > PROVES {
        return Search::Unclear(
            "ECS forgets stopped tasks after an hour, and none of the call is left".to_owned(),
        );
    }
    Search::Nothing
}

fn belongs(task: &Task, request: &LaunchRequest, sent_at: Timestamp) -> Belongs {
    let firing = request.firing.as_str();
    let marked = |is: bool| if is { Belongs::ToIt } else { Belongs::Elsewhere };
    let tag = task.tags().iter().find(|tag| tag.key() == Some(FIRING_TAG));
    if let Some(value) = tag.and_then(|tag| tag.value()) {
        return marked(value == firing);
    }
    let containers = task.overrides().map(|overrides| overrides.container_overrides()).unwrap_or_default();
    let variables = containers.iter().flat_map(|container| container.environment());
    let mut told = variables.filter(|variable| variable.name() == Some(FIRING_ID));
    if let Some(value) = told.find_map(|variable| variable.value()) {
        return marked(value == firing);
    }
    let created = TaskView::from(task).created_at;
    let before = created.is_some_and(|at| at.saturating_add(CLOCKS).is_ok_and(|at| at < sent_at));
    if before { Belongs::Elsewhere } else { Belongs::Unmarked }
}
