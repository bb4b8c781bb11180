//! Asking tasks to stop: once, and again with a longer wait each time as long as they go on.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::inner::Core;
use crate::fault;
use crate::task::TaskId;

/// How long a task that was asked to stop is left alone at first: longer than most stop time-outs. Doubled each time.
const FIRST_WAIT: Duration = Duration::from_mins(1);
/// The longest time that it is left alone.
const LONGEST_WAIT: Duration = Duration::from_mins(16);
/// How long after a call that failed it is made again at first. Doubled each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest time after a call that failed.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Which tasks were asked to stop, and when each may be asked again.
#[derive(Debug, Default)]
pub(super) struct Stops {
    asked: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    tasks: HashMap<TaskId, Ask>,
    swept: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Ask {
    again: Instant,
    /// How often the launcher took the request.
    taken: u32,
    /// How many calls in a row failed.
    failed: u32,
}

impl Stops {
    /// Tells whether to ask a task now. It counts as asked until [`Self::note`] says otherwise.
    fn begin(&self, task: &TaskId, now: Instant) -> bool {
        let mut asked = self.asked.lock();
        if asked.swept.is_none_or(|swept| now.duration_since(swept) >= FIRST_WAIT) {
            asked.swept = Some(now);
            // It has ended, or is asked again as if for the first time.
            asked.tasks.retain(|_, ask| now.saturating_duration_since(ask.again) < LONGEST_WAIT);
        }
        let ask = asked.tasks.entry(task.clone()).or_insert(Ask { again: now, taken: 0, failed: 0 });
        let due = ask.again <= now;
        if due {
            ask.again = now + doubled(FIRST_WAIT, ask.taken, LONGEST_WAIT);
        }
        due
    }

    fn note(&self, task: &TaskId, taken: bool, now: Instant) {
        let mut asked = self.asked.lock();
        let Some(ask) = asked.tasks.get_mut(task) else { return };
        if taken {
            (ask.taken, ask.failed) = (ask.taken.saturating_add(1), 0);
        } else {
            ask.again = now + doubled(FIRST_RETRY, ask.failed, LONGEST_RETRY);
            ask.failed = ask.failed.saturating_add(1);
        }
    }
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(longest)
}

impl Core {
    /// Asks a task to stop, unless it was asked a short while ago.
    pub(super) async fn stop_task(&self, task: &TaskId, reason: &str) {
        if !self.stops.begin(task, Instant::now()) {
            return;
        }
        let answer = self.launcher.stop(task, reason).await;
        self.note_launcher(&answer);
        self.stops.note(task, answer.is_ok(), Instant::now());
        if let Err(error) = answer {
            tracing::warn!(%task, reason, error = %fault::chain(&error), "a task could not be asked to stop");
        }
    }
}

#[cfg(test)]
mod tests;
