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
const MAX_LAG: SignedDuration = SignedDuration::from_mins(15);

/// For how long a measured convergence is remembered.
const CONVERGENCE_TTL: SignedDuration = SignedDuration::from_hours(24);

/// How many times counts must have converged before it counts as quick: an age that is short now may be long in a minute.
const MIN_SAMPLES: u32 = 20;

/// By how much `settle` must be longer than the slowest of these before that is worth a word.
const MIN_SLACK: SignedDuration = SignedDuration::from_secs(10);

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

/// How long counts were seen to take to show what had happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convergence {
    /// How long.
    pub took: SignedDuration,
    /// When that was seen.
    pub at: Timestamp,
}

/// What the rule remembers of one job's queue. An edit of the job starts it anew.
///
/// # Proof
///
/// What `oneShot` promises, with arrivals `A`, clean exits `E`, failures `X`, messages `T` that cleanly ended tasks
/// took, `S = k E − T` that they could have taken beside, and `L` not shorter than the lag:
///
/// 1. A sample shows the queue at a moment `s ≥ now − L`, where `V + F ≤ A(s) − T(s) ≤ A(now) − T(now − L)`. With
///    `C(now − L) = T(now − L) + S(now − L)` added that is at most `A(now) + S(now)`, which never falls. So the greatest
///    such sum is no larger either, and `outstanding ≤ A + S − k E = A − T`.
/// 2. A launch leaves `busy ≤ ⌈(A − T) / k⌉`, so `launched = E + X + busy ≤ ⌈(A + S) / k⌉ + X`. With `k = 1` that is
///    `A + X` plus the tasks that found nothing, of which there are none:
/// 3. After a launch `k (busy − 1) < outstanding − still_invisible`. If a task found nothing, then at the last launch before it
///    ended all of `A − T` was for the other `busy − 1`, which take `k` each at most, and for tasks that had failed:
///    those did or hide more than `still_invisible` of it. Nothing fails, no task finds nothing. With `k = 1` a failed task did
///    nothing and `still_invisible` is no smaller than what is hidden, so then neither.
/// 4. If messages stay visible and nothing is busy, a settle later `C(now − L) = C(now)`, nothing failed lately and
///    `still_invisible ≤ F`: so `outstanding − still_invisible ≥ V > 0`, and there is a launch.
#[derive(Debug, Clone, Default)]
pub struct QueueHistory {
    /// A proven lower bound of the messages that ever arrived, on the scale of [`OwnTasks::completed`] × k.
    arrivals: u64,
    /// Since when the counts are below what the bound leaves.
    short_since: Option<Timestamp>,
    /// The visible messages of the last sample.
    visible: u64,
    last_empty: Option<LastEmpty>,
    /// The last sample, if no task of the job was at work.
    quiet: Option<Quiet>,
    convergence: Option<Convergence>,
    drained: Option<Drained>,
}

/// How soon the counts showed that the queue was empty after the last task had ended, since a while.
#[derive(Debug, Clone, Copy)]
struct Drained {
    since: Timestamp,
    times: u32,
    /// The longest of these times, and when it was seen last.
    slowest: Convergence,
    /// The end that was counted last.
    ended: Timestamp,
}

/// The newest clean exit, and what was visible around it.
#[derive(Debug, Clone, Copy)]
struct LastEmpty {
    at: Timestamp,
    /// Visible in the last sample before the exit was known. A count that lags may show it once more.
    before: u64,
    /// The fewest visible since then.
    low: u64,
}

/// A sample that was taken while no task of the job was at work.
#[derive(Debug, Clone, Copy)]
struct Quiet {
    asked: Timestamp,
    left: u64,
    last_end: Option<Timestamp>,
}

impl QueueHistory {
    /// Takes in a sample and says what follows from it.
    pub fn record(&mut self, sample: &Sample<'_>) -> QueueFacts {
        let Sample { reading, tasks, .. } = sample;
        self.record_convergence(sample);
        self.record_drained(sample);
        let slow = self.convergence.filter(|known| known.took > sample.settle);
        QueueFacts {
            reading: (*reading).clone(),
            outstanding: self.outstanding(sample),
            still_invisible: still_invisible(tasks, reading),
            not_started: tasks.not_started,
            since_empty: self.since_empty(sample),
            slow,
            quick: self.quick(sample.settle).filter(|_| slow.is_none()),
        }
    }

    /// Returns the longest that counts were seen to take to converge at least, within a day.
    #[must_use]
    pub fn convergence(&self) -> Option<Convergence> {
        self.convergence
    }

    /// Returns how long counts take at most, where that was seen often and is clearly less than `settle`.
    fn quick(&self, settle: SignedDuration) -> Option<Convergence> {
        let often = self.drained.filter(|drained| drained.times >= MIN_SAMPLES);
        often.map(|drained| drained.slowest).filter(|slowest| slowest.took + MIN_SLACK <= settle)
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
        let visible = sample.reading.visible;
        let before = std::mem::replace(&mut self.visible, visible);
        let at = sample.tasks.last_empty.filter(|at| sample.asked > *at)?;
        let known = self.last_empty.filter(|known| known.at == at);
        let known = known.unwrap_or(LastEmpty { at, before, low: visible });
        let low = known.low.min(visible);
        self.last_empty = Some(LastEmpty { low, ..known });
        // Lag does not only grow and shrink slowly: a later sample may show an earlier moment.
        let growth = visible.saturating_sub(low.max(known.before));
        (sample.asked.duration_since(at) < sample.settle)
            .then_some(SinceEmpty { growth, launched: sample.tasks.launched_since })
    }

    /// While no task of the job is at work only lag can make messages fewer: a count that falls was older than the end
    /// of the last task.
    fn record_convergence(&mut self, sample: &Sample<'_>) {
        let OwnTasks { busy, not_started, last_end, .. } = *sample.tasks;
        let left = sample.reading.visible.saturating_add(sample.reading.in_flight);
        let now = (busy == not_started).then_some(Quiet { asked: sample.asked, left, last_end });
        let before = std::mem::replace(&mut self.quiet, now);
        self.convergence =
            self.convergence.filter(|known| sample.asked.duration_since(known.at) <= CONVERGENCE_TTL);
        let (Some(before), Some(now), Some(ended)) = (before, now, last_end) else { return };
        if before.last_end != last_end || now.left >= before.left {
            return;
        }
        let took = before.asked.duration_since(ended);
        let lag = took.is_positive() && took <= MAX_LAG;
        if lag && self.convergence.is_none_or(|known| took >= known.took) {
            self.convergence = Some(Convergence { took, at: sample.asked });
        }
    }

    /// Once no task of the job is at work, counts of zero show the end of the last one: they are no older than that.
    fn record_drained(&mut self, sample: &Sample<'_>) {
        let OwnTasks { busy, not_started, last_end, .. } = *sample.tasks;
        self.drained =
            self.drained.filter(|drained| sample.asked.duration_since(drained.since) <= CONVERGENCE_TTL);
        let is_empty = sample.reading.visible == 0 && sample.reading.in_flight == 0;
        let Some(ended) = last_end.filter(|ended| is_empty && busy == not_started && sample.asked > *ended)
        else {
            return;
        };
        let took = Convergence { took: sample.asked.duration_since(ended), at: sample.asked };
        let Some(known) = &mut self.drained else {
            self.drained = Some(Drained { since: sample.asked, times: 1, slowest: took, ended });
            return;
        };
        if known.ended == ended {
            return;
        }
        known.times += 1;
        known.ended = ended;
        if took.took >= known.slowest.took {
            known.slowest = took;
        }
    }
}

/// Returns how many messages failed tasks may still keep invisible: k each, but those that failed longer ago than counts
/// can lag keep no more together than are in flight.
fn still_invisible(tasks: &OwnTasks, reading: &QueueReading) -> u64 {
    let k = u64::from(reading.per_task.get());
    let lately = u64::from(tasks.failed_lately).saturating_mul(k);
    let before = u64::from(tasks.failed_before).saturating_mul(k);
    lately.saturating_add(before.min(reading.in_flight))
}
