//! One owned shard: its engine from taking it over to leaving it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::Crew;
use super::records::{Ownership, shard_register};
use crate::engine::{Engine, EngineHandle};
use crate::fault;
use crate::store::{EditMark, Fence, Shard, ShardView, Store, StoreError};

/// How long to wait before an engine that could not start is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A shard that this replica owns, or is leaving.
#[derive(Debug)]
pub(super) struct OwnedShard {
    pub(super) shard: Shard,
    /// The version of the shard's register under which it is owned.
    pub(super) version: u64,
    state: Mutex<State>,
    /// Somebody wants it left.
    go: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    engine: Option<EngineHandle>,
    mark: EditMark,
    leave: Option<Leave>,
}

/// Why a shard is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// It is to be handed over: its register is released.
    HandOver,
    /// Somebody else owns it, or soon will.
    Forsaken,
}

impl OwnedShard {
    /// Returns the engine while the shard is looked at.
    pub(super) fn engine(&self) -> Option<EngineHandle> {
        self.state.lock().engine.clone()
    }

    /// Up to where the engine knows of edits.
    pub(super) fn mark(&self) -> EditMark {
        self.state.lock().mark
    }

    pub(super) fn set_mark(&self, mark: EditMark) {
        self.state.lock().mark = mark;
    }

    /// Tells whether it is being left.
    pub(super) fn is_going(&self) -> bool {
        self.go.is_cancelled()
    }

    /// Has it left; tells whether it was not being left already.
    pub(super) fn leave(&self, why: Leave) -> bool {
        let mut state = self.state.lock();
        let first = state.leave.is_none();
        // What is forsaken is not handed over any more.
        if first || why == Leave::Forsaken {
            state.leave = Some(why);
        }
        drop(state);
        self.go.cancel();
        first
    }
}

impl Crew {
    /// Begins to look at a shard that this replica owns under this version of its register.
    pub(super) fn own(self: &Arc<Self>, shard: Shard, version: u64) {
        let owned =
            Arc::new(OwnedShard { shard, version, state: Mutex::default(), go: CancellationToken::new() });
        self.owned.lock().insert(shard, Arc::clone(&owned));
        if self.leaving.is_cancelled() {
            owned.leave(Leave::HandOver);
        }
        let crew = Arc::clone(self);
        self.tracker.spawn(async move {
            tokio::select! {
                biased;
                () = owned.go.cancelled() => {}
                () = crew.serve(&owned) => {}
            }
            crew.clear(&owned).await;
        });
    }

    /// Leaves every shard; returns how many there were to leave.
    pub(super) fn leave_all(&self, why: &Leave) -> usize {
        self.owned.lock().values().filter(|owned| owned.leave(*why)).count()
    }

    /// Runs the shard's engine until it stops by itself.
    async fn serve(&self, owned: &OwnedShard) {
        loop {
            match self.start(owned).await {
                Ok(engine) => {
                    tracing::info!(shard = %owned.shard, jobs = engine.status().jobs, "looking at a shard");
                    owned.state.lock().engine = Some(engine.clone());
                    engine.stopping().await;
                    return;
                }
                Err(error) => {
                    let error = fault::chain(&error);
                    tracing::error!(shard = %owned.shard, error, "a shard's jobs could not be read");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn start(&self, owned: &OwnedShard) -> Result<EngineHandle, StoreError> {
        // Edits from here on are told; those before are read with the jobs.
        let told = self.store.edits(&[(owned.shard, EditMark::default())]).await?;
        owned.set_mark(told.first().map(|edits| edits.mark).unwrap_or_default());
        let fence = Fence { register: shard_register(owned.shard), version: owned.version };
        let view = ShardView::new(Arc::clone(&self.store), owned.shard, fence);
        let engine = Engine {
            options: self.engine.options.clone().divided_by(usize::from(Shard::COUNT)),
            store: Arc::new(view) as Arc<dyn Store>,
            ..self.engine.clone()
        };
        engine.start_with(Arc::clone(&self.commons)).await
    }

    /// Stops the shard's engine and, to hand it over, releases its register.
    async fn clear(&self, owned: &OwnedShard) {
        let engine = owned.state.lock().engine.take();
        if let Some(engine) = engine
            && !engine.stop(self.options.timing.farewell).await
        {
            tracing::info!(shard = %owned.shard, "calls under way are left to the next owner");
        }
        if owned.state.lock().leave == Some(Leave::HandOver)
            && let Err(error) = self.release(owned).await
        {
            let error = fault::chain(&error);
            tracing::warn!(shard = %owned.shard, error, "a shard could not be handed over; others take it over");
        }
        tracing::info!(shard = %owned.shard, "left a shard");
        self.owned.lock().remove(&owned.shard);
        self.shard_left.notify_waiters();
    }

    async fn release(&self, owned: &OwnedShard) -> Result<(), StoreError> {
        let free = serde_json::to_string(&Ownership::default()).expect("an ownership is plain data");
        let register = shard_register(owned.shard);
        let write = self.store.write(&register, &free, Some(owned.version), None);
        match tokio::time::timeout(self.options.timing.patience, write).await {
            Ok(Err(StoreError::Conflict(_))) => Ok(()), // Somebody took it over already.
            Ok(written) => written.map(drop),
            Err(_) => {
                Err(StoreError::fault(crate::FaultKind::Unavailable, "the store did not answer in time"))
            }
        }
    }
}
