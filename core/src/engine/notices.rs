//! Notices: what happened to jobs and may be worth a notification. The journal has it already, so a lost notice is found there.

use std::sync::atomic::AtomicUsize;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::decide::TickSpan;
use crate::firing::Firing;
use crate::id::{FiringId, JobId, JobUid};
use crate::job::StoredJob;

/// The maximum number of notices that wait. When there are more, the journal is read.
const MAX_NOTICES: usize = 10_000;
/// The maximum number of overdue jobs that are known at once.
const MAX_OVERDUE: usize = 1_000;

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// Ticks were reached too late.
    Missed { job: JobId, uid: JobUid, ticks: TickSpan },
    /// It cannot be determined whether a firing started further tasks than these.
    Unknown { job: JobId, uid: JobUid, firing: FiringId, note: String, started: u32 },
    /// The job was written at this moment and is suspended, or was suspended before.
    Suspension { job: JobId, changed: Timestamp },
}

impl Notice {
    /// Events of the journal that are older than this at the start of an engine are not told any more.
    pub(super) const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

    pub(super) fn missed(job: &JobId, uid: JobUid, ticks: TickSpan) -> Self {
        Self::Missed { job: job.clone(), uid, ticks }
    }

    pub(super) fn unknown(firing: &Firing) -> Self {
        let (job, uid, note) = (firing.job.clone(), firing.uid, firing.note.clone().unwrap_or_default());
        Self::Unknown { job, uid, firing: firing.id.clone(), note, started: firing.started() }
    }

    pub(super) fn suspension(job: &StoredJob) -> Self {
        Self::Suspension { job: job.id.clone(), changed: job.changed }
    }

    pub(super) fn job(&self) -> &JobId {
        match self {
            Self::Missed { job, .. } | Self::Unknown { job, .. } | Self::Suspension { job, .. } => job,
        }
    }
}

/// The notices of an engine that wait for the part that makes notifications of them.
#[derive(Debug)]
pub(super) struct Notices {
    is_wanted: bool,
    waiting: Mutex<Waiting>,
    /// Wakes that part.
    pub(super) changed: Notify,
    overdue: Mutex<Vec<JobId>>,
    /// How many notifications wait for their delivery.
    pub(super) pending: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    notices: Vec<Notice>,
    /// Whether some did not fit.
    overflow: bool,
}

impl Notices {
    /// Without a notifier, no notice is kept.
    pub(super) fn new(is_wanted: bool) -> Self {
        Self {
            is_wanted,
            waiting: Mutex::default(),
            changed: Notify::new(),
            overdue: Mutex::default(),
            pending: AtomicUsize::new(0),
        }
    }

    /// Adds a notice. The closure runs only if notices are wanted.
    pub(super) fn push(&self, notice: impl FnOnce() -> Notice) {
        if !self.is_wanted {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.notices.len() < MAX_NOTICES {
            waiting.notices.push(notice());
        } else {
            waiting.overflow = true;
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Removes and returns all notices, and whether some were lost.
    pub(super) fn drain(&self) -> (Vec<Notice>, bool) {
        let mut waiting = self.waiting.lock();
        (std::mem::take(&mut waiting.notices), std::mem::take(&mut waiting.overflow))
    }

    /// Puts notices back that could not be handled.
    pub(super) fn requeue(&self, notices: Vec<Notice>) {
        let mut waiting = self.waiting.lock();
        let newer = std::mem::replace(&mut waiting.notices, notices);
        waiting.notices.extend(newer);
    }

    /// Sets the jobs with a tick that waits for its round for too long. The closure gets their maximum number.
    pub(super) fn set_overdue(&self, jobs: impl FnOnce(usize) -> Vec<JobId>) {
        if self.is_wanted {
            *self.overdue.lock() = jobs(MAX_OVERDUE);
        }
    }

    pub(super) fn overdue(&self) -> Vec<JobId> {
        self.overdue.lock().clone()
    }
}

/// Returns the beginning of the time of which events may not have been reported: a little before the last write.
pub(super) fn reported_until(written: Timestamp) -> Timestamp {
    const MARGIN: SignedDuration = SignedDuration::from_mins(2);
    written.saturating_sub(MARGIN).unwrap_or(Timestamp::MIN)
}
