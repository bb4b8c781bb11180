//! One job's part of the ledger.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::Older;
use super::queue_history::Track;
use crate::decide::DecisionId;
use crate::firing::{Firing, FiringId, FiringState};
use crate::queue::CLAIMS_AFTER;
use crate::task::{Population, TaskId, TaskPhase, TaskState};

/// For how long an ended task is remembered, so that a launcher's late listing does not revive it.
const REMEMBER_ENDED: SignedDuration = SignedDuration::from_mins(10);
/// How many tasks are named at most.
const NAMED: usize = 3;
/// How many characters of a task's name are shown at most; the names of ECS have 32.
const LONGEST_NAME: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The tasks that open firings are still to start.
    pub(super) coming: HashMap<FiringId, Coming>,
    pub(super) live: HashMap<TaskId, Live>,
    ended: VecDeque<Ended>,
    /// The newest durable firing that takes the place of everything before it.
    replacement: Option<(DecisionId, FiringId)>,
    /// Wakes firings that wait for others of the job; only where one has waited.
    changed: Option<Arc<Notify>>,
    /// What the queue rule needs beside; only of jobs that use it.
    pub(super) track: Option<Box<Track>>,
}

/// The tasks that a firing is still to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coming {
    tasks: u32,
    decision: DecisionId,
    /// Whether a call is under way that may start them, or is about to be made.
    sent: bool,
}

impl Coming {
    /// Tells whether it was decided, and is durable, before this decision.
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
    seen: Timestamp,
    id: TaskId,
    life: Life,
}

/// What the queue rule wants to know of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) launched: Timestamp,
    pub(super) end: Option<End>,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) clean: bool,
    /// Whether it ran at all, and so may have taken messages.
    pub(super) ran: bool,
}

impl End {
    /// Reads the end of a stopped task: when the launcher says it was, but not before the launch and not after it was
    /// seen.
    fn of(task: &TaskState, launched: Timestamp, seen: Timestamp) -> Self {
        let at = task.stopped_at.unwrap_or(seen).min(seen).max(launched.min(seen));
        Self { at, clean: task.succeeded(), ran: task.started_at.is_some() }
    }
}

impl Account {
    pub(super) fn is_empty(&self) -> bool {
        self.coming.is_empty() && self.live.is_empty() && self.ended.is_empty() && self.track.is_none()
    }

    pub(super) fn enter(&mut self, firing: &Firing, now: Timestamp) {
        let coming = if firing.state.is_open() && firing.state != FiringState::Launched {
            firing.shortfall()
        } else {
            0
        };
        if coming > 0 {
            let sent = firing.unanswered().is_some();
            let coming = Coming { tasks: coming, decision: firing.decision, sent };
            self.coming.insert(firing.id.clone(), coming);
        } else {
            self.coming.remove(&firing.id);
        }
        let newest = self.replacement.as_ref().map_or(DecisionId::default(), |(decision, _)| *decision);
        if coming > 0 && firing.is_replacement() && firing.decision > newest {
            self.replacement = Some((firing.decision, firing.id.clone()));
        }
        for task in &firing.tasks {
            if task.phase == TaskPhase::Stopped {
                self.end(task, now);
            } else {
                self.live(task, firing, now);
            }
        }
        self.forget(now);
        if let Some(changed) = &self.changed {
            changed.notify_waiters();
        }
    }

    fn live(&mut self, task: &TaskState, firing: &Firing, now: Timestamp) {
        let launched = firing.last_sent();
        let started = task.started_at.map(|started| started.min(now));
        if let Some(known) = self.live.get_mut(&task.task_id) {
            known.started = started;
            return;
        }
        let live = Live { decision: firing.decision, launched, started };
        self.live.insert(task.task_id.clone(), live);
        if let Some(track) = &mut self.track {
            track.launched(launched);
        }
    }

    fn end(&mut self, task: &TaskState, now: Timestamp) {
        let Some(live) = self.live.remove(&task.task_id) else { return };
        let end = End::of(task, live.launched, now);
        if let Some(track) = &mut self.track {
            track.ended(end);
        }
        let life = Life { launched: live.launched, end: Some(end) };
        self.ended.push_back(Ended { seen: now, id: task.task_id.clone(), life });
    }

    fn forget(&mut self, now: Timestamp) {
        while self.ended.front().is_some_and(|ended| now.duration_since(ended.seen) > REMEMBER_ENDED) {
            self.ended.pop_front();
        }
    }

    /// Returns how many tasks are still to be started.
    pub(super) fn coming(&self) -> u32 {
        sum(self.coming.values())
    }

    /// Returns the firing that takes the place of one of this decision.
    pub(super) fn superseding(&self, decision: DecisionId) -> Option<FiringId> {
        let (newer, id) = self.replacement.as_ref()?;
        (*newer > decision).then(|| id.clone())
    }

    /// Returns what was decided before this decision and has not ended.
    pub(super) fn older(&self, than: DecisionId) -> Older {
        let firings = self.coming.values().filter(|coming| coming.is_before(than)).count();
        let tasks = self.live.iter().filter(|(_, live)| live.decision < than);
        Older { firings, tasks: tasks.map(|(id, _)| id.clone()).collect() }
    }

    /// Returns how many tasks there are, or may be at any moment, beside those that this firing is still to start. Of newer
    /// firings only calls under way count: they leave room for it. Where there is room below the limit, the firing's own
    /// call counts as under way from now on: it is noted first, and meanwhile an older firing may turn up.
    pub(super) fn claim(&mut self, firing: &Firing, limit: u32) -> u32 {
        let others = self
            .coming
            .iter()
            .filter(|(id, coming)| **id != firing.id && (coming.sent || coming.is_before(firing.decision)));
        let live = u32::try_from(self.live.len()).unwrap_or(u32::MAX);
        let beside = live.saturating_add(sum(others.map(|(_, coming)| coming)));
        if beside < limit
            && let Some(own) = self.coming.get_mut(&firing.id)
        {
            own.sent = true;
        }
        beside
    }

    /// Returns what wakes those who wait for a change.
    pub(super) fn changed(&mut self) -> Arc<Notify> {
        Arc::clone(self.changed.get_or_insert_default())
    }

    pub(super) fn busy(&mut self, reported: &Population, now: Timestamp) -> u32 {
        self.forget(now);
        let strangers = self.strangers(reported).count();
        u32::try_from(self.live.len() + strangers).unwrap_or(u32::MAX).saturating_add(self.coming())
    }

    /// Returns the tasks that the launcher reports and the ledger does not know.
    fn strangers<'a>(&'a self, reported: &'a Population) -> impl Iterator<Item = &'a TaskId> {
        let ended: HashSet<&TaskId> = self.ended.iter().map(|ended| &ended.id).collect();
        let known = move |task: &&TaskId| self.live.contains_key(*task) || ended.contains(task);
        reported.tasks.iter().filter(move |task| !known(task))
    }

    /// Names what is busy, oldest first.
    pub(super) fn named(&self, reported: &Population) -> String {
        let mut live: Vec<_> = self.live.iter().collect();
        live.sort_by_key(|(id, live)| (live.launched, *id));
        let strangers: Vec<_> = self.strangers(reported).collect();
        let all = live.len() + strangers.len();
        let own = live.into_iter().map(|(id, live)| match live.started {
            Some(started) => format!("task {} running since {started:.0}", short(id)),
            None => format!("task {} pending since {:.0}", short(id), live.launched),
        });
        let strangers = strangers.into_iter().map(|id| format!("task {}", short(id)));
        let mut named: Vec<String> = own.chain(strangers).take(NAMED).collect();
        if all > NAMED {
            named.push(format!("{} more", all - NAMED));
        }
        let coming = self.coming();
        if coming > 0 {
            named.push(format!("{coming} being started"));
        }
        named.join(", ")
    }

    /// Returns how many tasks cannot have taken a message yet.
    pub(super) fn unclaimed(&self, now: Timestamp) -> u32 {
        let waits = |live: &&Live| live.started.is_none_or(|at| now.duration_since(at) < CLAIMS_AFTER);
        let waiting = self.live.values().filter(waits).count();
        u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(self.coming())
    }

    /// Returns every task that the ledger or the journal knows, each once.
    pub(super) fn past(&self, journalled: &[Firing], now: Timestamp) -> Vec<Life> {
        let mut lives: HashMap<&TaskId, Life> = HashMap::new();
        for firing in journalled {
            for task in &firing.tasks {
                let launched = firing.last_sent();
                let end = (task.phase == TaskPhase::Stopped).then(|| End::of(task, launched, now));
                lives.insert(&task.task_id, Life { launched, end });
            }
        }
        // The ledger is newer than what was read of the journal.
        lives.extend(self.live.iter().map(|(id, live)| (id, Life { launched: live.launched, end: None })));
        lives.extend(self.ended.iter().map(|ended| (&ended.id, ended.life)));
        lives.into_values().collect()
    }
}

/// Returns the end of a task's name, which tells ARNs apart; the last characters of a long one.
fn short(id: &TaskId) -> String {
    let name = id.as_str().rsplit('/').next().unwrap_or_default();
    match name.char_indices().nth_back(LONGEST_NAME - 1) {
        Some((start @ 1.., _)) => format!("…{}", &name[start..]),
        Some(_) | None => name.to_owned(),
    }
}

fn sum<'a>(coming: impl Iterator<Item = &'a Coming>) -> u32 {
    coming.map(|coming| coming.tasks).fold(0, u32::saturating_add)
}
