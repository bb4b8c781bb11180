//! What is known of a job beside its document: one item, three parts that are written independently of each other.
//!
//! An edit changes `revision`, `changed` and `digest`, and asks for the revision it has seen. A settlement changes
//! `progress` and the tail, and asks for the `version` it has seen and for the revision that it was decided by. Tasks
//! that start change `run`, and ask that no younger run is noted. So an edit makes a settlement of the revision before
//! it stale, and a settlement never makes an edit a conflict.

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::decide::DecisionDraft;
use ecs_scheduler_core::{
    DecisionId, DecisionRecord, FaultKind, JobId, JobUid, Progress, Revision, StoreError, StoredJob,
    Timestamp,
};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::codec::{Attribute, Reader, json, number, text};
use crate::keys::{self, Key};
use crate::write::Write;

/// The attributes by which the indexes find a tail.
const INDEXED: [&str; 5] = ["r", "n", "o", "a", "t"];

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) job: JobId,
    pub(crate) uid: JobUid,
    /// The place in the order of creation.
    pub(crate) order: u64,
    pub(crate) revision: Revision,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    /// The hash of the document that the revision is of.
    pub(crate) digest: String,
    /// Counts what settlements wrote.
    pub(crate) version: u64,
    /// Tells which settlement wrote last.
    pub(crate) stamp: String,
    pub(crate) progress: Progress,
    /// The newest decision, while the next one may be folded into it. It becomes a row of its own when another follows.
    pub(crate) tail: Option<Tail>,
}

/// A decision that has no row of its own yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tail {
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

impl Mark {
    /// Makes the mark of a job that nothing happened to yet.
    pub(crate) fn new(job: JobId, uid: JobUid, order: u64, document: &str, at: Timestamp) -> Self {
        Self {
            job,
            uid,
            order,
            revision: Revision::FIRST,
            created: at,
            changed: at,
            digest: digest(document),
            version: 0,
            stamp: String::new(),
            progress: Progress::default(),
            tail: None,
        }
    }

    /// Reads a mark.
    pub(crate) fn read(item: Reader<'_>) -> Result<Self, StoreError> {
        let job = keys::job_of(item.text("pk")?).ok_or_else(|| item.corrupt("pk", "names no job"))?;
        let mut progress: Progress = item.json("progress")?;
        if let Some(run) = item.maybe_json::<Progress>("run")? {
            (progress.last_run, progress.last_run_tasks) = (run.last_run, run.last_run_tasks);
        }
        let draft: Option<DecisionDraft> = item.maybe_json("tail")?;
        let id = item.maybe_number("n")?.map(DecisionId);
        Ok(Self {
            job,
            uid: JobUid::from_uuid(item.parsed("uid")?),
            order: item.number("order")?,
            revision: Revision(item.number("revision")?),
            created: moment(item, "created")?,
            changed: moment(item, "changed")?,
            digest: item.text("digest")?.to_owned(),
            version: item.number("version")?,
            stamp: item.text("stamp")?.to_owned(),
            progress,
            tail: id.zip(draft).map(|(id, draft)| Tail { id, draft }),
        })
    }

    /// Makes the job of a document.
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

    /// Writes the mark of a new job.
    pub(crate) fn create(&self) -> Result<Write, StoreError> {
        let write = Write::create(Key::mark(&self.job))
            .set("uid", text(self.uid.to_string()))
            .set("order", number(self.order))
            .set("revision", number(self.revision))
            .set("created", number(self.created.as_nanosecond()))
            .set("changed", number(self.changed.as_nanosecond()))
            .set("digest", text(self.digest.as_str()))
            .set("version", number(self.version))
            .set("stamp", text(self.stamp.as_str()))
            .set("progress", json(&self.noted())?);
        match self.progress.last_run {
            Some(_) => Ok(write.set_all(run(&self.progress)?)),
            None => Ok(write),
        }
    }

    /// Returns the part of the progress that settlements write.
    fn noted(&self) -> Progress {
        Progress { last_run: None, last_run_tasks: Vec::new(), ..self.progress.clone() }
    }

    /// Writes an edit: of this mark, as it was read, to this one.
    pub(crate) fn edit(&self, to: &Self) -> Write {
        Write::update(Key::mark(&self.job))
            .set("revision", number(to.revision))
            .set("changed", number(to.changed.as_nanosecond()))
            .set("digest", text(to.digest.as_str()))
            .given("uid", text(self.uid.to_string()))
            .given("revision", number(self.revision))
    }

    /// Writes what a settlement changes: of this mark, as it was read, to this one.
    pub(crate) fn settle(&self, to: &Self) -> Result<Write, StoreError> {
        let write = Write::update(Key::mark(&self.job))
            .set("version", number(self.version + 1))
            .set("stamp", text(to.stamp.as_str()))
            .set("progress", json(&to.noted())?)
            .given("uid", text(self.uid.to_string()))
            .given("revision", number(self.revision))
            .given("version", number(self.version));
        Ok(match &to.tail {
            Some(tail) => write.set("tail", json(&tail.draft)?).set_all(self.indexed(tail)),
            None if self.tail.is_some() => write.unset(&["tail"]).unset(&INDEXED),
            None => write,
        })
    }

    /// Notes the tasks of a run.
    pub(crate) fn note_run(&self, progress: &Progress) -> Result<Write, StoreError> {
        let [run, at] = run(progress)?;
        Ok(Write::update(Key::mark(&self.job))
            .given("uid", text(self.uid.to_string()))
            .at_most(at.0, at.1.clone())
            .set_all([run, at]))
    }

    /// Removes the mark, if nothing was written since it was read.
    pub(crate) fn delete(&self) -> Write {
        Write::delete(Key::mark(&self.job))
            .given("uid", text(self.uid.to_string()))
            .given("revision", number(self.revision))
            .given("version", number(self.version))
    }

    /// Returns the tail as a decision.
    pub(crate) fn tail_record(&self) -> Option<DecisionRecord> {
        let tail = self.tail.clone()?;
        Some(DecisionRecord {
            id: tail.id,
            job: self.job.clone(),
            uid: self.uid,
            draft: tail.draft,
            firing: None,
        })
    }

    fn indexed(&self, tail: &Tail) -> [Attribute; 5] {
        let shard = keys::shard(&self.job);
        [
            ("r", text(keys::rows(shard))),
            ("n", number(tail.id.0)),
            ("o", text(keys::outcome(tail.draft.outcome, shard))),
            ("a", text(keys::rows(shard))),
            // To the day only, so that this index is not written at each tick.
            ("t", number(day(tail.draft.observed))),
        ]
    }
}

/// The attributes that say what ran last.
fn run(progress: &Progress) -> Result<[Attribute; 2], StoreError> {
    let run = Progress {
        last_run: progress.last_run,
        last_run_tasks: progress.last_run_tasks.clone(),
        ..Progress::default()
    };
    let at = progress.last_run.unwrap_or_default();
    Ok([("run", json(&run)?), ("run_at", number(at.as_nanosecond()))])
}

/// Returns the beginning of a moment's day, in milliseconds.
fn day(at: Timestamp) -> i64 {
    const DAY: i64 = 86_400_000;
    at.as_millisecond().div_euclid(DAY) * DAY
}

/// Reads a moment.
fn moment(item: Reader<'_>, name: &str) -> Result<Timestamp, StoreError> {
    let nanos: i128 = item.number(name)?;
    Timestamp::from_nanosecond(nanos).map_err(|_| item.corrupt(name, "is not a moment"))
}

/// Reads the document of a job; none where it is not JSON.
pub(crate) fn document(value: &AttributeValue) -> Option<Box<RawValue>> {
    RawValue::from_string(value.as_s().ok()?.clone()).ok()
}

/// Says that a job is not there.
pub(crate) fn missing(job: &JobId) -> StoreError {
    StoreError::NotFound(format!("job \"{job}\""))
}

/// Says that a job was changed in between.
pub(crate) fn conflict(job: &JobId) -> StoreError {
    StoreError::Conflict(format!("job \"{job}\""))
}

/// Says that an operation met others again and again.
pub(crate) fn crowded(what: &str) -> StoreError {
    let message = format!("could not {what}: others kept writing the same items; try again");
    StoreError::fault(FaultKind::Unavailable, message)
}
