//! Schedules against recordings of the Python version, brute force, croner and saffron.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod bounds;
mod conformance;
mod cron;
mod crontab;
mod describe;
mod doc;
mod lint;
mod oracle;
mod property;
mod spellings;
mod zones;

use ecs_scheduler_core::schedule::{Schedule, ScheduleError, ScheduleSpec};
use jiff::Timestamp;

/// Parses one expression in a zone.
fn schedule(expression: &str, timezone: &str) -> Result<Schedule, ScheduleError> {
    let expressions = [expression.to_owned()];
    Schedule::parse(&ScheduleSpec { timezone: Some(timezone), ..ScheduleSpec::written(&expressions) })
}

/// Parses a union in a zone; every expression must be right.
fn union(expressions: &[&str], timezone: &str) -> Schedule {
    let expressions: Vec<String> = expressions.iter().map(|&text| text.to_owned()).collect();
    Schedule::parse(&ScheduleSpec { timezone: Some(timezone), ..ScheduleSpec::written(&expressions) })
        .unwrap()
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next ticks after an instant, as text.
fn next(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    schedule.upcoming(instant(after)).take(count).map(|tick| tick.to_string()).collect()
}
