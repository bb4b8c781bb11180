//! How things look in the tables: moments as nanoseconds since 1970, names as text, the rest as JSON.

mod body;

use ecs_scheduler_core::decide::{DecisionDraft, DecisionLedger};
use ecs_scheduler_core::{
    DecisionId, DecisionRecord, FaultKind, Firing, FiringId, FiringState, JobId, JobUid, LastRunTask,
    Outcome, Progress, Revision, StoreError, StoredJob, TickSpan, Timestamp,
};
use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use body::{Body, Columns};

/// A day, as moments are written.
pub(crate) const DAY: i64 = 24 * 3_600 * 1_000_000_000;

/// Writes a moment: 1677 to 2262.
pub(crate) fn nanos(at: Timestamp) -> Result<i64, StoreError> {
    i64::try_from(at.as_nanosecond()).map_err(|_| {
        StoreError::fault(FaultKind::Config, format!("could not store {at}: it is not between 1678 and 2261"))
    })
}

/// Writes a moment to compare with: in the place of one that cannot be stored the nearest that can.
pub(crate) fn instant(at: Timestamp) -> i64 {
    let bound = if at < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    i64::try_from(at.as_nanosecond()).unwrap_or(bound)
}

/// Writes a moment that may be absent.
pub(crate) fn maybe_nanos(at: Option<Timestamp>) -> Result<Option<i64>, StoreError> {
    at.map(nanos).transpose()
}

/// Writes a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String, StoreError> {
    // Room for all that is usual, so that it is not moved while it grows.
    let mut text = Vec::with_capacity(512);
    serde_json::to_writer(&mut text, value)
        .map_err(|error| StoreError::caused(FaultKind::Bug, "could not write a value as JSON", error))?;
    Ok(String::from_utf8(text).expect("JSON is written as UTF-8"))
}

fn bad(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let nanos: i64 = row.get(column)?;
    Timestamp::from_nanosecond(nanos.into()).map_err(|error| bad(column, error))
}

fn maybe_moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(_) => moment(row, column).map(Some),
    }
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    row.get_ref(column)?.as_str().map_err(|error| bad(column, error))
}

fn maybe_text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<Option<&'r str>> {
    row.get_ref(column)?.as_str_or_null().map_err(|error| bad(column, error))
}

fn job_id(row: &Row<'_>, column: usize) -> rusqlite::Result<JobId> {
    JobId::new(text(row, column)?).map_err(|error| bad(column, error))
}

fn uid(row: &Row<'_>, column: usize) -> rusqlite::Result<JobUid> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(JobUid::from_uuid(Uuid::from_bytes(bytes)))
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column)
}

/// The columns of [`mark`]; a macro, so that statements with it are constants.
macro_rules! mark_columns {
    () => {
        "m.no, m.uid, m.revision, m.created, m.changed, m.head, m.folds, m.settled, m.last_firing, m.last_fired, \
         m.last_run, m.last_run_tasks"
    };
}
pub(crate) use mark_columns;

/// What is known of a job beside its document.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) no: i64,
    pub(crate) uid: JobUid,
    pub(crate) revision: Revision,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    /// The newest decision under the job's name; 0 when there is none.
    pub(crate) head: u64,
    /// The outcome of that decision, if the next one may fold into it.
    pub(crate) folds: Option<Outcome>,
    pub(crate) progress: Progress,
}

impl Mark {
    /// Makes the job of a name and a document.
    pub(crate) fn with(&self, id: JobId, document: Box<RawValue>) -> StoredJob {
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

/// Reads the columns of [`mark_columns`].
pub(crate) fn mark(row: &Row<'_>) -> rusqlite::Result<Mark> {
    let last_run_tasks: Vec<LastRunTask> = match maybe_text(row, 11)? {
        None => Vec::new(),
        Some(tasks) => serde_json::from_str(tasks).map_err(|error| bad(11, error))?,
    };
    Ok(Mark {
        no: row.get(0)?,
        uid: uid(row, 1)?,
        revision: Revision(number(row, 2)?),
        created: moment(row, 3)?,
        changed: moment(row, 4)?,
        head: number(row, 5)?,
        folds: maybe_text(row, 6)?
            .map(|outcome| outcome.parse().map_err(|error: String| bad(6, error)))
            .transpose()?,
        progress: Progress {
            settled: maybe_moment(row, 7)?,
            last_firing: maybe_text(row, 8)?.map(FiringId::from_text),
            last_fired: maybe_moment(row, 9)?,
            last_run: maybe_moment(row, 10)?,
            last_run_tasks,
        },
    })
}

/// Reads a job: the columns of [`mark_columns`], then `id` and `data`. Returns it with its rowid.
pub(crate) fn job(row: &Row<'_>) -> rusqlite::Result<(i64, StoredJob)> {
    let mark = mark(row)?;
    let id = job_id(row, 12)?;
    let document: Box<RawValue> = serde_json::from_str(text(row, 13)?).map_err(|error| bad(13, error))?;
    Ok((mark.no, mark.with(id, document)))
}

/// Writes the `ledger` column.
pub(crate) fn ledger(draft: &DecisionDraft) -> Result<String, StoreError> {
    json(&DecisionLedger::of(draft))
}

/// The columns of [`decision`].
pub(crate) const DECISION: &str =
    "seq, job, uid, outcome, observed, first, last, count, ledger, firing, prev";

/// Reads the columns of [`DECISION`].
pub(crate) fn decision(row: &Row<'_>) -> rusqlite::Result<DecisionRecord> {
    let ledger: DecisionLedger<'_> = serde_json::from_str(text(row, 8)?).map_err(|error| bad(8, error))?;
    Ok(DecisionRecord {
        id: DecisionId(number(row, 0)?),
        job: job_id(row, 1)?,
        uid: uid(row, 2)?,
        draft: ledger.into_draft(
            TickSpan { first: moment(row, 5)?, last: moment(row, 6)?, count: number(row, 7)? },
            moment(row, 4)?,
            text(row, 3)?.parse().map_err(|error: String| bad(3, error))?,
        ),
        firing: maybe_text(row, 9)?.map(FiringId::from_text),
    })
}

/// Writes the `body` column.
pub(crate) fn body(firing: &Firing) -> Result<String, StoreError> {
    json(&Body::of(firing))
}

/// The columns of [`firing`].
pub(crate) const FIRING: &str = "state, seq, firing, job, uid, body";

/// Reads the columns of [`FIRING`].
pub(crate) fn firing(row: &Row<'_>) -> rusqlite::Result<Firing> {
    firing_from(row, 0)
}

/// Reads the columns of [`FIRING`], the first of which is this one.
pub(crate) fn firing_from(row: &Row<'_>, first: usize) -> rusqlite::Result<Firing> {
    let columns = Columns {
        state: state(row, first)?,
        decision: DecisionId(number(row, first + 1)?),
        id: FiringId::from_text(text(row, first + 2)?),
        job: job_id(row, first + 3)?,
        uid: uid(row, first + 4)?,
    };
    let body: Body<'_> =
        serde_json::from_str(text(row, first + 5)?).map_err(|error| bad(first + 5, error))?;
    Ok(body.into_firing(columns))
}

/// Reads the `state` column.
pub(crate) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<FiringState> {
    text(row, column)?.parse().map_err(|error: String| bad(column, error))
}
