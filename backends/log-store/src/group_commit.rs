//! Group commit: the operations that wait go into the next segment, and are answered when the segment is durable.

mod writer_task;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ecs_scheduler_core::StoreError;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::compaction::Compactor;
use crate::lifecycle::Lifecycle;
use crate::log::ObjectLog;
use crate::log_op::{LogOp, OpResult};
use crate::materialized_state::MaterializedState;
use crate::segment::{decode, describe_writer, segment_name};

use writer_task::{QueuedOp, WriterTask};

/// The most operations in the queue. Further callers wait.
const MAX_QUEUED: usize = 512;

/// The future answer to an operation in the queue.
pub(crate) type PendingAnswer = oneshot::Receiver<Result<OpResult, StoreError>>;

/// The handle of the task that writes the log.
#[derive(Debug)]
pub(crate) struct LogWriter {
    lifecycle: Arc<Lifecycle>,
    queue: Mutex<Option<mpsc::Sender<QueuedOp>>>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
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
        let (queue, ops) = mpsc::channel(MAX_QUEUED);
        let next_position = Arc::new(AtomicU64::new(next_position));
        let task = WriterTask {
            lifecycle: Arc::clone(&lifecycle),
            log,
            state,
            id,
            next_position: Arc::clone(&next_position),
            uncertain: None,
            compactor,
        };
        let task = tokio::spawn(task.run(ops));
        let task = tokio::sync::Mutex::new(Some(task));
        Self { lifecycle, queue: Mutex::new(Some(queue)), task, next_position, id }
    }

    /// Puts an operation at the end of the queue.
    ///
    /// # Errors
    ///
    /// Fails when the store may not be used any more.
    pub(crate) async fn submit(&self, op: LogOp) -> Result<PendingAnswer, StoreError> {
        self.lifecycle.ensure_open()?;
        let json = op.encode()?;
        let queue = self.queue.lock().clone().ok_or_else(|| self.lifecycle.location.closed())?;
        let (answer, pending) = oneshot::channel();
        queue.send(QueuedOp { op, json, answer }).await.map_err(|_| self.lifecycle.location.closed())?;
        Ok(pending)
    }

    /// Waits for the answer to an operation.
    ///
    /// # Errors
    ///
    /// Fails as the operation did, or when the operation could not be made durable.
    pub(crate) async fn wait(&self, pending: PendingAnswer) -> Result<OpResult, StoreError> {
        pending.await.unwrap_or_else(|_| Err(self.lifecycle.location.closed()))
    }

    /// Commits one operation.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub(crate) async fn commit(&self, op: LogOp) -> Result<OpResult, StoreError> {
        let pending = self.submit(op).await?;
        self.wait(pending).await
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
        drop(self.queue.lock().take());
        if let Some(task) = self.task.lock().await.take() {
            // The task has ended or panicked. In both cases no operation waits any more.
            let _ = task.await;
        }
    }
}
