//! The state of a job as its two items show it, and the writes that repair it after another program changed the document.

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::{StoreError, StoredJob, Timestamp};
use serde_json::value::RawValue;

use crate::change_log::ChangeKind;
use crate::codec::text;
use crate::job_meta::JobMeta;
use crate::keys::{ItemKey, JSON_DATA};
use crate::row::DecisionRow;
use crate::write::Write;

/// A job whose document is the one that its metadata describes.
#[derive(Debug)]
pub(crate) struct ConsistentJob {
    pub(crate) meta: JobMeta,
    pub(crate) document: Box<RawValue>,
}

/// The state of a job that its document and its metadata show together.
pub(crate) enum JobState {
    /// The metadata describes the document.
    Consistent(ConsistentJob),
    /// The job does not exist.
    Absent,
    /// Another program created or changed the document.
    ExternalEdit(Option<JobMeta>, Box<RawValue>),
    /// Another program removed the document, or replaced it by a value that is not JSON.
    ExternalRemoval(JobMeta, Option<AttributeValue>),
}

/// The metadata of a job after another program's edit, and the writes that record it.
pub(crate) struct Reconciliation {
    pub(crate) meta: JobMeta,
    pub(crate) kind: ChangeKind,
    pub(crate) writes: Vec<Write>,
}

impl Reconciliation {
    /// Records that another program changed the document: the job gets a new revision.
    pub(crate) fn of_edit(meta: &JobMeta, document: &RawValue, at: Timestamp) -> Self {
        let to = meta.edited(document, at);
        let writes = vec![check_document(meta, document), meta.edit(&to)];
        Self { meta: to, kind: ChangeKind::Replaced, writes }
    }

    /// Records that another program created the document: the job gets metadata and a position in the list.
    pub(crate) fn of_creation(meta: JobMeta, document: &RawValue) -> Result<Self, StoreError> {
        let writes = creation_writes(&meta, check_document(&meta, document))?;
        Ok(Self { meta, kind: ChangeKind::Created, writes })
    }
}

/// Returns the writes that create a job: the one of its document, its metadata and its position in the list.
pub(crate) fn creation_writes(meta: &JobMeta, document: Write) -> Result<Vec<Write>, StoreError> {
    let position = Write::put(ItemKey::position(&meta.job, meta.order)).set("job", text(meta.job.as_str()));
    Ok(vec![document, meta.create()?, position])
}

/// Creates the document of a job.
pub(crate) fn new_document(job: &StoredJob) -> Write {
    Write::create(ItemKey::document(job.id.as_str())).set(JSON_DATA, text(job.document.get()))
}

/// Returns the writes that remove everything about a job except its document and its history.
pub(crate) fn removal_writes(meta: &JobMeta) -> Result<Vec<Write>, StoreError> {
    let mut writes = vec![meta.delete(), Write::delete(ItemKey::position(&meta.job, meta.order))];
    if let Some(record) = meta.open_decision_record() {
        writes.extend(DecisionRow::new(record, None).create()?);
    }
    Ok(writes)
}

/// Checks that the document is still the one that was read.
pub(crate) fn check_document(meta: &JobMeta, document: &RawValue) -> Write {
    Write::check(ItemKey::document(meta.job.as_str())).if_equals(JSON_DATA, text(document.get()))
}
