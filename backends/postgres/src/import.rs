//! Taking over jobs and history of another store: a batch is one transaction.

use std::collections::{BTreeMap, HashMap};

use ecs_scheduler_core::{JobId, JournalEntry, StoreError, StoredJob};
use tokio_postgres::Error;
use uuid::Uuid;

use crate::codec::{json, maybe_nanos, nanos, signed};
use crate::error::{fault, is_lost};
use crate::jobs::{EDITS, shard};
use crate::pool::{Line, Lines};
use crate::schema::LOCKS;
use crate::settle::columns::Inserts;
use crate::settle::write_set::{Entry, Record, Row, Shot, Written};
use crate::settle::{INSERT, LOCK, NUMBERS};

const JOBS: &str = "WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock($1, 'ecss_jobs'::regclass::oid::int)), \
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
const KNOWN: &str = "SELECT firing FROM ecss_journal WHERE firing = ANY($1::text[]) ORDER BY seq LIMIT 1";
/// The newest entry of each job: what comes next may be folded into it, unless it is that of a namesake.
const HEADS: &str = "UPDATE ecss_jobs j SET head = n.head, folds = CASE WHEN j.uid = n.uid THEN n.folds END \
    FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) AS n(id, uid, head, folds) WHERE j.id = n.id";

/// Why a batch was not taken over.
enum Refused {
    Server(Error),
    Told(StoreError),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl Lines {
    /// Puts jobs at the end of the list as they are. Owners of their shards are told to look at all of them.
    pub(crate) async fn adopt_jobs(&self, jobs: &[StoredJob]) -> Result<(), StoreError> {
        let columns = Columns::of(jobs)?;
        let line = self.take("write to").await?;
        let answer = self.within("write to", put_jobs(&line, jobs, &columns)).await?;
        self.conclude(line, answer).await
    }

    /// Appends entries of another journal, oldest first.
    pub(crate) async fn adopt_history(&self, entries: &[JournalEntry]) -> Result<(), StoreError> {
        let entries: Vec<Entry> = entries.iter().map(Entry::adopted).collect::<Result<_, _>>()?;
        let line = self.take("write to").await?;
        let answer = self.within("write to", append(&line, &entries)).await?;
        self.conclude(line, answer).await
    }

    /// Commits, or undoes what was refused.
    async fn conclude(&self, line: Line, answer: Result<(), Refused>) -> Result<(), StoreError> {
        let wording = |error| fault("write to", self.name(), error);
        let end = if answer.is_ok() { "COMMIT" } else { "ROLLBACK" };
        if !matches!(&answer, Err(Refused::Server(error)) if is_lost(error)) {
            line.client().batch_execute(end).await.map_err(wording)?;
            line.done();
        }
        answer.map_err(|refused| match refused {
            Refused::Server(error) => wording(error),
            Refused::Told(error) => error,
        })
    }
}

/// The jobs' columns that are not there as they are written.
struct Columns {
    created: Vec<i64>,
    changed: Vec<i64>,
    settled: Vec<Option<i64>>,
    last_fired: Vec<Option<i64>>,
    last_run: Vec<Option<i64>>,
    last_run_tasks: Vec<Option<String>>,
}

impl Columns {
    fn of(jobs: &[StoredJob]) -> Result<Self, StoreError> {
        let tasks = |job: &StoredJob| {
            let tasks = &job.progress.last_run_tasks;
            (!tasks.is_empty()).then(|| json(tasks)).transpose()
        };
        Ok(Self {
            created: jobs.iter().map(|job| nanos(job.created)).collect::<Result<_, _>>()?,
            changed: jobs.iter().map(|job| nanos(job.changed)).collect::<Result<_, _>>()?,
            settled: jobs.iter().map(|job| maybe_nanos(job.progress.settled)).collect::<Result<_, _>>()?,
            last_fired: jobs
                .iter()
                .map(|job| maybe_nanos(job.progress.last_fired))
                .collect::<Result<_, _>>()?,
            last_run: jobs.iter().map(|job| maybe_nanos(job.progress.last_run)).collect::<Result<_, _>>()?,
            last_run_tasks: jobs.iter().map(tasks).collect::<Result<_, _>>()?,
        })
    }
}

async fn put_jobs(line: &Line, jobs: &[StoredJob], columns: &Columns) -> Result<(), Refused> {
    let client = line.client();
    let statement = client.prepare_cached(JOBS).await?;
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let uids: Vec<Uuid> = jobs.iter().map(|job| *job.uid.as_uuid()).collect();
    let shards: Vec<i16> = jobs.iter().map(|job| shard(&job.id)).collect();
    let revisions: Vec<i64> = jobs.iter().map(|job| signed(job.revision.0)).collect();
    let firings: Vec<Option<&str>> =
        jobs.iter().map(|job| job.progress.last_firing.as_ref().map(|firing| firing.as_str())).collect();
    let documents: Vec<&str> = jobs.iter().map(|job| job.document.get()).collect();
    let Columns { created, changed, settled, last_fired, last_run, last_run_tasks } = columns;
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let made = client
        .query(
            &statement,
            &[
                &LOCKS,
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
                &EDITS,
            ],
        )
        .await?;
    let made: std::collections::HashSet<&str> = made.iter().map(|row| row.get(0)).collect();
    let taken = |job: &&StoredJob| !made.contains(job.id.as_str());
    jobs.iter().find(taken).map_or(Ok(()), |job| Err(Refused::Told(StoreError::Exists(job.id.clone()))))
}

impl Entry {
    /// Makes an entry of another journal one that is written here.
    fn adopted(entry: &JournalEntry) -> Result<Self, StoreError> {
        Ok(Self {
            job: entry.record.job.clone(),
            uid: *entry.record.uid.as_uuid(),
            shard: shard(&entry.record.job),
            // Nothing is compared with what is stored.
            revision: 0,
            expected: None,
            settled: None,
            records: vec![Record::new(&entry.record.draft)?],
            firing: entry.firing.as_ref().map(Shot::new).transpose()?,
        })
    }
}

async fn append(line: &Line, entries: &[Entry]) -> Result<(), Refused> {
    let client = line.client();
    let firings: Vec<&str> =
        entries.iter().filter_map(|entry| entry.firing.as_ref()).map(|firing| firing.id.as_str()).collect();
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    client.query(LOCK, &[&LOCKS]).await?;
    if let Some(known) = client.query_opt(KNOWN, &[&firings]).await? {
        let known: &str = known.get(0);
        return Err(Refused::Told(StoreError::Conflict(format!("firing \"{known}\""))));
    }
    let first = client.query_one(NUMBERS, &[&signed(entries.len() as u64)]).await?.get(0);
    let written = number(first, entries);
    client.execute(INSERT, &Inserts::of(&written).params()).await?;
    let mut newest: HashMap<&JobId, &Row<'_>> = HashMap::new();
    for row in &written.rows {
        newest.insert(&row.entry.job, row);
    }
    let newest: Vec<&Row<'_>> = newest.into_values().collect();
    let ids: Vec<&str> = newest.iter().map(|row| row.entry.job.as_str()).collect();
    let uids: Vec<Uuid> = newest.iter().map(|row| row.entry.uid).collect();
    let heads: Vec<i64> = newest.iter().map(|row| row.seq).collect();
    let folds =
        |row: &&Row<'_>| row.record.folds().filter(|_| row.firing.is_none()).map(|outcome| outcome.as_str());
    let folds: Vec<Option<&str>> = newest.iter().map(folds).collect();
    client.execute(HEADS, &[&ids, &uids, &heads, &folds]).await?;
    Ok(())
}

/// Numbers entries from `first` on.
fn number(first: i64, entries: &[Entry]) -> Written<'_> {
    let mut written =
        Written { rows: Vec::new(), folds: BTreeMap::new(), marks: Vec::new(), answers: Vec::new() };
    for (seq, entry) in (first..).zip(entries) {
        for record in &entry.records {
            // Pruning stops at a row that was born too late, so the row must not seem younger than it is.
            let born = record.first.min(record.observed);
            let (record, firing) = (record.clone(), entry.firing.as_ref());
            written.rows.push(Row { seq, entry, record, born, firing });
        }
    }
    written
}
