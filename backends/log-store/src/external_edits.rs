//! Reconciliation of documents that another program created, changed or removed.

use ecs_scheduler_core::{FaultKind, JobId, JobStore as _, JobUid, NewJob, StoreError, Timestamp, fault};
use futures::StreamExt as _;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::documents::{Document, Documents};
use crate::log_op::LogOp;
use crate::materialized_state::MaterializedState;

/// The maximum number of documents that are read concurrently.
const CONCURRENT_READS: usize = 32;

/// Compares the versions of all documents with the recorded ones, and returns the operations that record the
/// differences. Documents of the recorded version are not read.
///
/// # Errors
///
/// Fails when the documents cannot be listed or read. A document that is not JSON is skipped with a warning.
pub(crate) async fn find_external_edits(
    documents: &dyn Documents,
    state: &MaterializedState,
    at: Timestamp,
) -> Result<Vec<LogOp>, StoreError> {
    let mut recorded = state.versions();
    let mut changed: Vec<JobId> = Vec::new();
    for (id, version) in documents.versions().await? {
        if recorded.remove(&id) != Some(version) {
            changed.push(id);
        }
    }
    changed.sort_unstable();
    // An imported job exists although its document is not written yet.
    let written = recorded.into_iter().filter(|(_, version)| !version.is_unwritten());
    let mut removed: Vec<JobId> = written.map(|(id, _)| id).collect();
    removed.sort_unstable();
    let mut ops = Vec::with_capacity(changed.len() + removed.len());
    let reads = changed.into_iter().map(|id| async move {
        let found = documents.read(&id).await;
        (id, found)
    });
    let mut reads = futures::stream::iter(reads).buffered(CONCURRENT_READS);
    while let Some((id, found)) = reads.next().await {
        match found {
            Ok(Some(found)) => ops.push(external_edit(state, &id, found, at).await?),
            // It was removed after it was listed.
            Ok(None) => removed.extend(state.version(&id).map(|_| id)),
            Err(error @ StoreError::Fault { kind: FaultKind::Config, .. }) => {
                tracing::warn!(job = %id, "skipped a document of another program: {}", fault::chain(&error));
            }
            Err(error) => return Err(error),
        }
    }
    ops.extend(removed.into_iter().map(|id| LogOp::Remove { id, expected: None }));
    if !ops.is_empty() {
        tracing::info!("imports {} documents that another program created, changed or removed", ops.len());
    }
    Ok(ops)
}

/// Returns the operation that records a document of another program: a new job, an edit, or only a new version.
///
/// # Errors
///
/// Fails when the state is closed.
pub(crate) async fn external_edit(
    state: &MaterializedState,
    id: &JobId,
    (document, version): Document,
    at: Timestamp,
) -> Result<LogOp, StoreError> {
    let id = id.clone();
    Ok(match state.memory.get(std::slice::from_ref(&id)).await?.pop() {
        Some(job) if is_same_json(&job.document, &document) => LogOp::RecordVersion { id, version },
        Some(job) => LogOp::Replace { id, expected: job.revision, document, at, version },
        None => LogOp::Create { job: NewJob { id, uid: JobUid::random(), document, at }, version },
    })
}

/// Returns whether two documents are the same JSON value.
pub(crate) fn is_same_json(left: &RawValue, right: &RawValue) -> bool {
    let value = |text: &RawValue| serde_json::from_str::<Value>(text.get());
    left.get() == right.get() || matches!((value(left), value(right)), (Ok(left), Ok(right)) if left == right)
}
