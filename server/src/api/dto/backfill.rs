//! Backfills as clients see them.

use ecs_scheduler_core::backfill::{
    Backfill, BackfillCounts, BackfillFailure, BackfillState, BackfillWait, UnfinishedFiring,
};
use ecs_scheduler_core::{TickOutcome, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::enums::{BackfillStateName, OutcomeName};

/// A backfill to start, or to preview.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "only its schema is used: the body is read member by member, to name every wrong one"
)]
pub(in crate::api) struct BackfillBody {
    /// The start of the range, from 1970 on; a tick at this moment belongs to it.
    #[schema(value_type = String, format = DateTime, example = "2026-01-01T00:00:00Z")]
    pub(in crate::api) from: Option<String>,
    /// The end of the range, not in the future; a tick at this moment does not belong to it.
    #[schema(value_type = String, format = DateTime, example = "2026-01-08T00:00:00Z")]
    pub(in crate::api) to: Option<String>,
    /// The maximum number of ticks (default 100). A range with more is refused.
    #[schema(minimum = 1, maximum = 10_000)]
    pub(in crate::api) max: Option<u32>,
    /// The number of its firings that may be unfinished at once (default 1).
    #[schema(minimum = 1, maximum = 100)]
    pub(in crate::api) overlap: Option<u32>,
    /// Only show the ticks, and what each would do.
    pub(in crate::api) dry_run: Option<bool>,
    /// The reason.
    #[schema(max_length = 1024, example = "the input of that week was wrong")]
    pub(in crate::api) reason: Option<String>,
    /// The person or program that starts it.
    #[schema(max_length = 1024)]
    pub(in crate::api) actor: Option<String>,
}

/// A backfill: past ticks of a job that fire now, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct BackfillView {
    /// Its name.
    id: String,
    /// The job's name.
    job: String,
    /// `running` until every tick is done; a `stopped` one starts no further firing.
    #[schema(value_type = BackfillStateName)]
    state: BackfillState,
    /// The start of its range.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// The end of its range, which does not belong to it.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// The number of its firings that may be unfinished at once.
    overlap: u32,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The person or program that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    /// Start time.
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    /// End time of its last firing; absent while one is unfinished or a tick remains.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ended: Option<Timestamp>,
    /// The number of its ticks.
    total: u32,
    /// The ticks that are done, by outcome.
    done: DoneView,
    /// The number of ticks that were not fired.
    remaining: u32,
    /// The next tick to fire.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_tick: Option<Timestamp>,
    /// Its unfinished firings, oldest first.
    unfinished: Vec<UnfinishedView>,
    /// The reason why it does not fire the next tick now.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<WaitView>,
    /// The newest tick that was done without success, and why; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<FailureView>,
}

/// The numbers of done ticks of a backfill, by outcome.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BackfillDone)]
struct DoneView {
    /// All tasks succeeded, if necessary after retries.
    succeeded: u32,
    /// A task failed.
    failed: u32,
    /// A task was stopped.
    stopped: u32,
    /// Not all tasks were started, and those that were have succeeded.
    not_launched: u32,
    /// The trigger demanded no task.
    idle: u32,
    /// Ticks for which it cannot be determined whether all tasks were started.
    unknown: u32,
}

/// An unfinished firing of a backfill.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UnfinishedFiring)]
struct UnfinishedView {
    /// Its tick.
    #[schema(value_type = String, format = DateTime)]
    tick: Timestamp,
    /// The firing's name; that of the retry while its failed tasks run again.
    firing: String,
}

/// The reason for the wait of a backfill.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BackfillWait)]
struct WaitView {
    /// The outcome that the tick would have now.
    #[schema(value_type = OutcomeName)]
    outcome: TickOutcome,
    /// The reason.
    reason: String,
    /// Start of the wait with this outcome.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// A tick of a backfill that was done without success.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BackfillFailure)]
struct FailureView {
    /// The tick.
    #[schema(value_type = String, format = DateTime)]
    tick: Timestamp,
    /// Its firing; if failed tasks started again, their firing.
    firing: String,
    /// Why its tasks were not started, or why the first of them failed.
    reason: String,
}

impl From<Backfill> for BackfillView {
    fn from(backfill: Backfill) -> Self {
        let (remaining, next_tick) = (backfill.remaining(), backfill.next_tick());
        Self {
            job: backfill.job.to_string(),
            state: backfill.state,
            from: backfill.from,
            to: backfill.to,
            overlap: backfill.overlap.get(),
            reason: backfill.reason,
            actor: backfill.actor,
            started: backfill.started,
            ended: backfill.ended,
            total: backfill.total,
            done: DoneView::from(backfill.done),
            remaining,
            next_tick,
            unfinished: backfill.unfinished.into_iter().map(UnfinishedView::from).collect(),
            waiting: backfill.waiting.map(WaitView::from),
            last_failure: backfill.last_failure.map(FailureView::from),
            id: backfill.id,
        }
    }
}

impl From<BackfillCounts> for DoneView {
    fn from(done: BackfillCounts) -> Self {
        let BackfillCounts { succeeded, failed, stopped, not_launched, idle, unknown } = done;
        Self { succeeded, failed, stopped, not_launched, idle, unknown }
    }
}

impl From<UnfinishedFiring> for UnfinishedView {
    fn from(unfinished: UnfinishedFiring) -> Self {
        Self { tick: unfinished.tick, firing: unfinished.firing.to_string() }
    }
}

impl From<BackfillWait> for WaitView {
    fn from(wait: BackfillWait) -> Self {
        Self { outcome: wait.outcome, reason: wait.reason, since: wait.since }
    }
}

impl From<BackfillFailure> for FailureView {
    fn from(failure: BackfillFailure) -> Self {
        let BackfillFailure { tick, firing, reason, .. } = failure;
        Self { tick, firing: firing.to_string(), reason }
    }
}

/// The ticks of a backfill that is not started.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct BackfillPreview {
    /// The job's name.
    pub(in crate::api) job: String,
    /// The number of ticks.
    pub(in crate::api) total: usize,
    /// The number of tasks that all ticks together start.
    pub(in crate::api) tasks: u64,
    /// The reason why the backfill would wait now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) waiting: Option<String>,
    /// The ticks, oldest first.
    pub(in crate::api) ticks: Vec<PreviewedTick>,
}

/// A tick of a backfill that is not started.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct PreviewedTick {
    /// The tick.
    #[schema(value_type = String, format = DateTime)]
    pub(in crate::api) tick: Timestamp,
    /// The outcome if every task starts: `launched` or `idle`.
    #[schema(value_type = OutcomeName)]
    pub(in crate::api) outcome: TickOutcome,
    /// The number of tasks.
    pub(in crate::api) tasks: u32,
    /// The reason.
    pub(in crate::api) explanation: String,
}
