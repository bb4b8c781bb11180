//! The spans of the log: `shard`, `job` and `firing`. With them, one firing is followed by its id from its trigger to the end of
//! its tasks, whichever part of the engine, launcher or store logs.
//!
//! A span costs about as much as a line of the log. So only what exists anyway has one: a firing, a shard, an evaluation that
//! reads a source. A job without a trigger has its span at the level `DEBUG` only.

use tracing::Span;

use crate::firing::Firing;
use crate::id::JobId;

/// Returns a span of a firing: each line in it has the ids of the job and the firing. It has the level of the most severe lines,
/// so that these have the ids whatever the level of the log is.
pub(super) fn firing_span(firing: &Firing) -> Span {
    tracing::error_span!("firing", job = %firing.job, firing = %firing.id)
}

/// Returns a span of the evaluation of a job.
pub(super) fn job_span(job: &JobId, reads_source: bool) -> Span {
    if reads_source { tracing::info_span!("job", %job) } else { tracing::debug_span!("job", %job) }
}
