//! Reading of rows. [`encoding`](ecs_scheduler_core::store::encoding) encodes the values: timestamps as nanoseconds since
//! 1970, names as text, all else as JSON.

mod body;

use ecs_scheduler_core::decide::{DecisionDetails, FoldKey};
use ecs_scheduler_core::store::JobHead;
use ecs_scheduler_core::store::encoding::{from_nanos, to_json};
use ecs_scheduler_core::{
    DecisionId, DecisionRecord, Firing, FiringId, FiringState, JobId, JobUid, LastRunTask, Progress,
    Revision, StoreError, StoredJob, TickSpan, Timestamp,
};
use rusqlite::Row;
use rusqlite::types::Type;
use serde_json::value::RawValue;
use uuid::Uuid;

use body::{FiringBody, FiringColumns};

fn conversion_error(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

fn read_timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(from_nanos)
}

fn read_timestamp_opt(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(from_nanos))
}

fn read_text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    row.get_ref(column)?.as_str().map_err(|error| conversion_error(column, error))
}

fn read_text_opt<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r str>> {
    row.get_ref(column)?.as_str_or_null().map_err(|error| conversion_error(column, error))
}

fn read_job_id(row: &Row<'_>, column: usize) -> rusqlite::Result<JobId> {
    JobId::new(read_text(row, column)?).map_err(|error| conversion_error(column, error))
}

fn read_uid(row: &Row<'_>, column: usize) -> rusqlite::Result<JobUid> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(JobUid::from_uuid(Uuid::from_bytes(bytes)))
}

/// The columns that [`read_meta`] reads; a macro, so that statements with it are constants.
macro_rules! meta_columns {
    () => {
        "m.no, m.uid, m.revision, m.created, m.changed, m.head, m.settled, m.last_firing, m.last_fired, m.last_run, \
         m.last_run_tasks, m.head_firing"
    };
}
pub(crate) use meta_columns;

/// A job's metadata row: everything known about the job beside its document.
#[derive(Debug, Clone)]
pub(crate) struct JobMeta {
    pub(crate) no: i64,
    pub(crate) uid: JobUid,
    pub(crate) revision: Revision,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    /// The newest decision under the job's name; 0 when there is none.
    pub(crate) newest: u64,
    /// The newest of these decisions that has a firing; 0 when there is none.
    pub(crate) newest_firing: u64,
    /// The key of that decision, if the next one may fold into it.
    pub(crate) open_row: Option<FoldKey<'static>>,
    pub(crate) progress: Progress,
}

impl JobMeta {
    /// Returns the state on which the next settlement depends.
    pub(crate) fn head(&self) -> JobHead<'_> {
        let open_row = self.open_row.as_ref().map(FoldKey::as_borrowed);
        JobHead { uid: self.uid, revision: self.revision, cursor: self.progress.settled, open_row }
    }

    /// Returns the job with this metadata, a name and a document.
    pub(crate) fn with_document(&self, id: JobId, document: Box<RawValue>) -> StoredJob {
        StoredJob {
            id,
            uid: self.uid,
            revision: self.revision,
            document,
            created: self.created,
            changed: self.changed,
            progress: self.progress.clone(),
        }
    }
}

/// Reads the columns of [`meta_columns`]; the key of the newest decision is not among them.
pub(crate) fn read_meta(row: &Row<'_>) -> rusqlite::Result<JobMeta> {
    let last_run_tasks: Vec<LastRunTask> = match read_text_opt(row, 10)? {
        None => Vec::new(),
        Some(tasks) => serde_json::from_str(tasks).map_err(|error| conversion_error(10, error))?,
    };
    Ok(JobMeta {
        no: row.get(0)?,
        uid: read_uid(row, 1)?,
        revision: Revision(row.get(2)?),
        created: read_timestamp(row, 3)?,
        changed: read_timestamp(row, 4)?,
        newest: row.get(5)?,
        newest_firing: row.get(11)?,
        open_row: None,
        progress: Progress {
            settled: read_timestamp_opt(row, 6)?,
            last_firing: read_text_opt(row, 7)?.map(FiringId::from_text),
            last_fired: read_timestamp_opt(row, 8)?,
            last_run: read_timestamp_opt(row, 9)?,
            last_run_tasks,
        },
    })
}

/// Reads the columns of [`meta_columns`], then the outcome and the explanation of the newest decision. Either is NULL when
/// the next decision may not fold into it.
pub(crate) fn read_meta_and_key(row: &Row<'_>) -> rusqlite::Result<JobMeta> {
    let outcome = read_text_opt(row, 12)?
        .map(|outcome| outcome.parse().map_err(|error: String| conversion_error(12, error)))
        .transpose()?;
    let explanation = row.get::<_, Option<String>>(13)?;
    let open_row =
        outcome.zip(explanation).map(|(outcome, text)| FoldKey { outcome, explanation: text.into() });
    Ok(JobMeta { open_row, ..read_meta(row)? })
}

/// Reads a job: the columns of [`meta_columns`], then `id` and `data`. Returns it with its rowid.
pub(crate) fn read_job(row: &Row<'_>) -> rusqlite::Result<(i64, StoredJob)> {
    let meta = read_meta(row)?;
    let id = read_job_id(row, 12)?;
    let document: Box<RawValue> =
        serde_json::from_str(read_text(row, 13)?).map_err(|error| conversion_error(13, error))?;
    Ok((meta.no, meta.with_document(id, document)))
}

/// The columns that [`read_decision`] reads.
pub(crate) const DECISION_COLUMNS: &str =
    "seq, job, uid, outcome, observed, first, last, count, ledger, firing";

/// Reads the columns of [`DECISION_COLUMNS`].
pub(crate) fn read_decision(row: &Row<'_>) -> rusqlite::Result<DecisionRecord> {
    let details: DecisionDetails<'_> =
        serde_json::from_str(read_text(row, 8)?).map_err(|error| conversion_error(8, error))?;
    Ok(DecisionRecord {
        id: DecisionId(row.get(0)?),
        job: read_job_id(row, 1)?,
        uid: read_uid(row, 2)?,
        draft: details.into_draft(
            TickSpan { first: read_timestamp(row, 5)?, last: read_timestamp(row, 6)?, count: row.get(7)? },
            read_timestamp(row, 4)?,
            read_text(row, 3)?.parse().map_err(|error: String| conversion_error(3, error))?,
        ),
        firing: read_text_opt(row, 9)?.map(FiringId::from_text),
    })
}

/// Encodes the `body` column.
pub(crate) fn encode_body(firing: &Firing) -> Result<String, StoreError> {
    to_json(&FiringBody::from_firing(firing))
}

/// The columns that [`read_firing`] reads.
pub(crate) const FIRING_COLUMNS: &str = "state, seq, firing, job, uid, body";

/// Reads the columns of [`FIRING_COLUMNS`].
pub(crate) fn read_firing(row: &Row<'_>) -> rusqlite::Result<Firing> {
    let columns = FiringColumns {
        state: read_state(row, 0)?,
        decision: DecisionId(row.get(1)?),
        id: FiringId::from_text(read_text(row, 2)?),
        job: read_job_id(row, 3)?,
        uid: read_uid(row, 4)?,
    };
    let body: FiringBody<'_> =
        serde_json::from_str(read_text(row, 5)?).map_err(|error| conversion_error(5, error))?;
    Ok(body.into_firing(columns))
}

/// Reads the `state` column.
pub(crate) fn read_state(row: &Row<'_>, column: usize) -> rusqlite::Result<FiringState> {
    read_text(row, column)?.parse().map_err(|error: String| conversion_error(column, error))
}
