//! Following tasks to their end: reads of many tasks at once, at the launcher's own pace.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::inner::Core;
use super::status::Counters;
use crate::event::Event;
use crate::fault;
use crate::firing::{Firing, FiringId, FiringState};
use crate::store::StoreError;
use crate::task::{TaskEnd, TaskId, TaskPhase, TaskState};

/// For how long a task may be unknown to the launcher before it counts as ended.
const LOST_AFTER: Duration = Duration::from_mins(5);

/// How many ends of tasks are made durable side by side: a store that groups its writes commits them together, and one
/// that is far away is not waited for once a task.
const RECORDS_AT_ONCE: usize = 64;

/// Follows the tasks of launched firings until the engine stops.
pub(super) async fn run(core: Arc<Core>) {
    let mut watch = Watch { core: Arc::clone(&core), missing: HashMap::new() };
    loop {
        let more = core.watch_more.notified();
        let nothing = core.watched.lock().is_empty();
        if nothing {
            tokio::select! {
                biased;
                () = more => {}
                () = core.stop.cancelled() => return,
            }
        }
        watch.look().await;
        if !core.pause(core.launcher.limits().observe_every).await {
            return;
        }
    }
}

struct Watch {
    core: Arc<Core>,
    /// Since when a task is unknown to the launcher.
    missing: HashMap<TaskId, Instant>,
}

impl Watch {
    async fn look(&mut self) {
        let live = self.live();
        let mut seen: HashMap<TaskId, Option<TaskState>> = HashMap::with_capacity(live.len());
        let chunk = self.core.launcher.limits().per_observation.max(1);
        for tasks in live.chunks(chunk) {
            let answer = self.core.launcher.observe(tasks).await;
            self.core.note_launcher(&answer);
            match answer {
                Ok(states) => {
                    seen.extend(tasks.iter().map(|task| (task.clone(), None)));
                    seen.extend(states.into_iter().map(|state| (state.task_id.clone(), Some(state))));
                }
                Err(error) => {
                    tracing::warn!(error = %fault::chain(&error), "tasks could not be observed");
                    break;
                }
            }
        }
        let now = self.core.clock.now();
        let news: Vec<Firing> = {
            let watched = self.core.watched.lock();
            watched.values().filter(|firing| has_news(firing, &seen)).cloned().collect()
        };
        let moves: Vec<(Firing, Firing)> =
            news.into_iter().filter_map(|firing| self.follow(firing, &seen, now)).collect();
        let watch = &*self;
        futures::stream::iter(moves)
            .for_each_concurrent(RECORDS_AT_ONCE, async |(from, to)| watch.record(from, to).await)
            .await;
        self.enforce_timeouts().await;
    }

    fn live(&self) -> Vec<TaskId> {
        let watched = self.core.watched.lock();
        let tasks = watched.values().flat_map(|firing| &firing.tasks);
        tasks.filter(|task| task.phase != TaskPhase::Stopped).map(|task| task.task_id.clone()).collect()
    }

    /// Takes over what was seen of a firing's tasks, and returns the firing before and after, if that changes it. A task
    /// that was asked for and not answered is missing.
    fn follow(
        &mut self,
        firing: Firing,
        seen: &HashMap<TaskId, Option<TaskState>>,
        now: Timestamp,
    ) -> Option<(Firing, Firing)> {
        let mut to = firing.clone();
        for task in to.tasks.iter_mut().filter(|task| task.phase != TaskPhase::Stopped) {
            match seen.get(&task.task_id) {
                Some(Some(state)) => {
                    self.missing.remove(&task.task_id);
                    *task = newest(task, state, firing.task.succeeds_by.as_deref());
                }
                Some(None) => self.miss(task, now),
                None => {}
            }
        }
        if ended(&to) {
            to.state = FiringState::Finished;
        }
        (to != firing).then_some((firing, to))
    }

    /// Counts a task as ended when the launcher has not known it for long.
    fn miss(&mut self, task: &mut TaskState, now: Timestamp) {
        let since = *self.missing.entry(task.task_id.clone()).or_insert_with(Instant::now);
        if since.elapsed() >= LOST_AFTER {
            self.missing.remove(&task.task_id);
            task.phase = TaskPhase::Stopped;
            task.stopped_at = Some(now);
            task.reason = Some("the launcher does not know this task any more".to_owned());
        }
    }

    /// Asks tasks that are over their time to stop.
    async fn enforce_timeouts(&self) {
        // Ends take time to be recorded: an older moment would look like a step of the clock.
        let now = self.core.clock.now();
        // How long a task has run is not known while the clock may be ahead.
        self.core.commons.clock.look(now);
        if !self.core.commons.clock.uneven_for().is_zero() {
            return;
        }
        let overdue: Vec<(TaskId, String)> = {
            let watched = self.core.watched.lock();
            let limited =
                watched.values().filter(|firing| firing.timeout_secs.or(firing.start_timeout_secs).is_some());
            limited.flat_map(|firing| overdue(firing, now)).collect()
        };
        for (task, reason) in overdue {
            self.core.stop_task(&task, &reason).await;
        }
    }

    async fn record(&self, from: Firing, to: Firing) {
        let id = to.id.clone();
        match self.core.advance(FiringState::Launched, &to, None).await {
            Ok(()) => {
                self.count_ends(&from, &to);
                self.core.ledger.enter(&to, self.core.clock.now());
                self.core.tell(|| Event::Firing(Box::new(to.clone())));
                if to.state == FiringState::Finished {
                    self.drop_firing(&id);
                } else {
                    self.core.watched.lock().insert(id, to);
                }
            }
            // Seen again, and recorded, at the next look; by the new owner, when there is one.
            Err(StoreError::Fault { .. } | StoreError::Fenced(_)) => {}
            Err(error) => {
                tracing::error!(firing = %id, error = %fault::chain(&error), "a firing was moved by someone else");
                self.drop_firing(&id);
            }
        }
    }

    fn drop_firing(&self, id: &FiringId) {
        self.core.watched.lock().remove(id);
        self.core.in_hand.lock().remove(id);
    }

    fn count_ends(&self, from: &Firing, to: &Firing) {
        for (before, after) in from.tasks.iter().zip(&to.tasks) {
            let counters = &self.core.commons.counters;
            let counter = match after.end().filter(|_| before.phase != TaskPhase::Stopped) {
                None => continue,
                Some(TaskEnd::Succeeded) => &counters.tasks_succeeded,
                Some(TaskEnd::Failed) => &counters.tasks_failed,
                Some(TaskEnd::Stopped) => &counters.tasks_stopped,
            };
            Counters::add(counter, 1);
        }
    }
}

fn ended(firing: &Firing) -> bool {
    firing.tasks.iter().all(|task| task.phase == TaskPhase::Stopped)
}

/// Tells whether something was seen that the firing's record does not say yet.
fn has_news(firing: &Firing, seen: &HashMap<TaskId, Option<TaskState>>) -> bool {
    let mut live = firing.tasks.iter().filter(|task| task.phase != TaskPhase::Stopped).peekable();
    live.peek().is_none()
        || live.any(|task| match seen.get(&task.task_id) {
            Some(Some(state)) => newest(task, state, firing.task.succeeds_by.as_deref()) != *task,
            Some(None) => true,
            None => false,
        })
}

/// Returns how a task stands: what was seen of it, and what only the engine knows.
fn newest(known: &TaskState, seen: &TaskState, succeeds_by: Option<&str>) -> TaskState {
    let host_id = seen.host_id.clone().or_else(|| known.host_id.clone());
    TaskState { host_id, accepted_at: known.accepted_at, ..seen.clone().decided_by(succeeds_by) }
}

/// Returns the firing's tasks that are over their time, each with the reason.
fn overdue(firing: &Firing, now: Timestamp) -> Vec<(TaskId, String)> {
    let mut over = Vec::new();
    for task in &firing.tasks {
        // Firings that an earlier version stored do not say when their tasks were accepted.
        let accepted = task.accepted_at.unwrap_or_else(|| firing.last_sent());
        let (since, limit, what) = match task.phase {
            TaskPhase::Pending => (accepted, firing.start_timeout_secs, "startTimeout"),
            TaskPhase::Running => (task.started_at.unwrap_or(accepted), firing.timeout_secs, "timeout"),
            TaskPhase::Stopped => continue,
        };
        let Some(limit) = limit else { continue };
        let allowed = SignedDuration::try_from(Duration::from_secs(limit)).unwrap_or(SignedDuration::MAX);
        if now.duration_since(since) > allowed {
            over.push((task.task_id.clone(), format!("{what} of {limit} s exceeded")));
        }
    }
    over
}
