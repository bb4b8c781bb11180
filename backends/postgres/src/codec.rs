//! Decodes rows, and encodes numbers. [`encoding`](ecs_scheduler_core::store::encoding) encodes all else: timestamps as
//! nanoseconds since 1970, names as text, the rest as JSON.

use ecs_scheduler_core::decide::{DecisionDetails, FoldKey};
use ecs_scheduler_core::store::encoding::from_nanos;
use ecs_scheduler_core::store::{JobHead, Shard};
use ecs_scheduler_core::{
    DecisionId, DecisionRecord, Firing, FiringId, JobId, JobUid, LastRunTask, Progress, Revision, StoreError,
    StoredJob, TickOutcome, TickSpan, Timestamp,
};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::corrupt_row;

/// The reason why a value of a row cannot be decoded.
type DecodeError = Box<dyn std::error::Error + Send + Sync>;

/// Encodes a count or a version; one out of range becomes the greatest value.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Decodes a count or a version; a negative value becomes 0.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Encodes how many tasks a firing has.
pub(crate) fn task_count(firing: &Firing) -> i32 {
    i32::try_from(firing.tasks.len()).unwrap_or(i32::MAX)
}

/// Encodes the shard of a job.
pub(crate) fn shard_number(id: &JobId) -> i16 {
    Shard::from_job(id).number().into()
}

fn timestamp_at(row: &Row, column: &str) -> Result<Timestamp, DecodeError> {
    Ok(from_nanos(row.try_get(column)?))
}

fn optional_timestamp_at(row: &Row, column: &str) -> Result<Option<Timestamp>, DecodeError> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(from_nanos))
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    Ok(serde_json::from_str(text)?)
}

fn outcome_at(row: &Row, column: &str) -> Result<TickOutcome, DecodeError> {
    Ok(row.try_get::<_, &str>(column)?.parse()?)
}

fn firing_id_at(row: &Row, column: &str) -> Result<Option<FiringId>, DecodeError> {
    Ok(row.try_get::<_, Option<&str>>(column)?.map(FiringId::from_text))
}

/// The columns that [`job`] decodes, of a table called `j`; a macro, so that statements with it are constants.
macro_rules! job_columns {
    () => {
        "j.id, j.uid, j.revision, j.created, j.changed, j.settled, j.last_firing, j.last_fired, j.last_run, \
         j.last_run_tasks::text AS last_run_tasks, j.document::text AS document"
    };
}
pub(crate) use job_columns;

/// Decodes a job.
pub(crate) fn job(row: &Row) -> Result<StoredJob, StoreError> {
    let decode = || -> Result<StoredJob, DecodeError> {
        let tasks: Option<&str> = row.try_get("last_run_tasks")?;
        let tasks: Option<Vec<LastRunTask>> = tasks.map(from_json).transpose()?;
        Ok(StoredJob {
            id: JobId::new(row.try_get("id")?)?,
            uid: JobUid::from_uuid(row.try_get("uid")?),
            revision: Revision(unsigned(row.try_get("revision")?)),
            document: RawValue::from_string(row.try_get("document")?)?,
            created: timestamp_at(row, "created")?,
            changed: timestamp_at(row, "changed")?,
            progress: Progress {
                settled: optional_timestamp_at(row, "settled")?,
                last_firing: firing_id_at(row, "last_firing")?,
                last_fired: optional_timestamp_at(row, "last_fired")?,
                last_run: optional_timestamp_at(row, "last_run")?,
                last_run_tasks: tasks.unwrap_or_default(),
            },
        })
    };
    decode().map_err(|error| corrupt_row(&format!("job \"{}\"", label(row, "id")), error))
}

/// The stored columns of a job that a settlement compares and updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobMeta {
    pub(crate) uid: JobUid,
    pub(crate) revision: Revision,
    /// The cursor, and the newest firing of the batch if there is one.
    pub(crate) progress: Progress,
    /// The newest decision; 0 when there is none.
    pub(crate) newest: i64,
    /// The key of that decision, if the next one may fold into it.
    pub(crate) open_row: Option<FoldKey<'static>>,
    pub(crate) is_changed: bool,
}

impl JobMeta {
    /// Returns the state on which the next settlement depends.
    pub(crate) fn head(&self) -> JobHead<'_> {
        let open_row = self.open_row.as_ref().map(FoldKey::as_borrowed);
        JobHead { uid: self.uid, revision: self.revision, cursor: self.progress.settled, open_row }
    }
}

/// Decodes the columns of [`JobMeta`].
pub(crate) fn job_meta(row: &Row) -> Result<(String, JobMeta), StoreError> {
    let decode = || -> Result<(String, JobMeta), DecodeError> {
        let outcome = row.try_get::<_, Option<&str>>("folds")?.map(str::parse::<TickOutcome>).transpose()?;
        let explanation: Option<String> = row.try_get("explanation")?;
        let key = |(outcome, text): (_, String)| FoldKey { outcome, explanation: text.into() };
        let meta = JobMeta {
            uid: JobUid::from_uuid(row.try_get("uid")?),
            revision: Revision(unsigned(row.try_get("revision")?)),
            progress: Progress { settled: optional_timestamp_at(row, "settled")?, ..Progress::default() },
            newest: row.try_get("head")?,
            open_row: outcome.zip(explanation).map(key),
            is_changed: false,
        };
        Ok((row.try_get("id")?, meta))
    };
    decode().map_err(|error| corrupt_row(&format!("job \"{}\"", label(row, "id")), error))
}

/// Returns the text that identifies a row in a message.
fn label(row: &Row, column: &str) -> String {
    row.try_get::<_, &str>(column).unwrap_or("?").to_owned()
}

/// The columns that [`decision`] decodes.
macro_rules! decision_columns {
    () => {
        "seq, job, uid, outcome, observed, first, last, count, ledger::text AS ledger, firing"
    };
}
pub(crate) use decision_columns;

/// Decodes a decision.
pub(crate) fn decision(row: &Row) -> Result<DecisionRecord, StoreError> {
    let decode = || -> Result<DecisionRecord, DecodeError> {
        let ledger: DecisionDetails<'_> = from_json(row.try_get("ledger")?)?;
        Ok(DecisionRecord {
            id: DecisionId(unsigned(row.try_get("seq")?)),
            job: JobId::new(row.try_get("job")?)?,
            uid: JobUid::from_uuid(row.try_get::<_, Uuid>("uid")?),
            draft: ledger.into_draft(
                TickSpan {
                    first: timestamp_at(row, "first")?,
                    last: timestamp_at(row, "last")?,
                    count: unsigned(row.try_get("count")?),
                },
                timestamp_at(row, "observed")?,
                outcome_at(row, "outcome")?,
            ),
            firing: firing_id_at(row, "firing")?,
        })
    };
    decode().map_err(|error| {
        let seq = row.try_get::<_, i64>("seq").unwrap_or_default();
        corrupt_row(&format!("decision {seq} of job \"{}\"", label(row, "job")), error)
    })
}

/// The columns that [`firing`] decodes.
macro_rules! firing_columns {
    () => {
        "seq, firing, body::text AS body"
    };
}
pub(crate) use firing_columns;

/// Decodes a firing.
pub(crate) fn firing(row: &Row) -> Result<Firing, StoreError> {
    let decode = || -> Result<Firing, DecodeError> {
        let firing: Firing = from_json(row.try_get("body")?)?;
        Ok(Firing { decision: DecisionId(unsigned(row.try_get("seq")?)), ..firing })
    };
    decode().map_err(|error| corrupt_row(&format!("firing \"{}\"", label(row, "firing")), error))
}
