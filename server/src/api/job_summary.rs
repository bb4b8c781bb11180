//! Summary of a job: its ticks, its zone, its suspension. With a cached one, a read parses nothing.

use std::time::Duration;

use ecs_scheduler_core::job::{FieldError, JobContext, ScheduleView};
use ecs_scheduler_core::replica::SchedulerNode;
use ecs_scheduler_core::schedule::{Schedule, ScheduleCache, parse_time_zone};
use ecs_scheduler_core::{BreakerState, StoredJob, Suspension, Timestamp};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::cached_body::CachedBody;
use super::job_status::{JobFaults, JobStatus};
use super::problem::WrongField;

#[cfg(test)]
mod tests;

/// How long after its moment a tick without an outcome makes its job late, besides the job's `jitter`.
const LATE_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// The parts of a job that a response needs.
#[derive(Debug)]
pub(super) struct JobSummary {
    /// The time zone of the moments in the response.
    pub(super) zone: TimeZone,
    /// Its ticks; none when the stored document is not a valid job.
    pub(super) ticks: Option<Schedule>,
    /// Whether the document has no `taskCount`, which means 1.
    pub(super) lacks_count: bool,
    /// The reason why the stored document is not a valid job. The job is never evaluated.
    pub(super) invalid: Vec<WrongField>,
    suspension: Option<Suspension>,
    /// The maximum delay of a tick.
    jitter: SignedDuration,
    /// The last response.
    pub(super) cached: Mutex<Option<CachedBody>>,
}

impl JobSummary {
    /// Reads a stored job; of a valid one only the parts that determine its ticks.
    pub(super) fn from_stored(
        stored: &StoredJob,
        schedules: &ScheduleCache,
        cx: &JobContext<'_>,
        now: Timestamp,
    ) -> Self {
        let text = stored.document.get();
        let present: PresentFields = serde_json::from_str(text).unwrap_or_default();
        let lacks_count = present.task_count.is_none();
        let light = ScheduleView::read(text).ok().and_then(|view| {
            let ticks = view.schedule(&stored.id, schedules).ok()??;
            Some((ticks, view.suspension, signed(view.jitter)))
        });
        if let Some((ticks, suspension, jitter)) = light {
            let zone = ticks.time_zone().clone();
            let (invalid, cached) = (Vec::new(), Mutex::default());
            return Self { zone, ticks: Some(ticks), lacks_count, invalid, suspension, jitter, cached };
        }
        match stored.parse_at(cx, now) {
            Ok(job) => Self {
                zone: parse_time_zone(&job.timezone).unwrap_or(TimeZone::UTC),
                ticks: job.ticks().cloned(),
                lacks_count,
                invalid: Vec::new(),
                suspension: job.suspension,
                jitter: signed(job.policy.jitter),
                cached: Mutex::default(),
            },
            Err(errors) => Self::invalid(lacks_count, &errors),
        }
    }

    fn invalid(lacks_count: bool, errors: &[FieldError]) -> Self {
        let invalid = errors.iter().map(WrongField::from).collect();
        Self {
            zone: TimeZone::UTC,
            ticks: None,
            lacks_count,
            invalid,
            suspension: None,
            jitter: SignedDuration::ZERO,
            cached: Mutex::default(),
        }
    }

    /// Returns the next tick of the job.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let after = match &self.suspension {
            None => now,
            // The tick at the very end of a suspension counts again.
            Some(suspension) => suspension.until?.checked_sub(SignedDuration::from_nanos(1)).ok()?.max(now),
        };
        self.ticks.as_ref()?.next_after(after)
    }

    /// Tells whether the job is suspended at a moment.
    pub(super) fn is_suspended(&self, now: Timestamp) -> bool {
        self.suspension.as_ref().is_some_and(|suspension| suspension.holds(now))
    }

    /// Returns the state of the job at a moment. Whether a job of another replica is retrying is not known here.
    pub(super) fn status(&self, engine: &SchedulerNode, job: &StoredJob, now: Timestamp) -> JobStatus {
        let status = self.status_with(&JobFaults::read(engine, job), job, now);
        let is_well = matches!(status, JobStatus::Late | JobStatus::Ok);
        if is_well && engine.fails_elsewhere(&job.id) { JobStatus::Failing } else { status }
    }

    /// Returns the state of the job with these faults.
    fn status_with(&self, faults: &JobFaults, job: &StoredJob, now: Timestamp) -> JobStatus {
        if !self.invalid.is_empty() {
            JobStatus::Invalid
        } else if self.is_suspended(now) {
            JobStatus::Suspended
        } else if faults.failing.is_some()
            || faults.failing_tasks.is_some()
            || faults.breaker.as_ref().is_some_and(BreakerState::is_open)
        {
            JobStatus::Failing
        } else if faults.retrying.is_some() {
            JobStatus::Retrying
        } else if self.is_late(job, now) {
            JobStatus::Late
        } else {
            JobStatus::Ok
        }
    }

    /// Tells whether the job's first tick without an outcome should have one.
    fn is_late(&self, job: &StoredJob, now: Timestamp) -> bool {
        let counts_from = job.progress.settled.map_or(job.changed, |settled| settled.max(job.changed));
        let latest = now.checked_sub(LATE_AFTER).and_then(|moment| moment.checked_sub(self.jitter)).ok();
        self.next(counts_from).zip(latest).is_some_and(|(tick, latest)| tick < latest)
    }

    /// Prints a moment in the job's zone, as the Python version did: `2099-01-01T06:30:00+01:00`.
    pub(super) fn print(&self, moment: Timestamp) -> String {
        print(moment, &self.zone)
    }
}

/// Prints a moment in a zone: whole seconds, or microseconds where there are any.
pub(super) fn print(moment: Timestamp, zone: &TimeZone) -> String {
    let local = moment.to_zoned(zone.clone());
    let micros = local.subsec_nanosecond() / 1_000;
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    format!("{}{fraction}{}", local.strftime("%Y-%m-%dT%H:%M:%S"), local.strftime("%:z"))
}

fn signed(jitter: Option<Duration>) -> SignedDuration {
    jitter.and_then(|jitter| SignedDuration::try_from(jitter).ok()).unwrap_or_default()
}

/// The presence of fields that are always shown.
#[derive(Default, Deserialize)]
struct PresentFields {
    #[serde(rename = "taskCount")]
    task_count: Option<IgnoredAny>,
}
