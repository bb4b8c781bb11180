//! Creating, replacing, removing and reading jobs: one statement each, which the server commits by itself.
//!
//! Each statement locks the job before the row of its shard, so that no deadlock can occur.

use std::num::NonZeroUsize;

use ecs_scheduler_core::store::encoding::to_nanos;
use ecs_scheduler_core::{
    JobId, JobList, JobStore, ListFrom, NewJob, Revision, StoreError, StoredJob, Timestamp, async_trait,
};
use serde_json::value::RawValue;

use crate::codec::{self, job_columns, shard_number, signed};
use crate::pool::Param;
use crate::schema::LOCK_NAMESPACE;
use crate::store::PostgresStore;

/// How many edits of each shard are kept. A replica that has seen none of them reads the whole shard.
pub(crate) const CHANGELOG_LENGTH: i64 = 4_096;

/// Records the edit of the job in `edited`: adds to the counts of its shard, and appends it to the shard's changelog.
macro_rules! record_edit {
    ($jobs:literal, $removed:literal) => {
        concat!(
            "counted AS (UPDATE ecss_shards s SET edits = s.edits + 1, jobs = s.jobs + ",
            $jobs,
            ", removed = s.removed + ",
            $removed,
            " FROM edited e WHERE s.shard = e.shard RETURNING s.shard, s.edits, e.id), \
             noted AS (INSERT INTO ecss_edits(shard, no, job) SELECT shard, edits, id FROM counted), \
             forgot AS (DELETE FROM ecss_edits o USING counted c WHERE o.shard = c.shard AND o.no <= c.edits - $1)"
        )
    };
}

/// The lock makes `no` grow in the order of the commits; a creation that fails takes no number.
const CREATE: &str = concat!(
    "WITH held AS MATERIALIZED (SELECT pg_advisory_xact_lock($2, 'ecss_jobs'::regclass::oid::int)), \
     edited AS (INSERT INTO ecss_jobs(no, id, uid, shard, revision, created, changed, document) \
     SELECT nextval('ecss_jobs_no'), $3, $4, $5, 1, $6, $6, $7::text::json FROM held \
     ON CONFLICT (id) DO NOTHING RETURNING id, shard), ",
    record_edit!("1", "0"),
    " SELECT 1 FROM edited"
);
const REPLACE: &str = concat!(
    "WITH stored AS MATERIALIZED (SELECT id, revision FROM ecss_jobs WHERE id = $2 FOR UPDATE), \
     edited AS (UPDATE ecss_jobs j SET document = $4::text::json, revision = j.revision + 1, changed = $5 \
     FROM stored s WHERE j.id = s.id AND s.revision = $3 RETURNING j.*), ",
    record_edit!("0", "0"),
    " SELECT ",
    job_columns!(),
    " FROM stored s LEFT JOIN edited j ON true"
);
const REMOVE: &str = concat!(
    "WITH stored AS MATERIALIZED (SELECT id, revision FROM ecss_jobs WHERE id = $2 FOR UPDATE), \
     edited AS (DELETE FROM ecss_jobs j USING stored s WHERE j.id = s.id AND s.revision = coalesce($3, s.revision) \
     RETURNING j.id, j.shard), ",
    record_edit!("-1", "1"),
    " SELECT e.id FROM stored s LEFT JOIN edited e ON true"
);
const GET: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM unnest($1::text[]) WITH ORDINALITY AS wanted(id, place) JOIN ecss_jobs j ON j.id = wanted.id \
     ORDER BY wanted.place"
);

#[async_trait]
impl JobStore for PostgresStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        let _creating = self.creating.lock().await;
        let (at, shard) = (to_nanos(job.at)?, shard_number(&job.id));
        let (id, document) = (job.id.as_str(), job.document.get());
        let params: [Param<'_>; 7] =
            [&CHANGELOG_LENGTH, &LOCK_NAMESPACE, &id, job.uid.as_uuid(), &shard, &at, &document];
        if self.pool.write("write to", CREATE, &params).await?.is_empty() {
            return Err(StoreError::Exists(job.id));
        }
        Ok(job.into())
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        let (expected, at) = (signed(expected.0), to_nanos(at)?);
        let params: [Param<'_>; 5] = [&CHANGELOG_LENGTH, &id.as_str(), &expected, &document.get(), &at];
        let rows = self.pool.write("write to", REPLACE, &params).await?;
        let row = rows.first().ok_or_else(|| StoreError::NotFound(id.into()))?;
        if row.get::<_, Option<&str>>("id").is_none() {
            return Err(StoreError::Conflict(id.into()));
        }
        codec::job(row)
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let expected = expected.map(|revision| signed(revision.0));
        let params: [Param<'_>; 3] = [&CHANGELOG_LENGTH, &id.as_str(), &expected];
        let rows = self.pool.write("write to", REMOVE, &params).await?;
        let row = rows.first().ok_or_else(|| StoreError::NotFound(id.into()))?;
        row.get::<_, Option<&str>>(0).map(drop).ok_or_else(|| StoreError::Conflict(id.into()))
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        if ids.is_empty() && !self.pool.is_closed() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = ids.iter().map(JobId::as_str).collect();
        self.pool.read("read", GET, &[&names]).await?.iter().map(codec::job).collect()
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.pool.list(&self.page_index, None, from, limit).await
    }
}
