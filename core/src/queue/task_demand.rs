//! The arithmetic of the queue rule, in integers.

use std::fmt;

use super::QueueFacts;
use crate::policy::Mode;
use crate::scaling::per_task;

/// How many tasks to launch by the queue rule, before the job's bounds, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskDemand<'a> {
    /// The number.
    pub(crate) tasks: u32,
    mode: Mode,
    facts: &'a QueueFacts,
    busy: u32,
}

impl<'a> TaskDemand<'a> {
    /// Applies the rule of a mode; `None` for `total`, which ignores the queue.
    pub(crate) fn new(mode: Mode, facts: &'a QueueFacts, busy: u32) -> Option<Self> {
        let k = facts.reading.per_task;
        let waiting = per_task(facts.reading.visible, k);
        let there = per_task(facts.reading.visible.saturating_add(facts.reading.in_flight), k);
        let tasks = match (mode, facts.since_empty) {
            (Mode::Total, _) => return None,
            (Mode::OneShot, _) => {
                let free = facts.outstanding.saturating_sub(facts.still_invisible);
                per_task(free, k).saturating_sub(busy).min(waiting)
            }
            (Mode::Drain, Some(since)) => {
                let grown = per_task(since.growth, k).saturating_sub(since.launched);
                grown.min(there.saturating_sub(busy))
            }
            (Mode::Drain, None) => there.saturating_sub(busy).min(waiting.saturating_sub(facts.not_started)),
        };
        Some(Self { tasks, mode, facts, busy })
    }
}

impl fmt::Display for TaskDemand<'_> {
    /// Writes the arithmetic: `oneShot: 57 messages known to be left ÷ 1 per task, less 12 pending or running, …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { facts, busy, .. } = self;
        let (visible, k) = (facts.reading.visible, facts.reading.per_task);
        match (self.mode, facts.since_empty) {
            (Mode::Total, _) => write!(f, "total")?,
            (Mode::OneShot, _) => {
                write!(f, "oneShot: {} known to be left", facts.outstanding)?;
                if facts.still_invisible > 0 {
                    write!(f, ", less {} that failed tasks may keep invisible,", facts.still_invisible)?;
                }
                write!(
                    f,
                    " ÷ {k} per task, less {busy} pending or running, at most {visible} visible ÷ {k}"
                )?;
            }
            (Mode::Drain, Some(since)) => write!(
                f,
                "drain: found empty lately, {} arrived since ÷ {k} per task, less {} launched since",
                since.growth, since.launched
            )?,
            (Mode::Drain, None) => write!(
                f,
                "drain: {visible} visible and {} in flight ÷ {k} per task, less {busy} pending or running, \
                 at most {visible} visible ÷ {k} less {} not yet at work",
                facts.reading.in_flight, facts.not_started
            )?,
        }
        if let Some(slow) = facts.slow {
            write!(f, " (settle is too short: counts took {} s or more to converge)", slow.took.as_secs())?;
        }
        if let Some(quick) = facts.quick {
            let seconds = quick.took.as_secs_f64().ceil();
            write!(f, " (settle could be shorter: counts took {seconds} s at most to converge)")?;
        }
        Ok(())
    }
}
