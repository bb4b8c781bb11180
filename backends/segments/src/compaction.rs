//! Keeping the log short and the state small: snapshots, removal of what they replace, and a bound of the history.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ecs_scheduler_core::{Retention, StoreError, Timestamp, fault};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::log::Log;
use crate::log_op::Entry;
use crate::materialized_state::State;
use crate::segment::segment_position;
use crate::snapshot;

/// A snapshot is not taken for fewer bytes of segments than this, unless there are many of them.
const LITTLE: u64 = 16 << 20;

/// How long the log and how large the state may become.
#[derive(Debug)]
pub(crate) struct Upkeep {
    /// Segments after which a snapshot is taken.
    every: u64,
    /// Finished rows of history that are kept.
    most_rows: usize,
    /// Segments and bytes since the newest snapshot.
    segments: u64,
    bytes: u64,
    /// The size of the newest snapshot in bytes.
    size: Arc<AtomicU64>,
    /// The snapshot that is being written. One that is cut off does not count.
    running: Option<AbortOnDropHandle<()>>,
}

impl Upkeep {
    /// Begins with a log that has so many segments and bytes behind its newest snapshot.
    pub(crate) fn new(every: u64, most_rows: usize, segments: u64, bytes: u64) -> Self {
        Self { every, most_rows, segments, bytes, size: Arc::default(), running: None }
    }

    /// Counts a segment of this size.
    pub(crate) fn count(&mut self, size: usize) {
        self.segments += 1;
        self.bytes += size as u64;
    }

    /// Returns what to do when there are more finished rows than are kept. Each time an eighth of them goes, so that it
    /// does not happen at every segment.
    pub(crate) fn overflow(&self, state: &State) -> Option<Entry> {
        let finished = state.memory.finished().ok()?;
        let excess = finished.checked_sub(self.most_rows).filter(|excess| *excess > self.most_rows / 8)?;
        // So many rows are finished, so no register is reached.
        let all = Retention { before: Timestamp::MAX, keep: 0, now: Timestamp::MAX, batch: excess };
        Some(Entry::Prune(all.into()))
    }

    /// Begins a snapshot at this position if it is time for one and none is being written.
    pub(crate) fn consider(&mut self, log: &Arc<dyn Log>, state: &State, writer: Uuid, position: u64) {
        let large = self.bytes >= LITTLE.max(self.size.load(Ordering::Relaxed));
        let busy = self.running.as_ref().is_some_and(|running| !running.is_finished());
        if busy || (self.segments < self.every && !large) {
            return;
        }
        let Ok((image, notes)) = state.copy() else { return };
        let (log, size) = (Arc::clone(log), Arc::clone(&self.size));
        let work = async move {
            let claims = notes.claims.clone();
            match snapshot::write(&*log, writer, position, image, notes).await {
                Ok(bytes) => {
                    size.store(bytes, Ordering::Relaxed);
                    if let Err(error) = clean(&*log, position, &claims).await {
                        tracing::warn!("could not remove old segments: {}", fault::chain(&error));
                    }
                }
                Err(error) => tracing::warn!("could not write a snapshot: {}", fault::chain(&error)),
            }
        };
        // One that fails is tried again after as many segments; until then opening takes longer, and nothing else is lost.
        (self.segments, self.bytes) = (0, 0);
        self.running = Some(AbortOnDropHandle::new(tokio::spawn(work)));
    }

    /// Waits for the snapshot that is being written, if there is one.
    pub(crate) async fn finish(&mut self) {
        if let Some(running) = self.running.take() {
            // It says itself what went wrong.
            let _ = running.await;
        }
    }
}

/// Removes what the snapshot at this position replaces: segments up to it, and older snapshots, complete or not. Claims stay,
/// so that a process that was stopped for long finds the position that it would write to taken.
async fn clean(log: &dyn Log, position: u64, claims: &[u64]) -> Result<(), StoreError> {
    let mut names = log.names("").await?;
    names.retain(|name| match (segment_position(name), snapshot::snapshot_position(name)) {
        (Some(at), _) => at <= position && claims.binary_search(&at).is_err(),
        (None, Some(at)) => at < position,
        (None, None) => false,
    });
    log.remove(&names).await
}
