//! What the parts of the engine share.

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
use tokio_util::task::TaskTracker;

use super::job_cache::HotJobs;
use super::process::Commons;
use super::retry::Retries;
use super::stop_requests::Stops;
use super::task_tracker::Ledger;
use super::{Engine, EngineOptions};
use crate::clock::Clock;
use crate::decide::Outcome;
use crate::event::Event;
use crate::firing::{Firing, FiringId, FiringState};
use crate::job::{JobId, JobUid, Revision};
use crate::launcher::Launcher;
use crate::registry::TriggerRegistry;
use crate::store::{Advance, FiringQuery, Store, StoreError};

/// What the parts of the engine share.
pub(super) struct Core {
    pub(super) options: EngineOptions,
    pub(super) store: Arc<dyn Store>,
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) registry: Arc<TriggerRegistry>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ledger: Ledger,
    pub(super) hot: HotJobs,
    pub(super) commons: Arc<Commons>,
    /// The term of the lease in which the engine was started.
    term: u64,
    pub(super) stop: CancellationToken,
    /// Journalled firings that wait for a place in dispatch.
    pub(super) backlog: mpsc::Sender<Firing>,
    /// Firings that some part of the engine carries, so that recovery does not take them up twice.
    pub(super) in_hand: Mutex<HashSet<FiringId>>,
    /// Launched firings whose tasks are followed.
    pub(super) watched: Mutex<BTreeMap<FiringId, Firing>>,
    /// Wakes the watch when there is something new to follow.
    pub(super) watch_more: Notify,
    /// Which tasks were asked to stop.
    pub(super) stops: Stops,
    pub(super) nudges: Mutex<BTreeSet<JobId>>,
    pub(super) nudged: Notify,
    /// Ticks in a row that a job's trigger could not decide.
    pub(super) failures: Mutex<HashMap<JobUid, u32>>,
    pub(super) retries: Retries,
    /// The number of this engine among those of the process.
    pub(super) number: u64,
    /// Firings whose tick came again: it was launched while the clock was ahead, and is not launched again.
    pub(super) launched: Mutex<HashMap<JobUid, FiringId>>,
    /// Jobs that were resumed: if their ticks are settled in the future, they count again from now on.
    pub(super) resumed: Mutex<BTreeSet<JobId>>,
    /// Every job is to be compared with the store now.
    pub(super) rescan: AtomicBool,
    /// Versions of jobs whose trouble was read of the journal.
    pub(super) recalled: Mutex<LruCache<(JobUid, Revision), ()>>,
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
    /// Jobs whose ticks are settled in the future.
    pub(super) ahead: usize,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("name", &self.options.name).finish_non_exhaustive()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.commons.faults.leave(self.number);
    }
}

impl Core {
    /// Also returns the far end of the backlog.
    pub(super) fn new(engine: Engine, commons: Arc<Commons>) -> (Arc<Self>, mpsc::Receiver<Firing>) {
        let Engine { options, store, launcher, registry, clock } = engine;
        let (backlog, waiting) = mpsc::channel(options.backlog);
        let recalled = NonZeroUsize::new(options.hot_jobs).unwrap_or(NonZeroUsize::MIN);
        let core = Arc::new(Self {
            recalled: Mutex::new(LruCache::new(recalled)),
            hot: HotJobs::new(options.hot_jobs),
            term: commons.lease.term(),
            number: commons.engines.fetch_add(1, Ordering::Relaxed),
            commons,
            backlog,
            options,
            store,
            launcher,
            registry,
            clock,
            ledger: Ledger::default(),
            stop: CancellationToken::new(),
            in_hand: Mutex::default(),
            watched: Mutex::default(),
            watch_more: Notify::new(),
            stops: Stops::default(),
            nudges: Mutex::default(),
            nudged: Notify::new(),
            failures: Mutex::default(),
            retries: Retries::default(),
            launched: Mutex::default(),
            resumed: Mutex::default(),
            rescan: AtomicBool::new(false),
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
        self.commons.tell(event);
    }

    /// Tells whether this process may launch now. When it may not, the engine stops.
    pub(super) fn may_launch(&self) -> bool {
        if !self.commons.lease.holds_since(self.term) && !self.stop.is_cancelled() {
            tracing::warn!(
                "the engine stops: this process was not heard of in time, and others take its jobs over"
            );
            self.stop.cancel();
        }
        !self.stop.is_cancelled()
    }

    /// Notes whether the store took a write, for the status and `readyz`. An engine whose jobs have another owner stops.
    pub(super) fn note_write<T>(&self, result: &Result<T, StoreError>) {
        match result {
            Err(error @ StoreError::Fault { .. }) => self.commons.note_store_fault(error),
            Err(error @ StoreError::Fenced(_)) => {
                if !self.stop.is_cancelled() {
                    tracing::warn!(%error, "the engine stops: its jobs have another owner");
                }
                self.stop.cancel();
            }
            Ok(_) | Err(StoreError::Exists(_) | StoreError::NotFound(_) | StoreError::Conflict(_)) => {
                self.commons.note_store_works();
            }
        }
    }

    /// Notes that the store could not be read. A read that succeeds does not show that it can be written.
    pub(super) fn note_read<T>(&self, result: &Result<T, StoreError>) {
        if let Err(error @ StoreError::Fault { .. }) = result {
            self.commons.note_store_fault(error);
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
}
