//! The lifecycle of an owned shard and its engine, from acquisition to release.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::ReplicaInner;
use super::records::{ShardOwnership, shard_register};
use crate::engine::{Engine, EngineHandle};
use crate::fault;
use crate::store::{ChangeCursor, Fence, Shard, ShardView, Store, StoreError, answer_within};

/// The pause before a failed engine start is retried.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// A shard that this replica owns or is releasing.
#[derive(Debug)]
pub(super) struct OwnedShard {
    pub(super) shard: Shard,
    /// The version of the shard's register that makes this replica the owner.
    pub(super) version: u64,
    state: Mutex<State>,
    /// Cancelled when the release begins.
    releasing: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    engine: Option<EngineHandle>,
    cursor: ChangeCursor,
    release: Option<Release>,
}

/// The reason for the release of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// Hand-over: its register is freed.
    HandOver,
    /// Another replica owns it, or soon will.
    Lost,
}

impl OwnedShard {
    /// Returns the engine while it runs.
    pub(super) fn engine(&self) -> Option<EngineHandle> {
        self.state.lock().engine.clone()
    }

    /// Returns the cursor up to which the engine knows the shard's edits.
    pub(super) fn cursor(&self) -> ChangeCursor {
        self.state.lock().cursor
    }

    pub(super) fn set_cursor(&self, cursor: ChangeCursor) {
        self.state.lock().cursor = cursor;
    }

    /// Tells whether its release has begun.
    pub(super) fn is_releasing(&self) -> bool {
        self.releasing.is_cancelled()
    }

    /// Begins its release; returns false if the release had begun already.
    pub(super) fn begin_release(&self, why: Release) -> bool {
        let mut state = self.state.lock();
        let first = state.release.is_none();
        // A lost shard is no longer handed over.
        if first || why == Release::Lost {
            state.release = Some(why);
        }
        drop(state);
        self.releasing.cancel();
        first
    }
}

impl ReplicaInner {
    /// Starts the engine of a shard that this replica owns under this version of its register.
    pub(super) fn acquire(self: &Arc<Self>, shard: Shard, version: u64) {
        let owned = Arc::new(OwnedShard {
            shard,
            version,
            state: Mutex::default(),
            releasing: CancellationToken::new(),
        });
        self.owned.lock().insert(shard, Arc::clone(&owned));
        if self.leaving.is_cancelled() {
            owned.begin_release(Release::HandOver);
        }
        let inner = Arc::clone(self);
        let work = async move {
            owned.releasing.run_until_cancelled(inner.run_engine(&owned)).await;
            inner.release_shard(&owned).await;
        };
        self.tracker.spawn(work.instrument(tracing::error_span!("shard", %shard)));
    }

    /// Begins the release of every shard; returns how many were not being released already.
    pub(super) fn release_all(&self, why: &Release) -> usize {
        self.owned.lock().values().filter(|owned| owned.begin_release(*why)).count()
    }

    /// Runs the shard's engine until it stops by itself.
    async fn run_engine(&self, owned: &OwnedShard) {
        loop {
            match self.start_engine(owned).await {
                Ok(engine) => {
                    tracing::info!(jobs = engine.status().jobs, "acquired a shard");
                    owned.state.lock().engine = Some(engine.clone());
                    engine.stopping().await;
                    return;
                }
                Err(error) => {
                    let error = fault::chain(&error);
                    tracing::error!(error, "could not read a shard's jobs");
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    async fn start_engine(&self, owned: &OwnedShard) -> Result<EngineHandle, StoreError> {
        // Edits from here on are polled; earlier ones are read with the jobs.
        let from = [(owned.shard, ChangeCursor::default())];
        let changes = answer_within(self.options.timing.store_timeout, self.store.changes(&from)).await?;
        owned.set_cursor(changes.first().map(|edits| edits.cursor).unwrap_or_default());
        let fence = Fence { register: shard_register(owned.shard), version: owned.version };
        let view = ShardView::new(Arc::clone(&self.store), owned.shard, fence);
        let engine = Engine {
            options: self.engine.options.clone().divided_by(usize::from(Shard::COUNT)),
            store: Arc::new(view) as Arc<dyn Store>,
            ..self.engine.clone()
        };
        engine.start_with(Arc::clone(&self.commons), vec![owned.shard], Some(owned.version)).await
    }

    /// Stops the shard's engine and, to hand it over, releases its register.
    async fn release_shard(&self, owned: &OwnedShard) {
        let engine = owned.state.lock().engine.take();
        if let Some(engine) = engine
            && !engine.stop(self.options.timing.drain_timeout).await
        {
            tracing::info!("the next owner takes over the running calls");
        }
        if owned.state.lock().release == Some(Release::HandOver)
            && let Err(error) = self.free_register(owned).await
        {
            let error = fault::chain(&error);
            tracing::warn!(error, "could not hand over a shard; another replica takes it over later");
        }
        tracing::info!("released a shard");
        self.owned.lock().remove(&owned.shard);
        self.shard_left.notify_waiters();
    }

    async fn free_register(&self, owned: &OwnedShard) -> Result<(), StoreError> {
        let free = serde_json::to_string(&ShardOwnership::default()).expect("an ownership is plain data");
        let register = shard_register(owned.shard);
        let write = self.store.put_register(&register, &free, Some(owned.version), None);
        match answer_within(self.options.timing.store_timeout, write).await {
            Err(StoreError::Conflict(_)) => Ok(()), // Another replica has taken it over.
            written => written.map(drop),
        }
    }
}
