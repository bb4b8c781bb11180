//! Finding the result of a call whose token ECS may have forgotten.

use aws_sdk_ecs::types::{DesiredStatus, Task};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{LaunchRequest, LostCall, StartedTask, TaskId, Timestamp};
use jiff::SignedDuration;

use crate::clients::{Clients, RegionClients};
use crate::cluster_poller::list_tasks;
use crate::describe;
use crate::options::FIRING_ID;
use crate::request::{self, FIRING_TAG};
use crate::task_snapshot::TaskSnapshot;

#[cfg(test)]
mod tests;

/// Time after a call for which missing tasks prove that it started none. A stopped task is listed for an hour; clocks
/// and listings may be off by a little.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>: stopped tasks appear for at
/// least one hour.
const ABSENCE_WINDOW: SignedDuration = SignedDuration::from_mins(58);

/// How far the clock of ECS may be behind this machine's.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(10);

/// The cluster to search.
pub(crate) struct SearchScope<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) at: &'a RegionClients,
    pub(crate) cluster: &'a str,
}

/// Finds the tasks that a call started.
pub(crate) async fn find_lost_launch(
    scope: &SearchScope<'_>,
    request: &LaunchRequest,
    sent_at: Timestamp,
    now: Timestamp,
) -> Result<LostCall, Fault> {
    let owner = request::started_by(&request.started_by);
    let (mut tasks, mut unreadable) = (Vec::new(), 0);
    for status in [DesiredStatus::Running, DesiredStatus::Stopped] {
        let mut token = None;
        loop {
            let (page, next) =
                list_tasks(scope.clients, scope.at, scope.cluster, Some(&owner), status.clone(), token)
                    .await?;
            if !page.is_empty() {
                let described =
                    describe::read_tasks(scope.clients, scope.at, scope.cluster, &page, true).await?;
                tasks.extend(described.tasks);
                unreadable += described.unreadable.len();
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
    }
    let found = classify_tasks(&tasks, request, sent_at, now);
    if matches!(found, LostCall::Nothing) && unreadable > 0 {
        return Ok(LostCall::Unknown(format!("{unreadable} tasks of the job could not be read")));
    }
    Ok(found)
}

/// The firing that a task belongs to.
enum Ownership {
    ThisFiring,
    OtherFiring,
    Unmarked,
}

fn classify_tasks(tasks: &[Task], request: &LaunchRequest, sent_at: Timestamp, now: Timestamp) -> LostCall {
    let mut found = Vec::new();
    let mut unmarked = 0;
    for task in tasks {
        match ownership(task, request, sent_at) {
            Ownership::ThisFiring => found.push(StartedTask::new(
                TaskId::new(task.task_arn().unwrap_or_default()),
                task.container_instance_arn().map(str::to_owned),
            )),
            Ownership::OtherFiring => {}
            Ownership::Unmarked => unmarked += 1,
        }
    }
    found.sort_by(|one, other| one.task_id.cmp(&other.task_id));
    found.dedup_by(|one, other| one.task_id == other.task_id);
    if !found.is_empty() {
        return LostCall::Found(found);
    }
    if unmarked > 0 {
        return LostCall::Unknown(format!(
            "{unmarked} tasks of the job that started since have neither the tag {FIRING_TAG} nor {FIRING_ID}"
        ));
    }
    if now.duration_since(sent_at) > ABSENCE_WINDOW {
        return LostCall::Unknown(
            "no task of the call is listed, and ECS forgets stopped tasks after an hour".to_owned(),
        );
    }
    LostCall::Nothing
}

fn ownership(task: &Task, request: &LaunchRequest, sent_at: Timestamp) -> Ownership {
    let firing = request.firing.as_str();
    let marked = |is: bool| if is { Ownership::ThisFiring } else { Ownership::OtherFiring };
    let tag = task.tags().iter().find(|tag| tag.key() == Some(FIRING_TAG));
    if let Some(value) = tag.and_then(|tag| tag.value()) {
        return marked(value == firing);
    }
    let containers = task.overrides().map(|overrides| overrides.container_overrides()).unwrap_or_default();
    let variables = containers.iter().flat_map(|container| container.environment());
    let mut firing_ids = variables.filter(|variable| variable.name() == Some(FIRING_ID));
    if let Some(value) = firing_ids.find_map(|variable| variable.value()) {
        return marked(value == firing);
    }
    let created = TaskSnapshot::from(task).created_at;
    let before = created.is_some_and(|at| at.saturating_add(CLOCK_TOLERANCE).is_ok_and(|at| at < sent_at));
    if before { Ownership::OtherFiring } else { Ownership::Unmarked }
}
