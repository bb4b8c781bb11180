//! The messages between the callers, the scheduler loop and the rounds.
//!
//! ```text
//!  caller ──FireOrder──▶ scheduler loop ──DueJob──▶ round ──EvaluatedJob──▶ settle
//!    ▲                        ▲                                               │
//!    └──── FireError ─────────┼────────────────── JobProgress ────────────────┘
//! ```

use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use super::agenda::{AgendaEntry, SlotId};
use super::job_cache::CachedJob;
use super::spans::job_span;
use super::tick_retry::Retrying;
use crate::decide::DecisionRecord;
use crate::firing::{Firing, FiringId, FiringRetry};
use crate::id::{JobId, JobUid, Revision};
use crate::store::Settlement;
use crate::task::Override;

/// The reason why a job could not be fired by hand or for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FireError {
    /// The job does not exist.
    #[error("the job does not exist")]
    NotFound,
    /// Its stored document is not a valid job.
    #[error("the stored job is not valid, and so cannot be fired")]
    Invalid,
    /// It was edited at the same moment: try again.
    #[error("the job was modified concurrently")]
    Changed,
    /// The store could not be read, so nothing was recorded.
    #[error("the store could not be read, so nothing was launched")]
    Store,
    /// The store did not confirm the firing. If it has recorded it, the engine finds the firing in the journal within a minute
    /// and launches it; otherwise nothing is launched.
    #[error(
        "the store did not confirm the firing, so its outcome is unknown; look for it among the job's firings before firing again"
    )]
    Unconfirmed,
    /// This replica does not own the job, so nothing was launched.
    #[error("the job is owned by another replica")]
    Elsewhere,
    /// The engine is stopping; nothing was launched.
    #[error("the scheduler is stopping, so nothing was launched")]
    Stopping,
}

/// An order to fire a job, on its way through the scheduler loop.
#[derive(Debug)]
pub(super) struct FireOrder {
    pub(super) kind: FireKind,
    pub(super) answer: oneshot::Sender<Result<DecisionRecord, FireError>>,
    /// The span of the caller's request.
    pub(super) span: Span,
}

/// The differences of one firing by hand from a tick of the job.
#[derive(Debug, Clone, Default)]
pub struct ManualFiring {
    /// The number of tasks to start; `taskCount` when absent. Other bounds and overlap apply as for a tick.
    pub tasks: Option<NonZeroU32>,
    /// All overrides of the task's containers, instead of those of the job; the job's when absent. The caller has checked them.
    pub overrides: Option<Vec<Override>>,
    /// The moment that the tasks get as their tick; the present when absent. `lastRun` of the job never goes back to it.
    pub scheduled_at: Option<Timestamp>,
}

/// An order to start the failed tasks of a firing again.
#[derive(Debug, Clone)]
pub(super) struct RetryOrder {
    /// The firing whose tasks have failed.
    pub(super) of: Firing,
    /// How many of them start again.
    pub(super) tasks: u32,
    /// Which retry this is, and why.
    pub(super) reason: String,
}

impl RetryOrder {
    /// Returns the id of the firing that starts them: the same for each order about one firing.
    pub(super) fn id(&self) -> FiringId {
        Self::id_for(&self.of)
    }

    /// Returns the id of the firing that starts the failed tasks of this one again.
    pub(super) fn id_for(of: &Firing) -> FiringId {
        FiringId::for_retry(&of.uid, of.nominal, &of.id)
    }

    /// Returns the part of that firing that names the firing whose tasks it starts again.
    pub(super) fn link(&self) -> FiringRetry {
        let (of, number) = (Some(self.of.id.clone()), self.of.retry.number + 1);
        FiringRetry { of, number, backfill: self.of.is_of_backfill(), ..FiringRetry::default() }
    }
}

/// An order to fire a past tick for a backfill.
#[derive(Debug, Clone)]
pub(super) struct BackfillOrder {
    /// The identity of the job that is backfilled.
    pub(super) uid: JobUid,
    /// The id of the firing: the same for each order about one tick of a backfill.
    pub(super) id: FiringId,
    /// The past tick.
    pub(super) nominal: Timestamp,
    /// Whether nothing is to be launched: what runs at present, the brake and a suspension do not count.
    pub(super) is_preview: bool,
}

/// The tasks that an order starts.
#[derive(Debug, Clone)]
pub(super) enum FireKind {
    /// A firing by hand; key and moment make its id.
    Manual { key: String, at: Timestamp, options: ManualFiring },
    /// Failed tasks, again.
    Retry(Box<RetryOrder>),
    /// A past tick. If it has to wait, the answer is a decision that is not recorded.
    Backfill(Box<BackfillOrder>),
}

impl FireOrder {
    /// Sends the result to the caller.
    pub(super) fn reply(self, result: Result<DecisionRecord, FireError>) {
        // A send fails when the caller is gone; the journal has the firing all the same.
        let _ = self.answer.send(result);
    }
}

/// A message to the scheduler loop.
#[derive(Debug)]
pub(super) enum Message {
    /// A round has finished these jobs.
    Report(Vec<(SlotId, JobProgress)>),
    /// Fire a job now.
    Fire(JobId, FireOrder),
}

/// Sends the results of a round to the scheduler loop.
#[derive(Debug, Clone)]
pub(super) struct ReportSender(pub(super) mpsc::Sender<Message>);

impl ReportSender {
    pub(super) async fn send(&self, progress: Vec<(SlotId, JobProgress)>) {
        if !progress.is_empty() {
            // The loop is gone only when the engine stops, and then nothing needs a report.
            let _ = self.0.send(Message::Report(progress)).await;
        }
    }
}

/// A job that is due, as the scheduler loop knows it.
#[derive(Debug)]
pub(super) struct DueJob {
    pub(super) slot: SlotId,
    pub(super) id: JobId,
    pub(super) uid: JobUid,
    pub(super) revision: Revision,
    pub(super) settled: Option<Timestamp>,
    pub(super) after: Timestamp,
    /// A firing by hand, a retry, or a past tick, instead of a tick.
    pub(super) order: Option<FireOrder>,
}

impl DueJob {
    /// Returns the span of its evaluation without a trigger: that of the request that fires it, or its own.
    pub(super) fn span(&self) -> Span {
        self.order.as_ref().map_or_else(|| job_span(&self.id, false), |order| order.span.clone())
    }

    pub(super) fn new(slot: SlotId, entry: &AgendaEntry, order: Option<FireOrder>) -> Self {
        Self {
            slot,
            id: entry.id.clone(),
            uid: entry.uid,
            revision: entry.revision,
            settled: entry.settled,
            after: entry.after(),
            order,
        }
    }
}

/// The result of a round for one job.
#[derive(Debug)]
pub(super) struct EvaluatedJob {
    pub(super) due: DueJob,
    pub(super) cached: Arc<CachedJob>,
    pub(super) settlement: Option<Settlement>,
    pub(super) order: Option<FireOrder>,
    /// The answer to an order that leaves no record.
    pub(super) answer: Option<Result<DecisionRecord, FireError>>,
    /// The tick that could not be decided yet.
    pub(super) retrying: Option<Retrying>,
    /// When that tick is evaluated again.
    pub(super) retry_at: Option<Timestamp>,
}

impl EvaluatedJob {
    /// No tick was due, or the job is invalid.
    pub(super) fn empty(mut due: DueJob, cached: &Arc<CachedJob>) -> Self {
        let order = due.order.take();
        let cached = Arc::clone(cached);
        Self { due, cached, settlement: None, order, answer: None, retrying: None, retry_at: None }
    }

    /// An order is answered without a record.
    pub(super) fn answered(
        due: DueJob,
        cached: &Arc<CachedJob>,
        order: FireOrder,
        answer: Result<DecisionRecord, FireError>,
    ) -> Self {
        Self { order: Some(order), answer: Some(answer), ..Self::empty(due, cached) }
    }
}

/// The report of a round about one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JobProgress {
    /// Its ticks are settled.
    Settled {
        /// The newest settled tick.
        settled: Option<Timestamp>,
        /// When the next tick is due.
        due: Option<Timestamp>,
        /// Not before this moment, when a tick could not be decided.
        retry_at: Option<Timestamp>,
    },
    /// Its document is not a valid job.
    Invalid,
    /// The store did not answer: evaluate the job again a little later.
    Retry,
    /// The job has changed: read it again.
    Reload,
}
