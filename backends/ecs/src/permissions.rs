//! What a role must permit for these tasks, and nothing more.

use std::collections::BTreeSet;

use ecs_scheduler_core::{LaunchError, Permission, TaskSpec};

use crate::place::cluster_name;
use crate::shared::Shared;

/// Lists the permissions. The roles of tasks are read from their definitions.
pub(crate) async fn of(shared: &Shared, tasks: &[TaskSpec]) -> Result<Vec<Permission>, LaunchError> {
    let mut all = BTreeSet::from([Permission::new("ecs:DescribeTaskDefinition", "*")]);
    for task in tasks {
        let options = shared.read(task)?;
        let region = options.region.as_deref().unwrap_or("*");
        let cluster = cluster_name(shared.cluster(&options));
        let arn = |what: &str| format!("arn:aws:ecs:{region}:*:{what}");
        let in_cluster = |permission: Permission| {
            permission.given("ArnLike", "ecs:cluster", arn(&format!("cluster/{cluster}")))
        };
        let own_tasks = arn(&format!("task/{cluster}/*"));
        let family = task.definition.rsplit('/').next().unwrap_or(&task.definition);
        let family = family.split(':').next().unwrap_or(family);
        let definitions = arn(&format!("task-definition/{family}:*"));
        all.insert(in_cluster(Permission::new("ecs:RunTask", definitions)));
        all.insert(in_cluster(Permission::new("ecs:ListTasks", "*")));
        all.insert(in_cluster(Permission::new("ecs:DescribeTasks", own_tasks.as_str())));
        all.insert(in_cluster(Permission::new("ecs:StopTask", own_tasks.as_str())));
        if shared.options.tags || !options.tags.is_empty() {
            let tag = Permission::new("ecs:TagResource", own_tasks);
            all.insert(tag.given("StringEquals", "ecs:CreateAction", "RunTask"));
        }
        for role in roles(shared, task).await? {
            let pass = Permission::new("iam:PassRole", role);
            all.insert(pass.given("StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com"));
        }
    }
    if let Some(queue) = &shared.options.events_queue {
        let name = queue.rsplit('/').next().unwrap_or(queue);
        let queue = format!("arn:aws:sqs:*:*:{name}");
        for action in ["sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:DeleteMessage"] {
            all.insert(Permission::new(action, queue.as_str()));
        }
    }
    Ok(all.into_iter().collect())
}

/// Returns the roles that a task runs with.
async fn roles(shared: &Shared, task: &TaskSpec) -> Result<BTreeSet<String>, LaunchError> {
    let options = shared.read(task)?;
    let at = shared.clients.of(options.region.as_deref()).await?;
    let known = shared.definitions.find(&shared.clients, &at, &task.definition).await?;
    let (task_role, execution_role) =
        known.map_or((None, None), |known| (known.task_role.clone(), known.execution_role.clone()));
    let changed = options.overrides;
    let roles = [task_role, execution_role, changed.task_role_arn, changed.execution_role_arn];
    Ok(roles.into_iter().flatten().filter(|role| role.starts_with("arn:")).collect())
}
