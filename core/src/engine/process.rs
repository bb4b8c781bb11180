//! The state that all engines of one process share: limits of concurrent work, counters, subscribers, the brake.
//!
//! A process that owns several shards of the jobs runs an engine for each. Together they have the limits of one engine,
//! and counters survive the engine that counted.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::RwLock;
use tokio::sync::{Semaphore, broadcast};

use super::EngineOptions;
use super::budgets::Budgets;
use super::clock_check::ClockCheck;
use super::faults::Faults;
use super::launcher_faults::LauncherFaults;
use super::lease::Lease;
use super::status::{Brake, Counters};
use crate::event::{EVENT_BUFFER, Event};
use crate::fault::{self, FaultKind};
use crate::id::{JobId, Revision};
use crate::schedule::ScheduleCache;
use crate::store::{Store, StoreError};

/// The register that holds the brake.
pub const BRAKE_REGISTER: &str = "brake";
/// How many distinct schedules are cached while documents are read.
const SCHEDULE_CACHE_SIZE: usize = 4_096;

/// Limits of work that is under way at once in a process.
#[derive(Debug)]
pub(crate) struct ProcessLimits {
    /// Rounds that are being decided.
    pub(crate) deciding: Semaphore,
    /// Triggers that are being evaluated.
    pub(crate) evaluations: Arc<Semaphore>,
    /// Firings that are being launched.
    pub(crate) dispatch: Arc<Semaphore>,
    /// Calls to the launcher.
    pub(crate) launches: Semaphore,
}

impl ProcessLimits {
    fn new(options: &EngineOptions) -> Self {
        Self {
            deciding: Semaphore::new(options.deciding.max(1)),
            evaluations: Arc::new(Semaphore::new(options.evaluations)),
            dispatch: Arc::new(Semaphore::new(options.dispatch)),
            launches: Semaphore::new(options.launches),
        }
    }
}

/// The state that all engines of a process share.
#[derive(Debug)]
pub(crate) struct ProcessState {
    pub(crate) limits: ProcessLimits,
    pub(crate) schedules: ScheduleCache,
    pub(crate) counters: Counters,
    pub(crate) events: broadcast::Sender<Event>,
    /// The names of jobs that were created, replaced or removed: few and small, for readers that always listen.
    pub(super) edited_jobs: broadcast::Sender<JobId>,
    pub(crate) store_fault: RwLock<Option<String>>,
    pub(crate) launcher_faults: LauncherFaults,
    /// Sources that cannot be read, and launches that fail.
    pub(crate) faults: Faults,
    pub(crate) clock: ClockCheck,
    /// How many engines were made; each has its number.
    pub(crate) engines: AtomicU64,
    /// The limits that jobs share.
    pub(super) budgets: Budgets,
    /// Ends all launches when it does not hold.
    pub(crate) lease: Lease,
    brake: RwLock<BrakeRecord>,
}

/// The newest brake that was read or written.
#[derive(Debug, Default)]
struct BrakeRecord {
    /// The version of its register; 0 before there was one.
    version: u64,
    brake: Option<Brake>,
}

impl ProcessState {
    pub(crate) fn new(options: &EngineOptions, lease: Lease) -> Arc<Self> {
        Arc::new(Self {
            limits: ProcessLimits::new(options),
            schedules: ScheduleCache::new(SCHEDULE_CACHE_SIZE),
            counters: Counters::default(),
            events: broadcast::Sender::new(EVENT_BUFFER),
            edited_jobs: broadcast::Sender::new(EVENT_BUFFER),
            store_fault: RwLock::default(),
            launcher_faults: LauncherFaults::default(),
            faults: Faults::default(),
            clock: ClockCheck::default(),
            engines: AtomicU64::default(),
            budgets: Budgets::new(Arc::clone(&options.budgets)),
            lease,
            brake: RwLock::default(),
        })
    }

    /// Publishes that a job was created, replaced or removed.
    pub(super) fn publish_job(&self, id: &JobId, revision: Option<Revision>) {
        // A send fails only when there are no receivers.
        let _ = self.edited_jobs.send(id.clone());
        self.publish(|| Event::Job { id: id.clone(), revision });
    }

    /// Publishes an event. The closure runs only if there are subscribers.
    pub(crate) fn publish(&self, event: impl FnOnce() -> Event) {
        if self.has_subscribers() {
            // A send fails only when the last receiver has just gone.
            let _ = self.events.send(event());
        }
    }

    /// Returns whether events have subscribers.
    pub(super) fn has_subscribers(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Records that the store can be written.
    pub(crate) fn record_store_recovered(&self) {
        if self.store_fault.read().is_some() && self.store_fault.write().take().is_some() {
            tracing::info!("the store can be written again");
        }
    }

    /// Records a fault of the store.
    pub(crate) fn record_store_fault(&self, error: &StoreError) {
        let text = fault::chain(error);
        let mut known = self.store_fault.write();
        if known.as_ref() != Some(&text) {
            tracing::error!(error = %text, "the store failed; nothing is launched until it can be written again");
            *known = Some(text);
        }
    }

    /// Returns the brake, when all launches are stopped.
    pub(crate) fn brake(&self) -> Option<Brake> {
        self.brake.read().brake.clone()
    }

    /// Reads the brake, which another process may have set.
    pub(crate) async fn read_brake(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some(register) = store.get_register(BRAKE_REGISTER).await? else { return Ok(()) };
        let brake = serde_json::from_str(&register.value).map_err(|error| {
            StoreError::with_source(FaultKind::Config, "could not read the brake from the store", error)
        })?;
        self.apply_brake(register.version, brake);
        Ok(())
    }

    /// Stops all launches, or allows them again; durable on return.
    pub(crate) async fn set_brake(&self, store: &dyn Store, brake: Option<Brake>) -> Result<(), StoreError> {
        let text = serde_json::to_string(&brake).expect("a brake is plain data");
        let version = loop {
            let version = store.get_register(BRAKE_REGISTER).await?.map(|register| register.version);
            match store.put_register(BRAKE_REGISTER, &text, version, None).await {
                Err(StoreError::Conflict(_)) => {}
                written => break written?,
            }
        };
        self.apply_brake(version, brake);
        Ok(())
    }

    /// Applies the brake of a register, unless a newer version is known.
    fn apply_brake(&self, version: u64, brake: Option<Brake>) {
        let mut known = self.brake.write();
        if version <= known.version {
            return;
        }
        *known = BrakeRecord { version, brake: brake.clone() };
        drop(known);
        self.publish(|| Event::Brake { on: brake.is_some(), reason: brake.map(|brake| brake.reason) });
    }
}
