//! Taking over what another store held, in its order: some at a time, and nothing behind what could not be taken over.

use std::collections::BTreeMap;

use ecs_scheduler_core::{Adoption, DecisionId, JobId, JournalEntry, StoreError, StoredJob};
use uuid::Uuid;

use crate::codec::text;
use crate::context::Shared;
use crate::db::Committed;
use crate::job_meta::{Mark, Tail, digest};
use crate::keys::{self, JSON_DATA, Key};
use crate::limits::BYTES;
use crate::row::Row;
use crate::write::Write;

/// Jobs of one transaction: three writes each, and one for each shard.
const JOBS: usize = 28;
/// Entries of one transaction: at most five writes each.
const ENTRIES: usize = 20;

/// Takes it over.
pub(crate) async fn adopt(shared: &Shared, adoption: Adoption) -> Result<(), StoreError> {
    shared.db.ensure_open()?;
    match adoption {
        Adoption::Jobs(jobs) => {
            let (mut some, mut bytes) = (Vec::new(), 0);
            for job in jobs {
                let weight = job.document.get().len();
                if some.len() == JOBS || bytes + weight > BYTES {
                    take_jobs(shared, &some).await?;
                    (some, bytes) = (Vec::new(), 0);
                }
                bytes += weight;
                some.push(job);
            }
            take_jobs(shared, &some).await
        }
        Adoption::History(entries) => {
            let (mut some, mut bytes) = (Vec::new(), 0);
            for entry in entries {
                let weight: usize = row(&entry, DecisionId(0)).create()?.iter().map(Write::weight).sum();
                if some.len() == ENTRIES || bytes + weight > BYTES {
                    take_entries(shared, &some).await?;
                    (some, bytes) = (Vec::new(), 0);
                }
                bytes += weight;
                some.push(entry);
            }
            take_entries(shared, &some).await
        }
    }
}

/// Takes over some jobs; one by one when one of them is refused, so that those before it are.
async fn take_jobs(shared: &Shared, jobs: &[StoredJob]) -> Result<(), StoreError> {
    let Some(last) = jobs.last() else { return Ok(()) };
    let marks: Vec<Mark> = jobs.iter().map(|job| mark(shared, job)).collect();
    let mut writes = Vec::new();
    let mut shards: BTreeMap<u8, usize> = BTreeMap::new();
    for (job, mark) in jobs.iter().zip(&marks) {
        let document = Write::create(Key::document(job.id.as_str()));
        writes.push(document.set(JSON_DATA, text(job.document.get())));
        writes.push(mark.create()?);
        writes.push(Write::put(Key::place(&job.id, mark.order)).set("job", text(job.id.as_str())));
        *shards.entry(keys::shard(&job.id)).or_default() += 1;
    }
    for (shard, count) in shards {
        writes.push(shared.head(shard).await?.skip(shard, count));
    }
    if shared.db.commit("take over jobs", writes).await? == Committed::Done {
        return Ok(());
    }
    // An answer may have been lost on the way: then the last job has the place that it was to get.
    let stored = shared.mark(&last.id).await?;
    if stored.is_some_and(|stored| Some(stored.order) == marks.last().map(|mark| mark.order)) {
        return Ok(());
    }
    if jobs.len() > 1 {
        for job in jobs {
            Box::pin(take_jobs(shared, std::slice::from_ref(job))).await?;
        }
        return Ok(());
    }
    match shared.db.get("read a job", Key::document(last.id.as_str())).await? {
        Some(_) => Err(StoreError::Exists(last.id.clone())),
        None => Err(crate::job_meta::crowded(&format!("take over job \"{}\"", last.id))),
    }
}

fn mark(shared: &Shared, job: &StoredJob) -> Mark {
    Mark {
        job: job.id.clone(),
        uid: job.uid,
        order: shared.directory.next_number(shared.clock.now()),
        revision: job.revision,
        created: job.created,
        changed: job.changed,
        digest: digest(job.document.get()),
        version: 0,
        stamp: String::new(),
        progress: job.progress.clone(),
        tail: None,
    }
}

fn row(entry: &JournalEntry, id: DecisionId) -> Row {
    let mut record = entry.record.clone();
    record.id = id;
    Row::new(record, entry.firing.clone())
}

/// Takes over some entries; one by one when one of them is refused, so that those before it are.
async fn take_entries(shared: &Shared, entries: &[JournalEntry]) -> Result<(), StoreError> {
    let Some(last) = entries.last() else { return Ok(()) };
    let stored = shared.marks(entries.iter().map(|entry| &entry.record.job)).await?;
    let mut marks: BTreeMap<&JobId, (&Mark, Mark)> =
        stored.iter().map(|(job, mark)| (job, (mark, mark.clone()))).collect();
    let first = shared.db.reserve(entries.len()).await?;
    let stamp = Uuid::new_v4().simple().to_string();
    let mut rows = Vec::new();
    for (id, entry) in (first..).map(DecisionId).zip(entries) {
        let record = &entry.record;
        let Some((_, mark)) = marks.get_mut(&record.job) else {
            rows.push(row(entry, id));
            continue;
        };
        rows.extend(mark.tail_record().map(|tail| Row::new(tail, None)));
        mark.stamp.clone_from(&stamp);
        let follows = entry.firing.is_none() && record.draft.folds() && record.uid == mark.uid;
        mark.tail = follows.then(|| Tail { id, draft: record.draft.clone() });
        if !follows {
            rows.push(row(entry, id));
        }
    }
    let mut writes = Vec::new();
    for row in &rows {
        writes.extend(row.create()?);
    }
    for (before, after) in marks.values() {
        writes.push(before.settle(after)?);
    }
    if shared.db.commit("take over history", writes).await? == Committed::Done {
        return Ok(());
    }
    // An answer may have been lost on the way: then the last entry is where it was to be.
    let id = DecisionId(first + entries.len() as u64 - 1);
    let is_tail = shared.mark(&last.record.job).await?.is_some_and(|mark| mark.stamp == stamp);
    if is_tail || crate::advance::read(shared, Key::row(&last.record.job, id)).await?.is_some() {
        return Ok(());
    }
    if entries.len() > 1 {
        for entry in entries {
            Box::pin(take_entries(shared, std::slice::from_ref(entry))).await?;
        }
        return Ok(());
    }
    Err(StoreError::Conflict(match &last.firing {
        Some(firing) => format!("firing \"{}\"", firing.id),
        None => format!("job \"{}\"", last.record.job),
    }))
}
