//! `RunTask`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{
    Cluster, ClusterKey, Container, Definition, EcsState, PlannedStep, Status, Step, StrategyItem, Tag, Task,
};
use super::placement::{PlacementResult, Target, spread};
use super::render::{Dates, render_task};
use super::settings::{EcsSettings, TaskLifecycle};
use super::{check, token};
use crate::launch_log::{Launch, LaunchLog};
use crate::scope::AwsScope;
use crate::wire::{Failure, read};

/// A call, as far as the fake reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunTask {
    pub(crate) cluster: Option<String>,
    #[serde(default)]
    pub(crate) task_definition: String,
    pub(crate) count: Option<i64>,
    pub(crate) client_token: Option<String>,
    pub(crate) started_by: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) launch_type: Option<String>,
    pub(crate) capacity_provider_strategy: Option<Vec<StrategyItem>>,
    pub(crate) network_configuration: Option<Value>,
    pub(crate) overrides: Option<Value>,
    #[serde(default)]
    pub(crate) tags: Vec<Tag>,
    #[serde(default)]
    pub(crate) placement_constraints: Vec<Value>,
    #[serde(default)]
    pub(crate) placement_strategy: Vec<Value>,
    pub(crate) platform_version: Option<String>,
    pub(crate) propagate_tags: Option<String>,
    #[serde(default)]
    pub(crate) enable_execute_command: bool,
    #[serde(default)]
    pub(crate) volume_configurations: Vec<Value>,
}

/// The part of a call that is the same for all its tasks.
struct LaunchOrder<'a> {
    request: &'a RunTask,
    cluster: &'a ClusterKey,
    definition: &'a Definition,
    life: TaskLifecycle,
    now: Timestamp,
}

impl EcsState {
    /// Starts tasks, or returns the answer of an earlier equal call.
    pub(crate) fn run_task(
        &mut self,
        scope: &AwsScope,
        body: &Value,
        now: Timestamp,
        settings: &mut EcsSettings,
        launch_log: &mut LaunchLog,
    ) -> Result<Value, Failure> {
        let request: RunTask = read(body)?;
        check::call(&request)?;
        let (key, cluster) = self.cluster(scope, request.cluster.as_deref())?;
        let cluster = cluster.clone();
        let parameters = token::parameters(body);
        if let Some(token) = &request.client_token
            && let Some(answer) = self.recall(&key, token, &parameters, now)?
        {
            return Ok(answer);
        }
        let answer = self.start(&request, &key, &cluster, now, settings, launch_log)?;
        if let Some(token) = &request.client_token {
            self.remember(&key, token, parameters, &answer, now);
        }
        Ok(answer)
    }

    fn start(
        &mut self,
        request: &RunTask,
        key: &ClusterKey,
        cluster: &Cluster,
        now: Timestamp,
        settings: &mut EcsSettings,
        launch_log: &mut LaunchLog,
    ) -> Result<Value, Failure> {
        let unknown = || Failure::client("ClientException", "TaskDefinition not found.");
        let definition = self.definition(&key.scope, &request.task_definition).ok_or_else(unknown)?.clone();
        if !definition.active {
            return Err(Failure::client("ClientException", "TaskDefinition is inactive"));
        }
        let targets = self.targets(request, key, cluster)?;
        check::check_request(request, &definition, &targets[0])?;
        subnets(request, settings)?;
        check::containers(request, &definition)?;
        if targets[0].launch_type == "EC2" && settings.without_instances.contains(&key.name) {
            return Err(Failure::parameter("No Container Instances were found in your cluster."));
        }
        let life = settings.life_of(&key.name, &definition);
        let order = LaunchOrder { request, cluster: key, definition: &definition, life, now };
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for target in targets {
            if let PlacementResult::Full(reason) = self.room(key, &target, settings) {
                let instance = target.instance(key).unwrap_or_else(|| key.arn());
                failures.push(json!({ "arn": instance, "reason": reason }));
            } else {
                let number = self.place(&order, &target, launch_log);
                tasks.push(number);
            }
        }
        self.announce(&tasks, settings, now);
        let shown: Vec<Value> =
            tasks.iter().map(|number| render_task(&self.tasks[number], Dates::Epoch, true)).collect();
        Ok(json!({ "tasks": shown, "failures": failures }))
    }

    /// Returns the target of each task of the call.
    fn targets(
        &self,
        request: &RunTask,
        key: &ClusterKey,
        cluster: &Cluster,
    ) -> Result<Vec<Target>, Failure> {
        let count = usize::try_from(request.count.unwrap_or(1)).expect("the count was checked");
        let strategy = match (&request.capacity_provider_strategy, &request.launch_type) {
            (Some(strategy), _) if !strategy.is_empty() => strategy,
            (_, None) if !cluster.default_strategy.is_empty() => &cluster.default_strategy,
            (_, launch_type) => {
                let launch_type = launch_type.as_deref().unwrap_or("EC2");
                return Ok(vec![Target::launch_type(launch_type); count]);
            }
        };
        if let Some(item) = strategy.iter().find(|item| !cluster.providers.contains(&item.capacity_provider))
        {
            let message = format!(
                "The specified capacity provider strategy cannot contain a capacity provider that is not associated \
                 with the cluster: {}",
                item.capacity_provider
            );
            return Err(Failure::parameter(message));
        }
        let live = |provider: &str| {
            self.tasks
                .values()
                .filter(|task| {
                    task.cluster == *key
                        && task.provider.as_deref() == Some(provider)
                        && task.last < Status::Stopped
                })
                .count()
        };
        spread(strategy, count, live)
    }

    /// Starts one task.
    fn place(&mut self, order: &LaunchOrder<'_>, target: &Target, launch_log: &mut LaunchLog) -> u64 {
        let (number, task) = (self.number(), order.task(target));
        launch_log.record_launch(Launch::from_task(&task, order.request.client_token.as_deref()));
        self.by_arn.insert(task.arn.clone(), number);
        let (last, life) = (task.last, task.life.clone());
        self.tasks.insert(number, task);
        self.plan_start(number, last, &life, order.now);
        number
    }

    /// Adds a step of a task to the agenda.
    pub(crate) fn plan(&mut self, task: u64, at: Timestamp, step: Step) {
        let plan = self.tasks[&task].plan;
        let number = self.number();
        self.agenda.insert((at, number), PlannedStep { task, plan, step });
    }
}

/// Fails on unknown subnets, if the settings name the known ones. ECS asks EC2 for them before it checks container
/// overrides.
fn subnets(request: &RunTask, settings: &EcsSettings) -> Result<(), Failure> {
    let Some(known) = &settings.subnets else { return Ok(()) };
    let network = request.network_configuration.as_ref().map(|one| &one["awsvpcConfiguration"]["subnets"]);
    let mut named = network.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    match named.find(|subnet| !known.iter().any(|one| one == subnet)) {
        None => Ok(()),
        Some(subnet) => Err(Failure::parameter(format!(
            "Error retrieving subnet information for [{subnet}]: The subnet ID '{subnet}' does not exist (ErrorCode: \
             InvalidSubnetID.NotFound)"
        ))),
    }
}

impl LaunchOrder<'_> {
    fn task(&self, target: &Target) -> Task {
        let (request, definition, scope) = (self.request, self.definition, &self.cluster.scope);
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = format!("{}/{id}", self.cluster.name);
        let containers = definition.containers().map(|(name, image)| Container {
            name: name.to_owned(),
            image: image.to_owned(),
            arn: scope.arn("ecs", &format!("container/{path}/{}", uuid::Uuid::new_v4())),
            exit_code: None,
        });
        let provisioned = definition.network_mode() == "awsvpc" || target.provider.is_some();
        let text = |name: &str| {
            let overridden = request.overrides.as_ref().and_then(|overrides| overrides[name].as_str());
            overridden.or_else(|| definition.document[name].as_str()).unwrap_or("0").to_owned()
        };
        Task {
            arn: scope.arn("ecs", &format!("task/{path}")),
            cluster: self.cluster.clone(),
            definition: definition.arn.clone(),
            family: definition.family.clone(),
            group: request.group.clone().unwrap_or_else(|| format!("family:{}", definition.family)),
            launch_type: target.launch_type.clone(),
            provider: target.provider.clone(),
            instance: target.instance(self.cluster),
            network: request.network_configuration.clone().filter(|_| definition.network_mode() == "awsvpc"),
            containers: containers.collect(),
            overrides: request.overrides.clone().unwrap_or_else(|| json!({ "containerOverrides": [] })),
            tags: request.tags.clone(),
            started_by: request.started_by.clone(),
            cpu: text("cpu"),
            memory: text("memory"),
            created_at: self.now,
            started_at: None,
            stopping_at: None,
            stopped_at: None,
            last: if provisioned { Status::Provisioning } else { Status::Pending },
            to_stop: false,
            stop_code: None,
            stopped_reason: None,
            version: 1,
            token: request.client_token.clone(),
            life: self.life.clone(),
            plan: 0,
        }
    }
}

impl EcsSettings {
    /// Returns the lifecycle that is set for a definition in a cluster.
    fn life_of(&self, cluster: &str, definition: &Definition) -> TaskLifecycle {
        let exact = format!("{}:{}", definition.family, definition.revision);
        let lives = &self.definition_lives;
        let set = lives
            .get(&exact)
            .or_else(|| lives.get(&definition.family))
            .or_else(|| self.cluster_lives.get(cluster));
        set.unwrap_or(&self.life).clone()
    }
}
