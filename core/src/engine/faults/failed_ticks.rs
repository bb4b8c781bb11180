//! How the newest ticks of a job failed.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::decide::TickOutcome;
use crate::id::JobId;

/// A job whose newest ticks fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// How its newest tick ended: [`TickOutcome::SourceError`], [`TickOutcome::LiveUnknown`], [`TickOutcome::LaunchFailed`] or
    /// [`TickOutcome::Unknown`]. `Unknown` also if the store refuses to record its ticks or firings, and `LiveUnknown` if its tasks
    /// cannot be observed or stopped.
    pub outcome: TickOutcome,
    /// The reason.
    pub reason: String,
    /// The first tick in a row that ended like this.
    pub since: Timestamp,
    /// How many ticks in a row did, as far as this process has seen them or read them from the journal.
    pub ticks: u64,
}

/// One or several failed ticks of a job in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedTicks {
    pub(crate) job: JobId,
    pub(crate) failing: Failing,
    /// Until when they count as a fault of the launcher; set when the job has no later tick that could end it.
    pub(crate) counts_until: Option<Timestamp>,
}

/// How long a refused launch counts as a fault of the launcher when the job has no further ticks.
const LAST_TICK_FAULT_TTL: SignedDuration = SignedDuration::from_hours(1);

impl FailedTicks {
    /// `at` is when the newest of the ticks was decided. `is_last`: the job has no later tick.
    pub(crate) fn new(job: JobId, failing: Failing, at: Timestamp, is_last: bool) -> Self {
        let until = at.saturating_add(LAST_TICK_FAULT_TTL).unwrap_or(Timestamp::MAX);
        Self { job, failing, counts_until: is_last.then_some(until) }
    }
}
