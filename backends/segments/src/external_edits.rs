//! What others did to the documents: what each of them is to the store.

use ecs_scheduler_core::{FaultKind, JobId, JobStore as _, JobUid, NewJob, StoreError, Timestamp, fault};
use futures::StreamExt as _;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::documents::{Document, Documents};
use crate::log_op::Entry;
use crate::materialized_state::State;

/// Documents that are read at once.
const AT_ONCE: usize = 32;

/// Compares the versions of all documents with those noted, and says what is new, changed or gone. Documents whose version is
/// the noted one are not read.
///
/// # Errors
///
/// Fails when the documents cannot be listed or read. A document that is not JSON is left out with a warning.
pub(crate) async fn differences(
    documents: &dyn Documents,
    state: &State,
    at: Timestamp,
) -> Result<Vec<Entry>, StoreError> {
    let mut noted = state.versions();
    let mut changed: Vec<JobId> = Vec::new();
    for (id, version) in documents.versions().await? {
        if noted.remove(&id) != Some(version) {
            changed.push(id);
        }
    }
    changed.sort_unstable();
    // A job whose document is yet to be written is there all the same.
    let written = noted.into_iter().filter(|(_, version)| !version.is_unwritten());
    let mut gone: Vec<JobId> = written.map(|(id, _)| id).collect();
    gone.sort_unstable();
    let mut entries = Vec::with_capacity(changed.len() + gone.len());
    let reads = changed.into_iter().map(|id| async move {
        let found = documents.read(&id).await;
        (id, found)
    });
    let mut reads = futures::stream::iter(reads).buffered(AT_ONCE);
    while let Some((id, found)) = reads.next().await {
        match found {
            Ok(Some(found)) => entries.push(adoption(state, &id, found, at).await?),
            // It was removed since it was listed.
            Ok(None) => gone.extend(state.version(&id).map(|_| id)),
            Err(error @ StoreError::Fault { kind: FaultKind::Config, .. }) => {
                tracing::warn!(job = %id, "left out what somebody else wrote: {}", fault::chain(&error));
            }
            Err(error) => return Err(error),
        }
    }
    entries.extend(gone.into_iter().map(|id| Entry::Remove { id, expected: None }));
    if !entries.is_empty() {
        tracing::info!("takes over {} documents of jobs that others wrote or removed", entries.len());
    }
    Ok(entries)
}

/// Says what a document that somebody else wrote is to the store: an edit of the job, a new one, or no change at all.
///
/// # Errors
///
/// Fails when the state is closed.
pub(crate) async fn adoption(
    state: &State,
    id: &JobId,
    (document, version): Document,
    at: Timestamp,
) -> Result<Entry, StoreError> {
    let id = id.clone();
    Ok(match state.memory.get(std::slice::from_ref(&id)).await?.pop() {
        Some(job) if same(&job.document, &document) => Entry::Note { id, version },
        Some(job) => Entry::Replace { id, expected: job.revision, document, at, version },
        None => Entry::Create { job: NewJob { id, uid: JobUid::random(), document, at }, version },
    })
}

/// Tells whether two documents say the same, however they are written.
pub(crate) fn same(left: &RawValue, right: &RawValue) -> bool {
    let value = |text: &RawValue| serde_json::from_str::<Value>(text.get());
    left.get() == right.get() || matches!((value(left), value(right)), (Ok(left), Ok(right)) if left == right)
}
