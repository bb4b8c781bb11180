//! Reading jobs, and reconciling documents that another program changed.
//!
//! The document and the metadata of a job are two items that are read one after the other. They may differ although nothing
//! is wrong, because the job was replaced in between. A job whose items differ is read again, and a repair is written under
//! the condition that both items are still as they were read. A reader that is too late repairs nothing.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::{JobId, JobUid, NewJob, StoreError, StoredJob};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;

use crate::backoff;
use crate::change_log::ChangeKind;
use crate::codec::Attributes;
use crate::context::StoreContext;
use crate::db::{CONCURRENT_READS, Committed};
use crate::error::contention;
use crate::job_meta::{JobMeta, digest, document};
use crate::job_state::{ConsistentJob, JobState, Reconciliation, removal_writes};
use crate::keys::{self, ItemKey, JSON_DATA};
use crate::write::Write;

/// The name of this kind of store, from which the identities of the Python version's jobs are derived.
const UID_NAMESPACE: &str = "dynamodb";

/// The write id of changes that record another program's edit.
const EXTERNAL_WRITE_ID: &str = "foreign";

impl StoreContext {
    /// Reads the named jobs that exist, in the order of the names.
    pub(crate) async fn read_jobs(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        let keys = ids.iter().flat_map(|id| [ItemKey::document(id.as_str()), ItemKey::job_meta(id)]);
        let items = self.db.get_all("read jobs", keys).await?;
        let mut found: HashMap<&JobId, StoredJob> = HashMap::with_capacity(ids.len());
        let mut inconsistent = Vec::new();
        for id in ids {
            match self.classify(id, &items)? {
                JobState::Consistent(job) => drop(found.insert(id, job.meta.with(job.document))),
                JobState::Absent => {}
                JobState::ExternalEdit(..) | JobState::ExternalRemoval(..) => inconsistent.push(id),
            }
        }
        let reads: Vec<_> = inconsistent
            .into_iter()
            .map(|id| async move { Ok::<_, StoreError>((id, self.read_consistent(id).await?)) })
            .collect();
        let reconciled: Vec<(&JobId, Option<ConsistentJob>)> =
            futures::stream::iter(reads).buffer_unordered(CONCURRENT_READS).try_collect().await?;
        let reconciled = reconciled.into_iter().filter_map(|(id, job)| Some((id, job?)));
        found.extend(reconciled.map(|(id, job)| (id, job.meta.with(job.document))));
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    /// Reads a job, and records another program's edit first if there was one.
    pub(crate) async fn read_consistent(&self, id: &JobId) -> Result<Option<ConsistentJob>, StoreError> {
        let mut backoff = backoff::for_reads();
        loop {
            let items = self
                .db
                .get_all("read a job", [ItemKey::document(id.as_str()), ItemKey::job_meta(id)])
                .await?;
            match self.classify(id, &items)? {
                JobState::Consistent(job) => return Ok(Some(job)),
                JobState::Absent => return Ok(None),
                JobState::ExternalEdit(meta, document) => {
                    if let Some(job) = self.record_external_edit(id, meta, document).await? {
                        return Ok(Some(job));
                    }
                }
                JobState::ExternalRemoval(meta, value) => {
                    if self.record_external_removal(&meta, value).await? {
                        return Ok(None);
                    }
                }
            }
            if !backoff.wait().await {
                return Err(contention(&format!("read job \"{id}\"")));
            }
        }
    }

    /// Records another program's edit of a job, if there was one.
    pub(crate) async fn reconcile(&self, id: &JobId) -> Result<(), StoreError> {
        self.read_consistent(id).await.map(drop)
    }

    fn classify(&self, id: &JobId, items: &HashMap<ItemKey, Attributes>) -> Result<JobState, StoreError> {
        let stored = items.get(&ItemKey::document(id.as_str()));
        let value = stored.and_then(|item| item.get(JSON_DATA));
        let meta =
            items.get(&ItemKey::job_meta(id)).map(|item| JobMeta::read(self.db.reader(item))).transpose()?;
        Ok(match (value.and_then(document), meta) {
            (None, None) => JobState::Absent,
            (None, Some(meta)) => JobState::ExternalRemoval(meta, value.cloned()),
            (Some(document), Some(meta)) if digest(document.get()) == meta.digest => {
                JobState::Consistent(ConsistentJob { meta, document })
            }
            (Some(document), meta) => JobState::ExternalEdit(meta, document),
        })
    }

    /// Records a document that another program wrote; returns `None` when the job changed again meanwhile.
    async fn record_external_edit(
        &self,
        id: &JobId,
        meta: Option<JobMeta>,
        document: Box<RawValue>,
    ) -> Result<Option<ConsistentJob>, StoreError> {
        let reconciliation = match meta {
            Some(meta) => Reconciliation::of_edit(&meta, &document, self.clock.now()),
            None => Reconciliation::of_creation(self.new_external_meta(id, &document), &document)?,
        };
        let Reconciliation { meta, kind, writes } = reconciliation;
        let done = self.commit_repair(&meta, kind, writes).await?;
        if done {
            tracing::info!(job = %id, revision = meta.revision.0, "imported another program's edit of this job");
        }
        Ok(done.then_some(ConsistentJob { meta, document }))
    }

    /// Makes the metadata of a document that another program created.
    pub(crate) fn new_external_meta(&self, id: &JobId, document: &RawValue) -> JobMeta {
        let (at, uid) = (self.clock.now(), JobUid::derived(UID_NAMESPACE, id));
        let job = NewJob { id: id.clone(), uid, document: document.to_owned(), at };
        JobMeta::new(&job.into(), self.job_index.next_number(at))
    }

    /// Records that another program removed or broke the document of a job; returns `false` when the job changed again
    /// meanwhile.
    async fn record_external_removal(
        &self,
        meta: &JobMeta,
        broken: Option<AttributeValue>,
    ) -> Result<bool, StoreError> {
        let check = Write::check(ItemKey::document(meta.job.as_str()));
        let check = match &broken {
            Some(value) => check.if_equals(JSON_DATA, value.clone()),
            None => check.if_absent(JSON_DATA),
        };
        let mut writes = vec![check];
        writes.extend(removal_writes(meta)?);
        let done = self.commit_repair(meta, ChangeKind::Removed, writes).await?;
        if done {
            let problem = if broken.is_some() { "is not JSON any more" } else { "is gone" };
            tracing::warn!(job = %meta.job, "removed this job: another program changed it, and its document {problem}");
        }
        Ok(done)
    }

    async fn commit_repair(
        &self,
        meta: &JobMeta,
        kind: ChangeKind,
        mut writes: Vec<Write>,
    ) -> Result<bool, StoreError> {
        let head = self.change_log_head(keys::shard(&meta.job)).await?;
        writes.extend(head.next(&meta.job, meta.order, kind, EXTERNAL_WRITE_ID).writes());
        Ok(self.db.commit("record another program's edit", writes).await? == Committed::Done)
    }
}
