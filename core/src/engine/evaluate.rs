//! One evaluation: evaluates the trigger, counts running tasks and decides. A failure affects this evaluation only.

mod backfill;
mod breaker;
mod budget;
mod queue;
mod source;
mod trigger_call;

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::faults::{FailedRead, ReadSubject};
use super::inner::EngineInner;
use super::job_cache::CachedJob;
use crate::clock::is_ahead;
use crate::decide::{Decision, DecisionDraft, DecisionInput, Rule, Step, TickOutcome, TickSpan, decide};
use crate::fault;
use crate::firing::{Firing, FiringRetry, FiringState, Origin};
use crate::id::{JobUid, TaskId};
use crate::job::Job;
use crate::launcher::LaunchError;
use crate::policy::{Mode, OnError, Overlap};
use crate::queue::QueueFacts;
use crate::scaling::Demand;
use crate::store::StoreError;
use crate::task::{Population, TaskSize};
use crate::text::make_line;
use crate::trigger::{Evaluation, Tick, TriggerError};
pub(super) use backfill::waits;
use budget::TasksToStart;
use queue::convergence_observation;
pub(super) use source::TriggerSource;

/// The most observations of one evaluation that are recorded.
const MAX_OBSERVATIONS: usize = 1_000;

/// Values that a dry run assumes instead of reading them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EvalOverrides {
    /// The result of the trigger.
    pub evaluation: Option<Evaluation>,
    /// The number of the job's tasks that are pending or running.
    pub busy: Option<u32>,
}

/// The input of [`EngineInner::evaluate`].
pub(super) struct EvalRequest<'a> {
    pub(super) job: &'a Job,
    pub(super) loaded: &'a CachedJob,
    pub(super) tick: Tick,
    /// The origin of the request. A firing by hand does not evaluate the trigger.
    pub(super) source: TriggerSource,
    pub(super) overrides: EvalOverrides,
    /// How often this tick was tried before.
    pub(super) tried: u32,
}

/// The result of an evaluation.
pub(super) struct TickEvaluation {
    pub(super) draft: DecisionDraft,
    /// The intent, when tasks are to be launched.
    pub(super) firing: Option<Firing>,
    /// The tick could not be decided for a transient reason.
    pub(super) undecided: bool,
}

/// The reason why a source or the running tasks could not be read.
#[derive(Debug)]
pub(super) struct ReadFailure {
    reason: String,
    is_transient: bool,
}

impl From<TriggerError> for ReadFailure {
    fn from(error: TriggerError) -> Self {
        Self { reason: fault::chain(&error), is_transient: error.is_transient() }
    }
}

impl From<LaunchError> for ReadFailure {
    fn from(error: LaunchError) -> Self {
        Self { reason: fault::chain(&error), is_transient: error.is_transient() }
    }
}

impl From<StoreError> for ReadFailure {
    fn from(error: StoreError) -> Self {
        Self { reason: fault::chain(&error), is_transient: error.is_transient() }
    }
}

impl From<(DecisionDraft, Option<Firing>)> for TickEvaluation {
    fn from((draft, firing): (DecisionDraft, Option<Firing>)) -> Self {
        Self { draft, firing, undecided: false }
    }
}

impl TickEvaluation {
    fn finished(draft: DecisionDraft, outcome: TickOutcome, mut reason: String) -> Self {
        make_line(&mut reason);
        (draft.finish(outcome, reason), None).into()
    }

    /// Ends an evaluation for which something could not be read.
    fn unreadable(draft: DecisionDraft, outcome: TickOutcome, failure: ReadFailure) -> Self {
        Self { undecided: failure.is_transient, ..Self::finished(draft, outcome, failure.reason) }
    }
}

impl EngineInner {
    /// Decides about one tick.
    pub(super) async fn evaluate(&self, request: &EvalRequest<'_>) -> TickEvaluation {
        let EvalRequest { job, tick, source, .. } = request;
        let count = u64::from(!source.is_order());
        let span = TickSpan { first: tick.nominal, last: tick.nominal, count };
        let mut draft = DecisionDraft { tries: request.tried + 1, ..DecisionDraft::new(span, tick.observed) };
        if let Some(reason) = self.suspension_reason(job, tick.nominal, source) {
            return TickEvaluation::finished(draft, TickOutcome::Suspended, reason);
        }
        let asked_at = self.clock.now();
        let mut evaluation = match self.evaluate_trigger(request).await {
            Ok(evaluation) => with_lines(evaluation),
            Err(failure) => return TickEvaluation::unreadable(draft, TickOutcome::SourceError, failure),
        };
        draft.demand = Some(evaluation.demand);
        draft.observations = std::mem::take(&mut evaluation.observations);
        let (population, mut busy) = match self.count_running(request, evaluation.demand).await {
            Ok(running) => running,
            Err(failure) => return TickEvaluation::unreadable(draft, TickOutcome::LiveUnknown, failure),
        };
        let mut queue = None;
        if let Some(reading) = &evaluation.queue
            && job.policy.mode != Mode::Total
        {
            match self.read_queue_facts(request, reading, asked_at, &population).await {
                Ok((facts, own)) => {
                    busy = request.overrides.busy.unwrap_or(own);
                    let observation = convergence_observation(&facts, job, draft.observations.first());
                    draft.observations.extend(observation);
                    queue = Some(facts);
                }
                Err(failure) => {
                    return TickEvaluation::unreadable(draft, TickOutcome::LiveUnknown, failure);
                }
            }
        }
        let start = self.tasks_to_start(request, population.definition.clone());
        let decided = self.decide(request, &evaluation, queue.as_ref(), (busy, &start)).await;
        let (decision, size) = match decided {
            Ok(decided) => decided,
            Err(failure) => return TickEvaluation::unreadable(draft, TickOutcome::LiveUnknown, failure),
        };
        draft.busy = (evaluation.demand != Demand::Idle).then_some(busy);
        let decision = self.annotate_steps(decision, request, &population, queue.as_ref());
        draft.launch = decision.launch;
        draft.outcome = match (decision.outcome, source) {
            // A dry run has the outcome that a launch would have.
            (TickOutcome::Pending, TriggerSource::DryRun) => TickOutcome::Launched,
            (outcome, _) => outcome,
        };
        draft.explanation = decision.to_string();
        let start = TasksToStart { size, ..start };
        let firing = self.build_firing(request, &decision, &draft.explanation, (start, population.tasks));
        draft.steps = decision.steps;
        (draft, firing).into()
    }

    /// Decides how many tasks to launch, and reserves them in the budgets of the job. Failed tasks and those of a backfill are added to
    /// those that run, or they run alone.
    async fn decide(
        &self,
        request: &EvalRequest<'_>,
        evaluation: &Evaluation,
        queue: Option<&QueueFacts>,
        (busy, start): (u32, &TasksToStart),
    ) -> Result<(Decision, TaskSize), ReadFailure> {
        let EvalRequest { job, source, .. } = request;
        let breaker = self.open_breaker(request, evaluation.demand).await?;
        let mut input = DecisionInput {
            demand: evaluation.demand,
            reason: &evaluation.reason,
            scaling: job.scaling,
            mode: job.policy.mode,
            queue,
            overlap: job.policy.overlap,
            busy,
            cooldown: self.cooldown_left(request),
            breaker,
            budget: None,
        };
        if let TriggerSource::Manual { options, .. } = source
            && options.tasks.is_some()
        {
            input.scaling.floor = NonZeroU32::MIN;
        }
        if matches!(source, TriggerSource::Retry(_)) {
            input.scaling.floor = NonZeroU32::MIN;
        }
        if source.is_of_the_past() {
            input.cooldown = None;
            input.overlap = match input.overlap {
                Overlap::TopUp | Overlap::Allow => Overlap::Allow,
                Overlap::Skip | Overlap::Replace => Overlap::Skip,
            };
        }
        let decision = decide(&input);
        // The tick stays open until its budgets can be read, whatever the reason.
        let room = self.reserve_budget(request, &decision, start).await;
        let (room, size) = room.map_err(|failure| ReadFailure { is_transient: true, ..failure })?;
        input.budget = room;
        Ok((if input.budget.is_some() { decide(&input) } else { decision }, size))
    }

    /// Adds the names of counted tasks, once, and the end of a cooldown. These texts stay the same from tick to tick, so
    /// that equal decisions share a row.
    fn annotate_steps(
        &self,
        mut decision: Decision,
        request: &EvalRequest<'_>,
        population: &Population,
        queue: Option<&QueueFacts>,
    ) -> Decision {
        let left = self.cooldown_left(request).and_then(|left| SignedDuration::try_from(left).ok());
        let until = left.and_then(|left| request.tick.observed.checked_add(left).ok());
        for step in &mut decision.steps {
            if let (Rule::Cooldown, Some(until)) = (step.rule, until) {
                step.reason = format!("cooling down until {until:.0}");
            }
        }
        // A number that the caller gives belongs to no tasks.
        if request.overrides.busy.is_none()
            && let Some(step) = counting_step(&mut decision.steps, request.job.policy.mode, queue)
        {
            let tasks = self.task_tracker.describe_tasks(&request.loaded.uid, population);
            if !tasks.is_empty() {
                step.reason.push_str(&format!(" ({tasks})"));
                make_line(&mut step.reason);
            }
        }
        decision
    }

    /// Counts the running tasks, unless demand is idle.
    async fn count_running(
        &self,
        request: &EvalRequest<'_>,
        demand: Demand,
    ) -> Result<(Population, u32), ReadFailure> {
        let assumed = request.overrides.busy;
        if demand == Demand::Idle || request.source.is_preview() {
            return Ok((Population::default(), assumed.unwrap_or(0)));
        }
        let population = self.population(request.job).await;
        self.record_read_result(request, ReadSubject::Tasks, population.as_ref().err());
        let population = match population {
            Err(error) if assumed.is_none() => return Err(error.into()),
            known => known.unwrap_or_default(),
        };
        let known = || self.task_tracker.busy(&request.loaded.uid, &population, request.tick.observed);
        let busy = assumed.unwrap_or_else(known);
        Ok((population, busy))
    }

    pub(super) fn suspension_reason(
        &self,
        job: &Job,
        nominal: Timestamp,
        source: &TriggerSource,
    ) -> Option<String> {
        if source.is_preview() {
            return None;
        }
        if let Some(brake) = self.process.brake() {
            return Some(format!("the brake is on: {}", brake.reason));
        }
        if matches!(source, TriggerSource::Manual { .. }) {
            return None;
        }
        job.suspension_of(nominal).map(ToString::to_string)
    }

    async fn evaluate_trigger(&self, request: &EvalRequest<'_>) -> Result<Evaluation, ReadFailure> {
        if let Some(evaluation) = &request.overrides.evaluation {
            return Ok(evaluation.clone());
        }
        let job = request.job;
        if let TriggerSource::Manual { options, .. } = &request.source {
            return Ok(match options.tasks {
                Some(tasks) => Evaluation::tasks(tasks.get(), "asked for by hand"),
                None => Evaluation::floor("fired by hand, taskCount"),
            });
        }
        if let TriggerSource::Retry(retry) = &request.source {
            return Ok(Evaluation::tasks(retry.tasks, retry.reason.clone()));
        }
        if let TriggerSource::Backfill(order) = &request.source {
            return self.evaluate_past(request, order).await;
        }
        let Some(trigger) = job.trigger_of(request.tick.nominal) else {
            return Ok(Evaluation::floor("due, taskCount"));
        };
        self.ask_trigger(request, &**trigger, request.tick).await
    }

    /// Records whether something could be read for a tick.
    fn record_read_result<E>(&self, request: &EvalRequest<'_>, subject: ReadSubject, error: Option<&E>)
    where
        E: std::error::Error + 'static,
    {
        if !matches!(request.source, TriggerSource::Tick) {
            return;
        }
        let (faults, uid) = (&self.process.faults, request.loaded.uid);
        let Some(error) = error else { return faults.record_readable(uid, subject) };
        let (job, tick) = (&request.job.id, request.tick.nominal);
        let mut source = error.to_string();
        make_line(&mut source);
        let failure = FailedRead { job, tick, source: &source, error: &fault::chain(error) };
        faults.record_unreadable(self.number, uid, subject, failure);
    }

    /// Applies the job's `onError` to a failed trigger.
    fn apply_fallback(
        &self,
        request: &EvalRequest<'_>,
        answer: Result<Evaluation, TriggerError>,
    ) -> Result<Evaluation, ReadFailure> {
        let uid = request.loaded.uid;
        let counts = matches!(request.source, TriggerSource::Tick);
        self.record_read_result(request, ReadSubject::Trigger, answer.as_ref().err());
        match answer {
            Ok(evaluation) => {
                if counts {
                    self.failures.lock().remove(&uid);
                }
                Ok(evaluation)
            }
            Err(error) => {
                let failed = self.count_failures(request);
                match request.job.policy.on_error {
                    OnError::Assume { tasks, after } if failed >= after.get() => Ok(Evaluation::tasks(
                        tasks,
                        format!(
                            "{}; assuming {tasks} after {failed} failures in a row",
                            fault::chain(&error)
                        ),
                    )),
                    OnError::Assume { .. } | OnError::Hold => Err(error.into()),
                }
            }
        }
    }

    /// Counts the ticks in a row for which a trigger failed, including this one. Several tries of one tick count once. A dry
    /// run gets the count of the tick that it stands for, and does not change it.
    fn count_failures(&self, request: &EvalRequest<'_>) -> u32 {
        let first = request.tried == 0;
        let mut failures = self.failures.lock();
        let before = failures.get(&request.loaded.uid).copied().unwrap_or(0);
        let failed = before.saturating_add(u32::from(first || before == 0));
        if first && matches!(request.source, TriggerSource::Tick) {
            failures.insert(request.loaded.uid, failed);
        }
        failed
    }

    async fn population(&self, job: &Job) -> Result<Population, LaunchError> {
        let action = format!("count tasks of job \"{}\"", job.id);
        self.count_tasks(&job.id, &job.task, &action, self.options.evaluation_deadline).await
    }

    fn cooldown_left(&self, request: &EvalRequest<'_>) -> Option<Duration> {
        let cooldown = SignedDuration::try_from(request.job.policy.cooldown?).ok()?;
        // A firing from a time when the clock was ahead does not show how long ago it was.
        let last =
            (*request.loaded.last_fired.lock()).filter(|last| !is_ahead(*last, request.tick.observed))?;
        let left = cooldown - request.tick.observed.duration_since(last);
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }

    /// Returns all tasks of a job that run, known here or reported.
    fn replaced_tasks(&self, uid: &JobUid, reported: Vec<TaskId>) -> Vec<TaskId> {
        let mut tasks = self.task_tracker.live_tasks(uid);
        tasks.extend(reported);
        tasks.sort();
        tasks.dedup();
        tasks
    }

    /// Makes the intent to launch, when there is something to launch.
    fn build_firing(
        &self,
        request: &EvalRequest<'_>,
        decision: &Decision,
        explanation: &str,
        (start, reported): (TasksToStart, Vec<TaskId>),
    ) -> Option<Firing> {
        let EvalRequest { job, loaded, tick, source, .. } = request;
        if decision.launch == 0 {
            return None;
        }
        let mut retry = FiringRetry::default();
        let (origin, nominal) = match source {
            TriggerSource::Tick => (Origin::Tick, tick.nominal),
            TriggerSource::Manual { options, .. } => {
                (Origin::Manual, options.scheduled_at.unwrap_or(tick.nominal))
            }
            TriggerSource::Retry(order) => {
                retry = order.link();
                (Origin::Retry, order.of.nominal)
            }
            TriggerSource::Backfill(order) => (Origin::Backfill, order.nominal),
            TriggerSource::DryRun => return None,
        };
        let running = decision.replace.then(|| self.replaced_tasks(&loaded.uid, reported));
        let max_age = SignedDuration::try_from(job.policy.launch_max_age).unwrap_or(SignedDuration::MAX);
        let mut firing = Firing {
            id: request.firing_id(),
            job: job.id.clone(),
            uid: loaded.uid,
            revision: loaded.revision,
            origin,
            nominal,
            observed: tick.observed,
            decision: crate::DecisionId::default(),
            state: FiringState::Planned,
            requested: decision.launch,
            definition: start.definition,
            task: start.task,
            deadline: tick.observed.checked_add(max_age).unwrap_or(Timestamp::MAX),
            replace: decision.replace,
            replaces: running.unwrap_or_default(),
            timeout_secs: None,
            start_timeout_secs: None,
            budgets: self.process.budgets.names(&job.labels),
            size: start.size,
            retry,
            attempts: Vec::new(),
            tasks: Vec::new(),
            explanation: explanation.to_owned(),
            note: None,
        };
        firing.set_time_limits(&job.policy);
        Some(firing)
    }
}

/// Makes [lines](make_line) of a trigger's texts, and keeps the first observations up to the limit.
fn with_lines(mut evaluation: Evaluation) -> Evaluation {
    make_line(&mut evaluation.reason);
    evaluation.observations.truncate(MAX_OBSERVATIONS);
    for observation in &mut evaluation.observations {
        let texts = [&mut observation.name, &mut observation.subject, &mut observation.unit];
        texts.into_iter().for_each(make_line);
    }
    evaluation
}

/// Returns the first step that counts the tasks that are pending or running.
fn counting_step<'a>(steps: &'a mut [Step], mode: Mode, queue: Option<&QueueFacts>) -> Option<&'a mut Step> {
    let arrivals_only = mode == Mode::Drain && queue.is_some_and(|facts| facts.since_empty.is_some());
    steps.iter_mut().find(|step| match step.rule {
        Rule::Overlap => true,
        Rule::Mode => !arrivals_only,
        Rule::Cap => queue.is_some(),
        Rule::Demand | Rule::Floor | Rule::Cooldown | Rule::Breaker | Rule::Budget | Rule::Need => false,
    })
}
