//! The state of the queue rule between samples of a queue.

use jiff::{SignedDuration, Timestamp};

use super::{OwnTasks, QueueFacts, SinceEmpty};
use crate::trigger::QueueReading;

/// The maximum lag of counts: later changes have other causes.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>: counts become
/// consistent at least a minute after producers stop sending.
const MAX_LAG: SignedDuration = SignedDuration::from_mins(15);

/// How long a measured convergence time is kept.
const CONVERGENCE_TTL: SignedDuration = SignedDuration::from_hours(24);

/// The minimum number of measured convergence times before counts are called quick, because a single time may be luck.
const MIN_SAMPLES: u32 = 20;

/// The minimum excess of `settle` over the slowest of these that is worth a remark.
const MIN_SLACK: SignedDuration = SignedDuration::from_secs(10);

/// One sample of a queue.
#[derive(Debug, Clone, Copy)]
pub struct HistorySample<'a> {
    /// When the counts were requested.
    pub requested: Timestamp,
    /// The counts.
    pub reading: &'a QueueReading,
    /// The job's own tasks, counted after the queue's counts were read.
    pub tasks: &'a OwnTasks,
    /// The job's `settle`: no count is older than this.
    pub settle: SignedDuration,
}

/// A measured convergence time: how long counts took to show an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convergence {
    /// The convergence time.
    pub took: SignedDuration,
    /// When it was measured.
    pub at: Timestamp,
}

/// The state of the queue rule for one job. An edit of the job resets it.
///
/// # Proof
///
/// Definitions: arrivals `A`, clean exits `E`, failures `X`, messages `T` that cleanly exited tasks took, messages
/// `S = k E − T` that they could have taken in addition, messages `H` that failed tasks may still keep invisible, and `L`
/// not shorter than the lag. Then `oneShot` has these properties:
///
/// 1. A sample shows the queue at a moment `s ≥ now − L`, where `V + F ≤ A(s) − T(s) ≤ A(now) − T(now − L)`. With
///    `C(now − L) = T(now − L) + S(now − L)` added that is at most `A(now) + S(now)`, which never falls. So the greatest
///    such sum is no larger either, and `outstanding ≤ A + S − k E = A − T`.
/// 2. A launch leaves `busy ≤ ⌈(A − T) / k⌉`, so `launched = E + X + busy ≤ ⌈(A + S) / k⌉ + X`. With `k = 1` that is
///    `A + X` plus the tasks that found nothing, of which there are none:
/// 3. After a launch `k (busy − 1) < outstanding − H`. If a task found nothing, then at the last launch before it ended all
///    of `A − T` was for the other `busy − 1`, which take at most `k` each, and for tasks that had failed: these completed or
///    hide more than `H` of it. If no task fails, no task finds nothing. With `k = 1` a failed task completed nothing and
///    `H` is no smaller than the number of hidden messages, so again no task finds nothing.
/// 4. If messages stay visible and nothing is busy, a settle later `C(now − L) = C(now)`, nothing failed lately and
///    `H ≤ F`: so `outstanding − H ≥ V > 0`, and there is a launch.
#[derive(Debug, Clone, Default)]
pub struct QueueHistory {
    /// A proven lower bound of the messages that ever arrived, on the scale of [`OwnTasks::completed`] × k.
    arrivals: u64,
    /// The time since which the counts are below the remaining bound.
    short_since: Option<Timestamp>,
    /// The visible messages of the last sample.
    visible: u64,
    last_empty: Option<LastEmpty>,
    /// The last sample, if no task of the job was working.
    idle_sample: Option<IdleSample>,
    convergence: Option<Convergence>,
    drained: Option<Drained>,
}

/// Convergence times of counts that showed an empty queue after the last task had ended.
#[derive(Debug, Clone, Copy)]
struct Drained {
    since: Timestamp,
    times: u32,
    /// The longest of these times, and when it was last measured.
    slowest: Convergence,
    /// The task end that was measured last.
    ended: Timestamp,
}

/// The newest clean exit, and the visible counts around it.
#[derive(Debug, Clone, Copy)]
struct LastEmpty {
    at: Timestamp,
    /// The visible count in the last sample before the exit was known. A lagging count may show it again.
    before: u64,
    /// The lowest visible count since then.
    low: u64,
}

/// A sample that was taken while no task of the job was working.
#[derive(Debug, Clone, Copy)]
struct IdleSample {
    requested: Timestamp,
    left: u64,
    last_end: Option<Timestamp>,
}

impl QueueHistory {
    /// Records a sample and returns the conclusions from it.
    pub fn record(&mut self, sample: &HistorySample<'_>) -> QueueFacts {
        let HistorySample { reading, tasks, .. } = sample;
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

    /// Returns the longest convergence time measured within a day.
    #[must_use]
    pub fn convergence(&self) -> Option<Convergence> {
        self.convergence
    }

    /// Returns the longest of many convergence times, if it is clearly less than `settle`.
    fn quick(&self, settle: SignedDuration) -> Option<Convergence> {
        let often = self.drained.filter(|drained| drained.times >= MIN_SAMPLES);
        often.map(|drained| drained.slowest).filter(|slowest| slowest.took + MIN_SLACK <= settle)
    }

    /// Raises the lower bound, or resets it when the counts have stayed below it for longer than they can lag.
    fn outstanding(&mut self, sample: &HistorySample<'_>) -> u64 {
        let k = u64::from(sample.reading.per_task.get());
        let left = sample.reading.visible.saturating_add(sample.reading.in_flight);
        let done = sample.tasks.completed.saturating_mul(k);
        let seen = left.saturating_add(sample.tasks.completed_before.saturating_mul(k));
        self.arrivals = self.arrivals.max(seen);
        if left >= self.arrivals.saturating_sub(done) {
            self.short_since = None;
        } else {
            let since = *self.short_since.get_or_insert(sample.requested);
            if sample.requested.duration_since(since) > sample.settle + sample.settle {
                self.arrivals = seen;
                self.short_since = None;
            }
        }
        self.arrivals.saturating_sub(done)
    }

    /// Returns the events since the newest clean exit, while counts may be older than it.
    fn since_empty(&mut self, sample: &HistorySample<'_>) -> Option<SinceEmpty> {
        let visible = sample.reading.visible;
        let before = std::mem::replace(&mut self.visible, visible);
        let at = sample.tasks.last_empty.filter(|at| sample.requested > *at)?;
        let known = self.last_empty.filter(|known| known.at == at);
        let known = known.unwrap_or(LastEmpty { at, before, low: visible });
        let low = known.low.min(visible);
        self.last_empty = Some(LastEmpty { low, ..known });
        // Lag changes abruptly: a later sample may show an earlier moment.
        let growth = visible.saturating_sub(low.max(known.before));
        (sample.requested.duration_since(at) < sample.settle)
            .then_some(SinceEmpty { growth, launched: sample.tasks.launched_since })
    }

    /// While no task of the job is working, only lag can reduce the counts: a falling count was older than the end of
    /// the last task.
    fn record_convergence(&mut self, sample: &HistorySample<'_>) {
        let OwnTasks { busy, not_started, last_end, .. } = *sample.tasks;
        let left = sample.reading.visible.saturating_add(sample.reading.in_flight);
        let now = (busy == not_started).then_some(IdleSample { requested: sample.requested, left, last_end });
        let before = std::mem::replace(&mut self.idle_sample, now);
        self.convergence =
            self.convergence.filter(|known| sample.requested.duration_since(known.at) <= CONVERGENCE_TTL);
        let (Some(before), Some(now), Some(ended)) = (before, now, last_end) else { return };
        if before.last_end != last_end || now.left >= before.left {
            return;
        }
        let took = before.requested.duration_since(ended);
        let lag = took.is_positive() && took <= MAX_LAG;
        if lag && self.convergence.is_none_or(|known| took >= known.took) {
            self.convergence = Some(Convergence { took, at: sample.requested });
        }
    }

    /// Once no task of the job is working, counts of zero show the end of the last one: they are no older than that.
    fn record_drained(&mut self, sample: &HistorySample<'_>) {
        let OwnTasks { busy, not_started, last_end, .. } = *sample.tasks;
        self.drained =
            self.drained.filter(|drained| sample.requested.duration_since(drained.since) <= CONVERGENCE_TTL);
        let is_empty = sample.reading.visible == 0 && sample.reading.in_flight == 0;
        let Some(ended) =
            last_end.filter(|ended| is_empty && busy == not_started && sample.requested > *ended)
        else {
            return;
        };
        let took = Convergence { took: sample.requested.duration_since(ended), at: sample.requested };
        let Some(known) = &mut self.drained else {
            self.drained = Some(Drained { since: sample.requested, times: 1, slowest: took, ended });
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

/// Returns how many messages failed tasks may still keep invisible: `k` each; tasks that failed longer ago than counts
/// can lag keep no more in total than are in flight.
fn still_invisible(tasks: &OwnTasks, reading: &QueueReading) -> u64 {
    let k = u64::from(reading.per_task.get());
    let lately = u64::from(tasks.failed_lately).saturating_mul(k);
    let before = u64::from(tasks.failed_before).saturating_mul(k);
    lately.saturating_add(before.min(reading.in_flight))
}
