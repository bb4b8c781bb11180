//! Import of another store's jobs and history.
//!
//! The log records an imported job before its document is written, unlike a job that is created. A crash in between
//! leaves jobs whose documents are not written yet, in their order and with their metadata, and the next opening writes
//! the documents. Documents without jobs would be mistaken for those of another program, and their jobs for new ones.

use ecs_scheduler_core::{ImportBatch, JobStore as _, JournalEntry, StoreError, StoredJob};
use futures::StreamExt as _;

use crate::documents::DocumentVersion;
use crate::jobs::{JobEditor, PutResult};
use crate::log_op::LogOp;

/// The maximum number of documents that are written concurrently.
const CONCURRENT_WRITES: usize = 32;

/// The maximum number of jobs or entries of one operation, which bounds the size of a segment.
const ITEMS_PER_OP: usize = 100;

/// Imports jobs or entries in their order.
///
/// # Errors
///
/// Fails when one of them cannot be imported; those before it are imported.
pub(crate) async fn import(editor: &JobEditor, batch: ImportBatch) -> Result<(), StoreError> {
    match batch {
        ImportBatch::Jobs(jobs) => import_jobs(editor, jobs).await,
        ImportBatch::History(entries) => import_history(editor, entries).await,
    }
}

/// Writes the documents of imported jobs that a crashed process has not written.
///
/// # Errors
///
/// Fails when one of them cannot be written.
pub(crate) async fn complete_import(editor: &JobEditor) -> Result<(), StoreError> {
    let unwritten = editor.state.versions().into_iter().filter(|(_, version)| version.is_unwritten());
    let ids: Vec<_> = unwritten.map(|(id, _)| id).collect();
    for ids in ids.chunks(ITEMS_PER_OP) {
        let jobs = editor.state.memory.get(ids).await?;
        let mut written = Vec::with_capacity(jobs.len());
        for (job, result) in write_documents(editor, jobs).await {
            // Reconciliation finds a document that another program wrote meanwhile.
            if let PutResult::Written(version) = result? {
                written.push(LogOp::RecordVersion { id: job.id, version });
            }
        }
        editor.writer.commit_all(written).await?;
    }
    Ok(())
}

async fn import_jobs(editor: &JobEditor, mut jobs: Vec<StoredJob>) -> Result<(), StoreError> {
    let existing = jobs.iter().position(|job| editor.state.version(&job.id).is_some());
    let refused = existing.map(|index| jobs.drain(index..).next().expect("the job is at this index").id);
    while !jobs.is_empty() {
        let rest = jobs.split_off(ITEMS_PER_OP.min(jobs.len()));
        import_batch(editor, std::mem::replace(&mut jobs, rest)).await?;
    }
    refused.map_or(Ok(()), |id| Err(StoreError::Exists(id)))
}

async fn import_batch(editor: &JobEditor, jobs: Vec<StoredJob>) -> Result<(), StoreError> {
    let unwritten = jobs.iter().map(|job| (job.clone(), DocumentVersion::unwritten()));
    editor.writer.commit(LogOp::ImportJobs(unwritten.collect())).await?;
    let mut written = Vec::with_capacity(jobs.len());
    let mut removed = Vec::new();
    let mut failure = None;
    for (job, result) in write_documents(editor, jobs).await {
        match (result, &failure) {
            (Ok(PutResult::Written(version)), None) => {
                written.push(LogOp::RecordVersion { id: job.id, version });
            }
            (Ok(PutResult::Written(version)), Some(_)) => {
                // The job comes after the one that failed, so it is not imported. If its document cannot be removed,
                // the next opening imports it as another program's.
                drop(editor.documents.remove(&job.id, &version).await);
                removed.push(LogOp::Remove { id: job.id, expected: None });
            }
            (Ok(PutResult::Occupied(_)), _) => {
                removed.push(LogOp::Remove { id: job.id.clone(), expected: None });
                failure.get_or_insert(StoreError::Exists(job.id));
            }
            (Err(error), _) => {
                removed.push(LogOp::Remove { id: job.id, expected: None });
                failure.get_or_insert(error);
            }
        }
    }
    editor.writer.commit_all(written).await?;
    editor.writer.commit_all(removed).await?;
    failure.map_or(Ok(()), Err)
}

/// Writes the documents of jobs that the log has.
async fn write_documents(
    editor: &JobEditor,
    jobs: Vec<StoredJob>,
) -> Vec<(StoredJob, Result<PutResult, StoreError>)> {
    let writes = jobs.into_iter().map(|job| async move {
        let result = editor.put_new(&job.id, &job.document).await;
        (job, result)
    });
    futures::stream::iter(writes).buffered(CONCURRENT_WRITES).collect().await
}

async fn import_history(editor: &JobEditor, mut entries: Vec<JournalEntry>) -> Result<(), StoreError> {
    while !entries.is_empty() {
        let rest = entries.split_off(ITEMS_PER_OP.min(entries.len()));
        let batch = std::mem::replace(&mut entries, rest);
        editor.writer.commit(LogOp::ImportHistory(batch)).await?;
    }
    Ok(())
}
