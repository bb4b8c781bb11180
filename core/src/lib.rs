//! The engine of ECS Scheduler: schedules, triggers, decisions and launches.
//!
//! ```text
//!   job ──▶ schedule ──tick──▶ trigger ──demand──▶ decide() ──▶ journal ──firing──▶ launcher ──▶ tasks
//!              when           whether, how many   how many      durable first        start them
//! ```
//!
//! A [`Trigger`] measures, [`decide`](fn@decide) computes the number of tasks and explains it, a [`Store`] keeps jobs and
//! history, a [`Launcher`] starts tasks, and the [`Engine`] runs the loop. This crate contains no AWS, HTTP or SQL code:
//! triggers, launchers and stores are separate crates that implement its traits.
//!
//! Start with [`engine`] for the loop, with [`trigger`] and [`registry`] to write a trigger, with [`schedule`] for the
//! meaning of schedules, and with [`decide`](mod@decide) for the number of tasks.

pub mod backfill;
pub mod backoff;
pub mod batch;
pub mod budget;
pub mod call_stats;
pub mod clock;
mod config_error;
pub mod decide;
pub mod diagnosis;
pub mod engine;
pub mod event;
pub mod fault;
pub mod firing;
mod hash;
mod id;
pub mod job;
pub mod launcher;
pub mod memory;
pub mod notify;
pub mod permission;
pub mod policy;
pub mod provider;
pub mod queue;
pub mod registry;
pub mod replica;
pub mod scaling;
pub mod schedule;
pub mod store;
pub mod task;
pub mod text;
pub mod trigger;

pub use async_trait::async_trait;
pub use backoff::Backoff;
pub use batch::{BatchLimits, Batcher, Source};
pub use budget::{Budget, BudgetLimit, BudgetUse, Labels};
pub use clock::{Clock, SystemClock};
pub use config_error::ConfigError;
pub use decide::{
    BudgetRoom, Decision, DecisionDraft, DecisionInput, DecisionRecord, OpenBreaker, Rule, Step, TickOutcome,
    TickSpan, decide,
};
pub use diagnosis::Diagnosis;
pub use engine::{
    Brake, BreakerPhase, BreakerState, Engine, EngineHandle, EngineOptions, EngineStatus, EvalOverrides,
    Failing, FailingTasks, FireError, FireRequest, ManualFiring, Retrying,
};
pub use event::{EVENT_BUFFER, Event};
pub use fault::{Failure, FaultKind};
pub use firing::{Answer, Attempt, Firing, FiringRetry, FiringState, Origin};
pub use id::{DecisionId, FiringId, JobId, JobUid, LaunchToken, Revision, TaskId};
pub use jiff::Timestamp;
pub use job::{FieldError, Job, JobContext, LastRunTask, Progress, StoredJob, Suspension};
pub use launcher::{
    CheckResult, Finding, LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport,
    LaunchRequest, Launcher, LogCursor, LogLine, LogPage, LogRequest, LogStart, LostCall, MAX_LOG_BYTES,
    MAX_LOG_LINES, ObservedTasks, Refusal, StartedTask, TaskLogs, TaskValidation, UnreadTasks,
};
pub use memory::MemoryStore;
pub use notify::{DeliveryError, Notification, NotificationKind, NotifiedJob, Notifier};
pub use permission::Permission;
pub use policy::{
    Breaker, CatchUp, CatchUpPolicy, HistoryRule, Mode, NotifyCondition, NotifyRule, OnError, Overlap, Policy,
};
pub use provider::{
    LauncherProvider, LauncherSetup, MemoryProvider, OpenMode, PathKind, ProviderDescriptor, SameStore,
    Setting, SettingDefault, SettingError, SettingValues, StoreProvider, StoreSetup,
};
pub use queue::{OwnTasks, QueueFacts, QueueHistory};
pub use registry::{BuildContext, TriggerFactory, TriggerRegistry, TriggerType, read_config};
pub use scaling::{DEFAULT_MAX_TASKS, Demand, Scaling, per_task};
pub use store::{
    Advance, ChangeCursor, ChangedJobs, DecisionQuery, Fence, FiringQuery, ImportBatch, JobList, JobStore,
    Journal, JournalEntry, ListFrom, NewJob, PrunedJobs, Register, Registers, Retention, Settled, Settlement,
    Shard, ShardChanges, ShardView, Shards, SharedStore, Store, StoreError, StoreMaintenance, Subject,
};
pub use task::{
    ComputePrice, ContainerEnd, Override, Population, TaskEnd, TaskPhase, TaskSize, TaskSpec, TaskState,
};
pub use trigger::{EvalContext, Evaluation, Observation, QueueReading, Tick, Trigger, TriggerError};
