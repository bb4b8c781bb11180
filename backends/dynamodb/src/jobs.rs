//! Jobs: a document in the Python version's table, metadata and a list position in ours, changed together or not at all.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{
    Backoff, JobId, JobList, JobStore, ListFrom, NewJob, Revision, StoreError, StoredJob, Timestamp,
    async_trait,
};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::backoff;
use crate::change_log::{ChangeKind, ChangeLogHead, changes_since};
use crate::codec::text;
use crate::context::StoreContext;
use crate::db::Committed;
use crate::error::contention;
use crate::job_meta::JobMeta;
use crate::job_state::{ConsistentJob, creation_writes, new_document, removal_writes};
use crate::keys::{self, ItemKey, JSON_DATA};
use crate::store::DynamoDbStore;
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
        Self { context, job, shard: keys::shard(job), write_id, backoff: backoff::for_writes() }
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

#[async_trait]
impl JobStore for DynamoDbStore {
    async fn create(&self, new: NewJob) -> Result<StoredJob, StoreError> {
        let context = &self.context;
        let job = StoredJob::from(new);
        let mut edit = JobEdit::new(context, &job.id);
        let _locked = context.edit_locks[usize::from(edit.shard)].lock().await;
        let order = context.job_index.next_number(context.clock.now());
        let meta = JobMeta::new(&job, order);
        loop {
            let head = edit.head().await?;
            let writes = creation_writes(&meta, new_document(&job))?;
            match edit.commit(head, order, ChangeKind::Created, writes).await? {
                EditResult::Done => return Ok(job),
                EditResult::Refused(writes) if writes.contains(&DOCUMENT_WRITE) => {
                    return Err(StoreError::Exists(job.id));
                }
                EditResult::Refused(writes) => {
                    if writes.contains(&META_WRITE) {
                        // Another program removed only the document. The job is gone, so its metadata is removed too.
                        context.reconcile(&job.id).await?;
                    }
                    edit.wait().await?;
                }
            }
        }
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        let mut edit = JobEdit::new(&self.context, id);
        let _locked = self.context.edit_locks[usize::from(edit.shard)].lock().await;
        loop {
            let head = edit.head().await?;
            let old = read_expected(&self.context, id, Some(expected)).await?;
            let meta = old.meta.edited(&document, at);
            let writes = vec![
                Write::update(ItemKey::document(id.as_str()))
                    .set(JSON_DATA, text(document.get()))
                    .if_equals(JSON_DATA, text(old.document.get())),
                old.meta.edit(&meta),
            ];
            match edit.commit(head, meta.order, ChangeKind::Replaced, writes).await? {
                EditResult::Done => return Ok(meta.with(document)),
                EditResult::Refused(_) => edit.wait().await?,
            }
        }
    }

    /// Removes a job and keeps its rows.
    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let mut edit = JobEdit::new(&self.context, id);
        let _locked = self.context.edit_locks[usize::from(edit.shard)].lock().await;
        loop {
            let head = edit.head().await?;
            let old = read_expected(&self.context, id, expected).await?;
            let document = Write::delete(ItemKey::document(id.as_str()));
            let mut writes = vec![document.if_equals(JSON_DATA, text(old.document.get()))];
            writes.extend(removal_writes(&old.meta)?);
            match edit.commit(head, old.meta.order, ChangeKind::Removed, writes).await? {
                EditResult::Done => return Ok(()),
                EditResult::Refused(_) => edit.wait().await?,
            }
        }
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.context.read_jobs(ids).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        list(&self.context, from, limit, |_| true).await
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
