//! Moving firings, and reading the journal.

use ecs_scheduler_core::store::Fence;
use ecs_scheduler_core::{
    Advance, DecisionQuery, DecisionRecord, Firing, FiringId, FiringQuery, FiringState, JobId, Progress,
    StoreError,
};

use crate::codec::{self, decision_columns, firing_columns, json, maybe_nanos, signed};
use crate::fault::corrupt;
use crate::line::{Lines, Params};

/// Moves a firing if it is in state `$2` and the fence, if there is one, holds, and notes its tasks in the job when it
/// has more of them than before. The fence is held until the move is committed.
const ADVANCE: &str = "\
WITH fence AS MATERIALIZED (SELECT FROM ecss_registers WHERE name = $9 AND version = $10 FOR SHARE), \
held AS MATERIALIZED (SELECT $9::text IS NULL OR EXISTS (SELECT FROM fence) AS holds), \
stored AS MATERIALIZED (SELECT seq, job, uid, state, tasks FROM ecss_journal WHERE firing = $1 FOR UPDATE), \
moved AS (UPDATE ecss_journal j SET state = $3, tasks = $4, body = $5::text::json, outcome = coalesce($6, j.outcome) \
FROM stored s, held h WHERE h.holds AND j.seq = s.seq AND s.state = $2 RETURNING s.job, s.uid, s.tasks < $4 AS grown), \
noted AS (UPDATE ecss_jobs j SET last_run = $7, last_run_tasks = $8::text::json FROM moved m \
WHERE m.grown AND j.id = m.job AND j.uid = m.uid AND coalesce(j.last_run <= $7, true)) \
SELECT h.holds, s.state, EXISTS (SELECT FROM moved) AS moved FROM held h LEFT JOIN stored s ON true";

/// The newest firings of each state are merged: the index by state has them in their order.
const FIRINGS: &str = concat!(
    "SELECT ",
    firing_columns!(),
    " FROM ecss_journal WHERE seq IN (SELECT n.seq FROM unnest($1::text[]) AS s(state), LATERAL \
     (SELECT seq FROM ecss_journal j WHERE j.state = s.state AND j.seq < $2 ORDER BY j.seq DESC LIMIT $3) n \
     ORDER BY n.seq DESC LIMIT $3) ORDER BY seq DESC"
);
const FIRINGS_OF_JOB: &str = concat!(
    "SELECT ",
    firing_columns!(),
    " FROM ecss_journal WHERE state = ANY($1::text[]) AND seq < $2 AND job = $4 ORDER BY seq DESC LIMIT $3"
);
const FIRING_OF_NAME: &str = concat!(
    "SELECT ",
    firing_columns!(),
    " FROM ecss_journal WHERE state = ANY($1::text[]) AND seq < $2 AND firing = $3 AND job = coalesce($4, job)"
);
const UNFINISHED: &str = concat!(
    "SELECT ",
    firing_columns!(),
    " FROM ecss_journal WHERE state = ANY($1::text[]) AND shard = coalesce($2, shard) ORDER BY seq"
);

const DECISIONS: &str =
    concat!("SELECT ", decision_columns!(), " FROM ecss_journal WHERE seq < $1 ORDER BY seq DESC LIMIT $2");
const DECISIONS_OF_JOB: &str = concat!(
    "SELECT ",
    decision_columns!(),
    " FROM ecss_journal WHERE seq < $1 AND job = $3 AND outcome = coalesce($4, outcome) ORDER BY seq DESC LIMIT $2"
);
const DECISIONS_OF_OUTCOME: &str = concat!(
    "SELECT ",
    decision_columns!(),
    " FROM ecss_journal WHERE seq < $1 AND outcome = $3 ORDER BY seq DESC LIMIT $2"
);

impl Lines {
    pub(crate) async fn advance(&self, fence: Option<&Fence>, advance: &Advance) -> Result<(), StoreError> {
        let Advance { from, to, outcome } = advance;
        // The server's texts have no zero byte, and no firing is without a name.
        let id = Some(to.id.as_str()).filter(|_| !is_no_name(&to.id)).unwrap_or_default();
        // No firing is in a state without a name: an illegal move finds none to move.
        let expected = if from.may_become(to.state) { from.as_str() } else { "" };
        let mut run = Progress::default();
        run.note_run(to);
        let tasks = i32::try_from(to.tasks.len()).unwrap_or(i32::MAX);
        let outcome = outcome.map(|outcome| outcome.as_str());
        let (body, run_tasks) = (json(to)?, json(&run.last_run_tasks)?);
        let (state, last_run) = (to.state.as_str(), maybe_nanos(run.last_run)?);
        let register = fence.map(|fence| fence.register.as_str());
        let version = fence.map(|fence| signed(fence.version));
        let params: Params<'_> =
            &[&id, &expected, &state, &tasks, &body, &outcome, &last_run, &run_tasks, &register, &version];
        let rows = self.write("write to", ADVANCE, params).await?;
        let row = rows.first().ok_or_else(|| corrupt("the answer to a move", "no row"))?;
        if let Some(register) = register.filter(|_| !row.get::<_, bool>("holds")) {
            return Err(StoreError::Fenced(register.to_owned()));
        }
        if row.get("moved") {
            return Ok(());
        }
        let stored: &str = row.get::<_, Option<&str>>("state").ok_or_else(|| missing(&to.id))?;
        let stored: FiringState =
            stored.parse().map_err(|error: String| corrupt(&format!("firing \"{}\"", to.id), error))?;
        advance.check(stored)
    }

    /// Reads every open firing, oldest first, of one shard where one is given.
    pub(crate) async fn unfinished(&self, shard: Option<i16>) -> Result<Vec<Firing>, StoreError> {
        let open = states(FiringState::is_open);
        self.read("read", UNFINISHED, &[&open, &shard]).await?.iter().map(codec::firing).collect()
    }

    pub(crate) async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        let before = query.before.map_or(i64::MAX, |id| signed(id.0));
        let limit = signed(query.limit.get() as u64);
        let job = query.job.as_ref().map(JobId::as_str);
        let outcome = query.outcome.map(|outcome| outcome.as_str());
        let rows = match (job, outcome) {
            (Some(job), outcome) => {
                self.read("read", DECISIONS_OF_JOB, &[&before, &limit, &job, &outcome]).await?
            }
            (None, Some(outcome)) => {
                self.read("read", DECISIONS_OF_OUTCOME, &[&before, &limit, &outcome]).await?
            }
            (None, None) => self.read("read", DECISIONS, &[&before, &limit]).await?,
        };
        rows.iter().map(codec::decision).collect()
    }

    pub(crate) async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        let before = match &query.before {
            None => i64::MAX,
            Some(id) => match self.place_of(id).await? {
                None => return Ok(Vec::new()),
                Some(seq) => seq,
            },
        };
        let wanted = states(|state| query.state.is_none_or(|wanted| wanted == state));
        let limit = signed(query.limit.get() as u64);
        let job = query.job.as_ref().map(JobId::as_str);
        let rows = match (&query.id, job) {
            (Some(id), _) if is_no_name(id) => return Ok(Vec::new()),
            (Some(id), job) => {
                self.read("read", FIRING_OF_NAME, &[&wanted, &before, &id.as_str(), &job]).await?
            }
            (None, Some(job)) => self.read("read", FIRINGS_OF_JOB, &[&wanted, &before, &limit, &job]).await?,
            (None, None) => self.read("read", FIRINGS, &[&wanted, &before, &limit]).await?,
        };
        rows.iter().map(codec::firing).collect()
    }

    async fn place_of(&self, id: &FiringId) -> Result<Option<i64>, StoreError> {
        if is_no_name(id) {
            return Ok(None);
        }
        let sql = "SELECT seq FROM ecss_journal WHERE firing = $1";
        Ok(self.read("read", sql, &[&id.as_str()]).await?.first().map(|row| row.get(0)))
    }
}

fn states(wanted: impl Fn(FiringState) -> bool) -> Vec<&'static str> {
    FiringState::ALL.into_iter().filter(|state| wanted(*state)).map(FiringState::as_str).collect()
}

/// Tells whether no firing can have this name: the server's texts have no zero byte.
fn is_no_name(id: &FiringId) -> bool {
    id.as_str().contains('\0')
}

fn missing(id: &FiringId) -> StoreError {
    StoreError::NotFound(format!("firing \"{id}\""))
}
