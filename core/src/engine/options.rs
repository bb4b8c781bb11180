//! Numbers and names of an engine.

use std::num::NonZeroU32;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::scaling::DEFAULT_MAX_TASKS;

/// Numbers and names of an engine. The defaults suit one process on two cores.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The scheduler's name (`ECSS_NAME`): part of tokens and of `startedBy`. Another name is another scheduler.
    pub name: String,
    /// `ECSS_MAX_TASKS`: bounds the tasks of every job.
    pub max_tasks: NonZeroU32,
    /// How long the engine sleeps at most before it reads the wall clock again; 30 s.
    pub max_sleep: Duration,
    /// How many jobs a round takes at most; 1,024: a round is durable with one commit.
    pub round_size: usize,
    /// How many rounds are under way at once; 8.
    pub rounds: usize,
    /// How many of them are decided, and handed to the store, at the same moment; one less than the machine's cores, and
    /// at least 1: what they decide is no sooner durable when they take the core of the store's writer.
    pub deciding: usize,
    /// How many triggers are evaluated at once; 16,384: waiting for a source costs little, and a source that does not
    /// answer must not keep the others waiting.
    pub evaluations: usize,
    /// How long one evaluation, or one count of running tasks, may take; 30 s.
    pub evaluation_deadline: Duration,
    /// How many firings are being launched at once; 256. Further ones wait in the backlog.
    pub dispatch: usize,
    /// How many journalled firings wait for dispatch at once; 16,384. `settle` of further firings waits. Large enough
    /// that the intents of a busy second are durable long before all of them are launched.
    pub backlog: usize,
    /// How many calls to the launcher are under way at once; 64.
    pub launches: usize,
    /// How long one call to the launcher may take; 20 s.
    pub launch_deadline: Duration,
    /// How long tasks that are to be replaced may take to stop; 2 m.
    pub replace_deadline: Duration,
    /// How many parsed jobs are kept; 16,384.
    pub hot_jobs: usize,
    /// How long ahead of their tick jobs are read and parsed; 31 s, a little more than `max_sleep`.
    pub look_ahead: Duration,
    /// How often every job is compared with the store, in case a nudge was lost; 10 m.
    pub rescan: Duration,
    /// `ECSS_HISTORY_DAYS`: decisions that were last observed longer ago than this are removed; 30 days.
    pub history_age: Duration,
    /// The newest decisions of each job that stay, however old they are; 100.
    pub history_keep: usize,
}

impl EngineOptions {
    /// Divides what each engine keeps for itself by the number of engines in this process. What they have in common
    /// is not divided: calls under way, evaluations, places in dispatch.
    pub(crate) fn divided_by(mut self, engines: usize) -> Self {
        let share = |whole: usize| whole.div_ceil(engines.max(1));
        self.backlog = share(self.backlog);
        self.hot_jobs = share(self.hot_jobs);
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
            dispatch: 256,
            backlog: 16_384,
            launches: 64,
            launch_deadline: Duration::from_secs(20),
            replace_deadline: Duration::from_secs(120),
            hot_jobs: 16_384,
            look_ahead: Duration::from_secs(31),
            rescan: Duration::from_secs(600),
            history_age: Duration::from_secs(30 * 24 * 3_600),
            history_keep: 100,
        }
    }
}
