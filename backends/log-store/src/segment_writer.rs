//! The writer of segments, which resolves writes whose result is unknown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ecs_scheduler_core::store::group_commit::{BatchRequest, BatchResult, BatchWriter};
use ecs_scheduler_core::{Backoff, StoreError, fault};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::compaction::Compactor;
use crate::lifecycle::Lifecycle;
use crate::log::{CreateResult, ObjectLog};
use crate::log_op::{LogOp, OpResult};
use crate::materialized_state::MaterializedState;
use crate::segment::{describe_writer, encode, segment_name};

/// A segment of this size in bytes takes no further operations.
const MAX_SEGMENT_BYTES: usize = 2 << 20;

/// The delays between the attempts at one segment, of which there are four before its operations fail.
const APPEND_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(200), Duration::from_millis(800)).with_max_attempts(4);

/// An operation in the queue.
#[derive(Debug)]
pub(crate) struct QueuedOp {
    /// Taken when the operation is in a segment.
    op: Option<LogOp>,
    json: Box<RawValue>,
}

impl QueuedOp {
    pub(crate) fn new(op: LogOp) -> Result<Self, StoreError> {
        let json = op.encode()?;
        Ok(Self { op: Some(op), json })
    }
}

impl BatchRequest for QueuedOp {
    type Response = OpResult;
    /// Bytes of JSON.
    type BatchSize = usize;

    fn admit(&self, bytes: &mut usize) -> bool {
        let has_room = *bytes < MAX_SEGMENT_BYTES;
        *bytes += self.json.get().len();
        has_room
    }
}

/// Writes segments, and applies their operations.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) log: Arc<dyn ObjectLog>,
    pub(crate) state: Arc<MaterializedState>,
    pub(crate) id: Uuid,
    pub(crate) next_position: Arc<AtomicU64>,
    pub(crate) uncertain: Option<UncertainWrite>,
    pub(crate) compactor: Compactor,
}

/// A segment that may or may not be durable. The writer writes it again, byte by byte the same, before any other
/// segment: its position holds this segment or one of another process, never another segment of this process.
#[derive(Debug)]
pub(crate) struct UncertainWrite {
    bytes: Vec<u8>,
    ops: Vec<LogOp>,
}

/// The reason why a segment is not known to be durable.
enum WriteError {
    /// The segment was not written.
    NotWritten(StoreError),
    /// The segment may have been written.
    Unknown(StoreError),
}

impl BatchWriter for SegmentWriter {
    type Request = QueuedOp;

    async fn write(&mut self, requests: &mut [QueuedOp]) -> BatchResult<QueuedOp> {
        self.resolve_uncertain_write().await?;
        let json: Vec<&RawValue> = requests.iter().map(|queued| &*queued.json).collect();
        let bytes = encode(self.id, self.position(), &json);
        let appended = self.append(&bytes).await;
        let ops = requests.iter_mut().filter_map(|queued| queued.op.take());
        match appended {
            Ok(()) => {
                let position = self.advance_position(bytes.len());
                let mut results = Vec::new();
                for op in ops {
                    results.push(self.state.apply(position, op).await);
                }
                Ok(results)
            }
            Err(WriteError::NotWritten(error)) => Err(error),
            Err(WriteError::Unknown(error)) => {
                self.uncertain = Some(UncertainWrite { bytes, ops: ops.collect() });
                Err(error)
            }
        }
    }

    /// The cause of an error is the log and not an operation, and an operation that may be durable must not be written
    /// twice.
    fn splits(&self, _: &StoreError) -> bool {
        false
    }

    /// The state may lack operations of a durable segment.
    fn recover(&mut self) -> bool {
        false
    }

    async fn after_batch(&mut self) {
        if let Some(op) = self.compactor.prune_overflow(&self.state) {
            self.prune(op).await;
        }
        self.compactor.start_if_due(&self.log, &self.state, self.id, self.position() - 1);
    }

    async fn finish(mut self) {
        self.compactor.finish().await;
    }
}

impl SegmentWriter {
    fn position(&self) -> u64 {
        self.next_position.load(Ordering::SeqCst)
    }

    async fn prune(&mut self, op: LogOp) {
        let Ok(queued) = QueuedOp::new(op) else { return };
        let result = self.write(&mut [queued]).await.map(|mut results| results.pop());
        match result {
            Ok(Some(Ok(result))) => {
                tracing::info!("pruned {} rows of history: the journal is full", result.into_count());
            }
            Ok(Some(Err(error))) | Err(error) => {
                tracing::warn!("could not prune old history: {}", fault::chain(&error));
            }
            Ok(None) => {}
        }
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
        let mut backoff = APPEND_BACKOFF;
        loop {
            match self.log.create(&name, bytes.to_vec()).await {
                Ok(CreateResult::Created) => return Ok(()),
                Ok(CreateResult::Exists) => return self.compare_existing(&name, bytes).await,
                Err(error) if error.is_transient() && backoff.may_retry() => {
                    tracing::warn!(name, attempt = backoff.attempt(), "{}; retrying", fault::chain(&error));
                    tokio::time::sleep(backoff.next_delay()).await;
                }
                Err(error) if error.is_transient() || backoff.attempt() > 1 => {
                    return Err(WriteError::Unknown(error));
                }
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
