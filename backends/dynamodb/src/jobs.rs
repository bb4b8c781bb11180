//! Jobs: a document in the Python version's table, metadata and a list position in ours, changed together or not at all.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{JobId, JobList, ListFrom, NewJob, Revision, StoreError, StoredJob, Timestamp};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::change_log::{ChangeKind, ChangeLogHead, changes_since};
use crate::codec::text;
use crate::context::StoreContext;
use crate::db::Committed;
use crate::error::contention;
use crate::job_meta::{JobMeta, digest};
use crate::job_state::{ConsistentJob, removal_writes};
use crate::keys::{self, ItemKey, JSON_DATA};
use crate::write::Write;

/// The index of the write that creates the document of a new job.
const DOCUMENT_WRITE: usize = 0;
/// The index of the write that creates the metadata of a new job.
const META_WRITE: usize = 1;

/// One edit of a job, with its retries.
struct JobEdit<'a> {
    context: &'a StoreContext,
    job: &'a JobId,
    shard: u8,
    /// Distinguishes this edit from any other.
    write_id: String,
    backoff: Backoff,
}

/// The result of an attempt at an edit.
enum EditResult {
    /// The edit is durable.
    Done,
    /// Nothing was written, because the conditions of these writes did not hold.
    Refused(Vec<usize>),
}

impl<'a> JobEdit<'a> {
    fn new(context: &'a StoreContext, job: &'a JobId) -> Self {
        let write_id = Uuid::new_v4().simple().to_string()[..16].to_owned();
        Self { context, job, shard: keys::shard(job), write_id, backoff: Backoff::for_writes() }
    }

    async fn head(&self) -> Result<ChangeLogHead, StoreError> {
        self.context.change_log_head(self.shard).await
    }

    /// Commits the edit together with its entry in the change log. A refused edit is to be tried again from the read on.
    async fn commit(
        &mut self,
        head: ChangeLogHead,
        order: u64,
        kind: ChangeKind,
        mut writes: Vec<Write>,
    ) -> Result<EditResult, StoreError> {
        let action = format!("{} job \"{}\"", kind.verb(), self.job);
        writes.extend(head.next(self.job, order, kind, &self.write_id).writes());
        let db = &self.context.db;
        let Committed::Refused(refused) = db.commit(&action, writes).await? else {
            return Ok(EditResult::Done);
        };
        // The answer of a successful attempt may have been lost. Then the edit is in the change log.
        let since = changes_since(db, self.shard, head.seq, self.head().await?).await?;
        let is_logged = since.iter().flatten().any(|change| change.write_id == self.write_id);
        Ok(if is_logged { EditResult::Done } else { EditResult::Refused(refused) })
    }

    async fn wait(&mut self) -> Result<(), StoreError> {
        if self.backoff.wait().await {
            Ok(())
        } else {
            Err(contention(&format!("edit job \"{}\"", self.job)))
        }
    }
}

/// Creates a job.
pub(crate) async fn create(context: &StoreContext, new: NewJob) -> Result<StoredJob, StoreError> {
    let mut edit = JobEdit::new(context, &new.id);
    let _locked = context.edit_locks[usize::from(edit.shard)].lock().await;
    let order = context.job_index.next_number(context.clock.now());
    let meta = JobMeta::new(new.id.clone(), new.uid, order, new.document.get(), new.at);
    loop {
        let head = edit.head().await?;
        let document = Write::create(ItemKey::document(new.id.as_str()));
        let writes = vec![
            document.set(JSON_DATA, text(new.document.get())),
            meta.create()?,
            Write::put(ItemKey::position(&new.id, order)).set("job", text(new.id.as_str())),
        ];
        match edit.commit(head, order, ChangeKind::Created, writes).await? {
            EditResult::Done => return Ok(meta.with(new.document)),
            EditResult::Refused(writes) if writes.contains(&DOCUMENT_WRITE) => {
                return Err(StoreError::Exists(new.id));
            }
            EditResult::Refused(writes) => {
                if writes.contains(&META_WRITE) {
                    // Another program removed only the document. The job is gone, so its metadata is removed too.
                    context.reconcile(&new.id).await?;
                }
                edit.wait().await?;
            }
        }
    }
}

/// Reads a job, and checks its revision.
async fn read_expected(
    context: &StoreContext,
    job: &JobId,
    expected: Option<Revision>,
) -> Result<ConsistentJob, StoreError> {
    let found = context.read_consistent(job).await?.ok_or_else(|| StoreError::NotFound(job.into()))?;
    if expected.is_some_and(|expected| expected != found.meta.revision) {
        return Err(StoreError::Conflict(job.into()));
    }
    Ok(found)
}

/// Replaces the document of a job.
pub(crate) async fn replace(
    context: &StoreContext,
    job: &JobId,
    revision: Revision,
    document: Box<RawValue>,
    at: Timestamp,
) -> Result<StoredJob, StoreError> {
    let mut edit = JobEdit::new(context, job);
    let _locked = context.edit_locks[usize::from(edit.shard)].lock().await;
    loop {
        let head = edit.head().await?;
        let old = read_expected(context, job, Some(revision)).await?;
        let meta = JobMeta {
            revision: revision.next(),
            changed: at,
            digest: digest(document.get()),
            ..old.meta.clone()
        };
        let old_text = text(old.document.get());
        let writes = vec![
            Write::update(ItemKey::document(job.as_str()))
                .set(JSON_DATA, text(document.get()))
                .if_equals(JSON_DATA, old_text),
            old.meta.edit(&meta),
        ];
        match edit.commit(head, meta.order, ChangeKind::Replaced, writes).await? {
            EditResult::Done => return Ok(meta.with(document)),
            EditResult::Refused(_) => edit.wait().await?,
        }
    }
}

/// Removes a job and keeps its rows.
pub(crate) async fn remove(
    context: &StoreContext,
    job: &JobId,
    revision: Option<Revision>,
) -> Result<(), StoreError> {
    let mut edit = JobEdit::new(context, job);
    let _locked = context.edit_locks[usize::from(edit.shard)].lock().await;
    loop {
        let head = edit.head().await?;
        let old = read_expected(context, job, revision).await?;
        let document = Write::delete(ItemKey::document(job.as_str()));
        let mut writes = vec![document.if_equals(JSON_DATA, text(old.document.get()))];
        writes.extend(removal_writes(&old.meta)?);
        match edit.commit(head, old.meta.order, ChangeKind::Removed, writes).await? {
            EditResult::Done => return Ok(()),
            EditResult::Refused(_) => edit.wait().await?,
        }
    }
}

/// Lists the jobs that `filter` accepts.
pub(crate) async fn list(
    context: &StoreContext,
    mut from: ListFrom,
    limit: NonZeroUsize,
    filter: impl Fn(&JobId) -> bool + Send,
) -> Result<JobList, StoreError> {
    let job_index = &context.job_index;
    job_index.refresh(&context.db).await?;
    let mut jobs = Vec::new();
    let mut removed = false;
    while jobs.len() < limit.get() {
        let names = job_index.page(&from, limit.get() - jobs.len(), &filter)?;
        let Some(last) = names.last().cloned() else { break };
        let found = context.read_jobs(&names).await?;
        // Jobs that were removed since the refresh are skipped, so a page may take several reads.
        removed |= found.len() < names.len();
        jobs.extend(found);
        from = ListFrom::After(last);
    }
    if removed {
        job_index.refresh(&context.db).await?;
    }
    Ok(JobList { jobs, total: job_index.total(&filter) })
}
