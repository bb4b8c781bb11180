//! The options of an engine.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::budget::Budget;
use crate::notify::Notifier;
use crate::scaling::DEFAULT_MAX_TASKS;

/// The options of an engine. The defaults suit one process on two cores.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The scheduler's name (`ECSS_NAME`): part of tokens and of `startedBy`. Another name is another scheduler.
    pub name: String,
    /// `ECSS_MAX_TASKS`: bounds the tasks of every job.
    pub max_tasks: NonZeroU32,
    /// How long the engine sleeps at most before it reads the wall clock again; 30 s.
    pub max_sleep: Duration,
    /// The maximum number of jobs in a round; 1,024: a round is durable with one commit.
    pub round_size: usize,
    /// The maximum number of rounds under way at once; 8.
    pub rounds: usize,
    /// The maximum number of rounds that decide concurrently; the number of cores less one, and at least 1: one core is left
    /// to the store's writer.
    pub deciding: usize,
    /// The maximum number of triggers that are evaluated at once; 16,384: waiting for a source costs little, and a source that
    /// does not answer must not delay the others.
    pub evaluations: usize,
    /// How long one evaluation, or one count of running tasks, may take; 30 s.
    pub evaluation_deadline: Duration,
    /// How long one call to the store may take; 30 s, longer than the stores' own time-outs, which know more about the call.
    /// A write without an answer may still have its effect; the engine finds out by reading, or by compare-and-set.
    pub store_deadline: Duration,
    /// How long the scheduler loop waits for a call of its own to the store; 5 s. Meanwhile no round starts, so that a store
    /// which does not answer delays ticks by at most so much. The call is made again, at most every 30 s.
    pub loop_deadline: Duration,
    /// The maximum number of firings that are launched at once; 256. Further ones wait in the backlog.
    pub dispatch: usize,
    /// The maximum number of journalled firings that wait for dispatch; 16,384. `settle` of further firings waits. Large
    /// enough that the intents of a busy second are durable long before all of them are launched.
    pub backlog: usize,
    /// The maximum number of concurrent calls to the launcher; 64.
    pub launches: usize,
    /// How long one call to the launcher may take; 20 s.
    pub launch_deadline: Duration,
    /// How long tasks that are to be replaced may take to stop; 2 m.
    pub replace_deadline: Duration,
    /// The capacity of the cache of parsed jobs; 16,384.
    pub cached_jobs: usize,
    /// How long before their tick jobs are read and parsed; 31 s, a little more than `max_sleep`.
    pub prefetch_within: Duration,
    /// How often every job is compared with the store, in case a nudge was lost; 10 m.
    pub rescan: Duration,
    /// `ECSS_HISTORY_DAYS`: decisions that were last observed longer ago than this are removed; 30 days.
    pub history_age: Duration,
    /// The newest decisions of each job that stay, however old they are; 100.
    pub history_keep: usize,
    /// The budgets that jobs share; none by default.
    pub budgets: Arc<[Budget]>,
    /// Delivers notifications; without one, nobody is notified and no notification is kept.
    pub notifier: Option<Arc<dyn Notifier>>,
}

impl EngineOptions {
    /// Divides the limits of each engine by the number of engines in this process. The limits of the process are not divided:
    /// concurrent calls, evaluations and firings in dispatch.
    pub(crate) fn divided_by(mut self, engines: usize) -> Self {
        let share = |whole: usize| whole.div_ceil(engines.max(1));
        self.backlog = share(self.backlog);
        self.cached_jobs = share(self.cached_jobs);
        // Fewer jobs in rounds: fewer rounds first, then smaller ones.
        let jobs = share(self.rounds * self.round_size);
        self.rounds = share(self.rounds);
        self.round_size = jobs.div_ceil(self.rounds);
        self
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            name: "ecs-scheduler".to_owned(),
            max_tasks: DEFAULT_MAX_TASKS,
            max_sleep: Duration::from_secs(30),
            round_size: 1_024,
            rounds: 8,
            deciding: available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1)).max(1),
            evaluations: 16_384,
            evaluation_deadline: Duration::from_secs(30),
            store_deadline: Duration::from_secs(30),
            loop_deadline: Duration::from_secs(5),
            dispatch: 256,
            backlog: 16_384,
            launches: 64,
            launch_deadline: Duration::from_secs(20),
            replace_deadline: Duration::from_secs(120),
            cached_jobs: 16_384,
            prefetch_within: Duration::from_secs(31),
            rescan: Duration::from_secs(600),
            history_age: Duration::from_secs(30 * 24 * 3_600),
            history_keep: 100,
            budgets: Arc::default(),
            notifier: None,
        }
    }
}
