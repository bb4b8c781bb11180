//! Importing jobs and history of another store: a batch is one transaction.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::store::encoding::{ImportRow, JobColumns};
use ecs_scheduler_core::{FiringId, JobId, JournalEntry, StoreError, StoredJob};
use uuid::Uuid;

use crate::codec::{shard_number, signed};
use crate::error::{TxError, database_error, is_lost};
use crate::jobs::CHANGELOG_LENGTH;
use crate::pool::{Param, Pool, PooledConn};
use crate::schema::LOCK_NAMESPACE;
use crate::settle::columns::{InsertColumns, columns};
use crate::settle::write_set::{BatchWrites, JournalRow};
use crate::settle::{INSERT_ROWS, LOCK_JOURNAL, RESERVE_NUMBERS};

const INSERT_JOBS: &str = "WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock($1, 'ecss_jobs'::regclass::oid::int)), \
    made AS (INSERT INTO ecss_jobs(no, id, uid, shard, revision, created, changed, settled, last_firing, last_fired, \
    last_run, last_run_tasks, document) \
    SELECT nextval('ecss_jobs_no'), id, uid, shard, revision, created, changed, settled, last_firing, last_fired, \
    last_run, last_run_tasks::json, document::json FROM held, (SELECT * FROM unnest($2::text[], $3::uuid[], \
    $4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::bigint[], \
    $11::bigint[], $12::text[], $13::text[]) WITH ORDINALITY AS n(id, uid, shard, revision, created, changed, \
    settled, last_firing, last_fired, last_run, last_run_tasks, document, place) ORDER BY place) n \
    ON CONFLICT (id) DO NOTHING RETURNING id, shard), \
    counted AS (UPDATE ecss_shards s SET jobs = s.jobs + m.jobs, edits = s.edits + $14 + 1 \
    FROM (SELECT shard, count(*) AS jobs FROM made GROUP BY shard) m WHERE s.shard = m.shard) \
    SELECT id FROM made";
const FIND_FIRING: &str =
    "SELECT firing FROM ecss_journal WHERE firing = ANY($1::text[]) ORDER BY seq LIMIT 1";
/// Sets the newest decision of each job. The next one may fold into it, unless it belongs to an earlier job of that name.
const UPDATE_HEADS: &str = "UPDATE ecss_jobs j SET head = n.head, folds = CASE WHEN j.uid = n.uid THEN n.folds END \
    FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) AS n(id, uid, head, folds) WHERE j.id = n.id";

impl Pool {
    /// Appends jobs unchanged to the end of the list. The owners of their shards read the whole shard again.
    pub(crate) async fn import_jobs(&self, jobs: &[StoredJob]) -> Result<(), StoreError> {
        let columns: Vec<JobColumns> = jobs.iter().map(JobColumns::new).collect::<Result<_, _>>()?;
        let conn = self.acquire("write to").await?;
        let result = self.with_timeout("write to", insert_jobs(&conn, jobs, &columns)).await?;
        self.end_transaction(conn, result).await
    }

    /// Appends entries of another journal, oldest first.
    pub(crate) async fn import_history(&self, entries: Vec<JournalEntry>) -> Result<(), StoreError> {
        let entries: Vec<ImportRow> = entries.into_iter().map(ImportRow::new).collect::<Result<_, _>>()?;
        let conn = self.acquire("write to").await?;
        let result = self.with_timeout("write to", append_rows(&conn, &entries)).await?;
        self.end_transaction(conn, result).await
    }

    /// Commits, or rolls back a transaction that failed.
    async fn end_transaction(&self, conn: PooledConn, result: Result<(), TxError>) -> Result<(), StoreError> {
        let map_error = |error| database_error("write to", self.name(), error);
        let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
        if !matches!(&result, Err(TxError::Server(error)) if is_lost(error)) {
            conn.client().batch_execute(end).await.map_err(map_error)?;
            conn.mark_clean();
        }
        result.map_err(|error| match error {
            TxError::Server(error) => map_error(error),
            TxError::Store(error) => error,
        })
    }
}

columns! {
    /// Jobs of another store.
    JobArrays from row: (&'w StoredJob, &'w JobColumns),
    id: &'w str = row.0.id.as_str(),
    uid: Uuid = *row.0.uid.as_uuid(),
    shard: i16 = shard_number(&row.0.id),
    revision: i64 = signed(row.0.revision.0),
    created: i64 = row.1.created,
    changed: i64 = row.1.changed,
    settled: Option<i64> = row.1.settled,
    last_firing: Option<&'w str> = row.0.progress.last_firing.as_ref().map(|firing| firing.as_str()),
    last_fired: Option<i64> = row.1.last_fired,
    last_run: Option<i64> = row.1.last_run,
    last_run_tasks: Option<&'w str> = row.1.last_run_tasks.as_deref(),
    document: &'w str = row.0.document.get(),
}

async fn insert_jobs(conn: &PooledConn, jobs: &[StoredJob], columns: &[JobColumns]) -> Result<(), TxError> {
    let client = conn.client();
    let statement = client.prepare_cached(INSERT_JOBS).await?;
    let arrays = JobArrays::new(jobs.iter().zip(columns));
    let mut params: Vec<Param<'_>> = vec![&LOCK_NAMESPACE];
    params.extend(arrays.params());
    params.push(&CHANGELOG_LENGTH);
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let inserted = client.query(&statement, &params).await?;
    let inserted: HashSet<&str> = inserted.iter().map(|row| row.get(0)).collect();
    let existing = jobs.iter().find(|job| !inserted.contains(job.id.as_str()));
    existing.map_or(Ok(()), |job| Err(TxError::Store(StoreError::Exists(job.id.clone()))))
}

fn journal_row(seq: i64, row: &ImportRow) -> JournalRow<'_> {
    let JournalEntry { record, firing } = &row.entry;
    JournalRow {
        seq,
        job: &record.job,
        uid: record.uid,
        outcome: record.draft.outcome,
        decision: Cow::Borrowed(&row.decision),
        born: row.born(),
        firing: firing.as_ref().zip(row.body.as_deref()),
    }
}

async fn append_rows(conn: &PooledConn, entries: &[ImportRow]) -> Result<(), TxError> {
    let client = conn.client();
    let firings: Vec<&str> =
        entries.iter().filter_map(|row| row.entry.firing.as_ref()).map(|firing| firing.id.as_str()).collect();
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    client.query(LOCK_JOURNAL, &[&LOCK_NAMESPACE]).await?;
    if let Some(known) = client.query_opt(FIND_FIRING, &[&firings]).await? {
        let known = FiringId::from_text(known.get(0));
        return Err(TxError::Store(StoreError::Conflict((&known).into())));
    }
    let first_seq: i64 = client.query_one(RESERVE_NUMBERS, &[&signed(entries.len() as u64)]).await?.get(0);
    let rows = (first_seq..).zip(entries).map(|(seq, entry)| journal_row(seq, entry)).collect();
    let batch = BatchWrites { rows, ..BatchWrites::default() };
    client.execute(INSERT_ROWS, &InsertColumns::new(batch.rows.iter()).params()).await?;
    let mut newest: HashMap<&JobId, (i64, &JournalEntry)> = HashMap::new();
    for (row, encoded) in batch.rows.iter().zip(entries) {
        newest.insert(row.job, (row.seq, &encoded.entry));
    }
    let ids: Vec<&str> = newest.keys().map(|job| job.as_str()).collect();
    let uids: Vec<Uuid> = newest.values().map(|(_, entry)| *entry.record.uid.as_uuid()).collect();
    let heads: Vec<i64> = newest.values().map(|(seq, _)| *seq).collect();
    // The statement compares the identity of the job.
    let folds =
        |(_, entry): &(i64, &JournalEntry)| entry.open_row(entry.record.uid).map(|key| key.outcome.as_str());
    let folds: Vec<Option<&str>> = newest.values().map(folds).collect();
    client.execute(UPDATE_HEADS, &[&ids, &uids, &heads, &folds]).await?;
    Ok(())
}
