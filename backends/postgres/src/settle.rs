//! Settling: one transaction of two round trips for everything that waits.

pub(crate) mod columns;
pub(crate) mod write_set;

use std::collections::HashMap;

use ecs_scheduler_core::store::Fence;
use ecs_scheduler_core::{Outcome, Settled, StoreError, async_trait};
use futures::future::{join, join3, try_join_all};
use tokio_postgres::{Error, Row, Statement};

use crate::codec::signed;
use crate::error::{corrupt, fault, is_contention, is_lost};
use crate::group_commit::Clerk;
use crate::pool::{Line, Lines, Param, TRIES};
use crate::schema::LOCKS;
use columns::{Folds, Inserts, Marks};
pub(crate) use write_set::Entry;
use write_set::{Mark, Slate, Written};

/// At how many settlements a transaction is full: a few MiB.
const FULL: usize = 4_000;

/// What one caller settles, and the fence that must hold for it.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) fence: Option<Fence>,
    pub(crate) entries: Vec<Entry>,
}

/// The statements of a settlement, prepared once a connection.
struct Pen {
    fences: Statement,
    lock: Statement,
    marks: Statement,
    known: Statement,
    numbers: Statement,
    insert: Statement,
    fold: Statement,
    mark: Statement,
}

/// Held to the end of the transaction, so that numbers grow in the order of the commits, and that no row which a
/// settlement folds into is pruned meanwhile.
pub(crate) const LOCK: &str = "SELECT pg_advisory_xact_lock($1, 'ecss_journal'::regclass::oid::int)";
/// The registers that fences name stay as they are until the transaction is over.
const FENCES: &str =
    "SELECT name, version FROM ecss_registers WHERE name = ANY($1::text[]) ORDER BY name FOR SHARE";
/// The newest row is to be folded into only if it was not pruned: then it has an explanation.
const MARKS: &str = "SELECT id, uid, revision, settled, head, folds, \
    (SELECT h.ledger->>'explanation' FROM ecss_journal h WHERE h.seq = j.head) AS explanation \
    FROM ecss_jobs j WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE";
const KNOWN: &str = "SELECT firing FROM ecss_journal WHERE firing = ANY($1::text[])";
pub(crate) const NUMBERS: &str =
    "SELECT setval('ecss_journal_seq', nextval('ecss_journal_seq') + $1 - 1) - $1 + 1";
pub(crate) const INSERT: &str = "INSERT INTO ecss_journal(seq, job, uid, shard, outcome, born, observed, first, last, count, \
    ledger, firing, state, tasks, body) \
    SELECT seq, job, uid, shard, outcome, born, observed, first, last, count, ledger::json, firing, state, tasks, \
    body::json FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::smallint[], $5::text[], $6::bigint[], \
    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::int[], \
    $15::text[]) AS n(seq, job, uid, shard, outcome, born, observed, first, last, count, ledger, firing, state, \
    tasks, body)";
const FOLD: &str = "UPDATE ecss_journal j SET observed = n.observed, last = n.last, count = j.count + n.count, \
    ledger = n.ledger::json \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) \
    AS n(seq, observed, last, count, ledger) WHERE j.seq = n.seq";
const MARK: &str = "UPDATE ecss_jobs j SET settled = n.settled, head = n.head, folds = n.folds, \
    last_firing = coalesce(n.last_firing, j.last_firing), last_fired = coalesce(n.last_fired, j.last_fired) \
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[]) \
    AS n(id, settled, head, folds, last_firing, last_fired) WHERE j.id = n.id";

impl Pen {
    async fn new(line: &Line) -> Result<Self, Error> {
        let all = [FENCES, LOCK, MARKS, KNOWN, NUMBERS, INSERT, FOLD, MARK]
            .map(|sql| line.client().prepare_cached(sql));
        let mut all = try_join_all(all).await?.into_iter();
        let mut next = || all.next().expect("each statement was prepared");
        Ok(Self {
            fences: next(),
            lock: next(),
            marks: next(),
            known: next(),
            numbers: next(),
            insert: next(),
            fold: next(),
            mark: next(),
        })
    }
}

/// What went wrong: with the server, or with what it had stored.
enum Trouble {
    Server(Error),
    Stored(StoreError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

/// Settles.
#[derive(Debug)]
pub(crate) struct Settler(pub(crate) Lines);

#[async_trait]
impl Clerk for Settler {
    type Order = Batch;
    type Answer = Vec<Settled>;

    async fn write(&self, batches: &[&Batch]) -> Result<Vec<Result<Vec<Settled>, StoreError>>, StoreError> {
        let settled = self.0.record(batches).await?;
        let fenced = |batch: &Batch| {
            let register = batch.fence.as_ref().map(|fence| fence.register.clone());
            StoreError::Fenced(register.unwrap_or_default())
        };
        Ok(settled
            .into_iter()
            .zip(batches)
            .map(|(answer, batch)| answer.ok_or_else(|| fenced(batch)))
            .collect())
    }

    fn size(batch: &Batch) -> (usize, usize) {
        (batch.entries.len(), FULL)
    }
}

impl Lines {
    /// Records the settlements that are not stale, in their order and in one transaction; of a batch whose fence does
    /// not hold none, and there is no answer to it.
    async fn record(&self, batches: &[&Batch]) -> Result<Vec<Option<Vec<Settled>>>, StoreError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            let line = self.take("write to").await?;
            let error = match self.within("write to", transact(&line, batches)).await? {
                Ok(settled) => {
                    line.done();
                    return Ok(settled);
                }
                Err(Trouble::Stored(error)) => return Err(error),
                Err(Trouble::Server(error)) => error,
            };
            if !is_lost(&error) && line.client().batch_execute("ROLLBACK").await.is_ok() {
                line.done();
            }
            if !is_contention(&error) || left == 0 {
                return Err(fault("write to", self.name(), error));
            }
        }
    }
}

async fn transact(line: &Line, batches: &[&Batch]) -> Result<Vec<Option<Vec<Settled>>>, Trouble> {
    let pen = Pen::new(line).await?;
    let seen = look(line, &pen, batches).await?;
    let holds = |batch: &Batch| {
        batch
            .fence
            .as_ref()
            .is_none_or(|fence| seen.versions.get(&fence.register) == Some(&signed(fence.version)))
    };
    let held: Vec<bool> = batches.iter().map(|batch| holds(batch)).collect();
    let entries = batches.iter().zip(&held).filter(|(_, held)| **held).flat_map(|(batch, _)| &batch.entries);
    let written = write_set::write(seen.slate, seen.first, &entries.collect::<Vec<_>>());
    write(line, &pen, &written).await?;
    let mut answers = written.answers.into_iter();
    let mut answer = |batch: &Batch| answers.by_ref().take(batch.entries.len()).collect();
    Ok(batches.iter().zip(held).map(|(batch, held)| held.then(|| answer(batch))).collect())
}

/// What the first round trip finds.
struct Seen {
    slate: Slate,
    /// The first number that is free.
    first: i64,
    /// The versions of the registers that fences name.
    versions: HashMap<String, i64>,
}

/// The first round trip: begins, locks and reads. What is sent together is done one after the other.
async fn look(line: &Line, pen: &Pen, batches: &[&Batch]) -> Result<Seen, Trouble> {
    let client = line.client();
    let entries = || batches.iter().flat_map(|batch| &batch.entries);
    let mut names: Vec<&str> = entries().map(|entry| entry.job.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let firings: Vec<&str> =
        entries().filter_map(|entry| entry.firing.as_ref()).map(|firing| firing.id.as_str()).collect();
    let registers: Vec<&str> = batches
        .iter()
        .filter_map(|batch| batch.fence.as_ref())
        .map(|fence| fence.register.as_str())
        .collect();
    let records = signed(entries().map(|entry| entry.records.len() as u64).sum::<u64>().max(1));
    let [names, firings, registers, records, locks]: [[Param<'_>; 1]; 5] =
        [[&names], [&firings], [&registers], [&records], [&LOCKS]];
    let begin = join3(
        client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
        client.query(&pen.lock, &locks),
        client.query(&pen.fences, &registers),
    );
    let read = join3(
        client.query(&pen.marks, &names),
        client.query(&pen.known, &firings),
        client.query_one(&pen.numbers, &records),
    );
    let ((begun, locked, fences), (marks, known, numbers)) = join(begin, read).await;
    begun?;
    locked?;
    let versions = fences?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let known = known?.iter().map(|row| row.get(0)).collect();
    let marks = marks?.iter().map(mark).collect::<Result<_, _>>().map_err(Trouble::Stored)?;
    Ok(Seen { slate: Slate { marks, known }, first: numbers?.get(0), versions })
}

fn mark(row: &Row) -> Result<(String, Mark), StoreError> {
    let (name, folds): (&str, Option<&str>) = (row.get("id"), row.get("folds"));
    let explanation: Option<String> = row.get("explanation");
    let folds = folds.filter(|_| explanation.is_some()).map(str::parse::<Outcome>).transpose();
    let folds = folds.map_err(|error| corrupt(&format!("job \"{name}\""), error))?;
    let (uid, revision) = (row.get("uid"), row.get("revision"));
    let mut mark = Mark::new(uid, revision, row.get("settled"), row.get("head"), folds);
    mark.explanation = explanation.unwrap_or_default();
    Ok((name.to_owned(), mark))
}

/// The second round trip: writes and commits. Should a statement fail, the commit that follows it undoes everything.
async fn write(line: &Line, pen: &Pen, written: &Written<'_>) -> Result<(), Error> {
    let client = line.client();
    let inserts = Inserts::of(written);
    let folds = Folds::of(written);
    let marks = Marks::of(written);
    let (inserts, folds, marks) = (inserts.params(), folds.params(), marks.params());
    let writes = async {
        let (inserted, folded, marked) = join3(
            run(client, &pen.insert, &inserts, !written.rows.is_empty()),
            run(client, &pen.fold, &folds, !written.folds.is_empty()),
            run(client, &pen.mark, &marks, !written.marks.is_empty()),
        )
        .await;
        inserted.and(folded).and(marked)
    };
    let (wrote, committed) = join(writes, client.batch_execute("COMMIT")).await;
    wrote.and(committed)
}

async fn run(
    client: &tokio_postgres::Client,
    statement: &Statement,
    params: &[Param<'_>],
    needed: bool,
) -> Result<(), Error> {
    if needed {
        client.execute(statement, params).await?;
    }
    Ok(())
}
