//! The one that writes: whatever waits goes into the next segment, and is answered once that is durable.

mod writer_task;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ecs_scheduler_core::{FaultKind, StoreError};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::compaction::Upkeep;
use crate::lifecycle::Gate;
use crate::log::Log;
use crate::log_op::{Effect, Entry};
use crate::materialized_state::State;
use crate::segment::{decode, describe, segment_name};

use writer_task::Scribe;

/// Operations that wait for the writer; further callers wait for room.
const QUEUE: usize = 512;

/// Writes an operation as JSON.
pub(crate) fn text(entry: &Entry) -> Result<Box<RawValue>, StoreError> {
    serde_json::value::to_raw_value(entry)
        .map_err(|error| StoreError::caused(FaultKind::Bug, "could not write an operation as JSON", error))
}

/// An operation that waits.
#[derive(Debug)]
struct Command {
    entry: Entry,
    text: Box<RawValue>,
    answer: oneshot::Sender<Result<Effect, StoreError>>,
}

/// The answer to an operation, once there is one.
pub(crate) type Pending = oneshot::Receiver<Result<Effect, StoreError>>;

/// The way to the writer.
#[derive(Debug)]
pub(crate) struct Writer {
    gate: Arc<Gate>,
    queue: Mutex<Option<mpsc::Sender<Command>>>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    next: Arc<AtomicU64>,
    id: Uuid,
}

impl Writer {
    /// Starts a writer that continues at position `next`.
    pub(crate) fn start(
        gate: Arc<Gate>,
        log: Arc<dyn Log>,
        state: Arc<State>,
        id: Uuid,
        next: u64,
        upkeep: Upkeep,
    ) -> Self {
        let (queue, commands) = mpsc::channel(QUEUE);
        let next = Arc::new(AtomicU64::new(next));
        let scribe =
            Scribe { gate: Arc::clone(&gate), log, state, id, next: Arc::clone(&next), doubt: None, upkeep };
        let task = tokio::spawn(scribe.run(commands));
        let task = tokio::sync::Mutex::new(Some(task));
        Self { gate, queue: Mutex::new(Some(queue)), task, next, id }
    }

    /// Puts an operation into the queue, behind those that are there.
    ///
    /// # Errors
    ///
    /// Fails when the store may not be used any more.
    pub(crate) async fn put(&self, entry: Entry) -> Result<Pending, StoreError> {
        self.gate.pass()?;
        let text = text(&entry)?;
        let queue = self.queue.lock().clone().ok_or_else(|| self.gate.site.closed())?;
        let (answer, pending) = oneshot::channel();
        queue.send(Command { entry, text, answer }).await.map_err(|_| self.gate.site.closed())?;
        Ok(pending)
    }

    /// Waits for the answer to an operation.
    ///
    /// # Errors
    ///
    /// Fails as the operation did, or when it could not be made durable.
    pub(crate) async fn wait(&self, pending: Pending) -> Result<Effect, StoreError> {
        pending.await.unwrap_or_else(|_| Err(self.gate.site.closed()))
    }

    /// Does one operation.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub(crate) async fn call(&self, entry: Entry) -> Result<Effect, StoreError> {
        let pending = self.put(entry).await?;
        self.wait(pending).await
    }

    /// Looks whether the next position is still free, which is how a process that does not write learns that another one does.
    ///
    /// # Errors
    ///
    /// Fails when the log cannot be read, or when another process writes.
    pub(crate) async fn check(&self, log: &dyn Log) -> Result<(), StoreError> {
        self.gate.pass()?;
        let name = segment_name(self.next.load(Ordering::SeqCst));
        let Some(found) = log.read(&name).await? else { return Ok(()) };
        match decode(&self.gate.site, &name, &found) {
            // The writer was faster than this look.
            Ok(segment) if segment.writer == self.id => Ok(()),
            Ok(_) | Err(_) => Err(self.gate.lose(&describe(&self.gate.site, &name, Some(&found)))),
        }
    }

    /// Writes what waits and ends the writer.
    pub(crate) async fn close(&self) {
        drop(self.queue.lock().take());
        if let Some(task) = self.task.lock().await.take() {
            // It panicked, or it is done; either way nothing waits any more.
            let _ = task.await;
        }
    }
}
