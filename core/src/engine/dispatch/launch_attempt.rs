//! One call to the launcher, and the handling of its answer.

use std::num::NonZeroU32;
use std::ops::ControlFlow::{self, Break, Continue};

use super::{Counters, FiringDriver};
use crate::decide::TickOutcome;
use crate::engine::launcher_faults::LauncherAction;
use crate::fault;
use crate::firing::{Answer, Attempt, Firing, FiringState, Origin};
use crate::launcher::{
    LaunchError, LaunchReport, LaunchRequest, LaunchToken, LostCall, Refusal, StartedTask,
};
use crate::task::TaskState;

/// The next step when an attempt cannot continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Interruption {
    /// Retry after a wait.
    Retry,
    /// The firing needs no further call.
    Done,
}

/// The result of a step of an attempt: continue with a value, or interrupt the attempt.
pub(super) type AttemptFlow<T = ()> = ControlFlow<Interruption, T>;

impl FiringDriver {
    /// Makes the next call of the firing, or repeats a call without an answer. Continues when another call follows at once.
    pub(super) async fn attempt(&mut self) -> AttemptFlow {
        self.abort_if_needed().await?;
        let attempt = match self.firing.unanswered().cloned() {
            Some(attempt) => self.resume_attempt(&attempt).await?.then_some(attempt),
            None => Some(self.start_attempt().await?),
        };
        let Some(attempt) = attempt else { return Continue(()) };
        let Some(answer) = self.call(&attempt).await? else { return Continue(()) };
        match answer {
            Ok(report) => {
                self.check_definition(&attempt, &report).await?;
                self.record_report(&attempt, report).await
            }
            Err(error) if error.outcome_unknown() => {
                self.outcome_unknown = true;
                self.log_failure(&fault::chain(&error));
                Break(Interruption::Retry)
            }
            Err(error) => self.handle_failure(&attempt, &error).await,
        }
    }

    /// Tells whether to repeat the call of an attempt without an answer. Otherwise its token is not valid any more, and the
    /// attempt is closed.
    async fn resume_attempt(&mut self, attempt: &Attempt) -> AttemptFlow<bool> {
        if self.is_token_valid(attempt.sent_at) {
            if self.engine.process.brake().is_some() {
                return Break(Interruption::Retry);
            }
            self.acquire_quota(attempt).await?;
        }
        // The wait for quota takes time.
        if self.is_token_valid(attempt.sent_at) {
            return Continue(true);
        }
        if self.outcome_unknown {
            self.reconcile_lost(attempt).await?;
        } else {
            // The call launched nothing, so a new attempt is safe.
            self.close_attempt(attempt).await?;
        }
        Continue(false)
    }

    /// Records that a call without effect is not repeated.
    async fn close_attempt(&mut self, attempt: &Attempt) -> AttemptFlow {
        let reason = self.failure.take().unwrap_or_else(|| "it was not made".to_owned());
        let mut to = self.firing.clone();
        record_answer(&mut to, attempt, Answer::Failed(reason));
        self.advance(to, None).await
    }

    /// Waits until the quota allows the call, or the firing is superseded. Done when the engine stops.
    async fn acquire_quota(&self, attempt: &Attempt) -> AttemptFlow {
        let request = self.launch_request(attempt);
        tokio::select! {
            biased;
            () = self.engine.stop.cancelled() => Break(Interruption::Done),
            () = self.engine.launcher.acquire_quota(&request, self.firing.deadline) => Continue(()),
            () = self.engine.task_tracker.superseded(&self.firing), if !self.outcome_unknown => Continue(()),
        }
    }

    /// Records a new attempt durably before its call.
    async fn start_attempt(&mut self) -> AttemptFlow<Attempt> {
        let per_call = self.engine.launcher.limits().per_call.get();
        let last = self.firing.attempts.last();
        // A firing with a permanent refusal continues with another definition.
        let retried = last.filter(|last| refused_tasks(last) > 0 && !is_permanent_refusal(last));
        let (batch, number) = match (retried, last) {
            (Some(last), _) => (last.batch, last.number + 1),
            (None, Some(last)) => (last.batch + 1, 1),
            (None, None) => (0, 1),
        };
        let max = retried.map_or(per_call, refused_tasks).min(self.firing.shortfall()).min(per_call);
        let count = self.available_room(max).await?;
        let token =
            LaunchToken::derive(&self.engine.options.name, &self.firing.uid, &self.firing.id, batch, number);
        let mut attempt =
            Attempt { batch, number, count, token, sent_at: self.engine.clock.now(), answer: None };
        self.acquire_quota(&attempt).await?;
        // The wait for quota takes time.
        self.abort_if_needed().await?;
        attempt.count = self.available_room(count).await?;
        attempt.sent_at = self.engine.clock.now();
        let mut to = Firing { state: FiringState::Launching, ..self.firing.clone() };
        to.push_attempt(attempt.clone());
        (self.outcome_unknown, self.failure) = (false, None);
        self.advance(to, None).await?;
        Continue(attempt)
    }

    /// Returns how many of the wanted tasks the job's cap allows now. The cap may be lower than at the decision, or unknown tasks
    /// may have appeared. Ends the firing when there is no room, and a launch that was refused when the job was removed or
    /// suspended meanwhile.
    async fn available_room(&mut self, wanted: u32) -> AttemptFlow<u32> {
        let jobs = self.engine.load_jobs(std::slice::from_ref(&self.firing.job)).await;
        let Ok(jobs) = jobs else { return Break(Interruption::Retry) };
        let is_repeated = !self.firing.attempts.is_empty();
        let Some((_, loaded)) = jobs.first().filter(|(_, loaded)| loaded.uid == self.firing.uid) else {
            if !is_repeated {
                return Continue(wanted);
            }
            return Break(self.abandon(TickOutcome::Suspended, "the job was removed".to_owned()).await);
        };
        // A job that is not valid any more keeps the cap of the decision.
        let Ok(job) = &loaded.job else { return Continue(wanted) };
        if is_repeated
            && self.firing.origin != Origin::Manual
            && let Some(suspension) = job.suspension_of(self.engine.clock.now())
        {
            return Break(self.abandon(TickOutcome::Suspended, suspension.to_string()).await);
        }
        let scaling = job.scaling;
        let beside = self.engine.task_tracker.reserve(&self.firing, scaling.limit());
        let room = scaling.limit().saturating_sub(beside).min(wanted);
        if room > 0 {
            return Continue(room);
        }
        let (name, limit) = (scaling.limit_name(), scaling.limit());
        let note = format!("at most {name} {limit}, and {beside} are pending, running or being started");
        Break(self.abandon(TickOutcome::Capped, note).await)
    }

    /// Returns why the firing must make no further call, if so: state and outcome for a firing without calls, and a note.
    fn abort_reason(&self) -> Option<(FiringState, TickOutcome, String)> {
        if let Some(newer) = self.engine.task_tracker.superseding(&self.firing) {
            return Some((
                FiringState::Cancelled,
                TickOutcome::Coalesced,
                format!("superseded by firing {newer}"),
            ));
        }
        if let Some(brake) = self.engine.process.brake() {
            let note = format!("the brake is on: {}", brake.reason);
            return Some((FiringState::Cancelled, TickOutcome::Suspended, note));
        }
        let refused = |attempt: &Attempt| match &attempt.answer {
            Some(Answer::Report(report)) => report.refused.first().map(ToString::to_string),
            Some(Answer::Failed(_) | Answer::Lost(_)) | None => None,
        };
        let note = || match (self.firing.attempts.iter().rev().find_map(refused), &self.failure) {
            (Some(reason), _) => format!("refused for all of retry.launch.maxAge: {reason}"),
            (None, Some(failure)) => format!("nothing could be sent in time: {failure}"),
            (None, None) => "nothing could be sent in time".to_owned(),
        };
        self.expired().then(|| (FiringState::Expired, TickOutcome::LaunchFailed, note()))
    }

    /// Ends a firing that must make no further call: it is superseded, the brake is on, or it is too late. Does nothing while a
    /// call may have launched tasks.
    pub(super) async fn abort_if_needed(&mut self) -> AttemptFlow {
        if self.outcome_unknown {
            return Continue(());
        }
        let Some((state, outcome, note)) = self.abort_reason() else { return Continue(()) };
        if let Some(open) = self.firing.unanswered().cloned() {
            self.close_attempt(&open).await?;
        }
        if self.firing.attempts.is_empty() {
            return Break(self.end(state, outcome, note).await);
        }
        let outcome = if outcome == TickOutcome::Coalesced { outcome } else { TickOutcome::LaunchFailed };
        Break(self.abandon(outcome, note).await)
    }

    fn launch_request(&self, attempt: &Attempt) -> LaunchRequest {
        LaunchRequest {
            job: self.firing.job.clone(),
            firing: self.firing.id.clone(),
            token: attempt.token.clone(),
            attempt: attempt.number,
            started_by: format!("{}/{}", self.engine.options.name, self.firing.job),
            definition: self.firing.definition.clone(),
            count: NonZeroU32::new(attempt.count).unwrap_or(NonZeroU32::MIN),
            task: self.firing.task.clone(),
            scheduled_at: self.firing.nominal,
        }
    }

    /// Calls the launcher, unless this process may not launch any more. Returns none when the firing must make no further call
    /// meanwhile, or was delayed for so long that the launcher may have forgotten the token.
    async fn call(&mut self, attempt: &Attempt) -> AttemptFlow<Option<Result<LaunchReport, LaunchError>>> {
        if !self.acquire_permit().await {
            return Break(Interruption::Done);
        }
        let engine = &self.engine;
        let request = self.launch_request(attempt);
        let _permit = engine.process.limits.launches.acquire().await.expect("the semaphore is never closed");
        if !engine.may_launch() {
            return Break(Interruption::Done);
        }
        // The write of the attempt and the wait for a permit take time.
        let is_aborted = !self.outcome_unknown && self.abort_reason().is_some();
        if is_aborted || !self.is_token_valid(attempt.sent_at) {
            return Continue(None);
        }
        Counters::add(&engine.process.counters.launch_calls, 1);
        let call = engine.launcher.launch(&request);
        let deadline = engine.options.launch_deadline;
        Continue(Some(engine.call_launcher(LauncherAction::Launch, "start tasks", deadline, call).await))
    }

    /// Records the report of a call, and decides about the next step.
    async fn record_report(&mut self, attempt: &Attempt, report: LaunchReport) -> AttemptFlow {
        self.count_report(&report);
        self.outcome_unknown = false;
        let now = self.engine.clock.now();
        let mut to = self.firing.clone();
        for started in &report.started {
            if !to.tasks.iter().any(|task| task.task_id == started.task_id) {
                let task = TaskState::pending(started.task_id.clone(), started.host_id.clone());
                to.tasks.push(TaskState { accepted_at: Some(now), ..task });
            }
        }
        let permanent = report.is_refused_for_good();
        let reason = report.refused.first().map(ToString::to_string);
        let (started, refused) = (!report.started.is_empty(), !report.refused.is_empty());
        record_answer(&mut to, attempt, Answer::Report(report));
        let complete = to.shortfall() == 0;
        if refused && !permanent {
            self.log_failure(&refusal_note(reason.clone()));
        }
        if !complete && !permanent {
            self.advance(to, None).await?;
            if started && !refused {
                self.backoff.reset();
                return Continue(());
            }
            if !self.expired() {
                return Break(Interruption::Retry);
            }
            return Break(self.abandon(TickOutcome::LaunchFailed, refusal_note(reason)).await);
        }
        if to.tasks.is_empty() {
            self.advance(to, None).await?;
            return Break(self.abandon(TickOutcome::LaunchFailed, refusal_note(reason)).await);
        }
        to.state = FiringState::Launched;
        to.note = if complete { None } else { Some(refusal_note(reason)) };
        let outcome = if complete { TickOutcome::Launched } else { TickOutcome::Partial };
        Break(self.finish(to, outcome).await)
    }

    /// Handles a call that failed without effect: repeats the call, or abandons the firing. When an earlier try of the call may
    /// have launched tasks, these are looked up first.
    async fn handle_failure(&mut self, attempt: &Attempt, error: &LaunchError) -> AttemptFlow {
        Counters::add(&self.engine.process.counters.launch_errors, 1);
        let reason = fault::chain(error);
        self.failure = Some(reason.clone());
        if error.is_transient() && (self.outcome_unknown || self.abort_reason().is_none()) {
            self.log_failure(&reason);
            return Break(Interruption::Retry);
        }
        if self.outcome_unknown {
            self.log_failure(&reason);
            return self.reconcile_lost(attempt).await;
        }
        if self.engine.task_tracker.superseding(&self.firing).is_some() {
            self.abort_if_needed().await?;
        }
        self.close_attempt(attempt).await?;
        Break(self.abandon(TickOutcome::LaunchFailed, reason).await)
    }

    /// Looks up the tasks of a call without an answer whose token may be forgotten. The call is never repeated; an unknown
    /// result is shown to the operator.
    async fn reconcile_lost(&mut self, attempt: &Attempt) -> AttemptFlow {
        let request = self.launch_request(attempt);
        let engine = &self.engine;
        let search = engine.launcher.find_lost_launch(&request, attempt.sent_at);
        let deadline = engine.options.launch_deadline;
        match engine.call_launcher(LauncherAction::Launch, "look up a lost launch", deadline, search).await {
            Ok(LostCall::Found(started)) => self.adopt_found(attempt, started).await,
            Ok(LostCall::Nothing) => {
                let answer = "it had no answer, and it started nothing".to_owned();
                let note = "a call had no answer, and it started nothing; too late to launch".to_owned();
                let mut to = self.firing.clone();
                record_answer(&mut to, attempt, Answer::Failed(answer));
                self.advance(to, None).await?;
                Break(self.abandon(TickOutcome::LaunchFailed, note).await)
            }
            Ok(LostCall::Unknown(reason)) => Break(self.mark_unknown(attempt, &reason).await),
            Err(error) => {
                self.log_failure(&fault::chain(&error));
                Break(Interruption::Retry)
            }
        }
    }

    /// Adopts the tasks that a lost call has launched. Missing tasks count as refused, and are not retried.
    async fn adopt_found(&mut self, attempt: &Attempt, started: Vec<StartedTask>) -> AttemptFlow {
        let missing = attempt.count.saturating_sub(u32::try_from(started.len()).unwrap_or(u32::MAX));
        let refusal = Refusal::new("not found", false)
            .with_detail("the call had no answer, and its other tasks were found");
        let refused = vec![refusal; missing as usize];
        if started.is_empty() {
            return Break(self.mark_unknown(attempt, "no task of the call was named").await);
        }
        self.record_report(attempt, LaunchReport::new(started, refused)).await
    }

    /// Ends a firing whose lost call has an unknown result. Tasks of its other calls are followed.
    async fn mark_unknown(&mut self, attempt: &Attempt, reason: &str) -> Interruption {
        let note = format!("a call had no answer, and the launcher has forgotten its token since: {reason}");
        let mut to = self.firing.clone();
        record_answer(&mut to, attempt, Answer::Lost(note.clone()));
        to.note = Some(note);
        to.state = if to.tasks.is_empty() { FiringState::Unknown } else { FiringState::Launched };
        tracing::warn!(
            reason,
            started = to.started(),
            requested = to.requested,
            "it is not known whether a call started tasks"
        );
        self.finish(to, TickOutcome::Unknown).await
    }

    /// Makes no further attempt: started tasks are followed, and the others are not launched. `outcome` is that of a firing
    /// without tasks.
    async fn abandon(&mut self, outcome: TickOutcome, note: String) -> Interruption {
        if self.firing.tasks.is_empty() {
            return self.end(FiringState::Refused, outcome, note).await;
        }
        let to = Firing { state: FiringState::Launched, note: Some(note), ..self.firing.clone() };
        self.finish(to, TickOutcome::Partial).await
    }

    /// Logs why a call failed that is repeated; once as long as the reason stays the same, also over the ticks of a job. The end of
    /// a firing is logged where it ends.
    pub(super) fn log_failure(&mut self, error: &str) {
        if self.logged_failure.as_deref() == Some(error) {
            return;
        }
        self.logged_failure = Some(error.to_owned());
        let Self { engine, firing, .. } = &*self;
        let is_known =
            is_unattended(firing) && !engine.process.faults.record_retry(engine.number, firing.uid, error);
        if is_known || self.is_repeated(error) {
            tracing::debug!(error, "a launch failed; retrying");
        } else {
            tracing::warn!(error, "a launch failed; retrying");
        }
    }
}

/// Tells whether no person has ordered the firing, so that another one like it follows soon.
pub(super) const fn is_unattended(firing: &Firing) -> bool {
    matches!(firing.origin, Origin::Tick | Origin::Backfill)
}

/// Sets the answer of an attempt.
pub(super) fn record_answer(firing: &mut Firing, attempt: &Attempt, answer: Answer) {
    if let Some(known) = firing.attempts.iter_mut().find(|known| known.token == attempt.token) {
        known.answer = Some(answer);
    }
}

fn is_permanent_refusal(attempt: &Attempt) -> bool {
    matches!(&attempt.answer, Some(Answer::Report(report)) if report.is_refused_for_good())
}

fn refused_tasks(attempt: &Attempt) -> u32 {
    match &attempt.answer {
        Some(Answer::Report(report)) => {
            attempt.count.saturating_sub(u32::try_from(report.started.len()).unwrap_or(u32::MAX))
        }
        Some(Answer::Failed(_) | Answer::Lost(_)) | None => 0,
    }
}

fn refusal_note(reason: Option<String>) -> String {
    reason.map_or_else(|| "refused without a reason".to_owned(), |reason| format!("refused: {reason}"))
}
