//! A launcher in memory that fails as told, by a seed, and remembers everything that it ever started.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::rng::SimRng;
use crate::clock::Clock;
use crate::fault::FaultKind;
use crate::firing::FiringId;
use crate::job::JobId;
use crate::launcher::{
    LaunchError, LaunchLimits, LaunchReport, LaunchRequest, LaunchToken, Launcher, Refusal, Search,
    StartedTask,
};
use crate::task::{Population, TaskId, TaskPhase, TaskSpec, TaskState};

#[cfg(test)]
mod tests;

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
            token_life: Duration::from_hours(24),
            search_life: Duration::ZERO,
            observe_every: Duration::from_secs(1),
        }
    }
}

/// What becomes of every task of one definition, instead of what the seed would draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It starts at once and ends so long after with this exit code.
    Exits {
        /// For how long it runs.
        after: Duration,
        /// Its exit code.
        code: i32,
    },
    /// It runs until it is stopped; it then exits with 143.
    Lasts,
    /// It stops at once without having run.
    NeverStarts,
}

/// One task that was started: what really happened, whatever anybody was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The call's token.
    pub token: LaunchToken,
    /// The call's firing.
    pub firing: FiringId,
    /// The job on whose behalf.
    pub job: JobId,
    /// The task.
    pub task: TaskId,
    /// When.
    pub at: Timestamp,
}

/// Starts tasks that exist in memory only, under a clock, and fails by a seed.
///
/// It is idempotent by token for [`ChaosPlan::token_life`], as the real ones are; [`Self::starts`] tells what really
/// happened. What becomes of a task depends on the seed, the token and its place alone, so it does not change with
/// the order of calls.
#[derive(Debug)]
pub struct ChaosLauncher {
    clock: Arc<dyn Clock>,
    seed: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    plan: ChaosPlan,
    limits: LaunchLimits,
    fates: BTreeMap<String, Fate>,
    only_known: bool,
    rng: SimRng,
    tokens: HashMap<LaunchToken, (Timestamp, LaunchReport)>,
    tasks: HashMap<TaskId, SimTask>,
    by_job: HashMap<JobId, HashSet<TaskId>>,
    starts: Vec<Start>,
    calls: u64,
}

/// The life of a task, known from its start.
#[derive(Debug)]
struct SimTask {
    listed: Timestamp,
    started: Option<Timestamp>,
    ends: Timestamp,
    code: Option<i32>,
    stop: Option<(&'static str, String)>,
}

/// What chaos does to one launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Before,
    Throttle,
    LoseAnswer,
    HangBefore,
    HangAfter,
}

impl ChaosLauncher {
    /// Makes a launcher without faults. Equal seeds fail equally.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        let limits = LaunchLimits {
            per_call: NonZeroU32::new(10).expect("ten is not zero"),
            per_observation: 100,
            observe_every: Duration::from_secs(1),
            token_life: ChaosPlan::default().token_life,
        };
        let inner = Inner {
            plan: ChaosPlan::default(),
            limits,
            fates: BTreeMap::new(),
            only_known: false,
            rng: SimRng::new(seed),
            tokens: HashMap::new(),
            tasks: HashMap::new(),
            by_job: HashMap::new(),
            starts: Vec::new(),
            calls: 0,
        };
        Self { clock, seed, inner: Mutex::new(inner) }
    }

    /// Sets how it fails from now on.
    pub fn faults(&self, plan: ChaosPlan) {
        let mut inner = self.inner.lock();
        inner.limits.token_life = plan.token_life;
        inner.limits.observe_every = plan.observe_every;
        inner.plan = plan;
    }

    /// Sets what becomes of the tasks of a definition that are started from now on.
    pub fn define(&self, definition: &str, fate: Fate) {
        self.inner.lock().fates.insert(definition.to_owned(), fate);
    }

    /// Refuses, for good, definitions that were not defined. Without this any definition will do.
    pub fn only_known(&self) {
        self.inner.lock().only_known = true;
    }

    /// Returns every task that was ever started, in order.
    #[must_use]
    pub fn starts(&self) -> Vec<Start> {
        self.inner.lock().starts.clone()
    }

    /// Returns the tokens under which a second call started tasks, which must never happen: each token's tasks start
    /// at one moment.
    #[must_use]
    pub fn doubled(&self) -> Vec<LaunchToken> {
        let inner = self.inner.lock();
        let mut first: HashMap<&LaunchToken, Timestamp> = HashMap::new();
        let mut again = Vec::new();
        for start in &inner.starts {
            if *first.entry(&start.token).or_insert(start.at) != start.at {
                again.push(start.token.clone());
            }
        }
        again
    }

    /// Returns how many calls to `launch` were made, whatever came of them.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.inner.lock().calls
    }

    async fn pause(&self) {
        let delay = {
            let mut inner = self.inner.lock();
            let longest = inner.plan.delay;
            drawn(&mut inner.rng, longest)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    async fn read(&self, what: &str) -> Result<(), LaunchError> {
        self.pause().await;
        let mut inner = self.inner.lock();
        let chance = inner.plan.fail_reads;
        if inner.rng.chance(chance) {
            return Err(LaunchError::new(FaultKind::Unavailable, format!("could not {what}: chaos")));
        }
        Ok(())
    }
}

impl Inner {
    fn fault(&mut self) -> Fault {
        self.calls += 1;
        let plan = self.plan.clone();
        let rng = &mut self.rng;
        if rng.chance(plan.fail_before) {
            Fault::Before
        } else if rng.chance(plan.throttle) {
            Fault::Throttle
        } else if rng.chance(plan.hang) {
            if rng.chance(0.5) { Fault::HangBefore } else { Fault::HangAfter }
        } else if rng.chance(plan.lose_answer) {
            Fault::LoseAnswer
        } else {
            Fault::None
        }
    }

    /// Starts the request's tasks, unless its token did so already.
    fn launch(&mut self, request: &LaunchRequest, now: Timestamp, seed: u64) -> LaunchReport {
        let life = signed(self.plan.token_life);
        if let Some((_, report)) =
            self.tokens.get(&request.token).filter(|(first, _)| now.duration_since(*first) < life)
        {
            return report.clone();
        }
        let mut report = LaunchReport::default();
        for place in 0..request.count.get() {
            if self.only_known && !self.fates.contains_key(&request.definition) {
                report.refused.push(refusal("MISSING", &request.definition, false));
                continue;
            }
            let mut rng = rng_of(seed, &request.token, place);
            if rng.chance(self.plan.refuse) {
                report.refused.push(refusal("RESOURCE:CPU", &request.definition, true));
                continue;
            }
            let number = self.starts.len();
            let id = TaskId::new(format!("arn:aws:ecs:sim:000000000000:task/sim/{number:032x}"));
            self.tasks.insert(id.clone(), self.task(request, now, &mut rng));
            self.by_job.entry(request.job.clone()).or_default().insert(id.clone());
            self.starts.push(Start {
                token: request.token.clone(),
                firing: request.firing.clone(),
                job: request.job.clone(),
                task: id.clone(),
                at: now,
            });
            report.started.push(StartedTask { task_id: id, host_id: None });
        }
        self.tokens.insert(request.token.clone(), (now, report.clone()));
        report
    }

    fn task(&self, request: &LaunchRequest, now: Timestamp, rng: &mut SimRng) -> SimTask {
        let listed = later(now, drawn(rng, self.plan.lag));
        let exited = Some(("EssentialContainerExited", "essential container \"main\" exited".to_owned()));
        match self.fates.get(&request.definition) {
            Some(Fate::Exits { after, code }) => SimTask {
                listed,
                started: Some(now),
                ends: later(now, *after),
                code: Some(*code),
                stop: exited,
            },
            Some(Fate::Lasts) => {
                SimTask { listed, started: Some(now), ends: Timestamp::MAX, code: None, stop: None }
            }
            Some(Fate::NeverStarts) => {
                let stop = Some(("TaskFailedToStart", "container \"main\" could not start".to_owned()));
                SimTask { listed, started: None, ends: now, code: None, stop }
            }
            None => {
                let started = later(now, drawn(rng, self.plan.pending));
                let ends = later(started, drawn(rng, self.plan.run));
                let code = Some(i32::from(rng.chance(self.plan.exit_badly)));
                SimTask { listed, started: Some(started), ends, code, stop: exited }
            }
        }
    }
}

impl SimTask {
    fn phase(&self, now: Timestamp) -> TaskPhase {
        if now >= self.ends {
            TaskPhase::Stopped
        } else if self.started.is_some_and(|started| now >= started) {
            TaskPhase::Running
        } else {
            TaskPhase::Pending
        }
    }

    fn state(&self, id: &TaskId, now: Timestamp) -> TaskState {
        let phase = self.phase(now);
        let mut state = TaskState::pending(id.clone(), None);
        state.phase = phase;
        state.started_at = self.started.filter(|started| now >= *started && *started <= self.ends);
        if phase == TaskPhase::Stopped {
            state.exit_code = self.code;
            state.stop_code = self.stop.as_ref().map(|(code, _)| (*code).to_owned());
            state.reason = self.stop.as_ref().map(|(_, reason)| reason.clone());
            state.stopped_at = Some(self.ends);
        }
        state
    }
}

fn rng_of(seed: u64, token: &LaunchToken, place: u32) -> SimRng {
    let hash = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(token.as_str())
        .chain_update(place.to_be_bytes())
        .finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    SimRng::new(u64::from_be_bytes(bytes))
}

fn drawn(rng: &mut SimRng, longest: Duration) -> Duration {
    let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rng.below(millis.saturating_add(1)))
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(signed(by)).unwrap_or(Timestamp::MAX)
}

fn refusal(reason: &str, definition: &str, retryable: bool) -> Refusal {
    Refusal { reason: reason.to_owned(), detail: Some(format!("definition \"{definition}\"")), retryable }
}

#[async_trait]
impl Launcher for ChaosLauncher {
    fn limits(&self) -> LaunchLimits {
        self.inner.lock().limits
    }

    async fn population(&self, job: &JobId, task: &TaskSpec) -> Result<Population, LaunchError> {
        self.read("list tasks").await?;
        let now = self.clock.now();
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let mut tasks = Vec::new();
        if let Some(ids) = inner.by_job.get_mut(job) {
            ids.retain(|id| inner.tasks[id].phase(now) != TaskPhase::Stopped);
            tasks.extend(ids.iter().filter(|id| inner.tasks[*id].listed <= now).cloned());
        }
        Ok(Population { tasks, definition: Some(task.definition.clone()) })
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<LaunchReport, LaunchError> {
        let (fault, limits) = {
            let mut inner = self.inner.lock();
            (inner.fault(), inner.limits)
        };
        if request.count > limits.per_call {
            return Err(LaunchError::new(
                FaultKind::Config,
                format!("could not launch {} tasks", request.count),
            ));
        }
        self.pause().await;
        match fault {
            Fault::Before => {
                return Err(LaunchError::new(FaultKind::Unavailable, "could not launch: chaos before it"));
            }
            Fault::Throttle => {
                return Err(LaunchError::new(FaultKind::Throttled, "could not launch: too many calls"));
            }
            Fault::HangBefore => std::future::pending().await,
            Fault::None | Fault::LoseAnswer | Fault::HangAfter => {}
        }
        let report = self.inner.lock().launch(request, self.clock.now(), self.seed);
        self.pause().await;
        match fault {
            Fault::LoseAnswer => Err(LaunchError::unanswered("could not launch: chaos after it")),
            Fault::HangAfter => std::future::pending().await,
            Fault::None | Fault::Before | Fault::Throttle | Fault::HangBefore => Ok(report),
        }
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<Vec<TaskState>, LaunchError> {
        self.read("describe tasks").await?;
        let now = self.clock.now();
        let inner = self.inner.lock();
        let known = |id: &TaskId| {
            inner.tasks.get(id).filter(|task| task.listed <= now).map(|task| task.state(id, now))
        };
        Ok(tasks.iter().filter_map(known).collect())
    }

    async fn stop(&self, task: &TaskId, reason: &str) -> Result<(), LaunchError> {
        self.read("stop a task").await?;
        let now = self.clock.now();
        if let Some(task) = self.inner.lock().tasks.get_mut(task)
            && task.phase(now) != TaskPhase::Stopped
        {
            task.code = (task.phase(now) == TaskPhase::Running).then_some(128 + 15);
            task.ends = now;
            task.stop = Some(("UserInitiated", reason.to_owned()));
        }
        Ok(())
    }

    async fn search(&self, request: &LaunchRequest, sent_at: Timestamp) -> Result<Search, LaunchError> {
        self.read("look up a launch").await?;
        let inner = self.inner.lock();
        let started: Vec<_> = inner
            .starts
            .iter()
            .filter(|start| start.token == request.token)
            .map(|start| StartedTask { task_id: start.task.clone(), host_id: None })
            .collect();
        let fresh = self.clock.now().duration_since(sent_at) <= signed(inner.plan.search_life);
        Ok(match (fresh, started.is_empty()) {
            (true, true) => Search::Nothing,
            (true, false) => Search::Found(started),
            (false, _) => Search::Unclear("its tasks may have been forgotten".to_owned()),
        })
    }
}
