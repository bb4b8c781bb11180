//! Importing jobs and history of another store: a batch is one transaction.

use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::{FiringId, JobId, JournalEntry, StoreError, StoredJob};
use uuid::Uuid;

use crate::codec::{json, nanos, optional_nanos, signed};
use crate::error::{TxError, database_error, is_lost};
use crate::jobs::{CHANGELOG_LENGTH, shard_number};
use crate::pool::{Pool, PooledConn};
use crate::schema::LOCK_NAMESPACE;
use crate::settle::columns::InsertColumns;
use crate::settle::write_set::{DecisionRow, FiringRow, JournalRow, SettlementRow, WriteSet};
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
        let columns = EncodedColumns::from_jobs(jobs)?;
        let conn = self.acquire("write to").await?;
        let result = self.with_timeout("write to", insert_jobs(&conn, jobs, &columns)).await?;
        self.end_transaction(conn, result).await
    }

    /// Appends entries of another journal, oldest first.
    pub(crate) async fn import_history(&self, entries: &[JournalEntry]) -> Result<(), StoreError> {
        let rows: Vec<SettlementRow> =
            entries.iter().map(SettlementRow::from_entry).collect::<Result<_, _>>()?;
        let conn = self.acquire("write to").await?;
        let result = self.with_timeout("write to", append_rows(&conn, &rows)).await?;
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

/// The columns of jobs whose values must be encoded.
struct EncodedColumns {
    created: Vec<i64>,
    changed: Vec<i64>,
    settled: Vec<Option<i64>>,
    last_fired: Vec<Option<i64>>,
    last_run: Vec<Option<i64>>,
    last_run_tasks: Vec<Option<String>>,
}

impl EncodedColumns {
    fn from_jobs(jobs: &[StoredJob]) -> Result<Self, StoreError> {
        let tasks = |job: &StoredJob| {
            let tasks = &job.progress.last_run_tasks;
            (!tasks.is_empty()).then(|| json(tasks)).transpose()
        };
        Ok(Self {
            created: jobs.iter().map(|job| nanos(job.created)).collect::<Result<_, _>>()?,
            changed: jobs.iter().map(|job| nanos(job.changed)).collect::<Result<_, _>>()?,
            settled: jobs.iter().map(|job| optional_nanos(job.progress.settled)).collect::<Result<_, _>>()?,
            last_fired: jobs
                .iter()
                .map(|job| optional_nanos(job.progress.last_fired))
                .collect::<Result<_, _>>()?,
            last_run: jobs
                .iter()
                .map(|job| optional_nanos(job.progress.last_run))
                .collect::<Result<_, _>>()?,
            last_run_tasks: jobs.iter().map(tasks).collect::<Result<_, _>>()?,
        })
    }
}

async fn insert_jobs(conn: &PooledConn, jobs: &[StoredJob], columns: &EncodedColumns) -> Result<(), TxError> {
    let client = conn.client();
    let statement = client.prepare_cached(INSERT_JOBS).await?;
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let uids: Vec<Uuid> = jobs.iter().map(|job| *job.uid.as_uuid()).collect();
    let shards: Vec<i16> = jobs.iter().map(|job| shard_number(&job.id)).collect();
    let revisions: Vec<i64> = jobs.iter().map(|job| signed(job.revision.0)).collect();
    let firings: Vec<Option<&str>> =
        jobs.iter().map(|job| job.progress.last_firing.as_ref().map(|firing| firing.as_str())).collect();
    let documents: Vec<&str> = jobs.iter().map(|job| job.document.get()).collect();
    let EncodedColumns { created, changed, settled, last_fired, last_run, last_run_tasks } = columns;
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let inserted = client
        .query(
            &statement,
            &[
                &LOCK_NAMESPACE,
                &ids,
                &uids,
                &shards,
                &revisions,
                created,
                changed,
                settled,
                &firings,
                last_fired,
                last_run,
                last_run_tasks,
                &documents,
                &CHANGELOG_LENGTH,
            ],
        )
        .await?;
    let inserted: HashSet<&str> = inserted.iter().map(|row| row.get(0)).collect();
    let existing = jobs.iter().find(|job| !inserted.contains(job.id.as_str()));
    existing.map_or(Ok(()), |job| Err(TxError::Store(StoreError::Exists(job.id.clone()))))
}

impl SettlementRow {
    /// Encodes an entry of another journal.
    fn from_entry(entry: &JournalEntry) -> Result<Self, StoreError> {
        Ok(Self {
            job: entry.record.job.clone(),
            uid: *entry.record.uid.as_uuid(),
            shard: shard_number(&entry.record.job),
            // An import compares nothing with the stored job.
            revision: 0,
            expected: None,
            settled: None,
            decisions: vec![DecisionRow::new(&entry.record.draft)?],
            firing: entry.firing.as_ref().map(FiringRow::new).transpose()?,
        })
    }
}

async fn append_rows(conn: &PooledConn, settlements: &[SettlementRow]) -> Result<(), TxError> {
    let client = conn.client();
    let firings: Vec<&str> =
        settlements.iter().filter_map(|row| row.firing.as_ref()).map(|firing| firing.id.as_str()).collect();
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    client.query(LOCK_JOURNAL, &[&LOCK_NAMESPACE]).await?;
    if let Some(known) = client.query_opt(FIND_FIRING, &[&firings]).await? {
        let known = FiringId::from_text(known.get(0));
        return Err(TxError::Store(StoreError::Conflict((&known).into())));
    }
    let first_seq = client.query_one(RESERVE_NUMBERS, &[&signed(settlements.len() as u64)]).await?.get(0);
    let write_set = number_rows(first_seq, settlements);
    client.execute(INSERT_ROWS, &InsertColumns::from_write_set(&write_set).params()).await?;
    let mut newest: HashMap<&JobId, &JournalRow<'_>> = HashMap::new();
    for row in &write_set.rows {
        newest.insert(&row.settlement.job, row);
    }
    let newest: Vec<&JournalRow<'_>> = newest.into_values().collect();
    let ids: Vec<&str> = newest.iter().map(|row| row.settlement.job.as_str()).collect();
    let uids: Vec<Uuid> = newest.iter().map(|row| row.settlement.uid).collect();
    let heads: Vec<i64> = newest.iter().map(|row| row.seq).collect();
    let folds = |row: &&JournalRow<'_>| {
        row.decision.folds().filter(|_| row.firing.is_none()).map(|outcome| outcome.as_str())
    };
    let folds: Vec<Option<&str>> = newest.iter().map(folds).collect();
    client.execute(UPDATE_HEADS, &[&ids, &uids, &heads, &folds]).await?;
    Ok(())
}

/// Numbers the rows of settlements from `first_seq`.
fn number_rows(first_seq: i64, settlements: &[SettlementRow]) -> WriteSet<'_> {
    let mut write_set = WriteSet::default();
    for (seq, settlement) in (first_seq..).zip(settlements) {
        for decision in &settlement.decisions {
            // Pruning stops at a row that was born too late, so the row must not seem younger than it is.
            let born = decision.first.min(decision.observed);
            let (decision, firing) = (decision.clone(), settlement.firing.as_ref());
            write_set.rows.push(JournalRow { seq, settlement, decision, born, firing });
        }
    }
    write_set
}
