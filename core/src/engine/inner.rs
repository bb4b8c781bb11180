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
use tracing::Instrument as _;

use super::breaker::Breakers;
use super::driven_backfills::Backfills;
use super::faults::FaultyAction;
use super::in_flight::InFlight;
use super::job_cache::JobCache;
use super::launcher_calls::LauncherCalls;
use super::notices::Notices;
use super::process::ProcessState;
use super::refused_jobs::RefusedJobs;
use super::stop_requests::StopRequests;
use super::store_calls::StoreCalls;
use super::task_tracker::TaskTracker;
use super::tick_retry::Retries;
use super::{Engine, EngineOptions};
use crate::clock::Clock;
use crate::event::Event;
use crate::fault;
use crate::firing::Firing;
use crate::id::{FiringId, JobId, JobUid, Revision, TaskId};
use crate::registry::TriggerRegistry;
use crate::store::StoreError;

/// The state that the parts of the engine share.
pub(super) struct EngineInner {
    pub(super) options: EngineOptions,
    pub(super) store: StoreCalls,
    pub(super) launcher: LauncherCalls,
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
    pub(super) in_flight: InFlight,
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
    /// Jobs whose time limits may differ from those of their launched firings.
    pub(super) edited: Mutex<BTreeSet<JobId>>,
    /// Live tasks whose states the last poll could not read.
    pub(super) unread_tasks: Mutex<HashSet<TaskId>>,
    /// Versions of jobs whose failing ticks were read from the journal.
    pub(super) recalled: Mutex<LruCache<(JobUid, Revision), ()>>,
    pub(super) breakers: Breakers,
    pub(super) backfills: Backfills,
    /// Jobs that are settled alone, because the store refused their batch.
    pub(super) refused: RefusedJobs,
    pub(super) loop_stats: Mutex<LoopStats>,
    /// Events that notifications are made of.
    pub(super) notices: Notices,
    /// The span in which the engine was started: that of its shard, if there are several.
    span: tracing::Span,
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
        self.process.budgets.close(self.number);
    }
}

impl EngineInner {
    /// Also returns the receiver of the backlog.
    pub(super) fn new(engine: Engine, process: Arc<ProcessState>) -> (Arc<Self>, mpsc::Receiver<Firing>) {
        let Engine { options, store, launcher, registry, clock } = engine;
        let (backlog, waiting) = mpsc::channel(options.backlog);
        let stop = CancellationToken::new();
        let notices = Notices::new(options.notifier.is_some());
        let recalled = NonZeroUsize::new(options.cached_jobs).unwrap_or(NonZeroUsize::MIN);
        let engine = Arc::new(Self {
            breakers: Breakers::new(recalled),
            backfills: Backfills::default(),
            recalled: Mutex::new(LruCache::new(recalled)),
            job_cache: JobCache::new(options.cached_jobs),
            term: process.lease.term(),
            number: process.engines.fetch_add(1, Ordering::Relaxed),
            store: StoreCalls::new(store, options.store_deadline, Arc::clone(&process), stop.clone()),
            process,
            backlog,
            options,
            launcher: LauncherCalls::new(launcher),
            registry,
            clock,
            task_tracker: TaskTracker::default(),
            stop,
            in_flight: InFlight::default(),
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
            refused: RefusedJobs::default(),
            edited: Mutex::default(),
            unread_tasks: Mutex::default(),
            loop_stats: Mutex::default(),
            notices,
            span: tracing::Span::current(),
            background: tokio_util::task::TaskTracker::new(),
        });
        (engine, waiting)
    }

    /// Starts a task that [`Self::finish`] waits for.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.background.spawn(work.instrument(self.span.clone()));
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

    /// Records the tasks that a firing still reserves and those that it has started.
    pub(super) fn record_tasks(&self, firing: &Firing, now: Timestamp) {
        self.task_tracker.record_firing(firing, now);
        self.process.budgets.record(self.number, firing, now);
    }

    /// Forgets the tasks of a firing that another writer has changed.
    pub(super) fn forget_tasks(&self, firing: &Firing) {
        self.task_tracker.release(firing);
        self.process.budgets.forget(self.number, firing);
    }

    pub(super) fn nudge(&self, id: &JobId) {
        self.nudges.lock().insert(id.clone());
        self.nudged.notify_one();
    }

    /// Publishes an event. The closure runs only if there are subscribers.
    pub(super) fn publish(&self, event: impl FnOnce() -> Event) {
        self.process.publish(event);
    }

    /// Records that the store refuses a record of a job altogether, which concerns this many ticks.
    pub(super) fn record_refused(
        &self,
        (job, uid): (&JobId, JobUid),
        action: FaultyAction,
        error: &StoreError,
        ticks: u64,
    ) {
        let (error, now) = (fault::chain(error), self.clock.now());
        if self.process.faults.record_lasting(self.number, (uid, action), &error, ticks, now) {
            tracing::error!(%job, error, "the store refuses the records of a job");
        }
    }

    /// Returns whether this process may launch now. When it may not, the engine stops.
    pub(super) fn may_launch(&self) -> bool {
        if !self.process.lease.holds_since(self.term) && !self.stop.is_cancelled() {
            tracing::warn!("lease expired; stopping the engine so that other replicas can take over");
            self.stop.cancel();
        }
        !self.stop.is_cancelled()
    }
}
