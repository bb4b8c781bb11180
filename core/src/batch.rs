//! One reading of a source serves every evaluation that needs it.
//!
//! ```text
//! read("a") ─┐ opens a window                    ┌─▶ Source::read(["a", "b"])   a full batch goes at once
//! read("b") ─┤                                   │
//! read("a") ─┘ shares the reading of "a"   ──────┴─▶ Source::read(["c"])        the rest when the window closes
//! read("c")
//! ```
//!
//! A round of many jobs takes longer than a window. Who asks [for a tick](Batcher::read_for) therefore also shares a
//! reading that an earlier evaluation of the same round asked for: N jobs on M sources cost M readings, however long it
//! takes to get to all of them.
//!
//! Rejected: a batch method on [`Trigger`](crate::Trigger), which would make every author think in batches; a cache
//! with a time to live, which would answer with numbers older than the question.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use crate::fault::FaultKind;
use crate::trigger::{Tick, TriggerError};
use tick_cache::{KEPT, Round};

#[cfg(test)]
mod tests;
mod tick_cache;

/// Keys that may wait for a reading at once by default; who asks for a further one waits.
pub const MAX_WAITING: usize = 1_024;

/// A reading as all who asked for it share it.
pub type SharedReading<R> = Result<R, Arc<TriggerError>>;

/// Where numbers come from, many at a time.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Names one thing that can be read: a queue, a metric.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;
    /// What is read of it.
    type Reading: Clone + Send + Sync + 'static;
    /// The most keys that one call may read; at least 1.
    const MAX_KEYS: usize;

    /// Reads these keys, of which no two are equal. A key that is left out of the answer counts as an error.
    async fn read(&self, keys: &[Self::Key]) -> HashMap<Self::Key, SharedReading<Self::Reading>>;
}

/// How a [`Batcher`] gathers and reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// For how long equal keys are gathered into one reading; 5 ms by default.
    pub window: Duration,
    /// For how long it may be, when further keys keep coming within [`window`](Self::window) of each other; as long as the
    /// window by default. For a source that reads many keys a call and asks to be called seldom.
    pub longest: Duration,
    /// How many calls of [`Source::read`] may be under way at once; 4 by default, at least 1.
    pub reads: usize,
    /// How long one call may take before its readers get an error; 10 s by default.
    pub timeout: Duration,
    /// How many keys may wait at once; [`MAX_WAITING`] by default, at least 1.
    pub waiting: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            window: Duration::from_millis(5),
            longest: Duration::from_millis(5),
            reads: 4,
            timeout: Duration::from_secs(10),
            waiting: MAX_WAITING,
        }
    }
}

/// Gathers single reads into few calls of a [`Source`].
///
/// The first key opens a window. Within it equal keys share one reading, a full batch goes at once, and what is left
/// goes when it closes. A read that comes later gets a reading of its own, so none is older than its question by more
/// than a window. Cloning shares one batcher.
pub struct Batcher<S: Source> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: Source> {
    source: S,
    limits: BatchLimits,
    /// One permit per key from the moment it is asked for until it has been read.
    room: Arc<Semaphore>,
    reads: Semaphore,
    window: Mutex<Window<S>>,
}

type Slot<R> = Option<SharedReading<R>>;

/// What was asked for since the window opened.
struct Window<S: Source> {
    /// Counts windows, so that a timer closes its own only.
    number: u64,
    asked: HashMap<S::Key, watch::Receiver<Slot<S::Reading>>>,
    batch: Batch<S>,
    /// What was asked for by evaluations, also before this window.
    round: Round<S::Key, S::Reading>,
    /// Whether somebody forgets what is old in it.
    swept: bool,
}

/// Keys that are not yet on their way.
struct Batch<S: Source> {
    keys: Vec<S::Key>,
    slots: Vec<watch::Sender<Slot<S::Reading>>>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl<S: Source> Default for Batch<S> {
    fn default() -> Self {
        Self { keys: Vec::new(), slots: Vec::new(), permits: Vec::new() }
    }
}

impl<S: Source> Clone for Batcher<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: Source> fmt::Debug for Batcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

impl<S: Source> Batcher<S> {
    /// Puts a batcher in front of a source.
    #[must_use]
    pub fn new(source: S) -> Self {
        Self::with(source, BatchLimits::default())
    }

    /// Puts a batcher with its own limits in front of a source.
    #[must_use]
    pub fn with(source: S, limits: BatchLimits) -> Self {
        const { assert!(S::MAX_KEYS > 0, "a source reads at least one key a call") };
        let window = Window {
            number: 0,
            asked: HashMap::new(),
            batch: Batch::default(),
            round: Round::default(),
            swept: false,
        };
        Self {
            shared: Arc::new(Shared {
                source,
                limits,
                room: Arc::new(Semaphore::new(limits.waiting.max(1))),
                reads: Semaphore::new(limits.reads.max(1)),
                window: Mutex::new(window),
            }),
        }
    }

    /// Reads one key, together with whatever else is asked for at the moment. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails as the source does, and when it panics, takes longer than [`BatchLimits::timeout`], or leaves the key out.
    pub async fn read(&self, key: S::Key) -> SharedReading<S::Reading> {
        self.answer(key, None).await
    }

    /// Reads one key for the evaluation of a tick: shares a reading that another evaluation asked for when this tick was
    /// due already, at most a second ago. Must be called within a tokio runtime.
    ///
    /// So all jobs of a round share one reading, and none sees a number from before its tick, unless it is late: then
    /// the number is at most a second older than the evaluation.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read). An error is shared as a reading is.
    pub async fn read_for(&self, tick: Tick, key: S::Key) -> SharedReading<S::Reading> {
        self.answer(key, Some(tick)).await
    }

    async fn answer(&self, key: S::Key, tick: Option<Tick>) -> SharedReading<S::Reading> {
        let joined = self.shared.window.lock().join(&key, tick);
        let mut slot = match joined {
            Some(slot) => slot,
            None => {
                let room = Arc::clone(&self.shared.room);
                let permit = room.acquire_owned().await.expect("the semaphore is never closed");
                Shared::ask(&self.shared, key, tick, permit)
            }
        };
        let reading = slot.wait_for(Option::is_some).await;
        let reading = reading.ok().and_then(|slot| slot.clone());
        reading.unwrap_or_else(|| {
            Err(fault(FaultKind::Unavailable, "the reading was abandoned because the scheduler stops"))
        })
    }
}

fn fault(kind: FaultKind, message: &str) -> Arc<TriggerError> {
    Arc::new(TriggerError::new(kind, message))
}

impl<S: Source> Window<S> {
    /// Finds a reading under way or just made that answers the question.
    fn join(&mut self, key: &S::Key, tick: Option<Tick>) -> Option<watch::Receiver<Slot<S::Reading>>> {
        let Some(tick) = tick else { return self.asked.get(key).cloned() };
        let shared = self.round.find(key, tick);
        if shared.is_some() {
            return shared;
        }
        let slot = self.asked.get(key)?.clone();
        self.round.note(key.clone(), tick, slot.clone());
        Some(slot)
    }
}

impl<S: Source> Shared<S> {
    /// Puts a key into the window, unless somebody else did while we waited for room.
    fn ask(
        this: &Arc<Self>,
        key: S::Key,
        tick: Option<Tick>,
        permit: OwnedSemaphorePermit,
    ) -> watch::Receiver<Slot<S::Reading>> {
        let mut window = this.window.lock();
        if let Some(slot) = window.join(&key, tick) {
            return slot;
        }
        if window.asked.is_empty() {
            let (this, number) = (Arc::clone(this), window.number);
            tokio::spawn(async move {
                this.gather(number).await;
                if Self::close(&this, number) {
                    this.sweep().await;
                }
            });
        }
        let (sender, receiver) = watch::channel(None);
        if let Some(tick) = tick {
            window.round.note(key.clone(), tick, receiver.clone());
        }
        window.asked.insert(key.clone(), receiver.clone());
        window.batch.keys.push(key);
        window.batch.slots.push(sender);
        window.batch.permits.push(permit);
        if window.batch.keys.len() == S::MAX_KEYS {
            Self::send(this, std::mem::take(&mut window.batch));
        }
        receiver
    }

    /// Waits until a window is to be closed: no further key comes, or it was open for long enough.
    async fn gather(&self, number: u64) {
        let opened = Instant::now();
        let mut asked = 1;
        loop {
            tokio::time::sleep(self.limits.window).await;
            // Whoever is ready to ask goes first, should the process have been held up.
            tokio::task::yield_now().await;
            let window = self.window.lock();
            let grew = window.number == number && window.asked.len() > asked;
            if !grew || opened.elapsed() >= self.limits.longest {
                return;
            }
            asked = window.asked.len();
        }
    }

    /// Closes a window, and tells whether its timer is to go on and forget what gets old.
    fn close(this: &Arc<Self>, number: u64) -> bool {
        let mut window = this.window.lock();
        if window.number == number {
            window.number += 1;
            window.asked.clear();
            Self::send(this, std::mem::take(&mut window.batch));
        }
        let sweeps = !window.swept && !window.round.is_empty();
        window.swept |= sweeps;
        sweeps
    }

    /// Forgets what gets old, until nothing is left to forget.
    async fn sweep(&self) {
        loop {
            tokio::time::sleep(KEPT).await;
            let mut window = self.window.lock();
            window.round.forget_old();
            if window.round.is_empty() {
                window.swept = false;
                return;
            }
        }
    }

    fn send(this: &Arc<Self>, batch: Batch<S>) {
        if !batch.keys.is_empty() {
            let this = Arc::clone(this);
            tokio::spawn(async move { this.read(batch).await });
        }
    }

    /// Reads a batch and answers all who wait for it. Keys for which nobody waits any more are not read.
    async fn read(&self, batch: Batch<S>) {
        let _turn = self.reads.acquire().await.expect("the semaphore is never closed");
        let (keys, slots): (Vec<_>, Vec<_>) = {
            let window = self.window.lock();
            let asked = batch.keys.into_iter().zip(batch.slots);
            asked.filter(|(key, slot)| window.round.is_waited_for(key, slot)).unzip()
        };
        if keys.is_empty() {
            return;
        }
        let read = AssertUnwindSafe(self.source.read(&keys)).catch_unwind();
        let mut answer = match tokio::time::timeout(self.limits.timeout, read).await {
            Ok(Ok(readings)) => Ok(readings),
            Ok(Err(_)) => Err(fault(FaultKind::Bug, "the source panicked while it was read")),
            Err(_) => {
                let limit = self.limits.timeout;
                Err(fault(FaultKind::Unavailable, &format!("the source did not answer within {limit:?}")))
            }
        };
        for (key, slot) in keys.iter().zip(slots) {
            let reading = match &mut answer {
                Ok(readings) => readings.remove(key).unwrap_or_else(|| {
                    Err(fault(FaultKind::Bug, "the source left out a key that it was asked for"))
                }),
                Err(error) => Err(Arc::clone(error)),
            };
            slot.send_replace(Some(reading));
        }
    }
}

/// Makes an error of one's own of a shared one, so that a trigger can pass it on with `?`.
impl From<Arc<TriggerError>> for TriggerError {
    fn from(shared: Arc<TriggerError>) -> Self {
        let own = Self::new(shared.kind(), shared.to_string());
        if shared.source().is_some() { own.because(SharedCause(shared)) } else { own }
    }
}

/// The cause of a shared error.
#[derive(Debug)]
struct SharedCause(Arc<TriggerError>);

impl SharedCause {
    fn cause(&self) -> &(dyn Error + 'static) {
        self.0.source().unwrap_or(&self.0)
    }
}

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.cause(), f)
    }
}

impl Error for SharedCause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause().source()
    }
}
