//! Handles a firing whose task definition was deregistered after the decision.

use std::ops::ControlFlow::{Break, Continue};

use super::FiringDriver;
use super::launch_attempt::{AttemptFlow, Interruption, record_answer};
use crate::fault;
use crate::firing::{Answer, Attempt};
use crate::launcher::LaunchReport;

impl FiringDriver {
    /// Resolves the job's definition again, when a call had a permanent refusal and started nothing: the revision may have been
    /// deregistered since the decision. When it resolves to another revision, a new attempt uses that.
    ///
    /// Continues when the definition is not the reason.
    pub(super) async fn check_definition(&mut self, attempt: &Attempt, report: &LaunchReport) -> AttemptFlow {
        if !report.started.is_empty() || !report.is_refused_for_good() || self.expired() {
            return Continue(());
        }
        // This is the final answer, independent of earlier tries: nothing was started.
        self.outcome_unknown = false;
        let (engine, firing) = (&self.engine, &self.firing);
        let action = format!("resolve \"{}\"", firing.task.definition);
        let deadline = engine.options.launch_deadline;
        match engine.count_tasks(&firing.job, &firing.task, &action, deadline).await {
            Ok(population) => {
                match population.definition.filter(|newest| *newest != self.firing.definition) {
                    Some(newest) => self.switch_definition(attempt, report, newest).await,
                    None => Continue(()),
                }
            }
            // The retried call is refused again, and the definition resolved again.
            Err(error) if error.is_transient() => {
                self.log_failure(&fault::chain(&error));
                self.failure = Some(fault::chain(&error));
                Break(Interruption::Retry)
            }
            Err(_) => Continue(()),
        }
    }

    /// Makes the new definition durable together with the refusal of the old one.
    async fn switch_definition(
        &mut self,
        attempt: &Attempt,
        report: &LaunchReport,
        definition: String,
    ) -> AttemptFlow {
        tracing::info!(
            refused = self.firing.definition,
            newest = definition,
            "a task definition is no longer active; starting the newest one"
        );
        self.count_report(report);
        let mut to = self.firing.clone();
        record_answer(&mut to, attempt, Answer::Report(report.clone()));
        to.definition = definition;
        self.advance(to, None).await?;
        Break(Interruption::Retry)
    }
}
