//! What the queue rule needs of one job's launches and exits.

use jiff::{SignedDuration, Timestamp};

use super::QueueLook;
use super::event_counter::Tally;
use super::job_tasks::{End, Life};
use crate::job::Revision;
use crate::queue::{OwnTasks, QueueMemory};

/// For how long a job may go without a look before its record is dropped; it is built anew from the journal.
const STALE_AFTER: SignedDuration = SignedDuration::from_hours(48);

/// Launches and exits of one job, and what the rule remembers of its queue.
#[derive(Debug)]
pub(super) struct Track {
    memory: Option<(Revision, QueueMemory)>,
    clean: Tally,
    /// Failures of tasks that ran.
    failed: Tally,
    launched: Tally,
    emptied: Option<Timestamp>,
    last_end: Option<Timestamp>,
    looked: Timestamp,
    /// Whether it rests on moments of a clock that was moved since.
    outdated: bool,
}

impl Track {
    pub(super) fn outdate(&mut self) {
        self.outdated = true;
    }

    pub(super) fn is_outdated(&self) -> bool {
        self.outdated
    }

    pub(super) fn new(past: Vec<Life>, now: Timestamp) -> Self {
        let mut track = Self {
            memory: None,
            clean: Tally::default(),
            failed: Tally::default(),
            launched: Tally::default(),
            emptied: None,
            last_end: None,
            looked: now,
            outdated: false,
        };
        for life in past {
            track.launched(life.launched);
            if let Some(end) = life.end {
                track.ended(end);
            }
        }
        track
    }

    pub(super) fn launched(&mut self, at: Timestamp) {
        self.launched.add(at);
    }

    pub(super) fn ended(&mut self, end: End) {
        self.last_end = self.last_end.max(Some(end.at));
        if end.clean {
            self.clean.add(end.at);
            self.emptied = self.emptied.max(Some(end.at));
        } else if end.ran {
            self.failed.add(end.at);
        }
    }

    /// Counts, as of now, all but what is busy.
    pub(super) fn own_tasks(&mut self, look: &QueueLook<'_>, coming: u32) -> OwnTasks {
        let shown = earlier(look.asked, look.settle);
        let hidden = SignedDuration::try_from(look.reading.visibility_timeout).unwrap_or(SignedDuration::MAX);
        let invisible = earlier(look.now, hidden);
        self.clean.forget(shown);
        self.failed.forget(invisible);
        self.launched.forget(shown);
        let launched = self.emptied.map_or(0, |at| self.launched.between(at, look.now));
        OwnTasks {
            busy: 0,
            unclaimed: 0,
            completed: self.clean.until(look.now),
            completed_before: self.clean.until(shown),
            failed_lately: self.failed.between(shown.max(invisible), look.now),
            failed_before: self.failed.between(invisible, shown),
            emptied: self.emptied,
            launched_since: launched.saturating_add(coming),
            last_end: self.last_end,
        }
    }

    /// Returns what is remembered of the queue by this version of the job.
    pub(super) fn memory(&self, revision: Revision) -> QueueMemory {
        let known = self.memory.as_ref().filter(|(version, _)| *version == revision);
        known.map(|(_, memory)| memory.clone()).unwrap_or_default()
    }

    pub(super) fn remember(&mut self, revision: Revision, memory: QueueMemory, now: Timestamp) {
        self.memory = Some((revision, memory));
        self.looked = now;
    }

    pub(super) fn is_stale(&self, now: Timestamp) -> bool {
        now.duration_since(self.looked) > STALE_AFTER
    }
}

fn earlier(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_sub(by).unwrap_or(Timestamp::MIN)
}
