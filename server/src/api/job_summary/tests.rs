use std::num::NonZeroU32;

use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{BreakerPhase, BreakerState, Diagnosis, FailingTasks, FiringId, TriggerRegistry};
use ecs_scheduler_testing::sample;

use super::*;

/// Returns a job that was written at 12:00 UTC, and its summary.
fn job(document: &str) -> (StoredJob, JobSummary) {
    let mut job = StoredJob::from(sample::new_job("nightly", document));
    job.changed = moment("12:00:00");
    let registry = TriggerRegistry::new();
    let cx = JobContext {
        registry: &registry,
        max_tasks: NonZeroU32::MIN,
        strictness: Strictness::Lenient,
        launcher: None,
        channels: None,
    };
    let summary = JobSummary::from_stored(&job, &ScheduleCache::new(1), &cx, job.changed);
    (job, summary)
}

fn moment(time: &str) -> Timestamp {
    format!("2027-01-01T{time}Z").parse().unwrap()
}

fn failing_tasks() -> Option<FailingTasks> {
    let firing = FiringId::from_text("f1");
    let diagnosis = Diagnosis::new("exitCode", "it exited", "read its log", None);
    Some(FailingTasks { since: moment("11:00:00"), firings: 2, firing, diagnosis })
}

#[test]
fn a_job_is_late_a_minute_after_a_tick_without_an_outcome() {
    let (mut job, summary) = job(r#"{"taskDefinition": "job", "schedule": "0 *"}"#);
    let state = |job: &StoredJob, time| summary.status_with(&JobFaults::default(), job, moment(time));
    assert_eq!(state(&job, "12:02:00"), JobStatus::Ok, "the tick of 12:01 is a minute old");
    assert_eq!(state(&job, "12:02:01"), JobStatus::Late);
    job.progress.settled = Some(moment("12:01:00"));
    assert_eq!(state(&job, "12:02:01"), JobStatus::Ok);
    assert_eq!(state(&job, "12:03:01"), JobStatus::Late);
    job.changed = moment("12:03:00");
    assert_eq!(state(&job, "12:03:01"), JobStatus::Ok, "this version has had no tick");
    job.progress.settled = Some(moment("14:00:00"));
    assert_eq!(state(&job, "12:30:00"), JobStatus::Ok, "the clock was ahead");
}

#[test]
fn jitter_may_delay_a_tick() {
    let (job, summary) = job(r#"{"taskDefinition": "job", "schedule": "0 0 13", "jitter": "10m"}"#);
    let state = |time| summary.status_with(&JobFaults::default(), &job, moment(time));
    assert_eq!([state("13:11:00"), state("13:11:01")], [JobStatus::Ok, JobStatus::Late]);
}

#[test]
fn a_suspended_job_is_neither_failing_nor_late() {
    let until = r#"{"taskDefinition": "job", "schedule": "0 *", "suspended": true,
                    "suspension": {"until": "2027-01-01T13:00:00Z"}}"#;
    let (job, summary) = job(until);
    let faults = JobFaults { failing_tasks: failing_tasks(), ..JobFaults::default() };
    assert_eq!(summary.status_with(&faults, &job, moment("12:30:00")), JobStatus::Suspended);
    assert_eq!(summary.status_with(&faults, &job, moment("13:00:00")), JobStatus::Failing);
}

#[test]
fn a_job_fails_while_its_breaker_is_open() {
    let (job, summary) = job(r#"{"taskDefinition": "job", "schedule": "0 0"}"#);
    for (state, expected) in [(BreakerPhase::Open, JobStatus::Failing), (BreakerPhase::Closed, JobStatus::Ok)]
    {
        let breaker = BreakerState {
            state,
            failures: 3,
            since: None,
            canaries: 0,
            canary: None,
            next_canary: None,
            reason: None,
        };
        let faults = JobFaults { breaker: Some(breaker), ..JobFaults::default() };
        assert_eq!(summary.status_with(&faults, &job, moment("12:00:30")), expected);
    }
}

#[test]
fn a_document_that_is_no_job_is_invalid() {
    let (job, summary) = job(r#"{"taskDefinition": "job", "schedule": "never"}"#);
    assert_eq!(summary.status_with(&JobFaults::default(), &job, moment("12:30:00")), JobStatus::Invalid);
}

#[test]
fn each_state_is_read_by_its_name() {
    for state in JobStatus::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    let known = "unknown state \"broken\"; one of ok, failing, retrying, late, suspended, invalid";
    assert_eq!("broken".parse::<JobStatus>(), Err(known.to_owned()));
}

#[test]
fn moments_are_printed_in_the_zone_with_fractions_only_where_there_are_any() {
    let zone = parse_time_zone("Asia/Kathmandu").unwrap();
    let at = |text: &str| text.parse().unwrap();
    assert_eq!(print(at("2026-06-01T12:00:00Z"), &zone), "2026-06-01T17:45:00+05:45");
    assert_eq!(print(at("2026-06-01T12:00:00.25Z"), &TimeZone::UTC), "2026-06-01T12:00:00.250000+00:00");
}
