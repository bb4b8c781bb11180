//! Taking over what another store held.
//!
//! A job's document is written after the log has the job, unlike that of a job that is created: a process that ends in between leaves
//! jobs whose documents are yet to be written, in their order and with all that belongs to them, and the next opening writes
//! those. Documents without a job would be taken for somebody else's, and the jobs made of them for new ones.

use ecs_scheduler_core::{Adoption, JobStore as _, JournalEntry, StoreError, StoredJob};
use futures::StreamExt as _;

use crate::documents::DocumentVersion;
use crate::jobs::{Desk, Placed};
use crate::log_op::Entry;

/// Documents that are written at once.
const AT_ONCE: usize = 32;

/// Jobs or entries of one operation, so that one segment does not become too large.
const TOGETHER: usize = 100;

/// Takes over jobs or entries in their order.
///
/// # Errors
///
/// Fails when one of them cannot be taken over; those before it are.
pub(crate) async fn adopt(desk: &Desk, adoption: Adoption) -> Result<(), StoreError> {
    match adoption {
        Adoption::Jobs(jobs) => adopt_jobs(desk, jobs).await,
        Adoption::History(entries) => adopt_history(desk, entries).await,
    }
}

/// Writes the documents of jobs that were taken over by a process that ended before it had written them.
///
/// # Errors
///
/// Fails when one of them cannot be written.
pub(crate) async fn complete(desk: &Desk) -> Result<(), StoreError> {
    let unwritten = desk.state.versions().into_iter().filter(|(_, version)| version.is_unwritten());
    let ids: Vec<_> = unwritten.map(|(id, _)| id).collect();
    for ids in ids.chunks(TOGETHER) {
        let jobs = desk.state.memory.get(ids).await?;
        let mut written = Vec::with_capacity(jobs.len());
        for (job, placed) in place(desk, jobs).await {
            // What somebody else wrote there meanwhile is found by whoever compares the documents.
            if let Placed::Written(version) = placed? {
                written.push(Entry::Note { id: job.id, version });
            }
        }
        call_all(desk, written).await?;
    }
    Ok(())
}

async fn adopt_jobs(desk: &Desk, mut jobs: Vec<StoredJob>) -> Result<(), StoreError> {
    let known = jobs.iter().position(|job| desk.state.version(&job.id).is_some());
    let refused = known.map(|at| jobs.drain(at..).next().expect("it is at that place").id);
    while !jobs.is_empty() {
        let rest = jobs.split_off(TOGETHER.min(jobs.len()));
        adopt_together(desk, std::mem::replace(&mut jobs, rest)).await?;
    }
    refused.map_or(Ok(()), |id| Err(StoreError::Exists(id)))
}

async fn adopt_together(desk: &Desk, jobs: Vec<StoredJob>) -> Result<(), StoreError> {
    let unwritten = jobs.iter().map(|job| (job.clone(), DocumentVersion::unwritten()));
    desk.writer.call(Entry::AdoptJobs(unwritten.collect())).await?;
    let mut notes = Vec::with_capacity(jobs.len());
    let mut unplaced = Vec::new();
    let mut failure = None;
    for (job, placed) in place(desk, jobs).await {
        match (placed, &failure) {
            (Ok(Placed::Written(version)), None) => notes.push(Entry::Note { id: job.id, version }),
            (Ok(Placed::Written(version)), Some(_)) => {
                // It is behind the one that failed, so it is not to be there. One that stays is taken for somebody else's.
                drop(desk.documents.remove(&job.id, &version).await);
                unplaced.push(Entry::Remove { id: job.id, expected: None });
            }
            (Ok(Placed::Taken(_)), _) => {
                unplaced.push(Entry::Remove { id: job.id.clone(), expected: None });
                failure.get_or_insert(StoreError::Exists(job.id));
            }
            (Err(error), _) => {
                unplaced.push(Entry::Remove { id: job.id, expected: None });
                failure.get_or_insert(error);
            }
        }
    }
    call_all(desk, notes).await?;
    call_all(desk, unplaced).await?;
    failure.map_or(Ok(()), Err)
}

/// Writes the documents of jobs that the log has.
async fn place(desk: &Desk, jobs: Vec<StoredJob>) -> Vec<(StoredJob, Result<Placed, StoreError>)> {
    let writes = jobs.into_iter().map(|job| async move {
        let placed = desk.place(&job.id, &job.document).await;
        (job, placed)
    });
    futures::stream::iter(writes).buffered(AT_ONCE).collect().await
}

async fn adopt_history(desk: &Desk, mut entries: Vec<JournalEntry>) -> Result<(), StoreError> {
    while !entries.is_empty() {
        let rest = entries.split_off(TOGETHER.min(entries.len()));
        let together = std::mem::replace(&mut entries, rest);
        desk.writer.call(Entry::AdoptHistory(together)).await?;
    }
    Ok(())
}

/// Writes operations together.
async fn call_all(desk: &Desk, entries: Vec<Entry>) -> Result<(), StoreError> {
    let mut pending = Vec::with_capacity(entries.len());
    for entry in entries {
        pending.push(desk.writer.put(entry).await?);
    }
    for pending in pending {
        desk.writer.wait(pending).await?;
    }
    Ok(())
}
