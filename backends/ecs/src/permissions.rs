//! The minimal permissions that a role needs for the jobs.

use std::collections::BTreeSet;

use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{LaunchError, Permission, TaskSpec};

use crate::context::LauncherContext;
use crate::events;
use crate::log_destination::LogDestination;
use crate::options::PropagateTags;
use crate::task_location::cluster_name;

/// Returns the permissions. The roles of tasks are read from their definitions.
pub(crate) async fn required(
    shared: &LauncherContext,
    tasks: &[TaskSpec],
) -> Result<Vec<Permission>, LaunchError> {
    let mut all = BTreeSet::from([Permission::new("ecs:DescribeTaskDefinition", "*")]);
    for task in tasks {
        let options = shared.parse_options(task)?;
        let region = options.region.as_deref().unwrap_or("*");
        let cluster = cluster_name(shared.cluster(&options));
        let arn = |what: &str| format!("arn:aws:ecs:{region}:*:{what}");
        let in_cluster = |permission: Permission| {
            permission.with_condition("ArnLike", "ecs:cluster", arn(&format!("cluster/{cluster}")))
        };
        let own_tasks = arn(&format!("task/{cluster}/*"));
        let family = task.definition.rsplit('/').next().unwrap_or(&task.definition);
        let family = family.split(':').next().unwrap_or(family);
        let definitions = arn(&format!("task-definition/{family}:*"));
        all.insert(in_cluster(Permission::new("ecs:RunTask", definitions)));
        all.insert(in_cluster(Permission::new("ecs:ListTasks", "*")));
        all.insert(in_cluster(Permission::new("ecs:DescribeTasks", own_tasks.as_str())));
        all.insert(in_cluster(Permission::new("ecs:StopTask", own_tasks.as_str())));
        let is_tagged = options.propagate_tags == Some(PropagateTags::TaskDefinition)
            || options.enable_ecs_managed_tags == Some(true);
        if shared.options.tags || !options.tags.is_empty() || is_tagged {
            let tag = Permission::new("ecs:TagResource", own_tasks);
            all.insert(tag.with_condition("StringEquals", "ecs:CreateAction", "RunTask"));
        }
        for role in passed_roles(shared, task).await? {
            let pass = Permission::new("iam:PassRole", role);
            all.insert(pass.with_condition("StringEquals", "iam:PassedToService", "ecs-tasks.amazonaws.com"));
        }
        for volume in &options.volume_configurations {
            let pass = Permission::new("iam:PassRole", volume.managed_ebs_volume.role_arn.as_str());
            all.insert(pass.with_condition("StringEquals", "iam:PassedToService", "ecs.amazonaws.com"));
        }
    }
    for task in tasks {
        all.extend(log_permissions(shared, task).await?);
    }
    if let Some(queue) = &shared.options.events_queue {
        let name = queue.rsplit('/').next().unwrap_or(queue);
        let arn = format!("arn:aws:sqs:*:*:{name}");
        for action in ["sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:DeleteMessage"] {
            all.insert(Permission::new(action, arn.as_str()));
        }
        all.extend(decrypt_permission(shared, queue).await);
    }
    Ok(all.into_iter().collect())
}

/// Returns the permission to decrypt messages that a customer's key encrypts. Amazon's own key needs none.
async fn decrypt_permission(shared: &LauncherContext, queue: &str) -> Option<Permission> {
    let key = match events::encryption_key(shared, queue).await {
        Ok(key) => key?,
        Err(fault) => {
            let error = chain(&fault);
            tracing::warn!(queue, error, "could not determine whether the queue needs kms:Decrypt");
            return None;
        }
    };
    let (before, name) = match key.rsplit_once(':') {
        Some((before, name)) => (before, name),
        None if key.starts_with("alias/") => ("arn:aws:kms:*:*", key.as_str()),
        None => return Some(Permission::new("kms:Decrypt", format!("arn:aws:kms:*:*:key/{key}"))),
    };
    match name {
        "alias/aws/sqs" => None,
        alias if alias.starts_with("alias/") => {
            let decrypt = Permission::new("kms:Decrypt", format!("{before}:key/*"));
            Some(decrypt.with_condition("ForAnyValue:StringEquals", "kms:ResourceAliases", alias))
        }
        _ => Some(Permission::new("kms:Decrypt", key)),
    }
}

/// Returns the permissions to read the output of a task from the log streams of its containers.
async fn log_permissions(shared: &LauncherContext, task: &TaskSpec) -> Result<Vec<Permission>, LaunchError> {
    let options = shared.parse_options(task)?;
    let at = shared.clients.client_for(options.region.as_deref()).await?;
    let known = shared.definitions.find(&shared.clients, &at, &task.definition).await?;
    let logs = known.iter().flat_map(|known| &known.logs);
    let permissions = logs.filter_map(|log| {
        let LogDestination::CloudWatch { group, prefix, region } = &log.destination else { return None };
        let region = region.as_deref().or(options.region.as_deref()).unwrap_or("*");
        let streams = format!("{group}:log-stream:{prefix}/{}/*", log.container);
        Some(Permission::new("logs:GetLogEvents", format!("arn:aws:logs:{region}:*:log-group:{streams}")))
    });
    Ok(permissions.collect())
}

/// Returns the ARNs of the roles that a task runs with. ECS also accepts the bare name of a role in the definition's
/// account.
async fn passed_roles(shared: &LauncherContext, task: &TaskSpec) -> Result<BTreeSet<String>, LaunchError> {
    let options = shared.parse_options(task)?;
    let at = shared.clients.client_for(options.region.as_deref()).await?;
    let known = shared.definitions.find(&shared.clients, &at, &task.definition).await?;
    let account = known.as_ref().and_then(|known| known.arn.split(':').nth(4)).unwrap_or("*");
    let (task_role, execution_role) =
        known.as_ref().map_or((None, None), |known| (known.task_role.clone(), known.execution_role.clone()));
    let changed = options.overrides;
    if known.is_none() && (changed.task_role_arn.is_none() || changed.execution_role_arn.is_none()) {
        tracing::warn!(
            "there is no task definition \"{}\", so the policy lacks iam:PassRole for its roles; register it, and print the \
             policy again",
            task.definition
        );
    }
    // A role of the definition is not passed if the job names another one.
    let roles = [changed.task_role_arn.or(task_role), changed.execution_role_arn.or(execution_role)];
    let arn = |role: String| {
        if role.starts_with("arn:") { role } else { format!("arn:aws:iam::{account}:role/{role}") }
    };
    Ok(roles.into_iter().flatten().filter(|role| !role.is_empty()).map(arn).collect())
}
