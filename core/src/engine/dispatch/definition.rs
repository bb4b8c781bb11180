//! A firing whose task definition was taken away after the decision.

use super::{Carrier, attempt::Next, attempt::answered};
use crate::fault::{self, FaultKind};
use crate::firing::{Answer, Attempt};
use crate::launcher::{LaunchError, LaunchReport};

impl Carrier {
    /// Asks what the job's definition means now, when a call was refused for good and started nothing: the revision may have
    /// been deregistered since the decision. Where it means another one, a new attempt starts that.
    ///
    /// Returns nothing when the definition is not the reason.
    pub(super) async fn redefined(&mut self, attempt: &Attempt, report: &LaunchReport) -> Option<Next> {
        if !report.started.is_empty() || !report.is_refused_for_good() || self.expired() {
            return None;
        }
        // However its repetitions fared, this is the answer: nothing was started.
        self.doubt = false;
        let (core, firing) = (&self.core, &self.firing);
        let deadline = core.options.launch_deadline;
        let asked = tokio::time::timeout(deadline, core.launcher.population(&firing.job, &firing.task));
        let answer = asked.await.unwrap_or_else(|_| {
            let seconds = deadline.as_secs();
            let message =
                format!("could not learn what \"{}\" is now within {seconds} s", firing.task.definition);
            Err(LaunchError::new(FaultKind::Unavailable, message))
        });
        core.note_launcher(&answer);
        match answer {
            Ok(population) => {
                let newest = population.definition.filter(|newest| *newest != self.firing.definition)?;
                Some(self.redefine(attempt, report, newest).await)
            }
            // The same call is refused again, and the question asked again.
            Err(error) if error.is_transient() => {
                self.complain(&fault::chain(&error));
                self.failure = Some(fault::chain(&error));
                Some(Next::Wait)
            }
            Err(_) => None,
        }
    }

    /// Makes the new definition durable together with the refusal of the old one.
    async fn redefine(&mut self, attempt: &Attempt, report: &LaunchReport, definition: String) -> Next {
        tracing::info!(
            job = %self.firing.job,
            firing = %self.firing.id,
            refused = self.firing.definition,
            newest = definition,
            "a task definition is no longer active; starting the newest one"
        );
        self.count_report(report);
        let mut to = self.firing.clone();
        answered(&mut to, attempt, Answer::Report(report.clone()));
        to.definition = definition;
        if self.advance(to, None).await { Next::Wait } else { Next::Done }
    }
}
