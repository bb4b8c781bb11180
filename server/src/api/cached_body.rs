//! The last response for one version of a job, and how long it is valid.

use std::ops::Range;

use axum::body::Bytes;
use axum::http::HeaderValue;
use ecs_scheduler_core::engine::is_ahead;
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::{Progress, StoredJob, Timestamp};

use super::job_status::{JobFaults, JobStatus};

/// The last response for one version of a job, and the facts that it shows.
#[derive(Debug, Clone)]
pub(super) struct CachedBody {
    pub(super) body: Bytes,
    pub(super) tag: HeaderValue,
    progress: Progress,
    faults: JobFaults,
    status: JobStatus,
    /// Whether ticks were settled in the future.
    ahead: bool,
    /// The response is valid while its next tick is still the next tick.
    valid: Range<Timestamp>,
}

impl CachedBody {
    /// Caches a response. It is valid in a range of time, until the job's progress, its faults or its state change.
    pub(super) fn new(
        body: Bytes,
        tag: HeaderValue,
        job: &StoredJob,
        faults: JobFaults,
        status: JobStatus,
        valid: Range<Timestamp>,
    ) -> Self {
        let ahead = settled_ahead(job, valid.start).is_some();
        Self { body, tag, progress: job.progress.clone(), faults, status, ahead, valid }
    }

    /// Tells whether the response is still current.
    pub(super) fn is_current(
        &self,
        engine: &SchedulerNode,
        job: &StoredJob,
        status: JobStatus,
        now: Timestamp,
    ) -> bool {
        let same = self.progress == job.progress
            && self.status == status
            && self.ahead == settled_ahead(job, now).is_some();
        self.valid.contains(&now) && same && self.faults == JobFaults::read(engine, job)
    }
}

/// Returns the moment up to which ticks are settled, if it is in the future.
pub(super) fn settled_ahead(job: &StoredJob, now: Timestamp) -> Option<Timestamp> {
    job.progress.settled.filter(|settled| is_ahead(*settled, now))
}
