//! Compaction: snapshots that replace segments, and a bound for the history in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ecs_scheduler_core::{PrunedJobs, Retention, StoreError, Timestamp, fault};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::log::ObjectLog;
use crate::log_op::LogOp;
use crate::materialized_state::MaterializedState;
use crate::segment::segment_position;
use crate::snapshot;

/// Fewer bytes of segments do not cause a snapshot. A number of segments does.
const MIN_SNAPSHOT_BYTES: u64 = 16 << 20;

/// Decides when to take a snapshot and when to prune the history.
#[derive(Debug)]
pub(crate) struct Compactor {
    /// A snapshot is taken after this many segments.
    snapshot_every: u64,
    /// The number of finished rows that are kept.
    max_rows: usize,
    /// Segments and bytes since the newest snapshot.
    segments: u64,
    bytes: u64,
    /// The size of the newest snapshot in bytes.
    snapshot_bytes: Arc<AtomicU64>,
    /// The snapshot that is being written. An aborted snapshot has no manifest, so it is ignored.
    running: Option<AbortOnDropHandle<()>>,
}

impl Compactor {
    /// Starts with this many segments and bytes since the newest snapshot.
    pub(crate) fn new(snapshot_every: u64, max_rows: usize, segments: u64, bytes: u64) -> Self {
        Self { snapshot_every, max_rows, segments, bytes, snapshot_bytes: Arc::default(), running: None }
    }

    /// Counts a segment of this size.
    pub(crate) fn count_segment(&mut self, size: usize) {
        self.segments += 1;
        self.bytes += size as u64;
    }

    /// Returns the operation that prunes the history when too many rows are finished. It removes an eighth of them at once, so that
    /// it is not needed with every segment.
    pub(crate) fn prune_overflow(&self, state: &MaterializedState) -> Option<LogOp> {
        let finished = state.memory.finished_decisions().ok()?;
        let excess = finished.checked_sub(self.max_rows).filter(|excess| *excess > self.max_rows / 8)?;
        // The batch has as many finished rows as it may remove, so it reaches no register.
        let jobs = PrunedJobs::All;
        let all = Retention { before: Timestamp::MAX, keep: 0, now: Timestamp::MAX, batch: excess, jobs };
        Some(LogOp::Prune(all.into()))
    }

    /// Starts a snapshot at this position if one is due and none is running.
    pub(crate) fn start_if_due(
        &mut self,
        log: &Arc<dyn ObjectLog>,
        state: &MaterializedState,
        writer: Uuid,
        position: u64,
    ) {
        let is_large = self.bytes >= MIN_SNAPSHOT_BYTES.max(self.snapshot_bytes.load(Ordering::Relaxed));
        let is_running = self.running.as_ref().is_some_and(|running| !running.is_finished());
        if is_running || (self.segments < self.snapshot_every && !is_large) {
            return;
        }
        let Ok((image, sidecar)) = state.copy() else { return };
        let (log, snapshot_bytes) = (Arc::clone(log), Arc::clone(&self.snapshot_bytes));
        let work = async move {
            let epochs = sidecar.epochs.clone();
            match snapshot::write(&*log, writer, position, image, sidecar).await {
                Ok(bytes) => {
                    snapshot_bytes.store(bytes, Ordering::Relaxed);
                    if let Err(error) = remove_replaced(&*log, position, &epochs).await {
                        tracing::warn!("could not remove old segments: {}", fault::chain(&error));
                    }
                }
                Err(error) => tracing::warn!("could not write a snapshot: {}", fault::chain(&error)),
            }
        };
        // After a failure the next attempt is made after as many segments again. Until then opening takes longer.
        (self.segments, self.bytes) = (0, 0);
        self.running = Some(AbortOnDropHandle::new(tokio::spawn(work)));
    }

    /// Waits for the running snapshot, if there is one.
    pub(crate) async fn finish(&mut self) {
        if let Some(running) = self.running.take() {
            // The task logs its own errors.
            let _ = running.await;
        }
    }
}

/// Removes the segments up to this position, and older snapshots, complete or not. The segments that begin an epoch stay, so that a
/// process that was stopped for long finds its next position occupied.
async fn remove_replaced(log: &dyn ObjectLog, position: u64, epochs: &[u64]) -> Result<(), StoreError> {
    let mut names = log.names("").await?;
    names.retain(|name| match (segment_position(name), snapshot::snapshot_position(name)) {
        (Some(at), _) => at <= position && epochs.binary_search(&at).is_err(),
        (None, Some(at)) => at < position,
        (None, None) => false,
    });
    log.remove(&names).await
}
