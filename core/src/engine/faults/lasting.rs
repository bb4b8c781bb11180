//! Faults of single jobs that do not pass by themselves: records that the store refuses, and tasks that cannot be observed or
//! stopped.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Failing, describe_fault};
use crate::decide::TickOutcome;
use crate::id::JobUid;

/// The action that fails for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FaultyAction {
    /// The store refuses the outcomes of its ticks.
    RecordTicks,
    /// The store refuses the state of a firing, or of its tasks.
    RecordFiring,
    /// The launcher does not tell the states of its tasks.
    ObserveTasks,
    /// The launcher does not stop its tasks.
    StopTasks,
}

impl FaultyAction {
    const ALL: [Self; 4] = [Self::RecordTicks, Self::RecordFiring, Self::ObserveTasks, Self::StopTasks];

    /// Tells whether the fault is the store's; otherwise it is the launcher's.
    const fn is_of_store(self) -> bool {
        matches!(self, Self::RecordTicks | Self::RecordFiring)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::RecordTicks => "the store refuses to record the outcome of a tick",
            Self::RecordFiring => "the store refuses to record the state of a firing",
            Self::ObserveTasks => "tasks cannot be observed",
            Self::StopTasks => "a task cannot be stopped",
        }
    }
}

/// The actions that fail, by job, and the numbers of the engines.
#[derive(Debug, Default)]
pub(super) struct LastingFaults(HashMap<(JobUid, FaultyAction), (u64, Failing)>);

impl LastingFaults {
    /// Records that an action fails for a job, which concerns this many ticks; returns whether it did not fail before.
    pub(super) fn record(
        &mut self,
        engine: u64,
        (uid, action): (JobUid, FaultyAction),
        error: &str,
        ticks: u64,
        now: Timestamp,
    ) -> bool {
        let outcome = if action.is_of_store() { TickOutcome::Unknown } else { TickOutcome::LiveUnknown };
        let reason = format!("{}: {error}", action.text());
        let since = self.0.get(&(uid, action)).map(|(_, failing)| failing.since);
        let failing = Failing { outcome, reason, since: since.unwrap_or(now), ticks };
        self.0.insert((uid, action), (engine, failing));
        since.is_none()
    }

    /// Records that the action does not fail any more for the job; returns since when it failed.
    pub(super) fn end(&mut self, uid: JobUid, action: FaultyAction) -> Option<Timestamp> {
        self.0.remove(&(uid, action)).map(|(_, failing)| failing.since)
    }

    /// Ends the faults of an action and engine, except for these jobs.
    pub(super) fn end_others(&mut self, engine: u64, action: FaultyAction, still: impl Fn(&JobUid) -> bool) {
        self.0.retain(|(uid, of), (by, _)| *of != action || *by != engine || still(uid));
    }

    pub(super) fn forget(&mut self, uid: &JobUid) {
        self.0.retain(|(of, _), _| of != uid);
    }

    pub(super) fn forget_engine(&mut self, engine: u64) {
        self.0.retain(|_, (of, _)| *of != engine);
    }

    /// Returns the fault of a job.
    pub(super) fn get(&self, uid: &JobUid, of_store: bool) -> Option<&Failing> {
        let mut actions = FaultyAction::ALL.into_iter().filter(|action| action.is_of_store() == of_store);
        actions.find_map(|action| self.0.get(&(*uid, action))).map(|(_, failing)| failing)
    }

    /// Returns the jobs with a fault, each once or more.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &JobUid> {
        self.0.keys().map(|(uid, _)| uid)
    }

    /// Describes the oldest fault of the launcher.
    pub(super) fn launcher_fault(&self) -> Option<String> {
        let of_launcher = self.0.iter().filter(|((_, action), _)| !action.is_of_store());
        let faults: Vec<_> = of_launcher.map(|(_, (_, failing))| failing).collect();
        let oldest = faults.iter().min_by_key(|failing| failing.since)?;
        Some(describe_fault(&oldest.reason, faults.len(), oldest.since))
    }
}
