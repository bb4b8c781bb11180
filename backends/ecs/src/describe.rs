//! Reading tasks, a hundred at a time.

use aws_sdk_ecs::types::{Task, TaskField};
use ecs_scheduler_backend_aws::{Fault, READ_CLUSTER};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{FaultKind, TaskId};

use crate::clients::{Clients, Regional};

/// Tasks that one call may name.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>
pub(crate) const MOST: usize = 100;

/// After so many names that ECS refuses, and none that it accepts, it is not the names that are wrong.
const REFUSALS: usize = 5;

/// The tasks that were read.
#[derive(Debug, Default)]
pub(crate) struct Described {
    /// Those that ECS knows.
    pub(crate) tasks: Vec<Task>,
    /// Those whose names ECS refuses.
    pub(crate) unreadable: Vec<TaskId>,
}

/// Reads tasks of a cluster, at most [`MOST`]. ECS refuses a whole call because of one name, so a call that it calls invalid
/// is halved until the name is alone.
pub(crate) async fn each(
    clients: &Clients,
    at: &Regional,
    cluster: &str,
    names: &[TaskId],
    with_tags: bool,
) -> Result<Described, Fault> {
    let mut described = Described::default();
    let mut calls = clients.unreadable.calls(names);
    let mut answered = false;
    while let Some(call) = calls.pop() {
        match tasks(clients, at, cluster, &call, with_tags).await {
            Ok(found) => {
                answered = true;
                clients.unreadable.forget(&call);
                described.tasks.extend(found);
            }
            Err(fault) if fault.kind() != FaultKind::Config => return Err(fault),
            Err(fault) if call.len() == 1 => {
                let task = &call[0];
                if clients.unreadable.note(task) {
                    let error = chain(&fault);
                    tracing::warn!(%task, cluster, error, "a task cannot be read; others are read without it");
                }
                described.unreadable.push(task.clone());
                if described.unreadable.len() == REFUSALS && !answered {
                    return Err(fault);
                }
            }
            Err(_) => {
                let (first, second) = call.split_at(call.len() / 2);
                calls.extend([second.to_vec(), first.to_vec()]);
            }
        }
    }
    Ok(described)
}

/// Reads tasks of a cluster, at most [`MOST`], in one call; those that ECS does not know any more are left out.
pub(crate) async fn tasks(
    clients: &Clients,
    at: &Regional,
    cluster: &str,
    tasks: &[TaskId],
    with_tags: bool,
) -> Result<Vec<Task>, Fault> {
    let names = tasks.iter().map(|task| task.as_str().to_owned()).collect();
    let call = async {
        let mut call = at.client.describe_tasks().cluster(cluster).set_tasks(Some(names));
        if with_tags {
            call = call.include(TaskField::Tags);
        }
        let answer = call.send().await;
        answer.map_err(|error| {
            Fault::of(error, format!("could not read {} tasks of cluster \"{cluster}\"", tasks.len()))
        })
    };
    let answer = clients.paced(at, READ_CLUSTER, call).await?;
    Ok(answer.tasks.unwrap_or_default())
}
