//! The task that writes segments, and resolves writes whose result is unknown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ecs_scheduler_core::{StoreError, fault};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::compaction::Compactor;
use crate::lifecycle::Lifecycle;
use crate::log::{CreateResult, ObjectLog};
use crate::log_op::{LogOp, OpResult};
use crate::materialized_state::MaterializedState;
use crate::segment::{describe_writer, encode, segment_name};

/// A segment of this size in bytes takes no further operations.
const MAX_SEGMENT_BYTES: usize = 2 << 20;

/// The most attempts at one segment before its operations fail.
const MAX_ATTEMPTS: u32 = 4;

/// The delay before the second attempt. It doubles with each further attempt.
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);

/// An operation in the queue.
#[derive(Debug)]
pub(super) struct QueuedOp {
    pub(super) op: LogOp,
    pub(super) json: Box<RawValue>,
    pub(super) answer: oneshot::Sender<Result<OpResult, StoreError>>,
}

/// The task that writes segments, applies their operations and answers their callers.
#[derive(Debug)]
pub(super) struct WriterTask {
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) log: Arc<dyn ObjectLog>,
    pub(super) state: Arc<MaterializedState>,
    pub(super) id: Uuid,
    pub(super) next_position: Arc<AtomicU64>,
    pub(super) uncertain: Option<UncertainWrite>,
    pub(super) compactor: Compactor,
}

/// A segment that may or may not be durable. The task writes it again, byte by byte the same, before any other segment: its
/// position holds this segment or one of another process, never another segment of this process.
#[derive(Debug)]
pub(super) struct UncertainWrite {
    bytes: Vec<u8>,
    ops: Vec<LogOp>,
}

/// Why a segment is not known to be durable.
enum WriteError {
    /// The segment was not written.
    NotWritten(StoreError),
    /// The segment may have been written.
    Unknown(StoreError),
}

impl WriterTask {
    /// Writes segments until the queue is closed and empty.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<QueuedOp>) {
        while let Some(first) = queue.recv().await {
            let mut size = first.json.get().len();
            let mut batch = vec![first];
            while size < MAX_SEGMENT_BYTES
                && let Ok(queued) = queue.try_recv()
            {
                size += queued.json.get().len();
                batch.push(queued);
            }
            self.commit_batch(batch).await;
            if let Some(op) = self.compactor.prune_overflow(&self.state) {
                self.prune(op).await;
            }
            self.compactor.start_if_due(&self.log, &self.state, self.id, self.position() - 1);
        }
        self.compactor.finish().await;
    }

    fn position(&self) -> u64 {
        self.next_position.load(Ordering::SeqCst)
    }

    async fn prune(&mut self, op: LogOp) {
        let Ok(json) = op.encode() else { return };
        let (answer, outcome) = oneshot::channel();
        self.commit_batch(vec![QueuedOp { op, json, answer }]).await;
        match outcome.await {
            Ok(Ok(result)) => {
                tracing::info!("pruned {} rows of history: the journal is full", result.into_count())
            }
            Ok(Err(error)) => tracing::warn!("could not prune old history: {}", fault::chain(&error)),
            Err(_) => {}
        }
    }

    async fn commit_batch(&mut self, batch: Vec<QueuedOp>) {
        if let Err(error) = self.resolve_uncertain_write().await {
            return fail_batch(batch, &error);
        }
        let mut encoded = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for QueuedOp { op, json, answer } in batch {
            encoded.push(json);
            waiting.push((op, answer));
        }
        let bytes = encode(self.id, self.position(), &encoded);
        let (error, is_uncertain) = match self.append(&bytes).await {
            Ok(()) => {
                let position = self.advance_position(bytes.len());
                for (op, answer) in waiting {
                    // A caller that was cancelled does not receive the answer.
                    let _ = answer.send(self.state.apply(position, op).await);
                }
                return;
            }
            Err(WriteError::NotWritten(error)) => (error, false),
            Err(WriteError::Unknown(error)) => (error, true),
        };
        let mut ops = Vec::new();
        for (op, answer) in waiting {
            ops.push(op);
            let _ = answer.send(Err(error.clone()));
        }
        self.uncertain = is_uncertain.then_some(UncertainWrite { bytes, ops });
    }

    /// Counts a durable segment; returns its position.
    fn advance_position(&mut self, size: usize) -> u64 {
        self.compactor.count_segment(size);
        self.next_position.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes the uncertain segment again until its result is known.
    async fn resolve_uncertain_write(&mut self) -> Result<(), StoreError> {
        let Some(UncertainWrite { bytes, ops }) = self.uncertain.take() else { return Ok(()) };
        match self.append(&bytes).await {
            Ok(()) => {
                let position = self.advance_position(bytes.len());
                for op in ops {
                    // The caller has received an error that says that the result is unknown.
                    let _ = self.state.apply(position, op).await;
                }
                Ok(())
            }
            Err(WriteError::NotWritten(error) | WriteError::Unknown(error)) => {
                self.uncertain = Some(UncertainWrite { bytes, ops });
                Err(error)
            }
        }
    }

    async fn append(&self, bytes: &[u8]) -> Result<(), WriteError> {
        self.lifecycle.ensure_not_fenced().map_err(WriteError::NotWritten)?;
        let name = segment_name(self.position());
        let (mut attempt, mut backoff) = (1, INITIAL_BACKOFF);
        loop {
            match self.log.create(&name, bytes.to_vec()).await {
                Ok(CreateResult::Created) => return Ok(()),
                Ok(CreateResult::Exists) => return self.compare_existing(&name, bytes).await,
                Err(error) if error.is_transient() && attempt < MAX_ATTEMPTS => {
                    tracing::warn!(name, attempt, "{}; retrying", fault::chain(&error));
                    tokio::time::sleep(backoff).await;
                    attempt += 1;
                    backoff *= 2;
                }
                Err(error) if error.is_transient() || attempt > 1 => return Err(WriteError::Unknown(error)),
                Err(error) => return Err(WriteError::NotWritten(error)),
            }
        }
    }

    /// Checks whether the existing segment is the one to write.
    async fn compare_existing(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let found = self.log.read(name).await.map_err(WriteError::Unknown)?;
        if found.as_deref() == Some(bytes) {
            return Ok(());
        }
        let writer = describe_writer(&self.lifecycle.location, name, found.as_deref());
        Err(WriteError::NotWritten(self.lifecycle.fence_out(&writer)))
    }
}

fn fail_batch(batch: Vec<QueuedOp>, error: &StoreError) {
    for queued in batch {
        let _ = queued.answer.send(Err(error.clone()));
    }
}
