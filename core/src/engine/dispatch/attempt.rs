//! One call to the launcher, and what follows from its answer.

use std::num::NonZeroU32;

use super::{Carrier, Counters, FIRST_BACKOFF};
use crate::decide::Outcome;
use crate::fault::{self, FaultKind};
use crate::firing::{Answer, Attempt, Firing, FiringState};
use crate::launcher::{LaunchError, LaunchReport, LaunchRequest, LaunchToken, Refusal, Search, StartedTask};
use crate::task::TaskState;

/// What to do after an attempt.
pub(super) enum Next {
    /// Go on at once.
    Again,
    /// Go on after a while.
    Wait,
    /// The firing needs no further call.
    Done,
}

impl Carrier {
    /// Makes the next call of the firing, or repeats one whose answer is not known.
    pub(super) async fn attempt(&mut self) -> Next {
        if let Some(next) = self.called_off().await {
            return next;
        }
        let next = match self.firing.unanswered().cloned() {
            Some(attempt) => self.again(attempt).await,
            None => self.begin().await,
        };
        let attempt = match next {
            Ok(attempt) => attempt,
            Err(next) => return next,
        };
        let answer = match self.call(&attempt).await {
            Ok(answer) => answer,
            Err(next) => return next,
        };
        self.core.note_launcher(&answer);
        match answer {
            Ok(report) => match self.redefined(&attempt, &report).await {
                Some(next) => next,
                None => self.reported(&attempt, report).await,
            },
            Err(error) if error.maybe_done() => {
                self.doubt = true;
                self.complain(&fault::chain(&error));
                Next::Wait
            }
            Err(error) => self.failed(&attempt, &error).await,
        }
    }

    /// Takes up an attempt whose answer is not known, while its token lives.
    async fn again(&mut self, attempt: Attempt) -> Result<Attempt, Next> {
        if self.token_lives(attempt.sent_at) {
            if self.core.commons.brake().is_some() {
                return Err(Next::Wait);
            }
            if !self.admitted(&attempt).await {
                return Err(Next::Done);
            }
        }
        // Waiting for quota takes its time.
        if self.token_lives(attempt.sent_at) {
            return Ok(attempt);
        }
        if self.doubt {
            return Err(self.lost(&attempt).await);
        }
        // Nothing came of it, so another one may be made.
        Err(if self.close(&attempt).await { Next::Again } else { Next::Done })
    }

    /// Notes of a call that surely had no effect that it is not made again; tells whether that is durable.
    async fn close(&mut self, attempt: &Attempt) -> bool {
        let why = self.failure.take().unwrap_or_else(|| "it was not made".to_owned());
        let mut to = self.firing.clone();
        answered(&mut to, attempt, Answer::Failed(why));
        self.advance(to, None).await
    }

    /// Waits until a quota allows the call, or nothing is to be launched any more; tells whether the engine still runs.
    async fn admitted(&self, attempt: &Attempt) -> bool {
        let request = self.request(attempt);
        tokio::select! {
            biased;
            () = self.core.stop.cancelled() => false,
            () = self.core.launcher.admit(&request, self.firing.deadline) => true,
            () = self.core.ledger.superseded(&self.firing), if !self.doubt => true,
        }
    }

    /// Notes a new attempt durably before it is made.
    async fn begin(&mut self) -> Result<Attempt, Next> {
        let per_call = self.core.launcher.limits().per_call.get();
        let last = self.firing.attempts.last();
        // A firing that was refused for good starts again with another definition.
        let again = last.filter(|last| refused(last) > 0 && !is_lasting(last));
        let (batch, number) = match (again, last) {
            (Some(last), _) => (last.batch, last.number + 1),
            (None, Some(last)) => (last.batch + 1, 1),
            (None, None) => (0, 1),
        };
        let most = again.map_or(per_call, refused).min(self.firing.shortfall()).min(per_call);
        let count = self.room(most).await?;
        let token =
            LaunchToken::derive(&self.core.options.name, &self.firing.uid, &self.firing.id, batch, number);
        let mut attempt =
            Attempt { batch, number, count, token, sent_at: self.core.clock.now(), answer: None };
        if !self.admitted(&attempt).await {
            return Err(Next::Done);
        }
        // Waiting for quota takes its time.
        if let Some(next) = self.called_off().await {
            return Err(next);
        }
        attempt.count = self.room(count).await?;
        attempt.sent_at = self.core.clock.now();
        let mut to = Firing { state: FiringState::Launching, ..self.firing.clone() };
        to.attempts.push(attempt.clone());
        (self.doubt, self.failure) = (false, None);
        if self.advance(to, None).await { Ok(attempt) } else { Err(Next::Done) }
    }

    /// Returns how many of so many tasks the job's cap allows now. It may have been lowered since the decision, or tasks may
    /// have turned up that were not known then. Ends the firing where there is no room.
    async fn room(&mut self, wanted: u32) -> Result<u32, Next> {
        let jobs = self.core.load_jobs(std::slice::from_ref(&self.firing.job)).await;
        let jobs = jobs.map_err(|_| Next::Wait)?;
        let job = jobs.first().filter(|(_, loaded)| loaded.uid == self.firing.uid);
        // A job that is gone, or not valid any more, has no cap but that of the decision.
        let Some(scaling) = job.and_then(|(_, loaded)| loaded.job.as_ref().ok()).map(|job| job.scaling)
        else {
            return Ok(wanted);
        };
        let beside = self.core.ledger.claim(&self.firing, scaling.limit());
        let room = scaling.limit().saturating_sub(beside).min(wanted);
        if room > 0 {
            return Ok(room);
        }
        let (name, limit) = (scaling.limit_name(), scaling.limit());
        let note = format!("at most {name} {limit}, and {beside} are pending, running or being started");
        Err(self.give_up(Outcome::Capped, note).await)
    }

    /// Says why the firing must make no further call, if so: state and outcome in case it has made none, and a note.
    fn why_not(&self) -> Option<(FiringState, Outcome, String)> {
        if let Some(newer) = self.core.ledger.superseding(&self.firing) {
            return Some((
                FiringState::Cancelled,
                Outcome::Coalesced,
                format!("superseded by firing {newer}"),
            ));
        }
        if let Some(brake) = self.core.commons.brake() {
            let note = format!("the brake is on: {}", brake.reason);
            return Some((FiringState::Cancelled, Outcome::Suspended, note));
        }
        let note = || match &self.failure {
            Some(failure) => format!("nothing could be sent in time: {failure}"),
            None => "nothing could be sent in time".to_owned(),
        };
        self.expired().then(|| (FiringState::Expired, Outcome::LaunchFailed, note()))
    }

    /// Ends a firing that must make no further call: a later one takes its place, the brake is on, or it is too late. Not
    /// while a call may have had its effect.
    pub(super) async fn called_off(&mut self) -> Option<Next> {
        if self.doubt {
            return None;
        }
        let (state, outcome, note) = self.why_not()?;
        if let Some(open) = self.firing.unanswered().cloned()
            && !self.close(&open).await
        {
            return Some(Next::Done);
        }
        if self.firing.attempts.is_empty() {
            self.end(state, outcome, note).await;
            return Some(Next::Done);
        }
        let outcome = if outcome == Outcome::Coalesced { outcome } else { Outcome::LaunchFailed };
        Some(self.give_up(outcome, note).await)
    }

    fn request(&self, attempt: &Attempt) -> LaunchRequest {
        LaunchRequest {
            job: self.firing.job.clone(),
            firing: self.firing.id.clone(),
            token: attempt.token.clone(),
            attempt: attempt.number,
            started_by: format!("{}/{}", self.core.options.name, self.firing.job),
            definition: self.firing.definition.clone(),
            count: NonZeroU32::new(attempt.count).unwrap_or(NonZeroU32::MIN),
            task: self.firing.task.clone(),
            scheduled_at: self.firing.nominal,
        }
    }

    /// Calls the launcher; not when this process may not launch any more, or was held up for so long that the token
    /// may have been used and forgotten.
    async fn call(&self, attempt: &Attempt) -> Result<Result<LaunchReport, LaunchError>, Next> {
        let core = &self.core;
        let request = self.request(attempt);
        let _place = core.commons.launches.acquire().await.expect("the semaphore is never closed");
        if !core.may_launch() {
            return Err(Next::Done);
        }
        if !self.token_lives(attempt.sent_at) {
            return Err(Next::Again);
        }
        Counters::add(&core.commons.counters.launch_calls, 1);
        let deadline = core.options.launch_deadline;
        let answer = tokio::time::timeout(deadline, core.launcher.launch(&request)).await;
        Ok(answer.unwrap_or_else(|_| {
            Err(LaunchError::unanswered(format!(
                "the launcher did not answer within {} s",
                deadline.as_secs()
            )))
        }))
    }

    async fn reported(&mut self, attempt: &Attempt, report: LaunchReport) -> Next {
        self.count_report(&report);
        self.doubt = false;
        let now = self.core.clock.now();
        let mut to = self.firing.clone();
        for started in &report.started {
            if !to.tasks.iter().any(|task| task.task_id == started.task_id) {
                let task = TaskState::pending(started.task_id.clone(), started.host_id.clone());
                to.tasks.push(TaskState { accepted_at: Some(now), ..task });
            }
        }
        let permanent = report.is_refused_for_good();
        let reason = report.refused.first().map(ToString::to_string);
        let refused = !report.refused.is_empty();
        answered(&mut to, attempt, Answer::Report(report));
        let complete = to.shortfall() == 0;
        if refused && !permanent {
            self.complain(&refusal_note(reason.clone()));
        }
        if !complete && !permanent {
            if !self.advance(to, None).await {
                return Next::Done;
            }
            if !refused {
                self.backoff = FIRST_BACKOFF;
                return Next::Again;
            }
            if !self.expired() {
                return Next::Wait;
            }
            return self.give_up(Outcome::LaunchFailed, refusal_note(reason)).await;
        }
        if to.tasks.is_empty() {
            self.advance(to, None).await;
            return self.give_up(Outcome::LaunchFailed, refusal_note(reason)).await;
        }
        to.state = FiringState::Launched;
        to.note = if complete { None } else { Some(refusal_note(reason)) };
        let outcome = if complete { Outcome::Launched } else { Outcome::Partial };
        self.advance(to, Some(outcome)).await;
        Next::Done
    }

    /// A call failed and surely had no effect: the same call is made again, or the firing is given up. Where an earlier
    /// repetition of it may have had its effect, that must be learnt first.
    async fn failed(&mut self, attempt: &Attempt, error: &LaunchError) -> Next {
        Counters::add(&self.core.commons.counters.launch_errors, 1);
        let why = fault::chain(error);
        self.failure = Some(why.clone());
        if error.is_transient() && (self.doubt || self.why_not().is_none()) {
            self.complain(&why);
            return Next::Wait;
        }
        if self.doubt {
            self.complain(&why);
            return self.lost(attempt).await;
        }
        if self.core.ledger.superseding(&self.firing).is_some()
            && let Some(next) = self.called_off().await
        {
            return next;
        }
        if !self.close(attempt).await {
            return Next::Done;
        }
        self.give_up(Outcome::LaunchFailed, why).await
    }

    /// The answer to a call is not known and its token may be forgotten: what it started is looked up. It is never
    /// launched again; what cannot be told is shown to a person.
    async fn lost(&mut self, attempt: &Attempt) -> Next {
        let request = self.request(attempt);
        let deadline = self.core.options.launch_deadline;
        let search = self.core.launcher.search(&request, attempt.sent_at);
        let found = tokio::time::timeout(deadline, search).await.unwrap_or_else(|_| {
            let message = format!("could not look up a lost launch within {} s", deadline.as_secs());
            Err(LaunchError::new(FaultKind::Unavailable, message))
        });
        self.core.note_launcher(&found);
        match found {
            Ok(Search::Found(started)) => self.found(attempt, started).await,
            Ok(Search::Nothing) => {
                let note = "a call had no answer, and it started nothing; too late to launch".to_owned();
                let mut to = self.firing.clone();
                answered(&mut to, attempt, Answer::Failed(note.clone()));
                if !self.advance(to, None).await {
                    return Next::Done;
                }
                self.give_up(Outcome::LaunchFailed, note).await
            }
            Ok(Search::Unclear(why)) => self.unclear(attempt, &why).await,
            Err(error) => {
                self.complain(&fault::chain(&error));
                Next::Wait
            }
        }
    }

    /// Adopts what a lost call turned out to have started; what is missing of it was refused then, and is not tried
    /// again.
    async fn found(&mut self, attempt: &Attempt, started: Vec<StartedTask>) -> Next {
        let missing = attempt.count.saturating_sub(u32::try_from(started.len()).unwrap_or(u32::MAX));
        let refusal = Refusal {
            reason: "not found".to_owned(),
            detail: Some("the call had no answer, and its other tasks were found".to_owned()),
            retryable: false,
        };
        let refused = vec![refusal; missing as usize];
        if started.is_empty() {
            return self.unclear(attempt, "no task of the call was named").await;
        }
        self.reported(attempt, LaunchReport { started, refused }).await
    }

    async fn unclear(&mut self, attempt: &Attempt, why: &str) -> Next {
        let note = format!("a call had no answer, and the launcher has forgotten its token since: {why}");
        let mut to = self.firing.clone();
        answered(&mut to, attempt, Answer::Lost(note.clone()));
        to.note = Some(note);
        let (state, outcome) = if to.tasks.is_empty() {
            (FiringState::Unknown, Outcome::Unknown)
        } else {
            (FiringState::Launched, Outcome::Partial)
        };
        to.state = state;
        self.advance(to, Some(outcome)).await;
        Next::Done
    }

    /// Makes no further attempt: what was started is followed, and the rest is not started. The outcome is that of a firing
    /// that started nothing.
    async fn give_up(&mut self, outcome: Outcome, note: String) -> Next {
        if self.firing.tasks.is_empty() {
            self.end(FiringState::Refused, outcome, note).await;
        } else {
            tracing::warn!(job = %self.firing.job, firing = %self.firing.id, note, "a firing started fewer tasks than asked for");
            let to = Firing { state: FiringState::Launched, note: Some(note), ..self.firing.clone() };
            self.advance(to, Some(Outcome::Partial)).await;
        }
        Next::Done
    }

    /// Says why a call failed that is to be repeated; once as long as the reason is the same. The end of a firing is said
    /// where it ends.
    pub(super) fn complain(&mut self, error: &str) {
        if self.complained.as_deref() == Some(error) {
            return;
        }
        self.complained = Some(error.to_owned());
        tracing::warn!(job = %self.firing.job, firing = %self.firing.id, error, "a launch failed; it is repeated");
    }
}

pub(super) fn answered(firing: &mut Firing, attempt: &Attempt, answer: Answer) {
    if let Some(noted) = firing.attempts.iter_mut().find(|noted| noted.token == attempt.token) {
        noted.answer = Some(answer);
    }
}

fn is_lasting(attempt: &Attempt) -> bool {
    matches!(&attempt.answer, Some(Answer::Report(report)) if report.is_refused_for_good())
}

fn refused(attempt: &Attempt) -> u32 {
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
