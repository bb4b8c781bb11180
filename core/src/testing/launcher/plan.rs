//! How the launcher in memory fails, and what becomes of its tasks.

use std::time::Duration;

/// How a launcher fails and how long its tasks last. Probabilities are between 0 and 1, durations are the longest.
///
/// The default has no fault and no delay; its tasks start at once and end well within a minute.
#[derive(Debug, Clone, PartialEq)]
pub struct ChaosPlan {
    /// A launch fails and had no effect.
    pub fail_before: f64,
    /// A launch is throttled and had no effect.
    pub throttle: f64,
    /// A launch has its effect and its answer is lost.
    pub lose_answer: f64,
    /// A launch never answers: half of those before the effect, half after it.
    pub hang: f64,
    /// One task of a launch is refused for want of room, for now.
    pub refuse: f64,
    /// `population`, `observe` or `stop` fails.
    pub fail_reads: f64,
    /// How long a call takes at most, and when in it the effect happens.
    pub delay: Duration,
    /// For how long a new task is in no listing yet, at most.
    pub lag: Duration,
    /// For how long a task is pending, at most.
    pub pending: Duration,
    /// For how long a task runs, at most.
    pub run: Duration,
    /// A task ends with exit code 1.
    pub exit_badly: f64,
    /// How long a task that is asked to stop goes on, at most.
    pub stop: Duration,
    /// The exit code of a running task that was asked to stop; 143.
    pub stopped_code: i32,
    /// For how long a token is remembered; afterwards it starts tasks anew.
    pub token_life: Duration,
    /// For how long after it was sent a call can be looked up; afterwards its tasks may have been forgotten.
    pub search_life: Duration,
    /// How long an engine waits between two looks at live tasks.
    pub observe_every: Duration,
}

impl Default for ChaosPlan {
    fn default() -> Self {
        Self {
            fail_before: 0.0,
            throttle: 0.0,
            lose_answer: 0.0,
            hang: 0.0,
            refuse: 0.0,
            fail_reads: 0.0,
            delay: Duration::ZERO,
            lag: Duration::ZERO,
            pending: Duration::ZERO,
            run: Duration::from_mins(1),
            exit_badly: 0.0,
            stop: Duration::ZERO,
            stopped_code: 128 + 15,
            token_life: Duration::from_hours(24),
            search_life: Duration::ZERO,
            observe_every: Duration::from_secs(1),
        }
    }
}

/// The course of every task of one definition, in place of the one that the seed draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It starts at once and ends so long after with this exit code.
    Exits {
        /// For how long it runs.
        after: Duration,
        /// Its exit code.
        code: i32,
    },
    /// It runs until it is stopped; it then exits with [`ChaosPlan::stopped_code`].
    Lasts,
    /// It stops at once without having run.
    NeverStarts,
}
