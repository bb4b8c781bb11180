//! Settling: one transaction of two round trips for all queued requests.

pub(crate) mod columns;
pub(crate) mod write_set;

use std::collections::HashMap;

use ecs_scheduler_core::store::Fence;
use ecs_scheduler_core::store::encoding::SettlementRow;
use ecs_scheduler_core::store::group_commit::{BatchRequest, BatchResult, BatchWriter};
use ecs_scheduler_core::{Settled, StoreError};
use futures::future::{join, join3, try_join_all};
use tokio_postgres::{Error, Statement};

use crate::codec::{self, signed};
use crate::error::TxError;
use crate::pool::{MAX_ATTEMPTS, Param, Pool, PooledConn};
use crate::schema::LOCK_NAMESPACE;
use columns::{FoldColumns, InsertColumns, SettledColumns};
use write_set::{BatchWrites, Existing, build_batch};

/// The settlements that one caller asks to be written, and the fence that must hold for them.
#[derive(Debug)]
pub(crate) struct SettleRequest {
    pub(crate) fence: Option<Fence>,
    pub(crate) rows: Vec<SettlementRow>,
}

impl BatchRequest for SettleRequest {
    type Response = Vec<Settled>;
    /// Rows.
    type BatchSize = usize;

    fn admit(&self, rows: &mut usize) -> bool {
        *rows += self.rows.len();
        *rows <= MAX_ROWS
    }
}

/// The maximum number of settlements of one transaction: a few MiB.
const MAX_ROWS: usize = 4_000;

/// The statements of a settlement, prepared once for each connection.
struct Statements {
    lock_fences: Statement,
    lock_journal: Statement,
    lock_jobs: Statement,
    find_firings: Statement,
    reserve_numbers: Statement,
    insert_rows: Statement,
    fold_rows: Statement,
    update_jobs: Statement,
}

/// The lock is held to the end of the transaction, so that numbers grow in the order of the commits, and that no row
/// which a settlement folds into is pruned meanwhile.
pub(crate) const LOCK_JOURNAL: &str = "SELECT pg_advisory_xact_lock($1, 'ecss_journal'::regclass::oid::int)";
/// The registers of the fences stay unchanged until the transaction ends.
const LOCK_FENCES: &str =
    "SELECT name, version FROM ecss_registers WHERE name = ANY($1::text[]) ORDER BY name FOR SHARE";
/// The newest row may be folded into only if it was not pruned: then it has an explanation. No row is folded into that has
/// U+0000 in a text, which the server stores but cannot extract.
const LOCK_JOBS: &str = "SELECT id, uid, revision, settled, head, folds, \
    (SELECT CASE WHEN strpos(h.ledger::text, '\\u0000') = 0 THEN h.ledger->>'explanation' END \
    FROM ecss_journal h WHERE h.seq = j.head) AS explanation \
    FROM ecss_jobs j WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE";
const FIND_FIRINGS: &str = "SELECT firing FROM ecss_journal WHERE firing = ANY($1::text[])";
pub(crate) const RESERVE_NUMBERS: &str =
    "SELECT setval('ecss_journal_seq', nextval('ecss_journal_seq') + $1 - 1) - $1 + 1";
pub(crate) const INSERT_ROWS: &str = "INSERT INTO ecss_journal(seq, job, uid, shard, outcome, born, observed, first, last, count, \
    ledger, firing, state, tasks, body) \
    SELECT seq, job, uid, shard, outcome, born, observed, first, last, count, ledger::json, firing, state, tasks, \
    body::json FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::smallint[], $5::text[], $6::bigint[], \
    $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[], $13::text[], $14::int[], \
    $15::text[]) AS n(seq, job, uid, shard, outcome, born, observed, first, last, count, ledger, firing, state, \
    tasks, body)";
const FOLD_ROWS: &str = "UPDATE ecss_journal j SET observed = n.observed, last = n.last, count = j.count + n.count, \
    ledger = n.ledger::json \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) \
    AS n(seq, observed, last, count, ledger) WHERE j.seq = n.seq";
const UPDATE_JOBS: &str = "UPDATE ecss_jobs j SET settled = n.settled, head = n.head, folds = n.folds, \
    last_firing = coalesce(n.last_firing, j.last_firing), last_fired = coalesce(n.last_fired, j.last_fired) \
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[]) \
    AS n(id, settled, head, folds, last_firing, last_fired) WHERE j.id = n.id";

impl Statements {
    async fn prepare(conn: &PooledConn) -> Result<Self, Error> {
        let all = [
            LOCK_FENCES,
            LOCK_JOURNAL,
            LOCK_JOBS,
            FIND_FIRINGS,
            RESERVE_NUMBERS,
            INSERT_ROWS,
            FOLD_ROWS,
            UPDATE_JOBS,
        ]
        .map(|sql| conn.client().prepare_cached(sql));
        let mut all = try_join_all(all).await?.into_iter();
        let mut next = || all.next().expect("each statement was prepared");
        Ok(Self {
            lock_fences: next(),
            lock_journal: next(),
            lock_jobs: next(),
            find_firings: next(),
            reserve_numbers: next(),
            insert_rows: next(),
            fold_rows: next(),
            update_jobs: next(),
        })
    }
}

/// Writes settlements in batches.
#[derive(Debug)]
pub(crate) struct SettleWriter(pub(crate) Pool);

impl BatchWriter for SettleWriter {
    type Request = SettleRequest;

    async fn write(&mut self, requests: &mut [SettleRequest]) -> BatchResult<SettleRequest> {
        self.0.settle(requests).await
    }
}

impl Pool {
    /// Records the settlements that are not stale, in their order and in one transaction. A request whose fence does
    /// not hold writes nothing.
    async fn settle(&self, requests: &[SettleRequest]) -> BatchResult<SettleRequest> {
        let mut left = MAX_ATTEMPTS;
        loop {
            left -= 1;
            let conn = self.acquire("write to").await?;
            let error = match self.with_timeout("write to", run_transaction(&conn, requests)).await? {
                Ok(settled) => {
                    conn.mark_clean();
                    return Ok(settled);
                }
                Err(TxError::Store(error)) => return Err(error),
                Err(TxError::Server(error)) => error,
            };
            self.roll_back(conn, error, left).await?;
        }
    }
}

async fn run_transaction(
    conn: &PooledConn,
    requests: &[SettleRequest],
) -> Result<Vec<Result<Vec<Settled>, StoreError>>, TxError> {
    let statements = Statements::prepare(conn).await?;
    let LockedState { existing, first_seq, fence_versions } =
        lock_and_read(conn, &statements, requests).await?;
    let broken_fence = |request: &SettleRequest| {
        let holds = |fence: &Fence| fence_versions.get(&fence.register) == Some(&signed(fence.version));
        request.fence.as_ref().filter(|fence| !holds(fence)).map(|fence| StoreError::Fenced(fence.into()))
    };
    let rows = requests.iter().filter(|request| broken_fence(request).is_none());
    let rows: Vec<_> = rows.flat_map(|request| &request.rows).collect();
    let batch = build_batch(existing, first_seq, &rows);
    write_and_commit(conn, &statements, &batch).await?;
    let mut answers = batch.answers.into_iter();
    let mut answer = |request: &SettleRequest| answers.by_ref().take(request.rows.len()).collect();
    Ok(requests
        .iter()
        .map(|request| broken_fence(request).map_or_else(|| Ok(answer(request)), Err))
        .collect())
}

/// The result of the first round trip.
struct LockedState {
    existing: Existing,
    /// The first reserved number.
    first_seq: i64,
    /// The versions of the registers that the fences name.
    fence_versions: HashMap<String, i64>,
}

/// The first round trip: begins the transaction, locks and reads. The server runs pipelined statements in their order.
async fn lock_and_read(
    conn: &PooledConn,
    statements: &Statements,
    requests: &[SettleRequest],
) -> Result<LockedState, TxError> {
    let client = conn.client();
    let rows = || requests.iter().flat_map(|request| &request.rows);
    let mut names: Vec<&str> = rows().map(|row| row.settlement.job.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let firings: Vec<&str> =
        rows().filter_map(|row| row.settlement.firing.as_ref()).map(|firing| firing.id.as_str()).collect();
    let registers: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.fence.as_ref())
        .map(|fence| fence.register.as_str())
        .collect();
    let count = signed(rows().map(|row| row.decisions.len() as u64).sum::<u64>().max(1));
    let [names, firings, registers, count, locks]: [[Param<'_>; 1]; 5] =
        [[&names], [&firings], [&registers], [&count], [&LOCK_NAMESPACE]];
    let begin = join3(
        client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
        client.query(&statements.lock_journal, &locks),
        client.query(&statements.lock_fences, &registers),
    );
    let read = join3(
        client.query(&statements.lock_jobs, &names),
        client.query(&statements.find_firings, &firings),
        client.query_one(&statements.reserve_numbers, &count),
    );
    let ((begun, locked, fences), (jobs, known, numbers)) = join(begin, read).await;
    begun?;
    locked?;
    let fence_versions = fences?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let firings = known?.iter().map(|row| row.get(0)).collect();
    let jobs = jobs?.iter().map(codec::job_meta).collect::<Result<_, _>>().map_err(TxError::Store)?;
    Ok(LockedState { existing: Existing { jobs, firings }, first_seq: numbers?.get(0), fence_versions })
}

/// The second round trip: writes and commits. If a statement fails, the commit that follows it rolls everything back.
async fn write_and_commit(
    conn: &PooledConn,
    statements: &Statements,
    batch: &BatchWrites<'_>,
) -> Result<(), Error> {
    let client = conn.client();
    let inserts = InsertColumns::new(batch.rows.iter());
    let folds = FoldColumns::new(batch.folds.iter());
    let jobs = SettledColumns::new(batch.jobs.iter());
    let (inserts, folds, jobs) = (inserts.params(), folds.params(), jobs.params());
    let writes = async {
        let (inserted, folded, updated) = join3(
            execute_if(client, &statements.insert_rows, &inserts, !batch.rows.is_empty()),
            execute_if(client, &statements.fold_rows, &folds, !batch.folds.is_empty()),
            execute_if(client, &statements.update_jobs, &jobs, !batch.jobs.is_empty()),
        )
        .await;
        inserted.and(folded).and(updated)
    };
    let (wrote, committed) = join(writes, client.batch_execute("COMMIT")).await;
    wrote.and(committed)
}

async fn execute_if(
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
