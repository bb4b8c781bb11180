//! Coalesces and batches reads: one reading of a source serves every evaluation that needs it.
//!
//! ```text
//! read("a") ─┐ opens a window                    ┌─▶ Source::read(["a", "b"])   a full batch goes at once
//! read("b") ─┤                                   │
//! read("a") ─┘ shares the reading of "a"   ──────┴─▶ Source::read(["c"])        the rest when the window closes
//! read("c")
//! ```
//!
//! A round of many jobs takes longer than a window. A read [for a tick](Batcher::read_for) therefore also shares a reading
//! that an earlier evaluation of the same round requested: N jobs on M sources cost M readings, however long the round
//! takes.
//!
//! Rejected: a batch method on [`Trigger`](crate::Trigger), which would make every author think in batches; a plain cache
//! with a time to live, which would return numbers older than the request.

use std::collections::HashMap;
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
use tick_cache::{TTL, TickCache};

#[cfg(test)]
mod tests;
mod tick_cache;

/// The default maximum number of keys that may wait for a reading at once; further callers wait.
pub const MAX_WAITING: usize = 1_024;

/// A source of numbers that reads many keys per call.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Names one thing that can be read: a queue, a metric.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;
    /// The value that is read.
    type Reading: Clone + Send + Sync + 'static;
    /// The maximum number of keys per call; at least 1.
    const MAX_KEYS: usize;

    /// Reads these keys, which are distinct. A key that is missing from the result counts as an error.
    async fn read(&self, keys: &[Self::Key]) -> HashMap<Self::Key, Result<Self::Reading, TriggerError>>;
}

/// Limits of a [`Batcher`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchLimits {
    /// How long a window waits for further keys; 5 ms by default.
    pub window: Duration,
    /// The maximum age of a window while further keys keep coming within [`window`](Self::window) of each other; as long as
    /// the window by default. For sources that read many keys per call and should be called seldom.
    pub max_wait: Duration,
    /// The maximum number of concurrent calls of [`Source::read`]; 4 by default, at least 1.
    pub max_concurrent_reads: usize,
    /// The timeout of one call, after which its readers get an error; 10 s by default.
    pub timeout: Duration,
    /// The maximum number of keys that wait at once; [`MAX_WAITING`] by default, at least 1.
    pub max_waiting: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            window: Duration::from_millis(5),
            max_wait: Duration::from_millis(5),
            max_concurrent_reads: 4,
            timeout: Duration::from_secs(10),
            max_waiting: MAX_WAITING,
        }
    }
}

/// Coalesces single reads into few calls of a [`Source`].
///
/// The first key opens a window. Within it equal keys share one reading, a full batch is sent at once, and the rest is sent
/// when the window closes. A later read starts a new reading, so no reading is older than its request by more than a
/// window. Clones share one batcher.
pub struct Batcher<S: Source> {
    inner: Arc<Inner<S>>,
}

/// The state that the clones of a batcher share.
struct Inner<S: Source> {
    source: S,
    limits: BatchLimits,
    /// One permit per key, held from its request until it has been read.
    capacity: Arc<Semaphore>,
    reads: Semaphore,
    window: Mutex<BatchWindow<S>>,
}

type Reply<R> = Option<Result<R, TriggerError>>;

/// The keys requested since the window opened.
struct BatchWindow<S: Source> {
    /// Counts windows, so that a timer closes its own only.
    number: u64,
    pending: HashMap<S::Key, watch::Receiver<Reply<S::Reading>>>,
    batch: Batch<S>,
    /// Readings requested by evaluations, in this window and before it.
    tick_cache: TickCache<S::Key, S::Reading>,
    /// Whether a task evicts expired readings from the tick cache.
    evicting: bool,
}

/// Keys that have not been sent yet.
struct Batch<S: Source> {
    keys: Vec<S::Key>,
    replies: Vec<watch::Sender<Reply<S::Reading>>>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl<S: Source> Default for Batch<S> {
    fn default() -> Self {
        Self { keys: Vec::new(), replies: Vec::new(), permits: Vec::new() }
    }
}

impl<S: Source> Clone for Batcher<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S: Source> fmt::Debug for Batcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

impl<S: Source> Batcher<S> {
    /// Puts a batcher in front of a source.
    #[must_use]
    pub fn new(source: S) -> Self {
        Self::with_limits(source, BatchLimits::default())
    }

    /// Puts a batcher with its own limits in front of a source.
    #[must_use]
    pub fn with_limits(source: S, limits: BatchLimits) -> Self {
        const { assert!(S::MAX_KEYS > 0, "a source reads at least one key a call") };
        let window = BatchWindow {
            number: 0,
            pending: HashMap::new(),
            batch: Batch::default(),
            tick_cache: TickCache::default(),
            evicting: false,
        };
        Self {
            inner: Arc::new(Inner {
                source,
                limits,
                capacity: Arc::new(Semaphore::new(limits.max_waiting.max(1))),
                reads: Semaphore::new(limits.max_concurrent_reads.max(1)),
                window: Mutex::new(window),
            }),
        }
    }

    /// Reads one key, batched with concurrent reads. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails as the source does, and when the source panics, exceeds [`BatchLimits::timeout`], or leaves the key out.
    pub async fn read(&self, key: S::Key) -> Result<S::Reading, TriggerError> {
        self.wait_for_reading(key, None).await
    }

    /// Reads one key for the evaluation of a tick: shares a reading that another evaluation requested after this tick was
    /// due, at most a second ago. Must be called within a tokio runtime.
    ///
    /// All jobs of a round thus share one reading, and none sees a number from before its tick, unless the tick is late:
    /// then the number is at most a second older than the evaluation.
    ///
    /// # Errors
    ///
    /// Fails as [`read`](Self::read) does. Errors are shared like readings.
    pub async fn read_for(&self, tick: Tick, key: S::Key) -> Result<S::Reading, TriggerError> {
        self.wait_for_reading(key, Some(tick)).await
    }

    async fn wait_for_reading(&self, key: S::Key, tick: Option<Tick>) -> Result<S::Reading, TriggerError> {
        let joined = self.inner.window.lock().find_pending(&key, tick);
        let mut reply = match joined {
            Some(reply) => reply,
            None => {
                let capacity = Arc::clone(&self.inner.capacity);
                let permit = capacity.acquire_owned().await.expect("the semaphore is never closed");
                Inner::enqueue(&self.inner, key, tick, permit)
            }
        };
        let reading = reply.wait_for(Option::is_some).await;
        let reading = reading.ok().and_then(|reply| reply.clone());
        reading.unwrap_or_else(|| {
            Err(TriggerError::new(
                FaultKind::Unavailable,
                "the reading was abandoned because the scheduler stops",
            ))
        })
    }
}

impl<S: Source> BatchWindow<S> {
    /// Finds a pending or recent reading that answers the request.
    fn find_pending(
        &mut self,
        key: &S::Key,
        tick: Option<Tick>,
    ) -> Option<watch::Receiver<Reply<S::Reading>>> {
        let Some(tick) = tick else { return self.pending.get(key).cloned() };
        let shared = self.tick_cache.get(key, tick);
        if shared.is_some() {
            return shared;
        }
        let reply = self.pending.get(key)?.clone();
        self.tick_cache.insert(key.clone(), tick, reply.clone());
        Some(reply)
    }
}

impl<S: Source> Inner<S> {
    /// Adds a key to the window, unless another caller did while this one waited for capacity.
    fn enqueue(
        this: &Arc<Self>,
        key: S::Key,
        tick: Option<Tick>,
        permit: OwnedSemaphorePermit,
    ) -> watch::Receiver<Reply<S::Reading>> {
        let mut window = this.window.lock();
        if let Some(reply) = window.find_pending(&key, tick) {
            return reply;
        }
        if window.pending.is_empty() {
            let (this, number) = (Arc::clone(this), window.number);
            tokio::spawn(async move {
                this.wait_for_window(number).await;
                if Self::close_window(&this, number) {
                    this.run_eviction().await;
                }
            });
        }
        let (sender, receiver) = watch::channel(None);
        if let Some(tick) = tick {
            window.tick_cache.insert(key.clone(), tick, receiver.clone());
        }
        window.pending.insert(key.clone(), receiver.clone());
        window.batch.keys.push(key);
        window.batch.replies.push(sender);
        window.batch.permits.push(permit);
        if window.batch.keys.len() == S::MAX_KEYS {
            Self::spawn_read(this, std::mem::take(&mut window.batch));
        }
        receiver
    }

    /// Waits until a window must close: no further key comes, or `max_wait` has passed.
    async fn wait_for_window(&self, number: u64) {
        let opened = Instant::now();
        let mut seen = 1;
        loop {
            tokio::time::sleep(self.limits.window).await;
            // Ready callers go first, in case the process was stalled.
            tokio::task::yield_now().await;
            let window = self.window.lock();
            let grew = window.number == number && window.pending.len() > seen;
            if !grew || opened.elapsed() >= self.limits.max_wait {
                return;
            }
            seen = window.pending.len();
        }
    }

    /// Closes a window; returns whether its timer task must go on as the eviction task.
    fn close_window(this: &Arc<Self>, number: u64) -> bool {
        let mut window = this.window.lock();
        if window.number == number {
            window.number += 1;
            window.pending.clear();
            Self::spawn_read(this, std::mem::take(&mut window.batch));
        }
        let start_eviction = !window.evicting && !window.tick_cache.is_empty();
        window.evicting |= start_eviction;
        start_eviction
    }

    /// Evicts expired readings until the cache is empty.
    async fn run_eviction(&self) {
        loop {
            tokio::time::sleep(TTL).await;
            let mut window = self.window.lock();
            window.tick_cache.evict_expired();
            if window.tick_cache.is_empty() {
                window.evicting = false;
                return;
            }
        }
    }

    fn spawn_read(this: &Arc<Self>, batch: Batch<S>) {
        if !batch.keys.is_empty() {
            let this = Arc::clone(this);
            tokio::spawn(async move { this.read(batch).await });
        }
    }

    /// Reads a batch and replies to its callers. Keys without a waiting caller are not read.
    async fn read(&self, batch: Batch<S>) {
        let _permit = self.reads.acquire().await.expect("the semaphore is never closed");
        let (keys, replies): (Vec<_>, Vec<_>) = {
            let window = self.window.lock();
            let pending = batch.keys.into_iter().zip(batch.replies);
            pending.filter(|(key, reply)| window.tick_cache.is_waited_for(key, reply)).unzip()
        };
        if keys.is_empty() {
            return;
        }
        let read = AssertUnwindSafe(self.source.read(&keys)).catch_unwind();
        let mut answer = match tokio::time::timeout(self.limits.timeout, read).await {
            Ok(Ok(readings)) => Ok(readings),
            Ok(Err(_)) => Err(TriggerError::new(FaultKind::Bug, "the source panicked while it was read")),
            Err(_) => {
                let limit = self.limits.timeout;
                Err(TriggerError::new(
                    FaultKind::Unavailable,
                    format!("the source did not answer within {limit:?}"),
                ))
            }
        };
        for (key, reply) in keys.iter().zip(replies) {
            let reading = match &mut answer {
                Ok(readings) => readings.remove(key).unwrap_or_else(|| {
                    Err(TriggerError::new(
                        FaultKind::Bug,
                        "the source returned no reading for a requested key",
                    ))
                }),
                Err(error) => Err(error.clone()),
            };
            reply.send_replace(Some(reading));
        }
    }
}
