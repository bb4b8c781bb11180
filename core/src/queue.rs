//! The queue rule: how many tasks a queue needs although its counts lag. Used by the modes `oneShot` and `drain`.
//!
//! A queue's counts are approximate and old: SQS promises consistency within about a minute, and a task takes as long to
//! start. Scaling on the counts alone launches tasks for messages that other tasks have taken already. The remedy is the
//! scheduler's own record of launches and ends, which is known long before the counts show them.
//!
//! With `V` visible and `F` in flight, `k` messages per task, `L` the job's `settle`, `C(t)` the messages that the job's
//! tasks had completed by `t` (clean exits × k), `H` the messages that failed tasks may still keep invisible
//! ([`QueueFacts::still_invisible`]), and `busy` tasks of the job that have not ended:
//!
//! - **`oneShot`**: the number of messages that ever arrived, `V + F + C`, never falls, and no sample is older than `L`. So
//!   the greatest `V + F + C(now − L)` ever seen is a proven lower bound, [`QueueFacts::outstanding`] is its part that is
//!   not completed, and `⌈(outstanding − H) / k⌉ − busy` tasks never lack a message.
//! - **`drain`**: a clean exit proves that the queue was empty then. For `L` afterwards only the growth of the visible count
//!   since then counts, beyond its value just before; later all messages count, less the busy tasks.
//!
//! With `k` above 1 a task may exit clean with fewer messages, and `C` is too large by the difference: for `L`, `oneShot`
//! launches too late, and never too many. See [the proof](QueueHistory#proof).
//!
//! The proof has three premises: `settle` is not shorter than the lag, there is no other consumer, and a clean exit means
//! that the messages are done. If one fails, the rule errs for a while and recovers: a purge or another consumer makes it
//! [restart from the counts](QueueHistory::record) after `2 L`.
//!
//! [`QueueHistory`] is the rule's state between samples, [`QueueFacts`] its conclusions from one sample, and
//! [`decide`](crate::decide()) turns these into a number of tasks.

mod history;
mod task_demand;

pub use history::{Convergence, HistorySample, QueueHistory};
pub(crate) use task_demand::TaskDemand;

use jiff::Timestamp;

use crate::trigger::QueueReading;

#[cfg(test)]
mod tests;

/// Counts of a job's own tasks, all at one moment after the queue's counts were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnTasks {
    /// Pending, running, or about to be launched.
    pub busy: u32,
    /// Busy tasks that cannot have taken a message yet: not running for [two seconds](CLAIMS_AFTER).
    pub not_started: u32,
    /// Clean exits so far.
    pub completed: u64,
    /// Clean exits at least one `settle` before the counts were requested, which every sample shows.
    pub completed_before: u64,
    /// Tasks that failed within the last `settle`; their messages are still invisible.
    pub failed_lately: u32,
    /// Tasks that failed before that; their messages may still be invisible.
    pub failed_before: u32,
    /// The newest clean exit, which found the queue empty.
    pub last_empty: Option<Timestamp>,
    /// How many tasks were launched after it.
    pub launched_since: u32,
    /// When the newest task ended, clean or not.
    pub last_end: Option<Timestamp>,
}

/// How long a task runs before it counts as having taken a message.
pub const CLAIMS_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// The conclusions from one sample of the queue and the job's own tasks: with `busy`, all that the number depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFacts {
    /// The counts.
    pub reading: QueueReading,
    /// Messages that provably arrived and are not completed.
    pub outstanding: u64,
    /// Messages that failed tasks may still keep invisible.
    pub still_invisible: u64,
    /// Tasks that cannot have taken a message yet.
    pub not_started: u32,
    /// Events since a task found the queue empty; present while the counts may be older than that.
    pub since_empty: Option<SinceEmpty>,
    /// The convergence time of the counts, if it was longer than `settle`.
    pub slow: Option<Convergence>,
    /// The longest of many convergence times, if `settle` is clearly longer.
    pub quick: Option<Convergence>,
}

/// Events since a task found the queue empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinceEmpty {
    /// The growth of the visible count, beyond its value in the sample before.
    pub growth: u64,
    /// How many tasks were launched.
    pub launched: u32,
}
