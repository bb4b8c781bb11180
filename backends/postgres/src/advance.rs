//! Advancing firings: one statement for all queued updates.

use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::store::Fence;
use ecs_scheduler_core::store::encoding::{to_json, to_nanos_opt};
use ecs_scheduler_core::store::group_commit::{BatchRequest, BatchResult, BatchWriter};
use ecs_scheduler_core::{Advance, Progress, StoreError};
use tokio_postgres::Row;

use crate::codec::{signed, task_count};
use crate::error::corrupt_row;
use crate::history::has_zero_byte;
use crate::pool::Pool;
use crate::settle::columns::columns;

/// Updates the firings that are in the expected state and whose fence holds. A firing with more tasks than before
/// becomes the last run of its job; among several firings of a job, the one of the latest tick.
///
/// Rows are locked in the order fences, firings, jobs, each sorted by name, as in every other statement, so that no
/// deadlock can occur. Fences are locked until the commit.
const ADVANCE: &str = "\
WITH asked AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], \
$6::text[], $7::bigint[], $8::text[], $9::text[], $10::bigint[]) \
AS a(id, expected, state, tasks, body, outcome, last_run, run_tasks, register, version)), \
fences AS MATERIALIZED (SELECT name, version FROM ecss_registers WHERE name = ANY($9::text[]) ORDER BY name \
FOR SHARE), \
held AS MATERIALIZED (SELECT a.*, a.register IS NULL OR EXISTS (SELECT FROM fences f WHERE f.name = a.register \
AND f.version = a.version) AS holds FROM asked a), \
stored AS MATERIALIZED (SELECT seq, firing, job, uid, state, tasks FROM ecss_journal WHERE firing = ANY($1::text[]) \
ORDER BY firing FOR UPDATE), \
moved AS (UPDATE ecss_journal j SET state = h.state, tasks = h.tasks, body = h.body::json, \
outcome = coalesce(h.outcome, j.outcome) FROM stored s JOIN held h ON h.id = s.firing \
WHERE h.holds AND j.seq = s.seq AND s.state = h.expected \
RETURNING h.id, s.job, s.uid, s.tasks < h.tasks AS grown, h.last_run, h.run_tasks), \
runs AS MATERIALIZED (SELECT DISTINCT ON (job, uid) job, uid, last_run, run_tasks FROM moved WHERE grown \
ORDER BY job, uid, last_run DESC), \
locked AS MATERIALIZED (SELECT id FROM ecss_jobs WHERE id IN (SELECT job FROM runs) ORDER BY id \
FOR NO KEY UPDATE), \
noted AS (UPDATE ecss_jobs j SET last_run = r.last_run, last_run_tasks = r.run_tasks::json \
FROM locked l JOIN runs r ON r.job = l.id \
WHERE j.id = l.id AND j.uid = r.uid AND coalesce(j.last_run <= r.last_run, true)) \
SELECT h.id, h.holds, s.state, EXISTS (SELECT FROM moved m WHERE m.id = h.id) AS moved \
FROM held h LEFT JOIN stored s ON s.firing = h.id";

/// An encoded update of a firing. The caller encodes it before the statement runs.
#[derive(Debug)]
pub(crate) struct FiringUpdate {
    advance: Advance,
    fence: Option<Fence>,
    tasks: i32,
    body: String,
    last_run: Option<i64>,
    run_tasks: String,
}

impl FiringUpdate {
    pub(crate) fn new(fence: Option<Fence>, advance: Advance) -> Result<Self, StoreError> {
        let mut run = Progress::default();
        run.record_run(&advance.to);
        Ok(Self {
            tasks: task_count(&advance.to),
            body: to_json(&advance.to)?,
            last_run: to_nanos_opt(run.last_run)?,
            run_tasks: to_json(&run.last_run_tasks)?,
            advance,
            fence,
        })
    }

    /// Returns the firing's id. An id with a zero byte, which the server refuses, becomes an empty one, which no firing
    /// has.
    fn id(&self) -> &str {
        if has_zero_byte(&self.advance.to.id) { "" } else { self.advance.to.id.as_str() }
    }

    /// Returns the expected state. For an illegal transition it is an empty text, which no firing has as its state.
    fn expected(&self) -> &'static str {
        let Advance { from, to, .. } = &self.advance;
        if from.can_transition_to(to.state) { from.as_str() } else { "" }
    }

    /// Reads the result of the update.
    fn result(&self, row: Option<&Row>) -> Result<(), StoreError> {
        let row = row.ok_or_else(|| corrupt_row("the result of an update of a firing", "no row"))?;
        if let Some(fence) = self.fence.as_ref().filter(|_| !row.get::<_, bool>("holds")) {
            return Err(StoreError::Fenced(fence.into()));
        }
        if row.get("moved") {
            return Ok(());
        }
        let id = &self.advance.to.id;
        let stored: &str =
            row.get::<_, Option<&str>>("state").ok_or_else(|| StoreError::NotFound(id.into()))?;
        let stored =
            stored.parse().map_err(|error: String| corrupt_row(&format!("firing \"{id}\""), error))?;
        self.advance.check(stored)
    }
}

columns! {
    /// Updates of different firings.
    UpdateColumns from update: &'w FiringUpdate,
    id: &'w str = update.id(),
    expected: &'static str = update.expected(),
    state: &'static str = update.advance.to.state.as_str(),
    tasks: i32 = update.tasks,
    body: &'w str = update.body.as_str(),
    outcome: Option<&'static str> = update.advance.outcome.map(|outcome| outcome.as_str()),
    last_run: Option<i64> = update.last_run,
    run_tasks: &'w str = update.run_tasks.as_str(),
    register: Option<&'w str> = update.fence.as_ref().map(|fence| fence.register.as_str()),
    version: Option<i64> = update.fence.as_ref().map(|fence| signed(fence.version)),
}

/// The maximum number of updates of one batch: a few MiB.
const MAX_UPDATES: usize = 1_000;

impl BatchRequest for FiringUpdate {
    type Response = ();
    /// Updates.
    type BatchSize = usize;

    fn admit(&self, updates: &mut usize) -> bool {
        *updates += 1;
        *updates <= MAX_UPDATES
    }
}

/// Writes updates of firings in batches.
#[derive(Debug)]
pub(crate) struct AdvanceWriter(pub(crate) Pool);

impl BatchWriter for AdvanceWriter {
    type Request = FiringUpdate;

    const QUEUE_CAPACITY: usize = MAX_UPDATES;

    async fn write(&mut self, updates: &mut [FiringUpdate]) -> BatchResult<FiringUpdate> {
        let mut results: Vec<Option<Result<(), StoreError>>> = updates.iter().map(|_| None).collect();
        let mut left: Vec<usize> = (0..updates.len()).collect();
        while !left.is_empty() {
            // Several updates of one firing go into one statement each: every update sees the one before it.
            let mut seen = HashSet::new();
            let (now, later): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|index| seen.insert(updates[*index].id()));
            self.run_statement(updates, &now, &mut results).await?;
            left = later;
        }
        let run = |result: Option<_>| result.expect("each update was in one of the statements");
        Ok(results.into_iter().map(run).collect())
    }
}

impl AdvanceWriter {
    /// Runs the updates at `indexes`, which are of different firings, in one statement.
    async fn run_statement(
        &self,
        updates: &[FiringUpdate],
        indexes: &[usize],
        results: &mut [Option<Result<(), StoreError>>],
    ) -> Result<(), StoreError> {
        let columns = UpdateColumns::new(indexes.iter().map(|index| &updates[*index]));
        let rows = self.0.write("write to", ADVANCE, &columns.params()).await?;
        let rows: HashMap<&str, &Row> = rows.iter().map(|row| (row.get("id"), row)).collect();
        for index in indexes {
            let update = &updates[*index];
            results[*index] = Some(update.result(rows.get(update.id()).copied()));
        }
        Ok(())
    }
}
