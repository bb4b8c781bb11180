//! Warnings: parts of a job that are valid and probably a mistake.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Job;
use super::document::format_duration;
use crate::policy::Mode;
use crate::schedule::Schedule;

impl Job {
    /// Returns warnings about valid but probably mistaken settings, as of a moment: in the schedule, in the schedules that the
    /// trigger provides and consults, in the jitter, in the mode, and in the numbers of tasks.
    #[must_use]
    pub fn warnings(&self, from: Timestamp) -> Vec<String> {
        let provided = self.trigger.as_ref().and_then(|trigger| trigger.schedule());
        let schedules = self.schedule.iter().chain(provided).chain(&self.remarks.consulted);
        let mut warnings: Vec<String> = Vec::new();
        for warning in schedules.flat_map(|schedule| schedule.mistakes(from)) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        let jitter = self.policy.jitter.zip(self.ticks.as_ref());
        warnings.extend(jitter.and_then(|(jitter, ticks)| jitter_warning(jitter, ticks, from)));
        if let Some(until) = self.suspension.as_ref().and_then(|suspension| suspension.until)
            && until <= from
        {
            warnings
                .push(format!("the suspension ended at {until}, which is past: the job is not suspended"));
        }
        if self.policy.mode != Mode::Total {
            warnings.extend(self.remarks.against_queue_modes.iter().cloned());
        }
        warnings
    }
}

fn jitter_warning(jitter: Duration, ticks: &Schedule, from: Timestamp) -> Option<String> {
    let (tick, next) = ticks.ticks_within(from, SignedDuration::try_from(jitter).ok()?)?;
    let between = Duration::try_from(next.duration_since(tick)).ok()?;
    Some(format!(
        "jitter {} is longer than the {} from {tick} to the next tick: the delay of a tick ends at the next one at the latest",
        format_duration(jitter),
        format_duration(between)
    ))
}
