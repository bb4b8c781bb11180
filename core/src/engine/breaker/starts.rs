//! The starts of a job's newest firings, and the state of its breaker that follows from them.
//!
//! The state depends on the journal alone: after a restart or a failover, the same firings give the same state. It does not depend
//! on the order in which ends are seen, because every failure and every start has its moment.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{BreakerPhase, BreakerState, CANARY};
use crate::clock::is_ahead;
use crate::diagnosis::Diagnosis;
use crate::engine::time_limit::START_TIMEOUT;
use crate::firing::{Firing, FiringState, Origin};
use crate::id::{DecisionId, FiringId};
use crate::policy::Breaker;
use crate::task::{TaskEnd, TaskPhase, TaskState};
use crate::text::make_line;

#[cfg(test)]
mod tests;

/// The number of newest firings that are kept.
pub(in crate::engine) const MAX_STARTS: usize = 100;

/// The stop code of a task that failed to start, also if one of its containers had started.
const FAILED_TO_START: &str = "TaskFailedToStart";

/// The starts of a job's newest firings, by decision.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct StartHistory(BTreeMap<DecisionId, FiringStart>);

/// The start of one firing's tasks.
#[derive(Debug, Clone)]
struct FiringStart {
    firing: FiringId,
    is_canary: bool,
    result: StartResult,
}

/// The result of the start of a firing's tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StartResult {
    /// None has started, and one still may.
    Open,
    /// A task started; the newest one at this moment.
    Started(Timestamp),
    /// None started, and none will.
    Failed(StartFailure),
    /// It says nothing about the job: nothing was sent, tasks were stopped by hand, or their fate is unknown.
    Neutral,
}

/// The failed start of a firing.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StartFailure {
    /// When the last of its tasks ended, or the newest call was sent if there is none.
    at: Timestamp,
    /// How many of its tasks failed to start; 1 if the launcher refused them.
    failures: u64,
    reason: String,
}

impl StartHistory {
    pub(in crate::engine) fn from_firings<'f>(firings: impl IntoIterator<Item = &'f Firing>) -> Self {
        let mut history = Self::default();
        firings.into_iter().for_each(|firing| history.record(firing));
        history
    }

    /// Records the newest state of a firing.
    pub(in crate::engine) fn record(&mut self, firing: &Firing) {
        self.0.insert(firing.decision, FiringStart::from_firing(firing));
        while self.0.len() > MAX_STARTS {
            // Firings that say nothing about the job take no place of those that do.
            let neutral = self.0.iter().find(|(_, start)| start.result == StartResult::Neutral);
            match neutral.map(|(decision, _)| *decision) {
                Some(decision) => drop(self.0.remove(&decision)),
                None => drop(self.0.pop_first()),
            }
        }
    }

    /// Adds firings of the journal that are not known yet.
    pub(in crate::engine) fn add_older(&mut self, mut journal: Self) {
        journal.0.append(&mut self.0);
        *self = journal;
    }

    /// Returns the state of the breaker at the moment `now`.
    pub(in crate::engine) fn state(&self, breaker: &Breaker, now: Timestamp) -> BreakerState {
        let started = |start: &FiringStart| match start.result {
            StartResult::Started(at) => Some(at),
            StartResult::Open | StartResult::Failed(_) | StartResult::Neutral => None,
        };
        let last_start = self.0.values().filter_map(started).max();
        let failed = self.0.values().filter_map(|start| match &start.result {
            StartResult::Failed(failure) if last_start.is_none_or(|last| failure.at > last) => {
                Some((failure, start.is_canary))
            }
            StartResult::Failed(_) | StartResult::Open | StartResult::Started(_) | StartResult::Neutral => {
                None
            }
        });
        let mut failed: Vec<(&StartFailure, bool)> = failed.collect();
        failed.sort_by_key(|(failure, _)| failure.at);
        let mut failures = 0;
        let mut since = None;
        for (failure, _) in &failed {
            failures += failure.failures;
            since = since.or((failures >= u64::from(breaker.failures.get())).then_some(failure.at));
        }
        let (Some(since), Some((newest, _))) = (since, failed.last()) else {
            return BreakerState { failures, ..BreakerState::closed() };
        };
        let canaries = u32::try_from(failed.iter().filter(|(_, is_canary)| *is_canary).count());
        let canaries = canaries.unwrap_or(u32::MAX);
        let canary = self.0.values().find(|start| start.is_canary && start.result == StartResult::Open);
        let waits = canary.is_none() && canaries < Breaker::MAX_CANARIES;
        BreakerState {
            state: BreakerPhase::Open,
            failures,
            since: Some(since),
            canaries,
            canary: canary.map(|start| start.firing.clone()),
            next_canary: waits.then(|| next_canary(breaker, newest.at, canaries, now)),
            reason: Some(newest.reason.clone()),
        }
    }
}

/// Returns when the next canary may start. A failure from a time when the clock was ahead does not delay it.
fn next_canary(breaker: &Breaker, failed: Timestamp, canaries: u32, now: Timestamp) -> Timestamp {
    if is_ahead(failed, now) {
        return now;
    }
    let delay = SignedDuration::try_from(breaker.delay_after(canaries)).unwrap_or(SignedDuration::MAX);
    failed.checked_add(delay).unwrap_or(Timestamp::MAX)
}

impl FiringStart {
    fn from_firing(firing: &Firing) -> Self {
        // The rule of the breaker is the last one.
        let last_step = firing.explanation.rsplit("; ").next().unwrap_or_default();
        let is_canary = firing.origin == Origin::Tick && last_step.starts_with(CANARY);
        Self { firing: firing.id.clone(), is_canary, result: StartResult::from_firing(firing) }
    }
}

impl StartResult {
    fn from_firing(firing: &Firing) -> Self {
        if let Some(at) = firing.tasks.iter().filter_map(|task| started_at(task, firing)).max() {
            return Self::Started(at);
        }
        let may_start = match firing.state {
            FiringState::Planned | FiringState::Launching => true,
            // A firing whose failed tasks start again stays launched.
            FiringState::Launched => firing.tasks.iter().any(|task| task.phase != TaskPhase::Stopped),
            FiringState::Finished
            | FiringState::Refused
            | FiringState::Unknown
            | FiringState::Expired
            | FiringState::Cancelled => false,
        };
        if may_start {
            return Self::Open;
        }
        // A firing by hand may have other parameters than the job.
        if firing.origin == Origin::Manual {
            return Self::Neutral;
        }
        let mut failed = firing.tasks.iter().filter(|task| failed_to_start(task)).peekable();
        if let Some(first) = failed.peek() {
            let reason = first.explained_cause().to_string();
            let ended = firing.tasks.iter().filter_map(|task| task.stopped_at).max();
            let at = ended.unwrap_or_else(|| firing.last_sent());
            return Self::Failed(StartFailure::new(at, failed.count() as u64, reason));
        }
        if firing.is_refused_for_good() {
            let reason = firing.note.clone().unwrap_or_default();
            return Self::Failed(StartFailure::new(firing.last_sent(), 1, reason));
        }
        Self::Neutral
    }
}

impl StartFailure {
    fn new(at: Timestamp, failures: u64, mut reason: String) -> Self {
        make_line(&mut reason);
        Self { at, failures, reason }
    }
}

/// Returns when a task started, if it did.
fn started_at(task: &TaskState, firing: &Firing) -> Option<Timestamp> {
    if task.stop_code.as_deref() == Some(FAILED_TO_START) {
        return None;
    }
    let ran = task.phase == TaskPhase::Running || task.exit_code.is_some();
    task.started_at.or_else(|| ran.then(|| task.accepted_at.unwrap_or(firing.observed)))
}

/// Tells whether a task without a start failed to start: the platform could not start it, or it exceeded `startTimeout`. A task that the
/// launcher lost may have run.
fn failed_to_start(task: &TaskState) -> bool {
    let has_cause = |code: &str| task.diagnosis.as_ref().is_some_and(|diagnosis| diagnosis.code == code);
    match task.end() {
        Some(TaskEnd::Failed) => !has_cause(&Diagnosis::TASK_LOST.code),
        Some(TaskEnd::Stopped) => has_cause(START_TIMEOUT),
        Some(TaskEnd::Succeeded) | None => false,
    }
}
