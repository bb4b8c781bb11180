//! The launches and exits of one job, as the queue rule needs them.

use jiff::{SignedDuration, Timestamp};

use super::QueueSample;
use super::event_counter::EventCounter;
use super::lifetime::{TaskExit, TaskLifetime};
use crate::job::Revision;
use crate::queue::{OwnTasks, QueueHistory};

/// How long a history is kept without a sample; it is read again from the journal.
const STALE_AFTER: SignedDuration = SignedDuration::from_hours(48);

/// Launches and exits of one job, and the rule's memory of its queue.
#[derive(Debug, Clone)]
pub(super) struct LaunchHistory {
    memory: Option<(Revision, QueueHistory)>,
    succeeded: EventCounter,
    /// Failures of tasks that ran.
    failed: EventCounter,
    launched: EventCounter,
    emptied: Option<Timestamp>,
    last_end: Option<Timestamp>,
    sampled: Timestamp,
    /// The shortest settle time and visibility timeout of its samples: older events are kept as a sum.
    shortest: (SignedDuration, SignedDuration),
    /// Its moments are from before a step of the clock.
    invalidated: bool,
}

impl LaunchHistory {
    pub(super) fn invalidate(&mut self) {
        self.invalidated = true;
    }

    pub(super) fn is_invalidated(&self) -> bool {
        self.invalidated
    }

    /// Tells whether it can answer for a sample with this settle time and visibility timeout. It cannot if an edit has lengthened
    /// one of them.
    pub(super) fn covers(&self, settle: SignedDuration, hidden: SignedDuration) -> bool {
        settle <= self.shortest.0 && hidden <= self.shortest.1
    }

    pub(super) fn new(lifetimes: Vec<TaskLifetime>, now: Timestamp) -> Self {
        let mut history = Self {
            memory: None,
            succeeded: EventCounter::default(),
            failed: EventCounter::default(),
            launched: EventCounter::default(),
            emptied: None,
            last_end: None,
            sampled: now,
            shortest: (SignedDuration::MAX, SignedDuration::MAX),
            invalidated: false,
        };
        for lifetime in lifetimes {
            history.record_launch(lifetime.launched);
            if let Some(exit) = lifetime.exit {
                history.record_exit(exit);
            }
        }
        history
    }

    pub(super) fn record_launch(&mut self, at: Timestamp) {
        self.launched.add(at);
    }

    pub(super) fn record_exit(&mut self, exit: TaskExit) {
        self.last_end = self.last_end.max(Some(exit.at));
        if exit.succeeded {
            self.succeeded.add(exit.at);
            self.emptied = self.emptied.max(Some(exit.at));
        } else if exit.ran {
            self.failed.add(exit.at);
        }
    }

    /// Counts the job's own tasks as of now; the busy ones are counted elsewhere.
    pub(super) fn own_tasks(&mut self, sample: &QueueSample<'_>, reserved: u32) -> OwnTasks {
        let shown = before(sample.asked, sample.settle);
        let hidden =
            SignedDuration::try_from(sample.reading.visibility_timeout).unwrap_or(SignedDuration::MAX);
        let invisible = before(sample.now, hidden);
        self.shortest = (self.shortest.0.min(sample.settle), self.shortest.1.min(hidden));
        self.succeeded.evict(shown);
        self.failed.evict(invisible);
        self.launched.evict(shown);
        let launched = self.emptied.map_or(0, |at| self.launched.between(at, sample.now));
        OwnTasks {
            busy: 0,
            not_started: 0,
            completed: self.succeeded.until(sample.now),
            completed_before: self.succeeded.until(shown),
            failed_lately: self.failed.between(shown.max(invisible), sample.now),
            failed_before: self.failed.between(invisible, shown),
            last_empty: self.emptied,
            launched_since: launched.saturating_add(reserved),
            last_end: self.last_end,
        }
    }

    /// Returns the memory of the queue for this version of the job.
    pub(super) fn memory(&self, revision: Revision) -> QueueHistory {
        let known = self.memory.as_ref().filter(|(version, _)| *version == revision);
        known.map(|(_, memory)| memory.clone()).unwrap_or_default()
    }

    pub(super) fn remember(&mut self, revision: Revision, memory: QueueHistory, now: Timestamp) {
        self.memory = Some((revision, memory));
        self.sampled = now;
    }

    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        now.duration_since(self.sampled) > STALE_AFTER
    }
}

fn before(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_sub(by).unwrap_or(Timestamp::MIN)
}
