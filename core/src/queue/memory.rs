//! What the rule remembers from one sample of a queue to the next.

use jiff::{SignedDuration, Timestamp};

use super::{OwnTasks, QueueFacts, SinceEmpty};
use crate::trigger::QueueReading;

/// What counts still change by after this long is somebody else's doing, not lag.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>: counts become
/// consistent at least a minute after producers stop sending.
const LONGEST_LAG: SignedDuration = SignedDuration::from_mins(15);

/// For how long a measured convergence is remembered.
const REMEMBER: SignedDuration = SignedDuration::from_hours(24);

/// One look at a queue.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// When the counts were asked for.
    pub asked: Timestamp,
    /// The counts.
    pub reading: &'a QueueReading,
    /// The job's own tasks, read from the ledger after the counts.
    pub tasks: &'a OwnTasks,
    /// The job's `settle`: no count is older than this.
    pub settle: SignedDuration,
}

/// How long counts were seen to take to show what had happened: a lower bound of their lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convergence {
    /// How long.
    pub took: SignedDuration,
    /// When that was seen.
    pub at: Timestamp,
}

/// What the rule remembers of one job's queue. An edit of the job starts it anew.
#[derive(Debug, Clone, Default)]
pub struct QueueMemory {
    /// A proven lower bound of the messages that ever arrived, on the scale of [`OwnTasks::completed`] × k.
    arrivals: u64,
    /// Since when the counts are below what the bound leaves.
    short_since: Option<Timestamp>,
    /// The newest clean exit, and the fewest visible messages seen after it.
    low: Option<(Timestamp, u64)>,
    /// The last sample, if no task of the job was at work.
    quiet: Option<Quiet>,
    convergence: Option<Convergence>,
}

/// A sample that was taken while no task of the job was at work.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    asked: Timestamp,
    left: u64,
    last_end: Option<Timestamp>,
}

impl QueueMemory {
    /// Takes in a sample and says what follows from it.
    pub fn note(&mut self, sample: &Sample<'_>) -> QueueFacts {
        let Sample { reading, tasks, .. } = sample;
        self.note_convergence(sample);
        QueueFacts {
            reading: (*reading).clone(),
            outstanding: self.outstanding(sample),
            held: held(tasks, reading),
            unclaimed: tasks.unclaimed,
            since_empty: self.since_empty(sample),
            slow: self.convergence.filter(|known| known.took > sample.settle),
        }
    }

    /// Returns the longest that counts were seen to take to converge, within a day.
    #[must_use]
    pub fn convergence(&self) -> Option<Convergence> {
        self.convergence
    }

    /// Raises the bound, or gives it up when the counts have stayed below it for longer than they can lag.
    fn outstanding(&mut self, sample: &Sample<'_>) -> u64 {
        let k = u64::from(sample.reading.per_task.get());
        let left = sample.reading.visible.saturating_add(sample.reading.in_flight);
        let done = sample.tasks.completed.saturating_mul(k);
        let seen = left.saturating_add(sample.tasks.completed_before.saturating_mul(k));
        self.arrivals = self.arrivals.max(seen);
        if left >= self.arrivals.saturating_sub(done) {
            self.short_since = None;
        } else {
            let since = *self.short_since.get_or_insert(sample.asked);
            if sample.asked.duration_since(since) > sample.settle + sample.settle {
                self.arrivals = seen;
                self.short_since = None;
            }
        }
        self.arrivals.saturating_sub(done)
    }

    /// Says what happened since the newest clean exit, while counts may be older than it.
    fn since_empty(&mut self, sample: &Sample<'_>) -> Option<SinceEmpty> {
        let emptied = sample.tasks.emptied.filter(|at| sample.asked > *at)?;
        let visible = sample.reading.visible;
        let low = match self.low {
            Some((at, low)) if at == emptied => low.min(visible),
            Some(_) | None => visible,
        };
        self.low = Some((emptied, low));
        (sample.asked.duration_since(emptied) < sample.settle)
            .then(|| SinceEmpty { growth: visible - low, launched: sample.tasks.launched_since })
    }

    /// While no task of the job is at work only lag can make messages fewer: a count that falls was older than the end
    /// of the last task.
    fn note_convergence(&mut self, sample: &Sample<'_>) {
        let OwnTasks { busy, unclaimed, last_end, .. } = *sample.tasks;
        let left = sample.reading.visible.saturating_add(sample.reading.in_flight);
        let now = (busy == unclaimed).then_some(Quiet { asked: sample.asked, left, last_end });
        let before = std::mem::replace(&mut self.quiet, now);
        self.convergence = self.convergence.filter(|known| sample.asked.duration_since(known.at) <= REMEMBER);
        let (Some(before), Some(now), Some(ended)) = (before, now, last_end) else { return };
        if before.last_end != last_end || now.left >= before.left {
            return;
        }
        let took = before.asked.duration_since(ended);
        let lag = took.is_positive() && took <= LONGEST_LAG;
        if lag && self.convergence.is_none_or(|known| took >= known.took) {
            self.convergence = Some(Convergence { took, at: sample.asked });
        }
    }
}

/// Returns how many failed tasks still keep messages invisible. Those that failed longer ago than counts can lag hold
/// no more messages than are in flight.
fn held(tasks: &OwnTasks, reading: &QueueReading) -> u32 {
    let in_flight = u32::try_from(reading.in_flight).unwrap_or(u32::MAX);
    tasks.failed_lately.saturating_add(tasks.failed_before.min(in_flight))
}
