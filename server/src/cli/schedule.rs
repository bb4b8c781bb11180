//! `ecs-scheduler schedule next`: describes a schedule offline.

use clap::Args;
use ecs_scheduler_core::schedule::{PLACEHOLDER_JOB, Schedule, ScheduleSpec};
use ecs_scheduler_core::{Clock, JobId, Timestamp};
use jiff::fmt::temporal::DateTimePrinter;
use serde_json::{Value, json};

use super::jobs::show;
use crate::api::WITHOUT_JOB;
use crate::error::CommandError;

/// A schedule, and how much of it to show.
#[derive(Debug, Clone, Args)]
pub struct NextArgs {
    /// Schedule in any notation; several expressions form a union
    #[arg(required = true, value_name = "EXPRESSION")]
    expressions: Vec<String>,
    /// Job name that resolves each `?`; without one, the ticks are those of a job named "preview"
    #[arg(long, value_name = "JOB")]
    id: Option<JobId>,
    /// The time zone
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    timezone: String,
    /// Number of ticks
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// Start after this time (RFC 3339) instead of now
    #[arg(long, value_name = "TIME")]
    after: Option<Timestamp>,
    /// Print JSON, as the API's preview does
    #[arg(long)]
    json: bool,
}

/// Describes the schedule and lists its next ticks.
///
/// # Errors
///
/// Fails when the schedule or the time zone is not valid.
pub fn next(args: &NextArgs, clock: &dyn Clock) -> Result<String, CommandError> {
    let answer = answer(args, clock)?;
    Ok(if args.json { show::json(&answer) } else { show::preview(&answer) })
}

fn answer(args: &NextArgs, clock: &dyn Clock) -> Result<Value, CommandError> {
    let spec = ScheduleSpec { timezone: Some(&args.timezone), ..ScheduleSpec::written(&args.expressions) };
    let id = args.id.as_ref().map_or(PLACEHOLDER_JOB, JobId::as_str);
    let schedule =
        Schedule::parse_for_job(&spec, id).map_err(|error| CommandError::failed(error.explained()))?;
    let after = args.after.unwrap_or_else(|| clock.now());
    let zone = schedule.time_zone().clone();
    let print = |tick: Timestamp| {
        let offset = zone.to_offset(tick);
        DateTimePrinter::new().timestamp_with_offset_to_string(&tick, offset)
    };
    let next: Vec<String> = schedule.upcoming(after).take(args.count.into()).map(print).collect();
    let mut warnings = schedule.warnings(after);
    if args.id.is_none() && schedule.depends_on_job() {
        warnings.push(format!("{WITHOUT_JOB} `--id`"));
    }
    Ok(json!({
        "schedule": schedule.expressions().collect::<Vec<_>>(),
        "description": schedule.describe(),
        "next": next,
        "warnings": warnings,
    }))
}
