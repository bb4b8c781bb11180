//! The task monitor: follows tasks to their end, with reads of many tasks at once, at the launcher's interval.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::inner::EngineInner;
use super::message::Message;
use super::record_firing;
use super::spans::firing_span;
use super::task_retry;
use super::time_limit::{FutureTimes, overdue, time_limits};
use crate::diagnosis::Diagnosis;
use crate::fault;
use crate::firing::{Firing, FiringId, FiringState};
use crate::id::{JobId, JobUid};
use crate::launcher::{LaunchError, ObservedTasks};
use crate::task::{TaskEnd, TaskId, TaskPhase, TaskState};

/// How long a task may be unknown to the launcher before it counts as ended.
const LOST_AFTER: Duration = Duration::from_mins(5);

/// How many calls to the launcher a poll makes concurrently: a part that hangs delays the others by one deadline at most.
const CONCURRENT_OBSERVATIONS: usize = 8;

/// How many ends of tasks are made durable concurrently: a store that groups its writes commits them together, and a
/// distant store does not delay each task.
const CONCURRENT_RECORDS: usize = 64;

/// Follows the tasks of launched firings until the engine stops.
pub(super) async fn run(engine: Arc<EngineInner>, commands: mpsc::WeakSender<Message>) {
    let mut monitor = TaskMonitor {
        engine: Arc::clone(&engine),
        commands,
        missing: HashMap::new(),
        failures: BTreeSet::new(),
        retried: Arc::default(),
        future: FutureTimes::default(),
    };
    loop {
        let more = engine.monitor_wakeup.notified();
        let is_idle = engine.monitored.lock().is_empty();
        if is_idle {
            tokio::select! {
                biased;
                () = more => {}
                () = engine.stop.cancelled() => return,
            }
        }
        monitor.poll().await;
        if !engine.sleep(engine.launcher.limits().observe_every).await {
            return;
        }
    }
}

/// Follows the tasks of launched firings.
struct TaskMonitor {
    engine: Arc<EngineInner>,
    commands: mpsc::WeakSender<Message>,
    /// Since when a task is unknown to the launcher.
    missing: HashMap<TaskId, Instant>,
    /// Why tasks could not be observed by the last poll.
    failures: BTreeSet<String>,
    /// Firings whose retry is under way.
    retried: Arc<Mutex<BTreeSet<FiringId>>>,
    /// Moments of tasks that lie in the future.
    future: FutureTimes,
}

/// The states of tasks that one poll has seen; `None` for a task that the launcher does not know.
type SeenTasks = HashMap<TaskId, (SeenAt, Option<TaskState>)>;

/// The moment at which a poll asked for a state; `None` for a state from before the poll.
type SeenAt = Option<Timestamp>;

impl TaskMonitor {
    /// Reads all live tasks once, records what changed, and enforces time limits.
    async fn poll(&mut self) {
        self.apply_edits().await;
        let seen = self.observe().await;
        let now = self.engine.clock.now();
        let changed: Vec<Firing> = {
            let monitored = self.engine.monitored.lock();
            monitored.values().filter(|firing| has_changed(firing, &seen)).cloned().collect()
        };
        let moves: Vec<(Firing, Firing)> =
            changed.into_iter().filter_map(|firing| self.apply_states(firing, &seen, now)).collect();
        let engine = &self.engine;
        futures::stream::iter(moves)
            .for_each_concurrent(CONCURRENT_RECORDS, async |(from, to)| {
                let span = firing_span(&to);
                record_states(engine, from, to).instrument(span).await;
            })
            .await;
        self.enforce_timeouts(&seen);
        self.start_due_retries();
    }

    /// Starts the retries whose moment has come, each in the background: its evaluation may take longer than a poll.
    fn start_due_retries(&self) {
        let now = self.engine.clock.now();
        if !self.engine.process.clock.unsteady_for().is_zero() {
            return;
        }
        let monitored = self.engine.monitored.lock();
        let due = monitored.values().filter(|firing| task_retry::is_due(firing, now));
        let due = due.filter(|firing| self.engine.process.budgets.may_retry(&firing.id));
        for firing in due.filter(|firing| self.retried.lock().insert(firing.id.clone())) {
            let (engine, retried) = (Arc::clone(&self.engine), Arc::clone(&self.retried));
            let (firing, commands) = (firing.clone(), self.commands.clone());
            let span = firing_span(&firing);
            let retry = async move {
                let id = firing.id.clone();
                task_retry::run(engine, firing, commands).await;
                retried.lock().remove(&id);
            };
            self.engine.spawn(retry.instrument(span));
        }
    }

    /// Gives launched firings the time limits of their job's newest version. A store that does not answer is asked again by the
    /// next poll.
    async fn apply_edits(&self) {
        let edited: Vec<JobId> = std::mem::take(&mut *self.engine.edited.lock()).into_iter().collect();
        if edited.is_empty() {
            return;
        }
        let Ok(jobs) = self.engine.load_jobs(&edited).await else {
            return self.engine.edited.lock().extend(edited);
        };
        let valid =
            jobs.iter().filter_map(|(_, cached)| Some((cached.uid, &cached.job.as_ref().ok()?.policy)));
        let policies: HashMap<_, _> = valid.collect();
        let changed: Vec<(Firing, Firing)> = {
            let monitored = self.engine.monitored.lock();
            let limited = monitored.values().filter_map(|firing| {
                let mut to = firing.clone();
                to.set_time_limits(policies.get(&firing.uid)?);
                (to != *firing).then(|| (firing.clone(), to))
            });
            limited.collect()
        };
        for (from, to) in changed {
            let span = firing_span(&to);
            record_firing::record(&self.engine, from, to).instrument(span).await;
        }
    }

    /// Reads the states of all live tasks. A part that cannot be read does not keep the others from being read.
    async fn observe(&mut self) -> SeenTasks {
        let live = self.live_tasks();
        let mut seen = SeenTasks::with_capacity(live.len());
        let (mut failures, mut lasting) = (BTreeSet::new(), HashMap::new());
        let mut record = |error: &LaunchError, tasks: &[TaskId]| {
            let text = fault::chain(error);
            if !error.is_transient() {
                lasting.extend(tasks.iter().map(|task| (task.clone(), text.clone())));
            }
            failures.insert(text);
        };
        let chunk = self.engine.launcher.limits().per_observation.max(1);
        let engine = &self.engine;
        let chunks = live.chunks(chunk).take_while(|_| !engine.stop.is_cancelled());
        let calls: Vec<_> = chunks.map(|tasks| observe_chunk(engine, tasks)).collect();
        let mut answers = futures::stream::iter(calls).buffer_unordered(CONCURRENT_OBSERVATIONS);
        while let Some((tasks, at, answer)) = answers.next().await {
            match answer {
                Ok(ObservedTasks { states, unread, cached }) => {
                    seen.extend(tasks.iter().map(|task| (task.clone(), (Some(at), None))));
                    for unread in unread {
                        record(&unread.error, &unread.tasks);
                        for task in &unread.tasks {
                            seen.remove(task);
                        }
                    }
                    let states = states.into_iter();
                    seen.extend(states.map(|state| (state.task_id.clone(), (Some(at), Some(state)))));
                    for task in &cached {
                        if let Some((at, _)) = seen.get_mut(task) {
                            *at = None;
                        }
                    }
                }
                Err(error) => record(&error, tasks),
            }
        }
        drop(answers);
        self.record_unobserved(&lasting);
        for error in failures.difference(&self.failures) {
            tracing::warn!(error, "tasks cannot be observed");
        }
        if failures.is_empty() && !self.failures.is_empty() {
            tracing::info!("all tasks can be observed again");
        }
        self.failures = failures;
        *self.engine.unread_tasks.lock() = live.into_iter().filter(|task| !seen.contains_key(task)).collect();
        seen
    }

    /// Records the jobs with tasks that cannot be observed for a reason that does not pass.
    fn record_unobserved(&self, errors: &HashMap<TaskId, String>) {
        let monitored = self.engine.monitored.lock();
        let tasks =
            monitored.values().flat_map(|firing| firing.tasks.iter().map(|task| (firing.uid, &task.task_id)));
        let jobs = tasks.filter_map(|(uid, task)| Some((uid, errors.get(task)?.as_str()))).collect();
        self.engine.process.faults.record_unobserved(self.engine.number, &jobs, self.engine.clock.now());
    }

    fn live_tasks(&self) -> Vec<TaskId> {
        let monitored = self.engine.monitored.lock();
        let tasks = monitored.values().flat_map(|firing| &firing.tasks);
        tasks.filter(|task| task.phase != TaskPhase::Stopped).map(|task| task.task_id.clone()).collect()
    }

    /// Applies the observed states to a firing's tasks, and returns the firing before and after, if it changes. A task that was
    /// requested and not returned is missing.
    fn apply_states(&mut self, firing: Firing, seen: &SeenTasks, now: Timestamp) -> Option<(Firing, Firing)> {
        let mut to = firing.clone();
        for task in to.tasks.iter_mut().filter(|task| task.phase != TaskPhase::Stopped) {
            match seen.get(&task.task_id) {
                Some((_, Some(state))) => {
                    self.missing.remove(&task.task_id);
                    *task = merge_state(&firing, task, state);
                }
                Some((_, None)) => self.mark_missing(task, now),
                None => {}
            }
        }
        if ended(&to) && to.retry.at.is_none() {
            to.state = FiringState::Finished;
        }
        (to != firing).then_some((firing, to))
    }

    /// Counts a task as ended when the launcher has not known it for long.
    fn mark_missing(&mut self, task: &mut TaskState, now: Timestamp) {
        let since = *self.missing.entry(task.task_id.clone()).or_insert_with(Instant::now);
        if since.elapsed() >= LOST_AFTER {
            self.missing.remove(&task.task_id);
            task.phase = TaskPhase::Stopped;
            task.stopped_at = Some(now);
            task.reason = Some("the launcher does not know this task any more".to_owned());
            task.diagnosis = Some(Diagnosis::TASK_LOST);
        }
    }

    /// Requests tasks to stop that exceed a time limit.
    fn enforce_timeouts(&mut self, seen: &SeenTasks) {
        // Recording takes time: an older moment would look like a step of the clock.
        let now = self.engine.clock.now();
        // While the clock may be ahead, the run time of a task is unknown.
        self.engine.process.clock.check(now);
        if !self.engine.process.clock.unsteady_for().is_zero() {
            return;
        }
        let overdue: Vec<(Span, JobUid, TaskId, String)> = {
            let monitored = self.engine.monitored.lock();
            let limited = monitored
                .values()
                .filter(|firing| firing.timeout_secs.or(firing.start_timeout_secs).is_some());
            let state = |task: &TaskId| seen.get(task).and_then(|(at, state)| Some((*at, state.as_ref()?)));
            let future = &mut self.future;
            future.retain_followed(monitored.values());
            let tasks = limited.flat_map(|firing| {
                overdue(firing, state, future, now)
                    .into_iter()
                    .map(|(task, reason)| (firing_span(firing), firing.uid, task, reason))
            });
            tasks.collect()
        };
        // A request that hangs delays neither the other requests nor the next poll, which repeats none that is under way.
        for (span, uid, task, reason) in overdue {
            let engine = Arc::clone(&self.engine);
            self.engine.spawn(async move { engine.stop_task(uid, &task, &reason).await }.instrument(span));
        }
    }
}

/// Asks for the states of tasks. Returns the moment of the question, too.
async fn observe_chunk<'t>(
    engine: &EngineInner,
    tasks: &'t [TaskId],
) -> (&'t [TaskId], Timestamp, Result<ObservedTasks, LaunchError>) {
    let at = engine.clock.now();
    (tasks, at, engine.observe_tasks(tasks).await)
}

/// Records the states of tasks that a poll has seen. When all have ended, failed ones may be retried.
async fn record_states(engine: &EngineInner, from: Firing, mut to: Firing) {
    if to.state == FiringState::Finished && !engine.plan_retry(&mut to).await {
        // The next poll tries again.
        return;
    }
    record_firing::record(engine, from, to).await;
}

fn ended(firing: &Firing) -> bool {
    firing.tasks.iter().all(|task| task.phase == TaskPhase::Stopped)
}

/// Returns whether the observed states differ from the firing's record.
fn has_changed(firing: &Firing, seen: &SeenTasks) -> bool {
    let mut live = firing.tasks.iter().filter(|task| task.phase != TaskPhase::Stopped).peekable();
    (live.peek().is_none() && firing.retry.at.is_none())
        || live.any(|task| match seen.get(&task.task_id) {
            Some((_, Some(state))) => merge_state(firing, task, state) != *task,
            Some((_, None)) => true,
            None => false,
        })
}

/// Merges the observed state of a task with what only the engine knows.
fn merge_state(firing: &Firing, known: &TaskState, seen: &TaskState) -> TaskState {
    let seen = seen.clone().with_deciding_container(firing.task.succeeds_by.as_deref());
    let host_id = seen.host_id.clone().or_else(|| known.host_id.clone());
    let diagnosis = diagnose(firing, &seen);
    TaskState { host_id, accepted_at: known.accepted_at, diagnosis, ..seen }
}

/// Returns the cause of a failure or of a time limit: the launcher's diagnosis, or else that of the exit code.
fn diagnose(firing: &Firing, task: &TaskState) -> Option<Diagnosis> {
    match task.end()? {
        TaskEnd::Succeeded => None,
        TaskEnd::Failed => Some(task.cause()),
        TaskEnd::Stopped => time_limits(firing).find_map(|limit| {
            let is_reason = task.reason.as_ref()?.contains(&limit.reason());
            is_reason.then(|| limit.diagnosis())
        }),
    }
}
