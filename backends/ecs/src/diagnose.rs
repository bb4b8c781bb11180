//! Trying what launching needs, by calls that change nothing, for `ecs-scheduler doctor`.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{ContainerOverride, DesiredStatus, Tag, TaskOverride};
use ecs_scheduler_backend_aws::{Fault, READ_CLUSTER, RUN_TASK};
use ecs_scheduler_core::fault::chain;
use ecs_scheduler_core::{Examination, FaultKind, TaskId, TaskSpec};

use crate::clients::Regional;
use crate::context::Shared;
use crate::events;
use crate::options::LaunchOptions;
use crate::request;
use crate::{cluster_poller, describe};

/// A task that no cluster has: it is asked about, and asked to stop.
const NO_TASK: &str = "00000000000000000000000000000000";

/// A container that no definition has. ECS refuses to override it after it has checked who asks, so that nothing starts.
const NO_CONTAINER: &str = "ecs-scheduler-doctor-no-such-container";

/// Tries credentials, clusters, definitions and the queue of events.
pub(crate) async fn all(shared: &Shared, tasks: &[TaskSpec]) -> Vec<Examination> {
    let mut seen = Vec::new();
    match shared.clients.aws().caller().await {
        Ok(arn) => seen.push(Examination::fine(format!("credentials of {arn}"))),
        Err(fault) => {
            // Without credentials everything else would fail for the same reason.
            return vec![Examination::problem("credentials", chain(&fault))];
        }
    }
    let own = TaskSpec {
        definition: String::new(),
        overrides: Vec::new(),
        options: serde_json::Map::new(),
        succeeds_by: None,
    };
    let mut clusters = BTreeMap::new();
    let mut definitions = BTreeMap::new();
    for task in std::iter::once(&own).chain(tasks) {
        // What is wrong with the options of a job is said about the job.
        let Ok(options) = shared.read(task) else { continue };
        let cluster = (options.region.clone(), shared.cluster(&options).to_owned());
        if !task.definition.is_empty() {
            // Launches that differ may be refused for different reasons.
            let told = serde_json::to_string(&task.options).unwrap_or_default();
            definitions.insert((cluster.clone(), task.definition.clone(), told), options);
        }
        clusters.insert(cluster, ());
    }
    for (region, cluster) in clusters.into_keys() {
        match shared.clients.of(region.as_deref()).await {
            Ok(at) => seen.extend(in_cluster(shared, &at, &cluster).await),
            Err(fault) => seen.push(Examination::problem(format!("cluster \"{cluster}\""), chain(&fault))),
        }
    }
    for (((region, cluster), definition, _), options) in definitions {
        if let Ok(at) = shared.clients.of(region.as_deref()).await {
            seen.push(Box::pin(launch(shared, &at, &cluster, &definition, &options)).await);
        }
    }
    if let Some(queue) = &shared.options.events_queue {
        let what = format!("task events of queue \"{queue}\"");
        seen.push(match events::look(shared, queue).await {
            Ok(None) => Examination::fine(what),
            Ok(Some(problem)) => Examination::problem(what, problem),
            Err(fault) => Examination::problem(what, chain(&fault)),
        });
    }
    seen
}

/// Lists, describes and stops: a task that does not exist is enough to learn whether it is permitted.
async fn in_cluster(shared: &Shared, at: &Regional, cluster: &str) -> Vec<Examination> {
    let on = |action: &str| format!("{action} on cluster \"{cluster}\"");
    let clients = &shared.clients;
    let listed = cluster_poller::list(clients, at, cluster, None, DesiredStatus::Running, None).await;
    let nobody = [TaskId::new(NO_TASK)];
    let described = describe::tasks(clients, at, cluster, &nobody, false).await;
    let stop = async {
        let call = at.client.stop_task().cluster(cluster).task(NO_TASK).reason("ecs-scheduler doctor");
        call.send().await.map_err(|error| Fault::of(error, "could not stop a task that does not exist"))
    };
    let stopped = clients.paced(at, READ_CLUSTER, stop).await;
    vec![
        judge(on("ecs:ListTasks"), listed.err(), |_| false),
        judge(on("ecs:DescribeTasks"), described.err(), |_| false),
        judge(on("ecs:StopTask"), stopped.err(), |fault| fault.code() == Some("InvalidParameterException")),
    ]
}

/// Asks for a task that cannot be started.
async fn launch(
    shared: &Shared,
    at: &Regional,
    cluster: &str,
    definition: &str,
    options: &LaunchOptions,
) -> Examination {
    let what = format!("ecs:RunTask of {definition} on cluster \"{cluster}\"");
    let impossible = TaskOverride::builder()
        .container_overrides(ContainerOverride::builder().name(NO_CONTAINER).build())
        .build();
    let call = async {
        let call = request::placed(options, 1, cluster).task_definition(definition).count(1);
        let call = call.started_by(shared.owner("doctor")).overrides(impossible);
        let call = call.set_tags(
            shared.options.tags.then(|| vec![Tag::builder().key(request::JOB_TAG).value("doctor").build()]),
        );
        call.send_with(&at.launching)
            .await
            .map_err(|error| Fault::of(error, format!("could not start {definition}")))
    };
    match Box::pin(shared.clients.paced(at, RUN_TASK, call)).await {
        // Only what is said about the container shows that all else was accepted.
        Err(fault) => judge(what, Some(fault), |fault| chain(fault).contains(NO_CONTAINER)),
        Ok(answer) => {
            for task in answer.tasks() {
                let stop = at.client.stop_task().cluster(cluster).set_task(task.task_arn.clone());
                // It is reported in any case.
                let _ = stop.reason("ecs-scheduler doctor").send().await;
            }
            let text =
                "a call that names a container that does not exist was accepted; what it started was stopped";
            Examination::problem(what, text)
        }
    }
}

/// A refusal that comes after the check of the permission shows that the permission is there.
fn judge(what: String, fault: Option<Fault>, harmless: impl Fn(&Fault) -> bool) -> Examination {
    match fault {
        None => Examination::fine(what),
        Some(fault) if fault.kind() == FaultKind::Config && harmless(&fault) => Examination::fine(what),
        Some(fault) => Examination::problem(what, chain(&fault)),
    }
}
