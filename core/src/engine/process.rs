//! What all engines of one process have in common: bounds on what is under way at once, counts, listeners, the brake.
//!
//! A process that owns several shards of the jobs runs an engine for each. Together they may do what one may do, so
//! what bounds them is here; and what is told about them survives the engine that did it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::RwLock;
use tokio::sync::{Semaphore, broadcast};

use super::EngineOptions;
use super::clock_check::ClockCheck;
use super::faults::Faults;
use super::lease::Lease;
use super::status::{Brake, Counters};
use crate::event::{EVENT_BUFFER, Event};
use crate::fault::{self, FaultKind};
use crate::schedule::ScheduleCache;
use crate::store::{Store, StoreError};

/// The register that holds the brake.
pub const BRAKE_REGISTER: &str = "brake";
/// How many distinct schedules are kept parsed while documents are read.
const SHARED_SCHEDULES: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub(crate) struct Commons {
    pub(crate) deciding: Semaphore,
    pub(crate) evaluations: Arc<Semaphore>,
    pub(crate) dispatch: Arc<Semaphore>,
    pub(crate) launches: Semaphore,
    pub(crate) schedules: ScheduleCache,
    pub(crate) counters: Counters,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) store_fault: RwLock<Option<String>>,
    pub(crate) launcher_fault: RwLock<Option<String>>,
    /// Sources that cannot be read, and launches that fail.
    pub(crate) faults: Faults,
    pub(crate) clock: ClockCheck,
    /// How many engines were made; each has its number.
    pub(crate) engines: AtomicU64,
    /// Ends all launches when it does not hold.
    pub(crate) lease: Lease,
    brake: RwLock<KnownBrake>,
}

/// The newest brake that was read or written.
#[derive(Debug, Default)]
struct KnownBrake {
    /// The version of its register; 0 before there was one.
    version: u64,
    brake: Option<Brake>,
}

impl Commons {
    pub(crate) fn new(options: &EngineOptions, lease: Lease) -> Arc<Self> {
        Arc::new(Self {
            deciding: Semaphore::new(options.deciding.max(1)),
            evaluations: Arc::new(Semaphore::new(options.evaluations)),
            dispatch: Arc::new(Semaphore::new(options.dispatch)),
            launches: Semaphore::new(options.launches),
            schedules: ScheduleCache::new(SHARED_SCHEDULES),
            counters: Counters::default(),
            events: broadcast::Sender::new(EVENT_BUFFER),
            store_fault: RwLock::default(),
            launcher_fault: RwLock::default(),
            faults: Faults::default(),
            clock: ClockCheck::default(),
            engines: AtomicU64::default(),
            lease,
            brake: RwLock::default(),
        })
    }

    /// Tells whoever watches. The event is only made when somebody does.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.is_watched() {
            // A send fails only when the last receiver has just gone.
            let _ = self.events.send(event());
        }
    }

    /// Tells whether somebody is to be told of what happens.
    pub(super) fn is_watched(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Notes that the store can be written.
    pub(crate) fn note_store_works(&self) {
        if self.store_fault.read().is_some() && self.store_fault.write().take().is_some() {
            tracing::info!("the store can be written again");
        }
    }

    /// Notes what is wrong with the store.
    pub(crate) fn note_store_fault(&self, error: &StoreError) {
        let text = fault::chain(error);
        let mut noted = self.store_fault.write();
        if noted.as_ref() != Some(&text) {
            tracing::error!(error = %text, "the store failed; nothing is launched until it can be written again");
            *noted = Some(text);
        }
    }

    /// Returns why all launches are stopped, when they are.
    pub(crate) fn brake(&self) -> Option<Brake> {
        self.brake.read().brake.clone()
    }

    /// Reads the brake, which another process may have set.
    pub(crate) async fn read_brake(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some(register) = store.read(BRAKE_REGISTER).await? else { return Ok(()) };
        let brake = serde_json::from_str(&register.value).map_err(|error| {
            StoreError::caused(FaultKind::Config, "could not read the brake from the store", error)
        })?;
        self.learn(register.version, brake);
        Ok(())
    }

    /// Stops all launches, or allows them again; durable on return.
    pub(crate) async fn set_brake(&self, store: &dyn Store, brake: Option<Brake>) -> Result<(), StoreError> {
        let text = serde_json::to_string(&brake).expect("a brake is plain data");
        let version = loop {
            let version = store.read(BRAKE_REGISTER).await?.map(|register| register.version);
            match store.write(BRAKE_REGISTER, &text, version, None).await {
                Err(StoreError::Conflict(_)) => {}
                written => break written?,
            }
        };
        self.learn(version, brake);
        Ok(())
    }

    /// Takes over what the register holds, unless something newer is known.
    fn learn(&self, version: u64, brake: Option<Brake>) {
        let mut known = self.brake.write();
        if version <= known.version {
            return;
        }
        *known = KnownBrake { version, brake: brake.clone() };
        drop(known);
        self.tell(|| Event::Brake { on: brake.is_some(), reason: brake.map(|brake| brake.reason) });
    }
}
