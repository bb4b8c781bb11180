//! The state that the parts of the engine share.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::{HashMap, HashSet};
use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::job_cache::JobCache;
use super::process::ProcessState;
use super::retry::Retries;
use super::stop_requests::StopRequests;
use super::task_tracker::TaskTracker;
use super::{Engine, EngineOptions};
use crate::clock::Clock;
use crate::decide::TickOutcome;
use crate::event::Event;
use crate::fault::FaultKind;
use crate::firing::{Firing, FiringId, FiringState};
use crate::job::{JobId, JobUid, Revision};
use crate::launcher::Launcher;
use crate::registry::TriggerRegistry;
use crate::store::{Advance, FiringQuery, Settled, Settlement, Store, StoreError};

/// The state that the parts of the engine share.
pub(super) struct EngineInner {
    pub(super) options: EngineOptions,
    pub(super) store: Arc<dyn Store>,
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) registry: Arc<TriggerRegistry>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) task_tracker: TaskTracker,
    pub(super) job_cache: JobCache,
    pub(super) process: Arc<ProcessState>,
    /// The term of the lease in which the engine was started.
    term: u64,
    pub(super) stop: CancellationToken,
    /// Journalled firings that wait for dispatch.
    pub(super) backlog: mpsc::Sender<Firing>,
    /// Firings that a part of the engine works on, so that recovery does not resume them twice.
    pub(super) in_flight: Mutex<HashSet<FiringId>>,
    /// Launched firings whose tasks are followed.
    pub(super) monitored: Mutex<BTreeMap<FiringId, Firing>>,
    /// Wakes the task monitor when a firing was added.
    pub(super) monitor_wakeup: Notify,
    /// Tasks that were asked to stop.
    pub(super) stop_requests: StopRequests,
    pub(super) nudges: Mutex<BTreeSet<JobId>>,
    pub(super) nudged: Notify,
    /// Ticks in a row for which a job's trigger failed.
    pub(super) failures: Mutex<HashMap<JobUid, u32>>,
    pub(super) retries: Retries,
    /// The number of this engine in the process.
    pub(super) number: u64,
    /// Firings whose tick came again: it was launched while the clock was ahead, and is not launched again.
    pub(super) already_launched: Mutex<HashMap<JobUid, FiringId>>,
    /// Jobs that were resumed: if their ticks are settled in the future, they count again from now on.
    pub(super) resumed: Mutex<BTreeSet<JobId>>,
    /// Jobs that were read with an earlier version that lasts beyond now: it was replaced while the clock was ahead.
    pub(super) future_versions: Mutex<BTreeSet<JobId>>,
    /// Requests a comparison of every job with the store.
    pub(super) rescan: AtomicBool,
    /// Versions of jobs whose failing ticks were read from the journal.
    pub(super) recalled: Mutex<LruCache<(JobUid, Revision), ()>>,
    pub(super) loop_stats: Mutex<LoopStats>,
    /// The tasks that [`Self::finish`] waits for.
    background: tokio_util::task::TaskTracker,
}

/// Numbers that the scheduler loop publishes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LoopStats {
    pub(super) jobs: usize,
    pub(super) invalid: usize,
    pub(super) in_rounds: usize,
    pub(super) next_due: Option<Timestamp>,
    /// Jobs whose ticks are settled in the future.
    pub(super) ahead: usize,
}

impl fmt::Debug for EngineInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineInner").field("name", &self.options.name).finish_non_exhaustive()
    }
}

impl Drop for EngineInner {
    fn drop(&mut self) {
        self.process.faults.forget_engine(self.number);
    }
}

impl EngineInner {
    /// Also returns the receiver of the backlog.
    pub(super) fn new(engine: Engine, process: Arc<ProcessState>) -> (Arc<Self>, mpsc::Receiver<Firing>) {
        let Engine { options, store, launcher, registry, clock } = engine;
        let (backlog, waiting) = mpsc::channel(options.backlog);
        let recalled = NonZeroUsize::new(options.cached_jobs).unwrap_or(NonZeroUsize::MIN);
        let engine = Arc::new(Self {
            recalled: Mutex::new(LruCache::new(recalled)),
            job_cache: JobCache::new(options.cached_jobs),
            term: process.lease.term(),
            number: process.engines.fetch_add(1, Ordering::Relaxed),
            process,
            backlog,
            options,
            store,
            launcher,
            registry,
            clock,
            task_tracker: TaskTracker::default(),
            stop: CancellationToken::new(),
            in_flight: Mutex::default(),
            monitored: Mutex::default(),
            monitor_wakeup: Notify::new(),
            stop_requests: StopRequests::default(),
            nudges: Mutex::default(),
            nudged: Notify::new(),
            failures: Mutex::default(),
            retries: Retries::default(),
            already_launched: Mutex::default(),
            resumed: Mutex::default(),
            future_versions: Mutex::default(),
            rescan: AtomicBool::new(false),
            loop_stats: Mutex::default(),
            background: tokio_util::task::TaskTracker::new(),
        });
        (engine, waiting)
    }

    /// Starts a task that [`Self::finish`] waits for.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.background.spawn(work);
    }

    /// Waits until every task has ended.
    pub(super) async fn finish(&self) {
        self.background.close();
        self.background.wait().await;
    }

    /// Sleeps; returns false when the engine stops meanwhile.
    pub(super) async fn sleep(&self, how_long: std::time::Duration) -> bool {
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

    /// Publishes an event. The closure runs only if there are subscribers.
    pub(super) fn publish(&self, event: impl FnOnce() -> Event) {
        self.process.publish(event);
    }

    /// Returns whether this process may launch now. When it may not, the engine stops.
    pub(super) fn may_launch(&self) -> bool {
        if !self.process.lease.holds_since(self.term) && !self.stop.is_cancelled() {
            tracing::warn!("lease expired; stopping the engine so that other replicas can take over");
            self.stop.cancel();
        }
        !self.stop.is_cancelled()
    }

    /// Records whether the store took a write, for the status and `readyz`. The engine stops when its jobs have another owner.
    pub(super) fn record_write<T>(&self, result: &Result<T, StoreError>) {
        match result {
            Err(error @ StoreError::Fault { .. }) => self.process.record_store_fault(error),
            Err(error @ StoreError::Fenced(_)) => {
                if !self.stop.is_cancelled() {
                    tracing::warn!(%error, "stopping the engine: its jobs have another owner");
                }
                self.stop.cancel();
            }
            Ok(_) | Err(StoreError::Exists(_) | StoreError::NotFound(_) | StoreError::Conflict(_)) => {
                self.process.record_store_recovered();
            }
        }
    }

    /// Records a failed read of the store. A successful read does not show that the store can be written.
    pub(super) fn record_read<T>(&self, result: &Result<T, StoreError>) {
        if let Err(error @ StoreError::Fault { .. }) = result {
            self.process.record_store_fault(error);
        }
    }

    /// Makes settlements durable; returns the result of each.
    ///
    /// # Errors
    ///
    /// Fails as the store did, or when the store did not answer every settlement: then it is unknown what is durable.
    pub(super) async fn commit_settlements(
        &self,
        batch: Vec<Settlement>,
    ) -> Result<Vec<Settled>, StoreError> {
        let count = batch.len();
        let answer = self.store.settle(batch).await.and_then(|settled| {
            if settled.len() == count {
                return Ok(settled);
            }
            let answered = settled.len();
            let message =
                format!("the {} store answered {answered} of {count} settlements", self.store.kind());
            Err(StoreError::fault(FaultKind::Bug, message))
        });
        self.record_write(&answer);
        answer
    }

    /// Makes a firing's next state durable once: a retry after a lost answer finds it done.
    pub(super) async fn advance(
        &self,
        from: FiringState,
        to: &Firing,
        outcome: Option<TickOutcome>,
    ) -> Result<(), StoreError> {
        let answer = self.store.advance(Advance { from, to: to.clone(), outcome }).await;
        self.record_write(&answer);
        let Err(StoreError::Conflict(_)) = &answer else { return answer };
        let query = FiringQuery { id: Some(to.id.clone()), ..FiringQuery::default() };
        let stored = self.store.firings(&query).await?.pop();
        let done = stored.is_some_and(|stored| {
            stored.state == to.state && stored.attempts == to.attempts && stored.tasks == to.tasks
        });
        if done { Ok(()) } else { answer }
    }
}
