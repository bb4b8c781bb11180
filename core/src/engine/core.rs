//! What the parts of the engine share.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::hot::HotJobs;
use super::ledger::Ledger;
use super::status::{Brake, Counters};
use super::{Engine, EngineOptions};
use crate::clock::Clock;
use crate::decide::Outcome;
use crate::event::{EVENT_BUFFER, Event};
use crate::fault;
use crate::firing::{Firing, FiringId, FiringState};
use crate::job::{JobId, JobUid};
use crate::launcher::Launcher;
use crate::registry::TriggerRegistry;
use crate::store::{Advance, FiringQuery, Store, StoreError};

/// The register that holds the brake.
pub const BRAKE_REGISTER: &str = "brake";

/// What the parts of the engine share.
pub(super) struct Core {
    pub(super) options: EngineOptions,
    pub(super) store: Arc<dyn Store>,
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) registry: Arc<TriggerRegistry>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ledger: Ledger,
    pub(super) hot: HotJobs,
    pub(super) counters: Counters,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) stop: CancellationToken,
    pub(super) evaluations: Arc<Semaphore>,
    pub(super) dispatch: Arc<Semaphore>,
    pub(super) launches: Semaphore,
    /// Journalled firings that wait for a place in dispatch.
    pub(super) backlog: mpsc::Sender<Firing>,
    /// Firings that some part of the engine carries, so that recovery does not take them up twice.
    pub(super) in_hand: Mutex<HashSet<FiringId>>,
    /// Launched firings whose tasks are followed.
    pub(super) watched: Mutex<BTreeMap<FiringId, Firing>>,
    /// Wakes the watch when there is something new to follow, and those who wait for tasks to end.
    pub(super) watch_more: Notify,
    pub(super) task_ended: Notify,
    pub(super) nudges: Mutex<BTreeSet<JobId>>,
    pub(super) nudged: Notify,
    /// Failures in a row of a job's trigger.
    pub(super) failures: Mutex<HashMap<JobUid, u32>>,
    pub(super) brake: RwLock<Option<Brake>>,
    pub(super) store_fault: RwLock<Option<String>>,
    pub(super) launcher_fault: RwLock<Option<String>>,
    pub(super) keeper: Mutex<KeeperView>,
    tracker: TaskTracker,
}

/// What the keeper lets others see.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct KeeperView {
    pub(super) jobs: usize,
    pub(super) invalid: usize,
    pub(super) in_rounds: usize,
    pub(super) next_due: Option<Timestamp>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("name", &self.options.name).finish_non_exhaustive()
    }
}

impl Core {
    /// Also returns the far end of the backlog.
    pub(super) fn new(engine: Engine) -> (Arc<Self>, mpsc::Receiver<Firing>) {
        let Engine { options, store, launcher, registry, clock } = engine;
        let (backlog, waiting) = mpsc::channel(options.backlog);
        let core = Arc::new(Self {
            hot: HotJobs::new(options.hot_jobs),
            evaluations: Arc::new(Semaphore::new(options.evaluations)),
            dispatch: Arc::new(Semaphore::new(options.dispatch)),
            launches: Semaphore::new(options.launches),
            backlog,
            options,
            store,
            launcher,
            registry,
            clock,
            ledger: Ledger::default(),
            counters: Counters::default(),
            events: broadcast::Sender::new(EVENT_BUFFER),
            stop: CancellationToken::new(),
            in_hand: Mutex::default(),
            watched: Mutex::default(),
            watch_more: Notify::new(),
            task_ended: Notify::new(),
            nudges: Mutex::default(),
            nudged: Notify::new(),
            failures: Mutex::default(),
            brake: RwLock::default(),
            store_fault: RwLock::default(),
            launcher_fault: RwLock::default(),
            keeper: Mutex::default(),
            tracker: TaskTracker::new(),
        });
        (core, waiting)
    }

    /// Starts a task that [`Self::finish`] waits for.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work);
    }

    /// Waits until every task has ended.
    pub(super) async fn finish(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Waits, unless the engine stops meanwhile; tells whether it may go on.
    pub(super) async fn pause(&self, how_long: std::time::Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(how_long) => true,
        }
    }

    pub(super) fn nudge(&self, id: &JobId) {
        self.nudges.lock().insert(id.clone());
        self.nudged.notify_one();
    }

    /// Tells whoever watches. The event is only made when somebody does.
    pub(super) fn tell(&self, event: impl FnOnce() -> Event) {
        if self.events.receiver_count() > 0 {
            // A send fails only when the last receiver has just gone.
            let _ = self.events.send(event());
        }
    }

    /// Notes whether the store took a write, for the status and `readyz`.
    pub(super) fn note_write<T>(&self, result: &Result<T, StoreError>) {
        match result {
            Err(error @ StoreError::Fault { .. }) => self.note_fault(error),
            Err(error @ StoreError::Fenced(_)) => {
                if !self.stop.is_cancelled() {
                    tracing::warn!(%error, "the engine stops: its jobs have another owner");
                }
                self.stop.cancel();
            }
            Ok(_) | Err(StoreError::Exists(_) | StoreError::NotFound(_) | StoreError::Conflict(_)) => {
                if self.store_fault.read().is_some() && self.store_fault.write().take().is_some() {
                    tracing::info!("the store can be written again");
                }
            }
        }
    }

    /// Notes that the store could not be read. A read that succeeds does not show that it can be written.
    pub(super) fn note_read<T>(&self, result: &Result<T, StoreError>) {
        if let Err(error @ StoreError::Fault { .. }) = result {
            self.note_fault(error);
        }
    }

    fn note_fault(&self, error: &StoreError) {
        let text = fault::chain(error);
        let mut noted = self.store_fault.write();
        if noted.as_ref() != Some(&text) {
            tracing::error!(error = %text, "the store failed; nothing is launched until it can be written again");
            *noted = Some(text);
        }
    }

    /// Makes a firing's next state durable, once: a repetition after a lost answer finds it done.
    pub(super) async fn advance(
        &self,
        from: FiringState,
        to: &Firing,
        outcome: Option<Outcome>,
    ) -> Result<(), StoreError> {
        let answer = self.store.advance(Advance { from, to: to.clone(), outcome }).await;
        self.note_write(&answer);
        let Err(StoreError::Conflict(_)) = &answer else { return answer };
        let query = FiringQuery { id: Some(to.id.clone()), ..FiringQuery::default() };
        let stored = self.store.firings(&query).await?.pop();
        let done = stored.is_some_and(|stored| {
            stored.state == to.state && stored.attempts == to.attempts && stored.tasks == to.tasks
        });
        if done { Ok(()) } else { answer }
    }

    pub(super) async fn load_brake(&self) -> Result<(), StoreError> {
        let Some(register) = self.store.read(BRAKE_REGISTER).await? else { return Ok(()) };
        *self.brake.write() = serde_json::from_str(&register.value).map_err(|error| {
            let message = "could not read the brake from the store";
            StoreError::caused(crate::FaultKind::Config, message, error)
        })?;
        Ok(())
    }

    /// Stops all launches, or allows them again; durable on return.
    pub(super) async fn set_brake(&self, brake: Option<Brake>) -> Result<(), StoreError> {
        let text = serde_json::to_string(&brake).expect("a brake is plain data");
        loop {
            let version = self.store.read(BRAKE_REGISTER).await?.map(|register| register.version);
            match self.store.write(BRAKE_REGISTER, &text, version, None).await {
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        *self.brake.write() = brake.clone();
        self.tell(|| Event::Brake { on: brake.is_some(), reason: brake.map(|brake| brake.reason) });
        Ok(())
    }
}
