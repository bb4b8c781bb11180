//! The tasks of one job.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::EarlierWork;
use super::launch_history::LaunchHistory;
use super::lifetime::{TaskExit, TaskLifetime};
use crate::decide::DecisionId;
use crate::diagnosis::Diagnosis;
use crate::firing::{Firing, FiringId, FiringState};
use crate::queue::CLAIMS_AFTER;
use crate::task::{Population, TaskId, TaskPhase, TaskState};

/// How long an ended task is remembered, so that a launcher's late listing does not revive it.
const ENDED_TASK_TTL: SignedDuration = SignedDuration::from_mins(10);
/// The maximum number of tasks that are named.
const MAX_NAMED_TASKS: usize = 3;
/// The maximum number of characters of a task's name; ECS task ids have 32.
const MAX_NAME_CHARS: usize = 64;

/// The tasks of one job: reserved, live and recently ended.
#[derive(Debug, Default)]
pub(super) struct JobTasks {
    /// The tasks that open firings are still to start.
    pub(super) reserved: HashMap<FiringId, Reservation>,
    pub(super) live: HashMap<TaskId, Live>,
    ended: VecDeque<Ended>,
    /// The newest durable firing that replaces everything before it.
    replacement: Option<(DecisionId, FiringId)>,
    /// Wakes firings that wait for others of the job; set once a firing has waited.
    changed: Option<Arc<Notify>>,
    /// The data of the queue rule, for jobs that use it.
    pub(super) launch_history: Option<Box<LaunchHistory>>,
}

/// The tasks that a firing is still to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reservation {
    tasks: u32,
    decision: DecisionId,
    /// A call that may start them is under way, or about to be made.
    sent: bool,
}

impl Reservation {
    /// Returns whether it was decided, and is durable, before this decision.
    fn is_before(&self, decision: DecisionId) -> bool {
        self.decision != DecisionId::default() && self.decision < decision
    }
}

/// A task that has not ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    decision: DecisionId,
    launched: Timestamp,
    started: Option<Timestamp>,
}

/// A task that ended not long ago.
#[derive(Debug)]
struct Ended {
    observed: Timestamp,
    id: TaskId,
    lifetime: TaskLifetime,
    /// Nobody saw it end: the launcher did not know it. One that the launcher lists nevertheless is busy.
    is_lost: bool,
}

impl JobTasks {
    pub(super) fn is_empty(&self) -> bool {
        self.reserved.is_empty()
            && self.live.is_empty()
            && self.ended.is_empty()
            && self.launch_history.is_none()
    }

    pub(super) fn record_firing(&mut self, firing: &Firing, now: Timestamp) {
        let reserved = if firing.state.is_open() && firing.state != FiringState::Launched {
            firing.shortfall()
        } else {
            0
        };
        if reserved > 0 {
            let sent = firing.unanswered().is_some();
            let reservation = Reservation { tasks: reserved, decision: firing.decision, sent };
            self.reserved.insert(firing.id.clone(), reservation);
        } else {
            self.reserved.remove(&firing.id);
        }
        let newest = self.replacement.as_ref().map_or(DecisionId::default(), |(decision, _)| *decision);
        if reserved > 0 && firing.is_replacement() && firing.decision > newest {
            self.replacement = Some((firing.decision, firing.id.clone()));
        }
        for task in &firing.tasks {
            if task.phase == TaskPhase::Stopped {
                self.record_ended(task, now);
            } else {
                self.record_live(task, firing, now);
            }
        }
        self.evict_ended(now);
        self.notify_changed();
    }

    pub(super) fn release(&mut self, firing: &Firing) {
        self.reserved.remove(&firing.id);
        for task in &firing.tasks {
            self.live.remove(&task.task_id);
        }
        self.notify_changed();
    }

    fn notify_changed(&self) {
        if let Some(changed) = &self.changed {
            changed.notify_waiters();
        }
    }

    fn record_live(&mut self, task: &TaskState, firing: &Firing, now: Timestamp) {
        let launched = firing.last_sent();
        let started = task.started_at.map(|started| started.min(now));
        if let Some(known) = self.live.get_mut(&task.task_id) {
            known.started = started;
            return;
        }
        let live = Live { decision: firing.decision, launched, started };
        self.live.insert(task.task_id.clone(), live);
        if let Some(history) = &mut self.launch_history {
            history.record_launch(launched);
        }
    }

    fn record_ended(&mut self, task: &TaskState, now: Timestamp) {
        let Some(live) = self.live.remove(&task.task_id) else { return };
        let exit = TaskExit::new(task, live.launched, now);
        if let Some(history) = &mut self.launch_history {
            history.record_exit(exit);
        }
        let lifetime = TaskLifetime { launched: live.launched, exit: Some(exit) };
        let is_lost = task.diagnosis.as_ref().is_some_and(|found| *found == Diagnosis::TASK_LOST);
        self.ended.push_back(Ended { observed: now, id: task.task_id.clone(), lifetime, is_lost });
    }

    fn evict_ended(&mut self, now: Timestamp) {
        // A task that ended while the clock was ahead would keep all others from being evicted.
        if self.ended.front().is_some_and(|ended| ended.observed > now) {
            self.ended.iter_mut().for_each(|ended| ended.observed = ended.observed.min(now));
        }
        while self.ended.front().is_some_and(|ended| now.duration_since(ended.observed) > ENDED_TASK_TTL) {
            self.ended.pop_front();
        }
    }

    /// Returns the number of tasks that are still to be started.
    pub(super) fn reserved_tasks(&self) -> u32 {
        sum(self.reserved.values())
    }

    /// Returns the firing that supersedes one of this decision.
    pub(super) fn superseding(&self, decision: DecisionId) -> Option<FiringId> {
        let (newer, id) = self.replacement.as_ref()?;
        (*newer > decision).then(|| id.clone())
    }

    /// Returns the firings and tasks that were decided before this decision and have not ended.
    pub(super) fn earlier_work(&self, decision: DecisionId) -> EarlierWork {
        let firings = self.reserved.values().filter(|reservation| reservation.is_before(decision)).count();
        let tasks = self.live.iter().filter(|(_, live)| live.decision < decision);
        EarlierWork { firings, tasks: tasks.map(|(id, _)| id.clone()).collect() }
    }

    /// Returns the number of tasks that exist, or may exist at any moment, without those that this firing is still to start.
    /// Newer firings count only with calls under way: they leave room for this one. If there is room below the limit, the
    /// firing's own call counts as under way from now on, because an older firing may appear before the call is recorded.
    pub(super) fn reserve(&mut self, firing: &Firing, limit: u32) -> u32 {
        let others = self
            .reserved
            .iter()
            .filter(|(id, other)| **id != firing.id && (other.sent || other.is_before(firing.decision)));
        let live = u32::try_from(self.live.len()).unwrap_or(u32::MAX);
        let beside = live.saturating_add(sum(others.map(|(_, reservation)| reservation)));
        if beside < limit
            && let Some(own) = self.reserved.get_mut(&firing.id)
        {
            own.sent = true;
        }
        beside
    }

    /// Returns the notifier of changes.
    pub(super) fn changed(&mut self) -> Arc<Notify> {
        Arc::clone(self.changed.get_or_insert_default())
    }

    pub(super) fn busy(&mut self, reported: &Population, now: Timestamp) -> u32 {
        self.evict_ended(now);
        let external = self.external_tasks(reported).count();
        u32::try_from(self.live.len() + external).unwrap_or(u32::MAX).saturating_add(self.reserved_tasks())
    }

    /// Returns the tasks that the launcher reports and the tracker does not know.
    fn external_tasks<'a>(&'a self, reported: &'a Population) -> impl Iterator<Item = &'a TaskId> {
        let ended = self.ended.iter().filter(|ended| !ended.is_lost);
        let ended: HashSet<&TaskId> = ended.map(|ended| &ended.id).collect();
        let known = move |task: &&TaskId| self.live.contains_key(*task) || ended.contains(task);
        reported.tasks.iter().filter(move |task| !known(task))
    }

    /// Describes the busy tasks, oldest first.
    pub(super) fn describe_tasks(&self, reported: &Population) -> String {
        let mut live: Vec<_> = self.live.iter().collect();
        live.sort_by_key(|(id, live)| (live.launched, *id));
        let external: Vec<_> = self.external_tasks(reported).collect();
        let all = live.len() + external.len();
        let own = live.into_iter().map(|(id, live)| match live.started {
            Some(started) => format!("task {} running since {started:.0}", short_name(id)),
            None => format!("task {} pending since {:.0}", short_name(id), live.launched),
        });
        let external = external.into_iter().map(|id| format!("task {}", short_name(id)));
        let mut named: Vec<String> = own.chain(external).take(MAX_NAMED_TASKS).collect();
        if all > MAX_NAMED_TASKS {
            named.push(format!("{} more", all - MAX_NAMED_TASKS));
        }
        let reserved = self.reserved_tasks();
        if reserved > 0 {
            named.push(format!("{reserved} being started"));
        }
        named.join(", ")
    }

    /// Returns the number of tasks that cannot have taken a message yet.
    pub(super) fn not_started(&self, now: Timestamp) -> u32 {
        let waits = |live: &&Live| live.started.is_none_or(|at| now.duration_since(at) < CLAIMS_AFTER);
        let waiting = self.live.values().filter(waits).count();
        u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(self.reserved_tasks())
    }

    /// Returns the lifetime of every task that the tracker or the journal knows, each once.
    pub(super) fn lifetimes(&self, journalled: &[Firing], now: Timestamp) -> Vec<TaskLifetime> {
        let mut lifetimes: HashMap<&TaskId, TaskLifetime> = HashMap::new();
        for firing in journalled {
            for task in &firing.tasks {
                let launched = firing.last_sent();
                let exit = (task.phase == TaskPhase::Stopped).then(|| TaskExit::new(task, launched, now));
                lifetimes.insert(&task.task_id, TaskLifetime { launched, exit });
            }
        }
        // The tracker is newer than the page of the journal.
        lifetimes.extend(
            self.live.iter().map(|(id, live)| (id, TaskLifetime { launched: live.launched, exit: None })),
        );
        lifetimes.extend(self.ended.iter().map(|ended| (&ended.id, ended.lifetime)));
        lifetimes.into_values().collect()
    }
}

/// Returns the last segment of a task's name, as of an ARN; a long one is cut at the front.
fn short_name(id: &TaskId) -> String {
    let name = id.as_str().rsplit('/').next().unwrap_or_default();
    match name.char_indices().nth_back(MAX_NAME_CHARS - 1) {
        Some((start @ 1.., _)) => format!("…{}", &name[start..]),
        Some(_) | None => name.to_owned(),
    }
}

fn sum<'a>(reservations: impl Iterator<Item = &'a Reservation>) -> u32 {
    reservations.map(|reservation| reservation.tasks).fold(0, u32::saturating_add)
}
