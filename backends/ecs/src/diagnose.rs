//! Checks for `ecs-scheduler doctor`: calls that launching needs, made so that they change nothing.

use std::collections::BTreeMap;

use aws_sdk_ecs::operation::run_task::builders::RunTaskInputBuilder;
use aws_sdk_ecs::types::{ContainerOverride, DesiredStatus, Tag, TaskOverride};
use ecs_scheduler_backend_aws::{Fault, READ_CLUSTER, RUN_TASK};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{CheckResult, FaultKind, TaskId, TaskSpec};

use crate::clients::RegionClients;
use crate::context::LauncherContext;
use crate::events_queue;
use crate::options::capacity_place;
use crate::request;
use crate::{cluster_poller, describe, logs};

/// The id of a task that no cluster has, to describe and to stop.
const NO_TASK: &str = "00000000000000000000000000000000";

/// The name of a container that no definition has. ECS refuses to override it after the permission check, so that
/// nothing starts.
const NO_CONTAINER: &str = "ecs-scheduler-doctor-no-such-container";

/// Checks credentials, clusters, definitions and the event queue.
pub(crate) async fn run_checks(shared: &LauncherContext, tasks: &[TaskSpec]) -> Vec<CheckResult> {
    let mut seen = Vec::new();
    match shared.clients.aws().caller_arn().await {
        Ok(arn) => seen.push(CheckResult::passed(format!("credentials of {arn}"))),
        Err(fault) => {
            // Without credentials everything else would fail for the same reason.
            return vec![CheckResult::failed("credentials", chain(&fault))];
        }
    }
    let own = TaskSpec::new(String::new());
    let mut clusters = BTreeMap::new();
    let mut definitions = BTreeMap::new();
    for task in std::iter::once(&own).chain(tasks) {
        // Invalid options of a job are reported by the job's own check.
        let Ok(options) = shared.parse_options(task) else { continue };
        let cluster = (options.region.clone(), shared.cluster(&options).to_owned());
        if !task.definition.is_empty() {
            // Launches with different options may be refused for different reasons.
            let options_json = serde_json::to_string(&task.options).unwrap_or_default();
            definitions.insert((cluster.clone(), task.definition.clone(), options_json), options);
        }
        clusters.insert(cluster, ());
    }
    for (region, cluster) in clusters.into_keys() {
        match shared.clients.client_for(region.as_deref()).await {
            Ok(at) => seen.extend(check_cluster(shared, &at, &cluster).await),
            Err(fault) => seen.push(CheckResult::failed(format!("cluster \"{cluster}\""), chain(&fault))),
        }
    }
    for (((region, cluster), definition, _), options) in definitions {
        if let Ok(at) = shared.clients.client_for(region.as_deref()).await {
            for ((pointer, _), attempt) in options.capacities().zip(1..) {
                let what = format!(
                    "ecs:RunTask of {definition} on cluster \"{cluster}\"{}",
                    capacity_place(&pointer)
                );
                let call = request::build_placement(&options, attempt, &cluster).task_definition(&definition);
                seen.push(Box::pin(check_launch(shared, &at, &cluster, what, call)).await);
            }
            for check in check_logs(shared, &at, &definition).await {
                // Several definitions may write to one group.
                if !seen.contains(&check) {
                    seen.push(check);
                }
            }
        }
    }
    if let Some(queue) = &shared.options.events_queue {
        seen.push(events_queue::check(shared, queue).await);
    }
    seen
}

/// Checks listing, describing and stopping. A task that does not exist is enough to test the permission.
async fn check_cluster(shared: &LauncherContext, at: &RegionClients, cluster: &str) -> Vec<CheckResult> {
    let on = |action: &str| format!("{action} on cluster \"{cluster}\"");
    let clients = &shared.clients;
    let listed = cluster_poller::list_tasks(clients, at, cluster, None, DesiredStatus::Running, None).await;
    let nobody = [TaskId::new(NO_TASK)];
    let described = describe::read_once(clients, at, cluster, &nobody, false).await;
    let stop = async {
        let call = at.client.stop_task().cluster(cluster).task(NO_TASK).reason("ecs-scheduler doctor");
        call.send().await.map_err(|error| Fault::from_sdk(error, "could not stop a task that does not exist"))
    };
    let stopped = clients.call_paced(&at.scope, READ_CLUSTER, stop).await;
    vec![
        check_result(on("ecs:ListTasks"), listed.err(), |_| false),
        check_result(on("ecs:DescribeTasks"), described.err(), |_| false),
        check_result(on("ecs:StopTask"), stopped.err(), |fault| {
            fault.code() == Some("InvalidParameterException")
        }),
    ]
}

/// Checks RunTask with a call that cannot start a task.
async fn check_launch(
    shared: &LauncherContext,
    at: &RegionClients,
    cluster: &str,
    what: String,
    call: RunTaskInputBuilder,
) -> CheckResult {
    let impossible = TaskOverride::builder()
        .container_overrides(ContainerOverride::builder().name(NO_CONTAINER).build())
        .build();
    let call = async {
        let call = call.count(1).started_by(shared.owner("doctor")).overrides(impossible);
        let call = call.set_tags(
            shared.options.tags.then(|| vec![Tag::builder().key(request::JOB_TAG).value("doctor").build()]),
        );
        call.send_with(&at.launch_client)
            .await
            .map_err(|error| Fault::from_sdk(error, "could not start a task"))
    };
    match Box::pin(shared.clients.call_paced(&at.scope, RUN_TASK, call)).await {
        // Only an error about the container shows that ECS accepted everything else.
        Err(fault) => check_result(what, Some(fault), |fault| chain(fault).contains(NO_CONTAINER)),
        Ok(answer) => {
            for task in answer.tasks() {
                let stop = at.client.stop_task().cluster(cluster).set_task(task.task_arn.clone());
                // The task is reported even if it cannot be stopped.
                let _ = stop.reason("ecs-scheduler doctor").send().await;
            }
            let text = "ECS accepted a call that names an unknown container; the started tasks were stopped";
            CheckResult::failed(what, text)
        }
    }
}

/// Checks that the output of tasks can be read. A stream that does not exist is enough to test the permission.
async fn check_logs(shared: &LauncherContext, at: &RegionClients, definition: &str) -> Vec<CheckResult> {
    // A definition that cannot be read is reported by the other checks.
    let Ok(Some(known)) = shared.definitions.find(&shared.clients, at, definition).await else {
        return Vec::new();
    };
    let mut checks = Vec::new();
    for log in &known.logs {
        let read = match logs::find_stream(shared, at, log, NO_TASK).await {
            Ok(None) => continue,
            Ok(Some(stream)) => {
                let what = format!("logs:GetLogEvents on log group \"{}\"", stream.group);
                (what, stream.read_newest(1).await.err())
            }
            Err(fault) => (format!("logs of {definition}"), Some(fault)),
        };
        let (what, fault) = read;
        checks.push(check_result(what, fault.filter(|fault| fault.kind() != FaultKind::NotFound), |_| false));
    }
    checks
}

/// Turns a fault into a check result. A refusal after the permission check shows that the permission is there.
fn check_result(what: String, fault: Option<Fault>, harmless: impl Fn(&Fault) -> bool) -> CheckResult {
    match fault {
        None => CheckResult::passed(what),
        Some(fault) if fault.kind() == FaultKind::Config && harmless(&fault) => CheckResult::passed(what),
        Some(fault) => CheckResult::failed(what, chain(&fault)),
    }
}
