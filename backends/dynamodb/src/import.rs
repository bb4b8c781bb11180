//! Import of another store's jobs and history, in batches and in order: when one is refused, nothing after it is imported.

use std::collections::BTreeMap;

use ecs_scheduler_core::{DecisionId, ImportBatch, JobId, JournalEntry, StoreError, StoredJob};
use uuid::Uuid;

use crate::context::StoreContext;
use crate::db::Committed;
use crate::error::contention;
use crate::job_meta::{JobMeta, OpenDecision};
use crate::job_state::{creation_writes, new_document};
use crate::keys::{self, ItemKey};
use crate::limits::{MAX_BYTES, MAX_WRITES};
use crate::row::DecisionRow;

/// Jobs of one transaction: three writes each, and one for each shard.
const JOBS_PER_TRANSACTION: usize = 28;
/// Entries of one transaction: at most five writes each, and one for each part of their firings.
const ENTRIES_PER_TRANSACTION: usize = 18;
/// The writes that an entry may need beside those of its row.
const OTHER_WRITES: usize = 2;
/// The size that each write counts with at least, so that [`MAX_BYTES`] bounds their number, too.
const MIN_WRITE_SIZE: usize = MAX_BYTES / MAX_WRITES;

/// Imports jobs or history.
pub(crate) async fn import(context: &StoreContext, batch: ImportBatch) -> Result<(), StoreError> {
    context.db.ensure_open()?;
    match batch {
        ImportBatch::Jobs(jobs) => {
            let size = |job: &StoredJob| Ok(job.document.get().len());
            for batch in split(&jobs, JOBS_PER_TRANSACTION, size)? {
                import_jobs(context, batch).await?;
            }
        }
        ImportBatch::History(entries) => {
            let size = |entry: &JournalEntry| {
                let writes = row_of(entry, DecisionId(0)).create()?;
                let sizes = writes.iter().map(|write| write.size().max(MIN_WRITE_SIZE));
                Ok(OTHER_WRITES * MIN_WRITE_SIZE + sizes.sum::<usize>())
            };
            for batch in split(&entries, ENTRIES_PER_TRANSACTION, size)? {
                import_entries(context, batch).await?;
            }
        }
    }
    Ok(())
}

/// Splits items into batches of at most `max_items` and [`MAX_BYTES`]; an item that is larger is a batch of its own.
fn split<T>(
    items: &[T],
    max_items: usize,
    size: impl Fn(&T) -> Result<usize, StoreError>,
) -> Result<Vec<&[T]>, StoreError> {
    let (mut batches, mut first, mut bytes) = (Vec::new(), 0, 0);
    for (index, item) in items.iter().enumerate() {
        let size = size(item)?;
        if index - first == max_items || bytes + size > MAX_BYTES {
            batches.push(&items[first..index]);
            (first, bytes) = (index, 0);
        }
        bytes += size;
    }
    batches.push(&items[first..]);
    Ok(batches)
}

/// Imports some jobs. When one of them is refused, each is imported alone, so that those before it are imported.
async fn import_jobs(context: &StoreContext, jobs: &[StoredJob]) -> Result<(), StoreError> {
    let Some(last) = jobs.last() else { return Ok(()) };
    let next_number = || context.job_index.next_number(context.clock.now());
    let metas: Vec<JobMeta> = jobs.iter().map(|job| JobMeta::new(job, next_number())).collect();
    let mut writes = Vec::new();
    let mut shards: BTreeMap<u8, usize> = BTreeMap::new();
    for (job, meta) in jobs.iter().zip(&metas) {
        writes.extend(creation_writes(meta, new_document(job))?);
        *shards.entry(keys::shard(&job.id)).or_default() += 1;
    }
    for (shard, count) in shards {
        writes.push(context.change_log_head(shard).await?.skip_entries(shard, count));
    }
    if context.db.commit("import jobs", writes).await? == Committed::Done {
        return Ok(());
    }
    // The answer of a successful attempt may have been lost. Then the last job has its new position.
    let stored = context.meta(&last.id).await?;
    if stored.is_some_and(|stored| Some(stored.order) == metas.last().map(|meta| meta.order)) {
        return Ok(());
    }
    if jobs.len() > 1 {
        for job in jobs {
            Box::pin(import_jobs(context, std::slice::from_ref(job))).await?;
        }
        return Ok(());
    }
    match context.db.get("read a job", ItemKey::document(last.id.as_str())).await? {
        Some(_) => Err(StoreError::Exists(last.id.clone())),
        None => Err(contention(&format!("import job \"{}\"", last.id))),
    }
}

fn row_of(entry: &JournalEntry, id: DecisionId) -> DecisionRow {
    let mut record = entry.record.clone();
    record.id = id;
    DecisionRow::new(record, entry.firing.clone())
}

/// Imports some entries. When one of them is refused, each is imported alone, so that those before it are imported.
async fn import_entries(context: &StoreContext, entries: &[JournalEntry]) -> Result<(), StoreError> {
    let Some(last) = entries.last() else { return Ok(()) };
    let stored = context.metas(entries.iter().map(|entry| &entry.record.job)).await?;
    let mut metas: BTreeMap<&JobId, (&JobMeta, JobMeta)> =
        stored.iter().map(|(job, meta)| (job, (meta, meta.clone()))).collect();
    let first = context.db.reserve_ids(entries.len()).await?;
    let write_id = Uuid::new_v4().simple().to_string();
    let mut rows = Vec::new();
    for (id, entry) in (first..).map(DecisionId).zip(entries) {
        let record = &entry.record;
        let Some((_, meta)) = metas.get_mut(&record.job) else {
            rows.push(row_of(entry, id));
            continue;
        };
        rows.extend(meta.open_decision_record().map(|record| DecisionRow::new(record, None)));
        meta.write_id.clone_from(&write_id);
        let stays_open = entry.open_row(meta.uid).is_some();
        meta.open_decision = stays_open.then(|| OpenDecision { id, draft: record.draft.clone() });
        if !stays_open {
            rows.push(row_of(entry, id));
        }
    }
    let mut writes = Vec::new();
    for row in &rows {
        writes.extend(row.create()?);
    }
    for (before, after) in metas.values() {
        writes.push(before.settle(after)?);
    }
    if context.db.commit("import history", writes).await? == Committed::Done {
        return Ok(());
    }
    // The answer of a successful attempt may have been lost. Then the last entry is stored.
    let id = DecisionId(first + entries.len() as u64 - 1);
    let is_open = context.meta(&last.record.job).await?.is_some_and(|meta| meta.write_id == write_id);
    if is_open || context.row(ItemKey::row(&last.record.job, id)).await?.is_some() {
        return Ok(());
    }
    if entries.len() > 1 {
        for entry in entries {
            Box::pin(import_entries(context, std::slice::from_ref(entry))).await?;
        }
        return Ok(());
    }
    Err(StoreError::Conflict(match &last.firing {
        Some(firing) => (&firing.id).into(),
        None => (&last.record.job).into(),
    }))
}
