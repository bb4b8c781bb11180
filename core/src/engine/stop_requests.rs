//! Requests tasks to stop: once, and again with a growing wait as long as they run.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::task::TaskId;

/// The first wait after a request: longer than most stop time-outs.
const MIN_WAIT: Duration = Duration::from_mins(1);
/// The longest wait after a request.
const MAX_WAIT: Duration = Duration::from_mins(16);
/// The waits after accepted requests.
const REQUEST_BACKOFF: Backoff = Backoff::new(MIN_WAIT, MAX_WAIT);
/// The waits before failed calls are retried.
const CALL_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// The tasks that were requested to stop, and when each may be requested again.
#[derive(Debug, Default)]
pub(super) struct StopRequests {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tasks: HashMap<TaskId, StopRequest>,
    swept: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct StopRequest {
    retry_at: Instant,
    /// How often the launcher accepted the request.
    accepted: u32,
    /// The number of failed calls in a row.
    failed: u32,
}

impl StopRequests {
    /// Returns whether to request a task to stop now. The request counts as sent until [`Self::record_answer`] is called.
    pub(super) fn try_begin(&self, task: &TaskId, now: Instant) -> bool {
        let mut state = self.state.lock();
        if state.swept.is_none_or(|swept| now.duration_since(swept) >= MIN_WAIT) {
            state.swept = Some(now);
            // The task has ended, or a next request counts as its first.
            state.tasks.retain(|_, request| now.saturating_duration_since(request.retry_at) < MAX_WAIT);
        }
        let request =
            state.tasks.entry(task.clone()).or_insert(StopRequest { retry_at: now, accepted: 0, failed: 0 });
        let due = request.retry_at <= now;
        if due {
            request.retry_at = now + REQUEST_BACKOFF.delay_after(request.accepted.saturating_add(1));
        }
        due
    }

    /// Records whether the launcher accepted the request.
    pub(super) fn record_answer(&self, task: &TaskId, accepted: bool, now: Instant) {
        let mut state = self.state.lock();
        let Some(request) = state.tasks.get_mut(task) else { return };
        if accepted {
            (request.accepted, request.failed) = (request.accepted.saturating_add(1), 0);
        } else {
            request.failed = request.failed.saturating_add(1);
            request.retry_at = now + CALL_BACKOFF.delay_after(request.failed);
        }
    }
}

#[cfg(test)]
mod tests;
