//! Reading decisions and firings.

use ecs_scheduler_core::{
    DecisionQuery, DecisionRecord, Firing, FiringId, FiringQuery, FiringState, JobId, StoreError,
};

use crate::codec::{self, decision_columns, firing_columns, signed};
use crate::pool::Pool;

#[cfg(test)]
mod tests;

/// The newest firings of each state are merged: the index by state has them in their order.
///
/// Here and below, an equal value is written as a range, and the rows are ordered by it too: so only the index of this value and `seq` has
/// their order. With `=` a generic plan may walk the whole journal in the order of `seq` instead, in search of a rare value.
const FIRINGS: &str = concat!(
    "SELECT ",
    firing_columns!(),
    " FROM ecss_journal WHERE seq = ANY(ARRAY(SELECT n.seq FROM unnest($1::text[]) AS s(state), LATERAL \
     (SELECT seq FROM ecss_journal j WHERE (j.state, j.seq) < (s.state, $2) AND j.state >= s.state \
     ORDER BY j.state DESC, j.seq DESC LIMIT $3) n \
     ORDER BY n.seq DESC LIMIT $3)) ORDER BY seq DESC"
);
const FIRINGS_OF_JOB: &str = concat!(
    "SELECT ",
    firing_columns!(),
    " FROM ecss_journal WHERE firing IS NOT NULL AND (job, seq) < ($4, $2) AND job >= $4 AND state = ANY($1::text[]) \
     ORDER BY job DESC, seq DESC LIMIT $3"
);
const FIRING_BY_ID: &str = concat!(
    "SELECT ",
    firing_columns!(),
    " FROM ecss_journal WHERE state = ANY($1::text[]) AND seq < $2 AND firing = $3 AND job = coalesce($4, job)"
);
const OPEN_FIRINGS: &str = concat!(
    "SELECT ",
    firing_columns!(),
    " FROM ecss_journal WHERE state = ANY($1::text[]) AND shard = coalesce($2, shard) ORDER BY seq"
);

const DECISIONS: &str =
    concat!("SELECT ", decision_columns!(), " FROM ecss_journal WHERE seq < $1 ORDER BY seq DESC LIMIT $2");
const DECISIONS_OF_JOB: &str = concat!(
    "SELECT ",
    decision_columns!(),
    " FROM ecss_journal WHERE (job, seq) < ($3, $1) AND job >= $3 AND outcome = coalesce($4, outcome) \
     ORDER BY job DESC, seq DESC LIMIT $2"
);
const DECISIONS_OF_OUTCOME: &str = concat!(
    "SELECT ",
    decision_columns!(),
    " FROM ecss_journal WHERE (outcome, seq) < ($3, $1) AND outcome >= $3 ORDER BY outcome DESC, seq DESC LIMIT $2"
);

impl Pool {
    /// Reads every open firing, oldest first, of one shard where one is given.
    pub(crate) async fn open_firings(&self, shard: Option<i16>) -> Result<Vec<Firing>, StoreError> {
        let open = states(FiringState::is_open);
        self.read("read", OPEN_FIRINGS, &[&open, &shard]).await?.iter().map(codec::firing).collect()
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
        let newest = query.before_decision.map_or(i64::MAX, |id| signed(id.0));
        let before = match &query.before {
            None => newest,
            Some(id) => match self.seq_of_firing(id).await? {
                None => return Ok(Vec::new()),
                Some(seq) => seq.min(newest),
            },
        };
        let wanted = states(|state| query.state.is_none_or(|wanted| wanted == state));
        let limit = signed(query.limit.get() as u64);
        let job = query.job.as_ref().map(JobId::as_str);
        let rows = match (&query.id, job) {
            (Some(id), _) if has_zero_byte(id) => return Ok(Vec::new()),
            (Some(id), job) => {
                self.read("read", FIRING_BY_ID, &[&wanted, &before, &id.as_str(), &job]).await?
            }
            (None, Some(job)) => self.read("read", FIRINGS_OF_JOB, &[&wanted, &before, &limit, &job]).await?,
            (None, None) => self.read("read", FIRINGS, &[&wanted, &before, &limit]).await?,
        };
        rows.iter().map(codec::firing).collect()
    }

    async fn seq_of_firing(&self, id: &FiringId) -> Result<Option<i64>, StoreError> {
        if has_zero_byte(id) {
            return Ok(None);
        }
        let sql = "SELECT seq FROM ecss_journal WHERE firing = $1";
        Ok(self.read("read", sql, &[&id.as_str()]).await?.first().map(|row| row.get(0)))
    }
}

fn states(wanted: impl Fn(FiringState) -> bool) -> Vec<&'static str> {
    FiringState::ALL.into_iter().filter(|state| wanted(*state)).map(FiringState::as_str).collect()
}

/// Tells whether an id has a zero byte, which no text of the server has: no firing is stored under it.
pub(crate) fn has_zero_byte(id: &FiringId) -> bool {
    id.as_str().contains('\0')
}
