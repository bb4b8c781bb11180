//! Moving firings: one statement for all that are to be moved at the moment.

use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::store::Fence;
use ecs_scheduler_core::{Advance, Progress, StoreError, async_trait};
use tokio_postgres::Row;

use crate::codec::{json, maybe_nanos, signed};
use crate::error::corrupt;
use crate::group_commit::Clerk;
use crate::history::{is_no_name, missing};
use crate::pool::{Lines, Param};

/// At how many moves a statement is full: a few MiB.
const FULL: usize = 1_000;

/// Moves those firings that are in the state that they are to be moved from, under fences that hold, and notes their
/// tasks in the jobs when they have more of them than before: of several firings of a job those of the latest tick.
///
/// Rows are locked in the order fences, firings, jobs, each by name, as in every other statement, so that none waits for
/// another in a circle. Fences are held until the moves are committed.
const MOVE: &str = "\
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

/// A move as it is written, made by the caller.
#[derive(Debug)]
pub(crate) struct Move {
    advance: Advance,
    fence: Option<Fence>,
    tasks: i32,
    body: String,
    last_run: Option<i64>,
    run_tasks: String,
}

impl Move {
    pub(crate) fn new(fence: Option<Fence>, advance: Advance) -> Result<Self, StoreError> {
        let mut run = Progress::default();
        run.note_run(&advance.to);
        Ok(Self {
            tasks: i32::try_from(advance.to.tasks.len()).unwrap_or(i32::MAX),
            body: json(&advance.to)?,
            last_run: maybe_nanos(run.last_run)?,
            run_tasks: json(&run.last_run_tasks)?,
            advance,
            fence,
        })
    }

    /// The firing's name. The server's texts have no zero byte, and no firing is without a name.
    fn id(&self) -> &str {
        if is_no_name(&self.advance.to.id) { "" } else { self.advance.to.id.as_str() }
    }

    /// The state to move from. No firing is in a state without a name: an illegal move finds none to move.
    fn expected(&self) -> &'static str {
        let Advance { from, to, .. } = &self.advance;
        if from.can_transition_to(to.state) { from.as_str() } else { "" }
    }

    /// Says what became of the move.
    fn answer(&self, row: Option<&Row>) -> Result<(), StoreError> {
        let row = row.ok_or_else(|| corrupt("the answer to a move", "no row"))?;
        if let Some(fence) = self.fence.as_ref().filter(|_| !row.get::<_, bool>("holds")) {
            return Err(StoreError::Fenced(fence.register.clone()));
        }
        if row.get("moved") {
            return Ok(());
        }
        let id = &self.advance.to.id;
        let stored: &str = row.get::<_, Option<&str>>("state").ok_or_else(|| missing(id))?;
        let stored = stored.parse().map_err(|error: String| corrupt(&format!("firing \"{id}\""), error))?;
        self.advance.check(stored)
    }
}

/// Moves firings.
#[derive(Debug)]
pub(crate) struct Mover(pub(crate) Lines);

#[async_trait]
impl Clerk for Mover {
    type Order = Move;
    type Answer = ();

    async fn write(&self, moves: &[&Move]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut answers: Vec<Option<Result<(), StoreError>>> = moves.iter().map(|_| None).collect();
        let mut left: Vec<usize> = (0..moves.len()).collect();
        while !left.is_empty() {
            // Of several moves of one firing each sees what the one before it did.
            let mut seen = HashSet::new();
            let (now, later): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|place| seen.insert(moves[*place].id()));
            self.move_all(moves, &now, &mut answers).await?;
            left = later;
        }
        let answered = |answer: Option<_>| answer.expect("each move was in one of the rounds");
        Ok(answers.into_iter().map(answered).collect())
    }

    fn size(_: &Move) -> (usize, usize) {
        (1, FULL)
    }
}

impl Mover {
    /// Moves those of the firings, none of which is there twice.
    async fn move_all(
        &self,
        moves: &[&Move],
        places: &[usize],
        answers: &mut [Option<Result<(), StoreError>>],
    ) -> Result<(), StoreError> {
        let of = || places.iter().map(|place| moves[*place]);
        let ids: Vec<&str> = of().map(Move::id).collect();
        let expected: Vec<&str> = of().map(Move::expected).collect();
        let states: Vec<&str> = of().map(|one| one.advance.to.state.as_str()).collect();
        let tasks: Vec<i32> = of().map(|one| one.tasks).collect();
        let bodies: Vec<&str> = of().map(|one| one.body.as_str()).collect();
        let outcomes: Vec<Option<&str>> =
            of().map(|one| one.advance.outcome.map(|outcome| outcome.as_str())).collect();
        let last_runs: Vec<Option<i64>> = of().map(|one| one.last_run).collect();
        let run_tasks: Vec<&str> = of().map(|one| one.run_tasks.as_str()).collect();
        let fences = || of().map(|one| one.fence.as_ref());
        let registers: Vec<Option<&str>> =
            fences().map(|fence| fence.map(|fence| fence.register.as_str())).collect();
        let versions: Vec<Option<i64>> =
            fences().map(|fence| fence.map(|fence| signed(fence.version))).collect();
        let params: [Param<'_>; 10] = [
            &ids, &expected, &states, &tasks, &bodies, &outcomes, &last_runs, &run_tasks, &registers,
            &versions,
        ];
        let rows = self.0.write("write to", MOVE, &params).await?;
        let rows: HashMap<&str, &Row> = rows.iter().map(|row| (row.get("id"), row)).collect();
        for place in places {
            let one = moves[*place];
            answers[*place] = Some(one.answer(rows.get(one.id()).copied()));
        }
        Ok(())
    }
}
