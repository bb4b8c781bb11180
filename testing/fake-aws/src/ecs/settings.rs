//! Settings of the fake ECS.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Settings of ECS. Durations are written as in `"90s"` or `"PT90S"`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EcsSettings {
    /// The lifecycle of tasks that have no other one below.
    pub life: TaskLifecycle,
    /// Lifecycles by cluster name.
    pub cluster_lives: BTreeMap<String, TaskLifecycle>,
    /// Lifecycles by family or `family:revision`; these win over the cluster's.
    pub definition_lives: BTreeMap<String, TaskLifecycle>,
    /// Capacity limits by cluster name. A cluster without an entry has no limit.
    pub capacity: BTreeMap<String, Vec<Capacity>>,
    /// Clusters (by name) that have no container instance, so that EC2 tasks are refused outright.
    pub without_instances: Vec<String>,
    /// The known subnets; absent = all that have the form of an id.
    pub subnets: Option<Vec<String>>,
    /// Time for which a new task is missing in `ListTasks`.
    pub list_lag: SignedDuration,
    /// Event feeds by cluster name; a cluster without an entry sends no events.
    pub events: BTreeMap<String, EventFeed>,
    /// Whether answers leave out the `version` of tasks, as those of some emulators do.
    pub without_versions: bool,
}

/// How long a task stays in each state, and how it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TaskLifecycle {
    /// Time in `PROVISIONING`; tasks outside `awsvpc` networks and capacity providers begin in `PENDING`. 1 s.
    pub provisioning: SignedDuration,
    /// Time in `PENDING`. 1 s.
    pub pending: SignedDuration,
    /// Time in `RUNNING`; `null` = until it is stopped. 10 s.
    pub run: Option<SignedDuration>,
    /// Time in `DEACTIVATING`; a task without any skips the state. None.
    pub deactivating: SignedDuration,
    /// Time in `STOPPING` after `StopTask`, as a container that handles its signal needs. None.
    pub stopping: SignedDuration,
    /// Time in `DEPROVISIONING` (`awsvpc` only). None.
    pub deprovisioning: SignedDuration,
    /// Exit codes by container; a container without an entry ends with 0.
    pub exit_codes: BTreeMap<String, i32>,
    /// Exit code of every container after `StopTask`. 143.
    pub stopped_exit_code: i32,
    /// If set, the task never runs, and stops after `PENDING` with stop code `TaskFailedToStart` and this reason.
    pub fails_to_start: Option<String>,
}

impl Default for TaskLifecycle {
    fn default() -> Self {
        Self {
            provisioning: SignedDuration::from_secs(1),
            pending: SignedDuration::from_secs(1),
            run: Some(SignedDuration::from_secs(10)),
            deactivating: SignedDuration::ZERO,
            stopping: SignedDuration::ZERO,
            deprovisioning: SignedDuration::ZERO,
            exit_codes: BTreeMap::new(),
            stopped_exit_code: 143,
            fails_to_start: None,
        }
    }
}

/// A limit on what a cluster can place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capacity {
    /// The launch type or capacity provider that is limited; absent = all.
    #[serde(default)]
    pub of: Option<String>,
    /// The reason in `failures[]`, as in `RESOURCE:MEMORY`.
    pub reason: String,
    /// Tasks that may be alive at once; absent = no such limit.
    #[serde(default)]
    pub at_most: Option<usize>,
    /// Number of next tasks to refuse, regardless of live ones.
    #[serde(default)]
    pub refuse: u32,
}

/// The feed of a cluster's "ECS Task State Change" events, and its faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EventFeed {
    /// Name, URL or ARN of a queue of the same account and region.
    pub queue: String,
    /// Probability that an event comes twice.
    pub duplicates: f64,
    /// Probability that an event never comes.
    pub losses: f64,
    /// Minimum delay of an event.
    pub delay: SignedDuration,
    /// Maximum additional delay; more than the time between two changes puts events out of order.
    pub jitter: SignedDuration,
    /// Seed of the faults.
    pub seed: u64,
    /// The form in which the rule, or a topic behind it, sends an event.
    pub form: EventForm,
}

/// The form in which an event arrives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventForm {
    /// The event.
    #[default]
    Whole,
    /// The event in the envelope of an SNS topic.
    Notification,
    /// The output of an input transformer: the task and its status.
    Transformed,
}
