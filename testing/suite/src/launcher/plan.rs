//! The faults of the in-memory launcher, and the course of its tasks.

use std::time::Duration;

/// The faults of a launcher and the durations of its tasks. Probabilities are between 0 and 1; durations are maxima.
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
    /// One task of a launch is refused temporarily, for lack of resources.
    pub refuse: f64,
    /// `population`, `observe` or `stop` fails.
    pub fail_reads: f64,
    /// The maximum duration of a call before its effect, and again after it.
    pub delay: Duration,
    /// The maximum time until a new task is listed.
    pub lag: Duration,
    /// The maximum time for which a task is pending.
    pub pending: Duration,
    /// The maximum time for which a task runs.
    pub run: Duration,
    /// A task ends with exit code 1.
    pub exit_badly: f64,
    /// The maximum time that a task continues after a stop request.
    pub stop: Duration,
    /// The exit code of a running task that is stopped; 143.
    pub stopped_code: i32,
    /// How long a token is remembered; later it starts tasks again.
    pub token_life: Duration,
    /// How long after its start a call can be looked up; later its tasks may have expired.
    pub search_life: Duration,
    /// The interval at which an engine polls live tasks.
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

/// The fixed course of every task of one definition, instead of a random one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It starts at once and exits after this time with this code.
    Exits {
        /// How long it runs.
        after: Duration,
        /// Its exit code.
        code: i32,
    },
    /// It runs until it is stopped; it then exits with [`ChaosPlan::stopped_code`].
    Lasts,
    /// It stops at once without running.
    NeverStarts,
}
