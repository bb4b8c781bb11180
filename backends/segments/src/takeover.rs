//! Taking over what another store held.

use ecs_scheduler_core::{Adoption, JournalEntry, StoreError, StoredJob};
use futures::StreamExt as _;

use crate::desk::Desk;
use crate::documents::DocumentVersion;
use crate::entry::Entry;

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

async fn adopt_jobs(desk: &Desk, jobs: Vec<StoredJob>) -> Result<(), StoreError> {
    let writes = jobs.into_iter().map(|job| async move {
        let written = desk.write_new(&job.id, &job.document).await;
        (job, written)
    });
    let written: Vec<_> = futures::stream::iter(writes).buffered(AT_ONCE).collect().await;
    let mut fine: Vec<(StoredJob, DocumentVersion)> = Vec::with_capacity(written.len());
    let mut failure = None;
    for (job, written) in written {
        match (written, &failure) {
            (Ok(version), None) => fine.push((job, version)),
            // It is behind the one that failed, so it is not to be there.
            (Ok(version), Some(_)) => drop(desk.documents.remove(&job.id, &version).await),
            (Err(error), None) => failure = Some(error),
            (Err(_), Some(_)) => {}
        }
    }
    while !fine.is_empty() {
        let rest = fine.split_off(TOGETHER.min(fine.len()));
        let together = std::mem::replace(&mut fine, rest);
        desk.writer.call(Entry::AdoptJobs(together)).await?;
    }
    failure.map_or(Ok(()), Err)
}

async fn adopt_history(desk: &Desk, mut entries: Vec<JournalEntry>) -> Result<(), StoreError> {
    while !entries.is_empty() {
        let rest = entries.split_off(TOGETHER.min(entries.len()));
        let together = std::mem::replace(&mut entries, rest);
        desk.writer.call(Entry::AdoptHistory(together)).await?;
    }
    Ok(())
}
