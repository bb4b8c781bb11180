//! How many tasks a queue needs, although its counts lag: the modes `oneShot` and `drain`.
//!
//! A queue's counts are approximate and old: SQS promises them within about a minute, and a task takes as long to
//! start. Who launches by the counts alone launches for messages that are taken already. The cure is the scheduler's
//! own ledger: it knows what it launched, and when each task ended, long before the counts show it.
//!
//! With `V` visible and `F` in flight, `k` messages per task, `L` the job's `settle`, `C(t)` the messages that own
//! tasks had completed by `t` (clean exits × k), and `busy` own tasks that have not ended:
//!
//! - **`oneShot`**: messages that ever arrived, `V + F + C`, never fall in number, and no sample is older than `L`. So
//!   the greatest `V + F + C(now − L)` ever seen is a proven lower bound of them, [`QueueFacts::outstanding`] is what
//!   of it is not completed, and `⌈(outstanding − still_invisible) / k⌉ − busy` tasks never lack a message.
//! - **`drain`**: a task that exits clean proves that the queue was empty then. For `L` afterwards only messages count
//!   by which the visible count grew since, beyond what it was just before; else it is what is there, less who is there
//!   for it.
//!
//! With `k` above 1 a task may exit clean with fewer messages, and `C` is too large by what it lacked: for `L`
//! `oneShot` launches too late, and never too much. See [the proof](QueueHistory#proof).
//!
//! What is proven rests on three things: `settle` is not shorter than the lag, nobody else consumes, and a clean exit
//! means that the messages are done. Where they fail the rule errs for a while and recovers: a purge or a foreign
//! consumer makes it [start from the counts again](QueueHistory::record) after `2 L`.
//!
//! [`QueueHistory`] is what the rule remembers from sample to sample, [`QueueFacts`] what it concludes from one, and
//! [`decide`](crate::decide()) turns that into a number.

mod history;
mod task_demand;

pub use history::{Convergence, QueueHistory, Sample};
pub(crate) use task_demand::TaskDemand;

use jiff::Timestamp;

use crate::trigger::QueueReading;

#[cfg(test)]
mod tests;

/// What the ledger knows of a job's own tasks, all at one moment after the counts were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnTasks {
    /// Pending, running, or about to be launched.
    pub busy: u32,
    /// Those of them that cannot have taken a message yet: not running for [two seconds](CLAIMS_AFTER).
    pub not_started: u32,
    /// Clean exits so far.
    pub completed: u64,
    /// Clean exits at least one `settle` before the counts were asked for, which every sample shows.
    pub completed_before: u64,
    /// Tasks that failed within the last `settle`, and whose messages are still invisible.
    pub failed_lately: u32,
    /// Tasks that failed before that, and whose messages may still be invisible.
    pub failed_before: u32,
    /// The newest clean exit.
    pub last_empty: Option<Timestamp>,
    /// How many tasks were launched after it.
    pub launched_since: u32,
    /// When the newest of all tasks ended, well or not.
    pub last_end: Option<Timestamp>,
}

/// How long a task runs before it counts as having taken a message.
pub const CLAIMS_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_secs(2);

/// What one sample of the queue and the ledger say together: all that the number depends on, beside `busy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFacts {
    /// The counts.
    pub reading: QueueReading,
    /// Messages that are proven to have arrived and are not completed.
    pub outstanding: u64,
    /// Messages that failed tasks may still keep invisible.
    pub still_invisible: u64,
    /// Tasks that cannot have taken a message yet.
    pub not_started: u32,
    /// What happened since a task found the queue empty, while the counts may still be older than that.
    pub since_empty: Option<SinceEmpty>,
    /// How long the counts took to show what had happened, when that was longer than `settle`.
    pub slow: Option<Convergence>,
    /// How long the counts took at most, many times, when `settle` is clearly longer than that.
    pub quick: Option<Convergence>,
}

/// What happened since a task found the queue empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinceEmpty {
    /// By how many messages the visible count has grown, beyond what it was in the sample before.
    pub growth: u64,
    /// How many tasks were launched.
    pub launched: u32,
}
