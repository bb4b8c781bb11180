//! Jobs that were reported as failing and work again. The journal must show it: an edit only ends the display of a failure.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use super::Notifications;
use super::derive::{LoadedJobs, Pass};
use crate::decide::TickOutcome;
use crate::engine::faults::FailingJob;
use crate::fault;
use crate::id::JobUid;
use crate::notify::{JobEpisodes, NotificationKind, NotifiedJob};
use crate::policy::NotifyCondition;
use crate::store::{DecisionQuery, FiringQuery, StoreError};
use crate::task::TaskEnd;

/// The number of rows of a job's history that are read.
const MAX_ROWS: NonZeroUsize = NonZeroUsize::new(100).expect("100 is not zero");

impl Notifications {
    /// Notifies the channels that know of a failure that the job works again. Forgets jobs that were removed.
    pub(super) async fn derive_recovered(
        &mut self,
        pass: &mut Pass,
        jobs: &LoadedJobs,
        failing: &HashMap<JobUid, FailingJob>,
    ) {
        let known = self.outboxes.values().flat_map(|kept| &kept.outbox.jobs);
        let ended = known.filter(|(uid, _)| !failing.contains_key(*uid));
        let ended: Vec<(JobUid, JobEpisodes)> = ended.map(|(uid, one)| (*uid, one.clone())).collect();
        for (uid, episodes) in ended {
            let Some(cached) = jobs.get(&episodes.job).filter(|cached| cached.uid == uid) else {
                self.edit_episodes(uid, &episodes.job, |known| *known = JobEpisodes::new(known.job.clone()));
                continue;
            };
            if episodes.failing.is_empty() {
                continue;
            }
            let evidence = match self.find_evidence(uid, &episodes).await {
                Ok(Some(evidence)) => evidence,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(error = %fault::chain(&error), "could not read whether a job works again; retrying");
                    continue;
                }
            };
            let rules = self.rules(cached.job.as_ref().ok()).iter();
            let rules = rules.filter(|rule| rule.has(NotifyCondition::Recovered));
            let is_notified = |channel: &String| episodes.failing.iter().any(|told| told.channel == *channel);
            let mut channels: Vec<String> = rules.map(|rule| rule.to.clone()).filter(is_notified).collect();
            channels.sort();
            channels.dedup();
            let entry =
                NotifiedJob::new(episodes.job.clone(), "its newest tick and its newest tasks are fine");
            self.add_notification(
                pass,
                NotificationKind::Recovered,
                &entry,
                &[uid.to_string(), evidence],
                &channels,
            );
            self.edit_episodes(uid, &episodes.job, |known| {
                (known.failing, known.outcome, known.tasks) = (Vec::new(), None, false);
            });
        }
    }

    /// Returns the decision or firing that shows that the job works again; none while the newest ones that count still fail.
    async fn find_evidence(&self, uid: JobUid, episodes: &JobEpisodes) -> Result<Option<String>, StoreError> {
        let mut evidence = None;
        if let Some(outcome) = episodes.outcome {
            let query = DecisionQuery {
                job: Some(episodes.job.clone()),
                limit: MAX_ROWS,
                ..DecisionQuery::default()
            };
            let rows = self.engine.store.decisions(&query).await?;
            let mut of_job = rows.iter().filter(|row| row.uid == uid);
            let newest = of_job.find_map(|row| Some((row, ends_failure(row.draft.outcome, outcome)?)));
            match newest {
                Some((row, true)) => evidence = Some(row.draft.span.last.to_string()),
                Some((_, false)) | None => return Ok(None),
            }
        }
        if episodes.tasks {
            let query =
                FiringQuery { job: Some(episodes.job.clone()), limit: MAX_ROWS, ..FiringQuery::default() };
            let firings = self.engine.store.firings(&query).await?;
            let of_job = firings.iter().filter(|firing| firing.uid == uid);
            let mut ended = of_job.filter_map(|firing| Some((firing, firing.end()?)));
            let newest = ended.find(|(_, end)| *end != TaskEnd::Stopped);
            match newest {
                Some((firing, TaskEnd::Succeeded)) => evidence = Some(firing.id.to_string()),
                Some(_) | None => return Ok(None),
            }
        }
        Ok(evidence)
    }
}

/// Returns whether a decision shows that a job works again whose ticks failed so: `Some(false)` if it fails, none if the decision
/// shows nothing.
fn ends_failure(outcome: TickOutcome, failure: TickOutcome) -> Option<bool> {
    let of_launch = matches!(failure, TickOutcome::LaunchFailed | TickOutcome::Unknown);
    if matches!(outcome, TickOutcome::Launched | TickOutcome::Partial) {
        return Some(true);
    }
    let is_failure = matches!(
        outcome,
        TickOutcome::LaunchFailed
            | TickOutcome::Unknown
            | TickOutcome::SourceError
            | TickOutcome::LiveUnknown
    );
    if is_failure {
        return Some(false);
    }
    (outcome.is_decided() && !of_launch).then_some(true)
}
