//! Reading tasks, a hundred at a time.

use aws_sdk_ecs::types::{Task, TaskField};
use ecs_scheduler_backend_aws::{Fault, READ_CLUSTER};
use ecs_scheduler_core::TaskId;

use crate::clients::{Clients, Regional};

/// Tasks that one call may name.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html>
pub(crate) const MOST: usize = 100;

/// Reads tasks of a cluster, at most [`MOST`]; those that ECS does not know any more are left out.
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
