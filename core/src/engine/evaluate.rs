//! One evaluation: ask the trigger, count what runs, decide. Whatever goes wrong costs this evaluation only.

mod queue;

use std::time::Duration;

use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};

use super::clock_check::is_ahead;
use super::faults::{Asked, Failure};
use super::handle::Given;
use super::inner::Core;
use super::job_cache::Loaded;
use crate::decide::{Decision, DecisionDraft, DecisionInput, Outcome, Rule, Step, TickSpan, decide};
use crate::fault::{self, FaultKind};
use crate::firing::{Firing, FiringId, FiringState, Origin};
use crate::job::Job;
use crate::launcher::LaunchError;
use crate::policy::{Mode, OnError};
use crate::queue::QueueFacts;
use crate::scaling::Demand;
use crate::store::StoreError;
use crate::task::Population;
use crate::trigger::{EvalContext, Evaluation, Tick, TriggerError};
use queue::convergence;

/// What is asked of [`Core::judge`].
pub(super) struct Question<'a> {
    pub(super) job: &'a Job,
    pub(super) loaded: &'a Loaded,
    pub(super) tick: Tick,
    /// Who asks; a firing by hand does not ask the trigger.
    pub(super) by: Asker,
    pub(super) given: Given,
    /// How often this tick was tried before.
    pub(super) tried: u32,
}

/// The answer to a question.
pub(super) struct Judgement {
    pub(super) draft: DecisionDraft,
    /// There when something is to be launched.
    pub(super) firing: Option<Firing>,
    /// Whether it could not be decided for a reason that passes by itself.
    pub(super) undecided: bool,
}

/// Says why a source or the running tasks could not be read, and whether that passes by itself.
#[derive(Debug)]
pub(super) struct Unreadable {
    why: String,
    passes: bool,
}

impl From<TriggerError> for Unreadable {
    fn from(error: TriggerError) -> Self {
        Self { why: fault::chain(&error), passes: error.is_transient() }
    }
}

impl From<LaunchError> for Unreadable {
    fn from(error: LaunchError) -> Self {
        Self { why: fault::chain(&error), passes: error.is_transient() }
    }
}

impl From<StoreError> for Unreadable {
    fn from(error: StoreError) -> Self {
        Self { why: fault::chain(&error), passes: error.is_transient() }
    }
}

impl From<(DecisionDraft, Option<Firing>)> for Judgement {
    fn from((draft, firing): (DecisionDraft, Option<Firing>)) -> Self {
        Self { draft, firing, undecided: false }
    }
}

impl Judgement {
    fn ended(draft: DecisionDraft, outcome: Outcome, why: String) -> Self {
        (draft.ended(outcome, why), None).into()
    }

    /// Ends a question about something that could not be read.
    fn unread(draft: DecisionDraft, outcome: Outcome, unreadable: Unreadable) -> Self {
        Self { undecided: unreadable.passes, ..Self::ended(draft, outcome, unreadable.why) }
    }
}

/// Who asks for a decision.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    /// A tick of the job.
    Tick,
    /// A person or program, who names the firing and may say how many tasks.
    Hand { id: FiringId, tasks: Option<u32> },
    /// Somebody who wants to know how a tick would end; nothing is launched.
    Curious,
}

impl Core {
    /// Decides about one tick.
    pub(super) async fn judge(&self, question: &Question<'_>) -> Judgement {
        let Question { job, tick, by, .. } = question;
        let count = u64::from(!matches!(by, Asker::Hand { .. }));
        let span = TickSpan { first: tick.nominal, last: tick.nominal, count };
        let mut draft = DecisionDraft { tries: question.tried + 1, ..blank(span, tick.observed) };
        if let Some(why) = self.held_back(job, tick.nominal, by) {
            return Judgement::ended(draft, Outcome::Suspended, why);
        }
        let asked = self.clock.now();
        let evaluation = match self.evaluation(question).await {
            Ok(evaluation) => evaluation,
            Err(unreadable) => return Judgement::unread(draft, Outcome::SourceError, unreadable),
        };
        draft.demand = Some(evaluation.demand);
        draft.observations = evaluation.observations;
        let (population, mut busy) = match self.running(question, evaluation.demand).await {
            Ok(running) => running,
            Err(unreadable) => return Judgement::unread(draft, Outcome::LiveUnknown, unreadable),
        };
        let mut queue = None;
        if let Some(reading) = &evaluation.queue
            && job.policy.mode != Mode::Total
        {
            match self.look_at_queue(question, reading, asked, &population).await {
                Ok((facts, own)) => {
                    busy = question.given.busy.unwrap_or(own);
                    draft.observations.extend(convergence(&facts, job, draft.observations.first()));
                    queue = Some(facts);
                }
                Err(unreadable) => return Judgement::unread(draft, Outcome::LiveUnknown, unreadable),
            }
        }
        if evaluation.demand != Demand::Idle {
            draft.busy = Some(busy);
        }
        let decision = decide(&DecisionInput {
            demand: evaluation.demand,
            because: &evaluation.because,
            scaling: job.scaling,
            mode: job.policy.mode,
            queue: queue.as_ref(),
            overlap: job.policy.overlap,
            busy,
            cooldown: self.cooling(question),
            budget: None,
        });
        let decision = self.worded(decision, question, &population, queue.as_ref());
        draft.launch = decision.launch;
        draft.outcome = match (decision.outcome, by) {
            // A question that launches nothing is answered with the outcome of a launch.
            (Outcome::Pending, Asker::Curious) => Outcome::Launched,
            (outcome, _) => outcome,
        };
        draft.explanation = decision.to_string();
        let firing = self.firing(question, &decision, &draft.explanation, population);
        draft.steps = decision.steps;
        (draft, firing).into()
    }

    /// Names the tasks that are counted, once, and the end of a cooldown. Such words stay the same from tick to tick, so that
    /// equal decisions share a row.
    fn worded(
        &self,
        mut decision: Decision,
        question: &Question<'_>,
        population: &Population,
        queue: Option<&QueueFacts>,
    ) -> Decision {
        let left = self.cooling(question).and_then(|left| SignedDuration::try_from(left).ok());
        let until = left.and_then(|left| question.tick.observed.checked_add(left).ok());
        for step in &mut decision.steps {
            if let (Rule::Cooldown, Some(until)) = (step.rule, until) {
                step.because = format!("cooling down until {until:.0}");
            }
        }
        // A number that is assumed stands for no tasks.
        if question.given.busy.is_none()
            && let Some(step) = counting_step(&mut decision.steps, question.job.policy.mode, queue)
        {
            let tasks = self.ledger.named(&question.loaded.uid, population);
            if !tasks.is_empty() {
                step.because.push_str(&format!(" ({tasks})"));
            }
        }
        decision
    }

    /// Counts what already runs, where anything is asked for.
    async fn running(
        &self,
        question: &Question<'_>,
        demand: Demand,
    ) -> Result<(Population, u32), Unreadable> {
        let given = question.given.busy;
        if demand == Demand::Idle {
            return Ok((Population::default(), given.unwrap_or(0)));
        }
        let population = self.population(question.job).await;
        self.note_unread(question, Asked::Tasks, population.as_ref().err());
        let population = match population {
            Err(error) if given.is_none() => return Err(error.into()),
            known => known.unwrap_or_default(),
        };
        let known = || self.ledger.busy(&question.loaded.uid, &population, question.tick.observed);
        let busy = given.unwrap_or_else(known);
        Ok((population, busy))
    }

    fn held_back(&self, job: &Job, nominal: Timestamp, by: &Asker) -> Option<String> {
        if let Some(brake) = self.commons.brake() {
            return Some(format!("the brake is on: {}", brake.reason));
        }
        if matches!(by, Asker::Hand { .. }) {
            return None;
        }
        let reason = job.suspension_of(nominal)?.reason.as_deref();
        Some(reason.map_or_else(|| "suspended".to_owned(), |reason| format!("suspended: {reason}")))
    }

    async fn evaluation(&self, question: &Question<'_>) -> Result<Evaluation, Unreadable> {
        if let Some(given) = &question.given.evaluation {
            return Ok(given.clone());
        }
        let job = question.job;
        if let Asker::Hand { tasks, .. } = &question.by {
            return Ok(match tasks {
                Some(tasks) => Evaluation::tasks(*tasks, "asked for by hand"),
                None => Evaluation::floor("fired by hand, taskCount"),
            });
        }
        let Some(trigger) = &job.trigger else { return Ok(Evaluation::floor("due, taskCount")) };
        let cx = EvalContext { job: &job.id, tick: question.tick, scaling: job.scaling };
        let deadline = self.options.evaluation_deadline;
        let guarded = std::panic::AssertUnwindSafe(trigger.evaluate(&cx)).catch_unwind();
        let answer = match tokio::time::timeout(deadline, guarded).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(TriggerError::new(
                FaultKind::Bug,
                format!("the trigger panicked: {}", panic_text(panic.as_ref())),
            )),
            Err(_) => {
                let message = format!("the trigger did not answer within {} s", deadline.as_secs());
                Err(TriggerError::new(FaultKind::Unavailable, message))
            }
        };
        self.or_assume(question, answer)
    }

    /// Notes whether something could be read for a tick.
    fn note_unread<E>(&self, question: &Question<'_>, asked: Asked, error: Option<&E>)
    where
        E: std::error::Error + 'static,
    {
        if !matches!(question.by, Asker::Tick) {
            return;
        }
        let (faults, uid) = (&self.commons.faults, question.loaded.uid);
        let Some(error) = error else { return faults.read(uid, asked) };
        let (job, tick) = (&question.job.id, question.tick.nominal);
        let failure = Failure { job, tick, source: &error.to_string(), error: &fault::chain(error) };
        faults.unread(self.number, uid, asked, failure);
    }

    /// Follows the job's `onError`.
    fn or_assume(
        &self,
        question: &Question<'_>,
        answer: Result<Evaluation, TriggerError>,
    ) -> Result<Evaluation, Unreadable> {
        let uid = question.loaded.uid;
        let counts = matches!(question.by, Asker::Tick);
        self.note_unread(question, Asked::Trigger, answer.as_ref().err());
        match answer {
            Ok(evaluation) => {
                if counts {
                    self.failures.lock().remove(&uid);
                }
                Ok(evaluation)
            }
            Err(error) => {
                let failed = self.failed(question);
                match question.job.policy.on_error {
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

    /// Counts the ticks in a row that a trigger could not decide, this one included, however often it was tried. An
    /// evaluation gets the count of the tick that it stands for, and leaves none.
    fn failed(&self, question: &Question<'_>) -> u32 {
        let first = question.tried == 0;
        let mut failures = self.failures.lock();
        let before = failures.get(&question.loaded.uid).copied().unwrap_or(0);
        let failed = before.saturating_add(u32::from(first || before == 0));
        if first && matches!(question.by, Asker::Tick) {
            failures.insert(question.loaded.uid, failed);
        }
        failed
    }

    async fn population(&self, job: &Job) -> Result<Population, LaunchError> {
        let deadline = self.options.evaluation_deadline;
        let answer = tokio::time::timeout(deadline, self.launcher.population(&job.id, &job.task)).await;
        let answer = answer.unwrap_or_else(|_| {
            let message =
                format!("could not count tasks of job \"{}\" within {} s", job.id, deadline.as_secs());
            Err(LaunchError::new(FaultKind::Unavailable, message))
        });
        self.note_launcher(&answer);
        answer
    }

    /// Notes whether the launcher answered, for the status.
    pub(super) fn note_launcher<T>(&self, answer: &Result<T, LaunchError>) {
        let text =
            answer.as_ref().err().filter(|error| error.is_transient()).map(|error| fault::chain(error));
        if *self.commons.launcher_fault.read() != text {
            *self.commons.launcher_fault.write() = text;
        }
    }

    fn cooling(&self, question: &Question<'_>) -> Option<Duration> {
        let cooldown = SignedDuration::try_from(question.job.policy.cooldown?).ok()?;
        // A firing of a time when the clock was ahead says nothing about how long ago it was.
        let last =
            (*question.loaded.last_fired.lock()).filter(|last| !is_ahead(*last, question.tick.observed))?;
        let left = cooldown - question.tick.observed.duration_since(last);
        Duration::try_from(left).ok().filter(|left| !left.is_zero())
    }

    fn firing(
        &self,
        question: &Question<'_>,
        decision: &Decision,
        explanation: &str,
        population: Population,
    ) -> Option<Firing> {
        let Question { job, loaded, tick, by, .. } = question;
        let (id, origin) = match by {
            Asker::Tick => (FiringId::of_tick(&loaded.uid, tick.nominal), Origin::Tick),
            Asker::Hand { id, .. } => (id.clone(), Origin::Hand),
            Asker::Curious => return None,
        };
        if decision.launch == 0 {
            return None;
        }
        let replaces = if decision.replace {
            let mut tasks = self.ledger.live(&loaded.uid);
            tasks.extend(population.tasks);
            tasks.sort();
            tasks.dedup();
            tasks
        } else {
            Vec::new()
        };
        let max_age = SignedDuration::try_from(job.policy.launch_max_age).unwrap_or(SignedDuration::MAX);
        Some(Firing {
            id,
            job: job.id.clone(),
            uid: loaded.uid,
            revision: loaded.revision,
            origin,
            nominal: tick.nominal,
            observed: tick.observed,
            decision: crate::DecisionId::default(),
            state: FiringState::Planned,
            requested: decision.launch,
            definition: population.definition.unwrap_or_else(|| job.task.definition.clone()),
            task: job.task.clone(),
            deadline: tick.observed.checked_add(max_age).unwrap_or(Timestamp::MAX),
            replace: decision.replace,
            replaces,
            timeout_secs: job.policy.timeout.map(|timeout| timeout.as_secs()),
            start_timeout_secs: job.policy.start_timeout.map(|timeout| timeout.as_secs()),
            attempts: Vec::new(),
            tasks: Vec::new(),
            explanation: explanation.to_owned(),
            note: None,
        })
    }
}

/// Returns the first step that counts the tasks that are pending or running.
fn counting_step<'a>(steps: &'a mut [Step], mode: Mode, queue: Option<&QueueFacts>) -> Option<&'a mut Step> {
    let arrivals_only = mode == Mode::Drain && queue.is_some_and(|facts| facts.since_empty.is_some());
    steps.iter_mut().find(|step| match step.rule {
        Rule::Overlap => true,
        Rule::Mode => !arrivals_only,
        Rule::Cap => queue.is_some(),
        Rule::Demand | Rule::Floor | Rule::Cooldown | Rule::Budget | Rule::Need => false,
    })
}

/// A decision about which nothing is known yet.
pub(super) fn blank(span: TickSpan, observed: Timestamp) -> DecisionDraft {
    DecisionDraft {
        span,
        observed,
        outcome: Outcome::Idle,
        demand: None,
        busy: None,
        launch: 0,
        tries: 1,
        explanation: String::new(),
        steps: Vec::new(),
        observations: Vec::new(),
    }
}

impl DecisionDraft {
    /// Ends the draft without a launch.
    pub(super) fn ended(mut self, outcome: Outcome, explanation: String) -> Self {
        self.outcome = outcome;
        self.explanation = explanation;
        self
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
