//! Reading the states of tasks, up to a hundred per call.

use aws_sdk_ecs::types::{Task, TaskField};
use ecs_scheduler_backend_aws::{Fault, READ_CLUSTER};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{FaultKind, TaskId};

use crate::clients::{Clients, RegionClients};

/// Maximum number of tasks that one call may name.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>
pub(crate) const MAX_TASKS: usize = 100;

/// Number of refused names, with none accepted, after which the cause is not the names.
const MAX_REFUSALS: usize = 5;

/// The tasks that were read.
#[derive(Debug, Default)]
pub(crate) struct Described {
    /// Tasks that ECS knows.
    pub(crate) tasks: Vec<Task>,
    /// Tasks whose names ECS refuses, each with the refusal.
    pub(crate) unreadable: Vec<(TaskId, Fault)>,
}

/// Reads tasks of a cluster, at most [`MAX_TASKS`]. ECS refuses a whole call because of one name, so an invalid call
/// is split in halves until the name is alone.
pub(crate) async fn read_tasks(
    clients: &Clients,
    at: &RegionClients,
    cluster: &str,
    names: &[TaskId],
    with_tags: bool,
) -> Result<Described, Fault> {
    let mut described = Described::default();
    let mut calls = clients.refused_names.split_calls(names);
    let mut answered = false;
    while let Some(call) = calls.pop() {
        match read_once(clients, at, cluster, &call, with_tags).await {
            Ok(found) => {
                answered = true;
                clients.refused_names.remove(&call);
                described.tasks.extend(found);
            }
            Err(fault) if fault.kind() != FaultKind::Config => return Err(fault),
            Err(fault) if call.len() == 1 => {
                let task = &call[0];
                if clients.refused_names.insert(task) {
                    let error = chain(&fault);
                    tracing::warn!(%task, cluster, error, "could not read a task; reading the others without it");
                }
                if described.unreadable.len() + 1 == MAX_REFUSALS && !answered {
                    return Err(fault);
                }
                described.unreadable.push((task.clone(), fault));
            }
            Err(_) => {
                let (first, second) = call.split_at(call.len() / 2);
                calls.extend([second.to_vec(), first.to_vec()]);
            }
        }
    }
    Ok(described)
}

/// Reads tasks of a cluster, at most [`MAX_TASKS`], in one call. Tasks that ECS does not know any more are left out.
pub(crate) async fn read_once(
    clients: &Clients,
    at: &RegionClients,
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
            Fault::from_sdk(error, format!("could not read {} tasks of cluster \"{cluster}\"", tasks.len()))
        })
    };
    let answer = clients.call_paced(&at.scope, READ_CLUSTER, call).await?;
    Ok(answer.tasks.unwrap_or_default())
}
