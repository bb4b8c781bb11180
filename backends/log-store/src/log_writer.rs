//! The handle of the task that writes the log: the operations that wait go into the next segment, and are answered when the
//! segment is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ecs_scheduler_core::StoreError;
use ecs_scheduler_core::store::group_commit::GroupCommit;
use uuid::Uuid;

use crate::compaction::Compactor;
use crate::lifecycle::Lifecycle;
use crate::log::ObjectLog;
use crate::log_op::{LogOp, OpResult};
use crate::materialized_state::MaterializedState;
use crate::segment::{decode, describe_writer, segment_name};
use crate::segment_writer::{QueuedOp, SegmentWriter};

/// The handle of the task that writes the log.
#[derive(Debug)]
pub(crate) struct LogWriter {
    lifecycle: Arc<Lifecycle>,
    commits: GroupCommit<QueuedOp>,
    next_position: Arc<AtomicU64>,
    id: Uuid,
}

impl LogWriter {
    /// Starts a writer that continues at this position.
    pub(crate) fn start(
        lifecycle: Arc<Lifecycle>,
        log: Arc<dyn ObjectLog>,
        state: Arc<MaterializedState>,
        id: Uuid,
        next_position: u64,
        compactor: Compactor,
    ) -> Self {
        let next_position = Arc::new(AtomicU64::new(next_position));
        let writer = SegmentWriter {
            lifecycle: Arc::clone(&lifecycle),
            log,
            state,
            id,
            next_position: Arc::clone(&next_position),
            uncertain: None,
            compactor,
        };
        let commits = GroupCommit::spawn(writer, lifecycle.location.closed());
        Self { lifecycle, commits, next_position, id }
    }

    /// Puts an operation at the end of the queue; returns the future answer.
    ///
    /// # Errors
    ///
    /// Fails when the store may not be used any more. The future answer fails as the operation did, or when the operation
    /// could not be made durable.
    async fn submit(
        &self,
        op: LogOp,
    ) -> Result<impl Future<Output = Result<OpResult, StoreError>>, StoreError> {
        self.lifecycle.ensure_open()?;
        self.commits.enqueue(QueuedOp::new(op)?).await
    }

    /// Commits one operation.
    ///
    /// # Errors
    ///
    /// Fails as the operation did, when it could not be made durable, or when the store may not be used any more.
    pub(crate) async fn commit(&self, op: LogOp) -> Result<OpResult, StoreError> {
        self.submit(op).await?.await
    }

    /// Commits operations in their order. All are submitted before the first answer arrives, so that they share segments.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit), with the first error.
    pub(crate) async fn commit_all(&self, ops: Vec<LogOp>) -> Result<Vec<OpResult>, StoreError> {
        let mut pending = Vec::with_capacity(ops.len());
        for op in ops {
            pending.push(self.submit(op).await?);
        }
        let mut results = Vec::with_capacity(pending.len());
        for answer in pending {
            results.push(answer.await?);
        }
        Ok(results)
    }

    /// Checks that the next position is free. A process that does not write finds another writer by this check.
    ///
    /// # Errors
    ///
    /// Fails when the log cannot be read, or when another process writes.
    pub(crate) async fn check(&self, log: &dyn ObjectLog) -> Result<(), StoreError> {
        self.lifecycle.ensure_open()?;
        let name = segment_name(self.next_position.load(Ordering::SeqCst));
        let Some(found) = log.read(&name).await? else { return Ok(()) };
        match decode(&self.lifecycle.location, &name, &found) {
            // The writer task has written the segment since the position was read.
            Ok(segment) if segment.writer == self.id => Ok(()),
            Ok(_) | Err(_) => {
                let writer = describe_writer(&self.lifecycle.location, &name, Some(&found));
                Err(self.lifecycle.fence_out(&writer))
            }
        }
    }

    /// Writes the operations in the queue, and ends the task.
    pub(crate) async fn close(&self) {
        self.commits.close().await;
    }
}
