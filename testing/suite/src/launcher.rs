//! An in-memory launcher that injects faults by a seed, and records every task that it ever started.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::rng::SimRng;
use ecs_scheduler_core::clock::Clock;
use ecs_scheduler_core::fault::FaultKind;
use ecs_scheduler_core::firing::FiringId;
use ecs_scheduler_core::job::JobId;
use ecs_scheduler_core::launcher::{
    LaunchDiagnosis, LaunchError, LaunchLimits, LaunchRecovery, LaunchReport, LaunchRequest, LaunchToken,
    Launcher, LostCall, ObservedTasks, Refusal, StartedTask, TaskLogs, TaskValidation,
};
use ecs_scheduler_core::task::{Population, TaskId, TaskPhase, TaskSize, TaskSpec, TaskState};

mod plan;

#[cfg(test)]
mod tests;

pub use plan::{ChaosPlan, Fate};

/// One task that was really started, whatever answer the caller got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The call's token.
    pub token: LaunchToken,
    /// The call's firing.
    pub firing: FiringId,
    /// The job.
    pub job: JobId,
    /// The task.
    pub task: TaskId,
    /// When it was started.
    pub at: Timestamp,
}

/// Starts simulated tasks under a clock, and injects faults by a seed.
///
/// It is idempotent by token for [`ChaosPlan::token_life`], as the real ones are; [`Self::starts`] returns what really
/// happened. The course of a task depends on the seed, the token and its index alone, not on the order of calls.
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
    reject_unknown: bool,
    rng: SimRng,
    tokens: HashMap<LaunchToken, (Timestamp, LaunchReport)>,
    tasks: HashMap<TaskId, SimTask>,
    by_job: HashMap<JobId, HashSet<TaskId>>,
    starts: Vec<Start>,
    stops: Vec<(TaskId, Timestamp)>,
    calls: u64,
}

/// The course of a task, decided at its start.
#[derive(Debug)]
struct SimTask {
    listed: Timestamp,
    started: Option<Timestamp>,
    ends: Timestamp,
    code: Option<i32>,
    stop: Option<(&'static str, String)>,
    /// How long it continues after a stop request.
    stopping: Duration,
}

/// The fault of one launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InjectedFault {
    None,
    Before,
    Throttle,
    LoseAnswer,
    HangBefore,
    HangAfter,
}

impl ChaosLauncher {
    /// Makes a launcher without faults. Equal seeds give equal faults.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        let limits = LaunchLimits::new(
            NonZeroU32::new(10).expect("ten is not zero"),
            100,
            Duration::from_secs(1),
            ChaosPlan::default().token_life,
        );
        let inner = Inner {
            plan: ChaosPlan::default(),
            limits,
            fates: BTreeMap::new(),
            reject_unknown: false,
            rng: SimRng::new(seed),
            tokens: HashMap::new(),
            tasks: HashMap::new(),
            by_job: HashMap::new(),
            starts: Vec::new(),
            stops: Vec::new(),
            calls: 0,
        };
        Self { clock, seed, inner: Mutex::new(inner) }
    }

    /// Sets the faults from now on.
    pub fn faults(&self, plan: ChaosPlan) {
        let mut inner = self.inner.lock();
        inner.limits.token_life = plan.token_life;
        inner.limits.observe_every = plan.observe_every;
        inner.plan = plan;
    }

    /// Sets the course of all tasks of a definition that are started from now on.
    pub fn define(&self, definition: &str, fate: Fate) {
        self.inner.lock().fates.insert(definition.to_owned(), fate);
    }

    /// Refuses unknown definitions permanently. By default every definition is accepted.
    pub fn reject_unknown(&self) {
        self.inner.lock().reject_unknown = true;
    }

    /// Returns every task that was ever started, in order.
    #[must_use]
    pub fn starts(&self) -> Vec<Start> {
        self.inner.lock().starts.clone()
    }

    /// Returns the tokens under which a second call started tasks, which must never happen: all tasks of a token start at one
    /// moment.
    #[must_use]
    pub fn duplicate_launches(&self) -> Vec<LaunchToken> {
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

    /// Returns every stop request, in order.
    #[must_use]
    pub fn stops(&self) -> Vec<(TaskId, Timestamp)> {
        self.inner.lock().stops.clone()
    }

    /// Returns start and end of each task of a job, in the order of their starts.
    #[must_use]
    pub fn task_lifetimes(&self, job: &JobId) -> Vec<(Timestamp, Timestamp)> {
        let inner = self.inner.lock();
        let starts = inner.starts.iter().filter(|start| start.job == *job);
        starts.map(|start| (start.at, inner.tasks[&start.task].ends)).collect()
    }

    /// Returns how many calls to `launch` were made, failed ones included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.inner.lock().calls
    }

    async fn pause(&self) {
        let delay = {
            let mut inner = self.inner.lock();
            let max = inner.plan.delay;
            draw(&mut inner.rng, max)
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
    fn fault(&mut self) -> InjectedFault {
        self.calls += 1;
        let plan = self.plan.clone();
        let rng = &mut self.rng;
        if rng.chance(plan.fail_before) {
            InjectedFault::Before
        } else if rng.chance(plan.throttle) {
            InjectedFault::Throttle
        } else if rng.chance(plan.hang) {
            if rng.chance(0.5) { InjectedFault::HangBefore } else { InjectedFault::HangAfter }
        } else if rng.chance(plan.lose_answer) {
            InjectedFault::LoseAnswer
        } else {
            InjectedFault::None
        }
    }

    /// Starts the request's tasks, unless an earlier call with its token did.
    fn launch(&mut self, request: &LaunchRequest, now: Timestamp, seed: u64) -> LaunchReport {
        let life = signed(self.plan.token_life);
        if let Some((_, report)) =
            self.tokens.get(&request.token).filter(|(first, _)| now.duration_since(*first) < life)
        {
            return report.clone();
        }
        let mut report = LaunchReport::default();
        for index in 0..request.count.get() {
            if self.reject_unknown && !self.fates.contains_key(&request.definition) {
                report.refused.push(refusal("MISSING", &request.definition, false));
                continue;
            }
            let mut rng = task_rng(seed, &request.token, index);
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
            report.started.push(StartedTask::new(id, None));
        }
        self.tokens.insert(request.token.clone(), (now, report.clone()));
        report
    }

    fn task(&self, request: &LaunchRequest, now: Timestamp, rng: &mut SimRng) -> SimTask {
        let listed = later(now, draw(rng, self.plan.lag));
        let exited = Some(("EssentialContainerExited", "essential container \"main\" exited".to_owned()));
        let (started, ends, code, stop) = match self.fates.get(&request.definition) {
            Some(Fate::Exits { after, code }) => (Some(now), later(now, *after), Some(*code), exited),
            Some(Fate::Lasts) => (Some(now), Timestamp::MAX, None, None),
            Some(Fate::NeverStarts) => {
                let stop = ("TaskFailedToStart", "container \"main\" could not start".to_owned());
                (None, now, None, Some(stop))
            }
            None => {
                let started = later(now, draw(rng, self.plan.pending));
                let ends = later(started, draw(rng, self.plan.run));
                let code = Some(i32::from(rng.chance(self.plan.exit_badly)));
                (Some(started), ends, code, exited)
            }
        };
        SimTask { listed, started, ends, code, stop, stopping: draw(rng, self.plan.stop) }
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

fn task_rng(seed: u64, token: &LaunchToken, index: u32) -> SimRng {
    let hash = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(token.as_str())
        .chain_update(index.to_be_bytes())
        .finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    SimRng::new(u64::from_be_bytes(bytes))
}

fn draw(rng: &mut SimRng, max: Duration) -> Duration {
    let millis = u64::try_from(max.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rng.below(millis.saturating_add(1)))
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(signed(by)).unwrap_or(Timestamp::MAX)
}

fn refusal(reason: &str, definition: &str, retryable: bool) -> Refusal {
    Refusal::new(reason, retryable).with_detail(format!("definition \"{definition}\""))
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
        Ok(Population::new(tasks, Some(task.definition.clone())))
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
            InjectedFault::Before => {
                return Err(LaunchError::new(FaultKind::Unavailable, "could not launch: chaos before it"));
            }
            InjectedFault::Throttle => {
                return Err(LaunchError::new(FaultKind::Throttled, "could not launch: too many calls"));
            }
            InjectedFault::HangBefore => std::future::pending().await,
            InjectedFault::None | InjectedFault::LoseAnswer | InjectedFault::HangAfter => {}
        }
        let report = self.inner.lock().launch(request, self.clock.now(), self.seed);
        self.pause().await;
        match fault {
            InjectedFault::LoseAnswer => Err(LaunchError::unanswered("could not launch: chaos after it")),
            InjectedFault::HangAfter => std::future::pending().await,
            InjectedFault::None
            | InjectedFault::Before
            | InjectedFault::Throttle
            | InjectedFault::HangBefore => Ok(report),
        }
    }

    async fn observe(&self, tasks: &[TaskId]) -> Result<ObservedTasks, LaunchError> {
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
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        inner.stops.push((task.clone(), now));
        let code = inner.plan.stopped_code;
        if let Some(task) = inner.tasks.get_mut(task)
            && task.ends > later(now, task.stopping)
        {
            task.code = (task.phase(now) == TaskPhase::Running).then_some(code);
            task.ends = later(now, task.stopping);
            task.stop = Some(("UserInitiated", reason.to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl TaskValidation for ChaosLauncher {
    async fn measure(&self, _: &str, _: &TaskSpec) -> Result<TaskSize, LaunchError> {
        Ok(TaskSize::new(Some(256), Some(512)))
    }
}

impl LaunchDiagnosis for ChaosLauncher {}

impl TaskLogs for ChaosLauncher {}

#[async_trait]
impl LaunchRecovery for ChaosLauncher {
    async fn find_lost_launch(
        &self,
        request: &LaunchRequest,
        sent_at: Timestamp,
    ) -> Result<LostCall, LaunchError> {
        self.read("look up a launch").await?;
        let inner = self.inner.lock();
        let started: Vec<_> = inner
            .starts
            .iter()
            .filter(|start| start.token == request.token)
            .map(|start| StartedTask::new(start.task.clone(), None))
            .collect();
        let fresh = self.clock.now().duration_since(sent_at) <= signed(inner.plan.search_life);
        Ok(match (fresh, started.is_empty()) {
            (true, true) => LostCall::Nothing,
            (true, false) => LostCall::Found(started),
            (false, _) => LostCall::Unknown("its tasks may have been forgotten".to_owned()),
        })
    }
}
