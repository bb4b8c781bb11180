//! Warnings: parts of a job that are valid and probably a mistake.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Job;
use super::document::format_duration;
use crate::policy::{Mode, OnError, Overlap, TaskRetry};
use crate::schedule::Schedule;

impl Job {
    /// Returns warnings about valid but probably mistaken settings, as of a moment: in the schedule, in the schedules that the
    /// trigger provides and consults, in the jitter, in the retry of tasks, in the mode, and in the numbers of tasks.
    #[must_use]
    pub fn warnings(&self, from: Timestamp) -> Vec<String> {
        let mut warnings: Vec<String> = Vec::new();
        for warning in self.schedules().flat_map(|schedule| schedule.mistakes(from)) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let jitter = self.policy.jitter.zip(self.ticks.as_ref());
        warnings.extend(jitter.and_then(|(jitter, ticks)| jitter_warning(jitter, ticks, from)));
        let retry = self.policy.task_retry.as_ref().filter(|_| self.policy.overlap != Overlap::Allow);
        warnings.extend(
            retry.zip(self.ticks.as_ref()).and_then(|(retry, ticks)| retry_warning(retry, ticks, from)),
        );
        if let Some(until) = self.suspension.as_ref().and_then(|suspension| suspension.until)
            && until <= from
        {
            warnings
                .push(format!("the suspension ended at {until}, which is past: the job is not suspended"));
        }
        warnings.extend(self.counts_above_limit());
        if self.policy.mode != Mode::Total {
            warnings.extend(self.remarks.against_queue_modes.iter().cloned());
        }
        warnings
    }

    /// Returns the schedules of the job, and those that its trigger provides and consults.
    fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        let provided = self.trigger.as_ref().and_then(|trigger| trigger.schedule());
        self.schedule.iter().chain(provided).chain(&self.remarks.consulted)
    }

    /// Describes the days of each `cron` expression with five fields that versions before the crontab rule read in another way.
    #[must_use]
    pub fn crontab_changes(&self) -> Vec<String> {
        let changes: BTreeSet<String> = self.schedules().flat_map(Schedule::crontab_changes).collect();
        changes.into_iter().collect()
    }

    /// Returns a warning for each number of tasks above the limit of the job.
    fn counts_above_limit(&self) -> Vec<String> {
        let (limit, name) = (self.scaling.limit(), self.scaling.limit_name());
        let assumed = match self.policy.on_error {
            OnError::Assume { tasks, .. } => Some(("onError.assume", tasks)),
            OnError::Hold => None,
        };
        let counts = [("taskCount", self.scaling.floor.get())].into_iter().chain(assumed);
        let warning = |(field, count)| {
            format!(
                "{field} {count} is greater than {name} {limit}: at most {limit} tasks of the job run at once"
            )
        };
        counts.filter(|(_, count)| *count > limit).map(warning).collect()
    }
}

fn jitter_warning(jitter: Duration, ticks: &Schedule, from: Timestamp) -> Option<String> {
    let (tick, between) = shorter_interval(ticks, jitter, from)?;
    Some(format!(
        "jitter {} is longer than the {between} from {tick} to the next tick: the delay of a tick ends at the next one at the latest",
        format_duration(jitter)
    ))
}

fn retry_warning(retry: &TaskRetry, ticks: &Schedule, from: Timestamp) -> Option<String> {
    let (tick, between) = shorter_interval(ticks, retry.backoff + Duration::from_millis(1), from)?;
    Some(format!(
        "retry.task.backoff {} is not shorter than the {between} from {tick} to the next tick, which ends the retries",
        format_duration(retry.backoff)
    ))
}

/// Returns a tick from which the next one is closer than a delay, and the time between them.
fn shorter_interval(ticks: &Schedule, delay: Duration, from: Timestamp) -> Option<(Timestamp, String)> {
    let (tick, next) = ticks.ticks_within(from, SignedDuration::try_from(delay).ok()?)?;
    Some((tick, format_duration(Duration::try_from(next.duration_since(tick)).ok()?)))
}
