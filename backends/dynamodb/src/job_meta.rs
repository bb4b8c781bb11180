//! The metadata of a job: everything except its document, in one item whose three parts are written independently.
//!
//! - An edit changes `revision`, `changed` and `digest`, under the condition that the revision is the one it has read.
//! - A settlement changes `progress` and the open decision, under the condition that `version` is the one it has read, and
//!   that the revision is the one that it was decided by.
//! - Tasks that start change `run`, under the condition that the item has no newer run.
//!
//! So an edit makes a settlement of the previous revision stale, and a settlement never makes an edit a conflict.

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::decide::DecisionDraft;
use ecs_scheduler_core::store::JobHead;
use ecs_scheduler_core::{
    DecisionId, DecisionRecord, JobId, JobUid, Progress, Revision, StoreError, StoredJob, Timestamp,
};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::codec::{Attribute, ItemReader, compact_json, json, number, size, text};
use crate::keys::{self, ItemKey};
use crate::write::Write;

/// The attributes by which the indexes find an open decision.
const INDEX_ATTRIBUTES: [&str; 5] = ["r", "n", "o", "a", "t"];

/// The maximum size of the last run in bytes. Each tick reads it with the other metadata.
const MAX_RUN_SIZE: usize = 250_000;

/// The metadata of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobMeta {
    pub(crate) job: JobId,
    pub(crate) uid: JobUid,
    /// The number that orders the jobs by creation.
    pub(crate) order: u64,
    pub(crate) revision: Revision,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    /// The hash of the document of this revision. Another hash means that another program changed the document.
    pub(crate) digest: String,
    /// Incremented by each settlement.
    pub(crate) version: u64,
    /// Identifies the newest settlement.
    pub(crate) write_id: String,
    pub(crate) progress: Progress,
    /// The newest decision, while the next one may be folded into it. It gets a row of its own when another one follows.
    pub(crate) open_decision: Option<OpenDecision>,
}

/// A decision into which the next one may be folded, and which has no row of its own yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OpenDecision {
    pub(crate) id: DecisionId,
    pub(crate) draft: DecisionDraft,
}

/// Hashes a document.
pub(crate) fn digest(document: &str) -> String {
    let hash = Sha256::digest(document);
    let (high, low) = hash.split_at(16);
    let hex = |bytes: &[u8]| Uuid::from_slice(bytes).unwrap_or_default().simple().to_string();
    hex(high) + &hex(low)
}

impl JobMeta {
    /// Makes the metadata of a job that has none yet.
    pub(crate) fn new(job: &StoredJob, order: u64) -> Self {
        Self {
            job: job.id.clone(),
            uid: job.uid,
            order,
            revision: job.revision,
            created: job.created,
            changed: job.changed,
            digest: digest(job.document.get()),
            version: 0,
            write_id: String::new(),
            progress: job.progress.clone(),
            open_decision: None,
        }
    }

    /// Returns the metadata after an edit of the document.
    pub(crate) fn edited(&self, document: &RawValue, at: Timestamp) -> Self {
        let (revision, digest) = (self.revision.next(), digest(document.get()));
        Self { revision, changed: at, digest, ..self.clone() }
    }

    /// Returns the state on which the next settlement depends.
    pub(crate) fn head(&self) -> JobHead<'_> {
        let open_row = self.open_decision.as_ref().and_then(|open| open.draft.fold_key());
        JobHead { uid: self.uid, revision: self.revision, cursor: self.progress.settled, open_row }
    }

    /// Decodes an item.
    pub(crate) fn read(item: ItemReader<'_>) -> Result<Self, StoreError> {
        let job = keys::job_of(item.text("pk")?).ok_or_else(|| item.corrupt("pk", "does not name a job"))?;
        let mut progress: Progress = item.json("progress")?;
        if let Some(run) = item.optional_json::<Progress>("run")? {
            (progress.last_run, progress.last_run_tasks) = (run.last_run, run.last_run_tasks);
        }
        let draft: Option<DecisionDraft> = item.optional_json("tail")?;
        let id = item.optional_number("n")?.map(DecisionId);
        Ok(Self {
            job,
            uid: JobUid::from_uuid(item.parsed("uid")?),
            order: item.number("order")?,
            revision: Revision(item.number("revision")?),
            created: decode_timestamp(item, "created")?,
            changed: decode_timestamp(item, "changed")?,
            digest: item.text("digest")?.to_owned(),
            version: item.number("version")?,
            write_id: item.text("stamp")?.to_owned(),
            progress,
            open_decision: id.zip(draft).map(|(id, draft)| OpenDecision { id, draft }),
        })
    }

    /// Combines the metadata with the document to a job.
    pub(crate) fn with(&self, document: Box<RawValue>) -> StoredJob {
        StoredJob {
            id: self.job.clone(),
            uid: self.uid,
            revision: self.revision,
            document,
            created: self.created,
            changed: self.changed,
            progress: self.progress.clone(),
        }
    }

    /// Returns the write that creates the item.
    pub(crate) fn create(&self) -> Result<Write, StoreError> {
        let write = Write::create(ItemKey::job_meta(&self.job))
            .set("uid", text(self.uid.to_string()))
            .set("order", number(self.order))
            .set("revision", number(self.revision))
            .set("created", number(self.created.as_nanosecond()))
            .set("changed", number(self.changed.as_nanosecond()))
            .set("digest", text(self.digest.as_str()))
            .set("version", number(self.version))
            .set("stamp", text(self.write_id.as_str()))
            .set("progress", json(&self.settled_progress())?);
        match self.progress.last_run {
            Some(_) => Ok(write.set_all(run_attributes(&self.progress)?)),
            None => Ok(write),
        }
    }

    /// Returns the part of the progress that settlements write: all but the last run.
    fn settled_progress(&self) -> Progress {
        Progress { last_run: None, last_run_tasks: Vec::new(), ..self.progress.clone() }
    }

    /// Returns the write of an edit, from this metadata as it was read.
    pub(crate) fn edit(&self, to: &Self) -> Write {
        Write::update(ItemKey::job_meta(&self.job))
            .set("revision", number(to.revision))
            .set("changed", number(to.changed.as_nanosecond()))
            .set("digest", text(to.digest.as_str()))
            .if_equals("uid", text(self.uid.to_string()))
            .if_equals("revision", number(self.revision))
    }

    /// Returns the write of a settlement, from this metadata as it was read.
    pub(crate) fn settle(&self, to: &Self) -> Result<Write, StoreError> {
        let write = Write::update(ItemKey::job_meta(&self.job))
            .set("version", number(self.version + 1))
            .set("stamp", text(to.write_id.as_str()))
            .set("progress", json(&to.settled_progress())?)
            .if_equals("uid", text(self.uid.to_string()))
            .if_equals("revision", number(self.revision))
            .if_equals("version", number(self.version));
        Ok(match &to.open_decision {
            Some(open_decision) => {
                write.set("tail", json(&open_decision.draft)?).set_all(self.index_attributes(open_decision))
            }
            None if self.open_decision.is_some() => {
                write.remove_attributes(&["tail"]).remove_attributes(&INDEX_ATTRIBUTES)
            }
            None => write,
        })
    }

    /// Returns the write that records the tasks of a run, unless a newer run is recorded.
    pub(crate) fn record_run(&self, progress: &Progress) -> Result<Write, StoreError> {
        let [run, at] = run_attributes(progress)?;
        Ok(Write::update(ItemKey::job_meta(&self.job))
            .if_equals("uid", text(self.uid.to_string()))
            .if_at_most(at.0, at.1.clone())
            .set_all([run, at]))
    }

    /// Returns the write that removes the item, under the condition that it is as it was read.
    pub(crate) fn delete(&self) -> Write {
        Write::delete(ItemKey::job_meta(&self.job))
            .if_equals("uid", text(self.uid.to_string()))
            .if_equals("revision", number(self.revision))
            .if_equals("version", number(self.version))
    }

    /// Returns the open decision as a record.
    pub(crate) fn open_decision_record(&self) -> Option<DecisionRecord> {
        let open_decision = self.open_decision.clone()?;
        Some(DecisionRecord {
            id: open_decision.id,
            job: self.job.clone(),
            uid: self.uid,
            draft: open_decision.draft,
            firing: None,
        })
    }

    fn index_attributes(&self, open_decision: &OpenDecision) -> [Attribute; 5] {
        let shard = keys::shard(&self.job);
        [
            ("r", text(keys::shard_rows(shard))),
            ("n", number(open_decision.id.0)),
            ("o", text(keys::outcome(open_decision.draft.outcome, shard))),
            ("a", text(keys::shard_rows(shard))),
            // The day only, so that a tick does not always write to this index.
            ("t", number(start_of_day(open_decision.draft.observed))),
        ]
    }
}

/// Returns the attributes of the last run: with all of its tasks, or with as many as fit into the item.
fn run_attributes(progress: &Progress) -> Result<[Attribute; 2], StoreError> {
    let mut run = Progress {
        last_run: progress.last_run,
        last_run_tasks: progress.last_run_tasks.clone(),
        ..Progress::default()
    };
    let mut encoded = compact_json(&run)?;
    while size(&encoded) > MAX_RUN_SIZE {
        run.last_run_tasks.truncate(run.last_run_tasks.len() / 2);
        encoded = compact_json(&run)?;
    }
    let at = progress.last_run.unwrap_or_default();
    Ok([("run", encoded), ("run_at", number(at.as_nanosecond()))])
}

/// Returns the start of a timestamp's day, in milliseconds.
fn start_of_day(at: Timestamp) -> i64 {
    const DAY: i64 = 86_400_000;
    at.as_millisecond().div_euclid(DAY) * DAY
}

/// Decodes a timestamp.
fn decode_timestamp(item: ItemReader<'_>, name: &str) -> Result<Timestamp, StoreError> {
    let nanos: i128 = item.number(name)?;
    Timestamp::from_nanosecond(nanos).map_err(|_| item.corrupt(name, "is not a timestamp"))
}

/// Decodes the document of a job; `None` when it is not JSON.
pub(crate) fn document(value: &AttributeValue) -> Option<Box<RawValue>> {
    RawValue::from_string(value.as_s().ok()?.clone()).ok()
}
