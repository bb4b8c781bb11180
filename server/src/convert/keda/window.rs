//! KEDA's trigger `cron`: a window of time during which `desiredReplicas` run.

use std::collections::HashSet;

use ecs_scheduler_core::Timestamp;
use ecs_scheduler_core::job::format_duration;
use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec, parse_cron_or};
use jiff::civil::Date;
use jiff::{SignedDuration, Span};
use serde_json::{Value, json};

use super::super::converted::{JobDraft, Remarks};
use super::super::fields::{Fields, UNKNOWN_FIELD};
use super::context::ConversionContext;

/// The time for which windows are compared: a year.
const AHEAD: SignedDuration = SignedDuration::from_hours(366 * 24);
/// The maximum number of windows that are compared.
const WINDOWS: usize = 10_000;

/// The path and the value of the `desiredReplicas` of a window.
pub(super) type Replicas = (String, u64);

/// Reads a window; none if it has no demand.
pub(super) fn read(
    mut metadata: Fields,
    combined: Option<&str>,
    context: &ConversionContext,
    replicas: &mut Vec<Replicas>,
    remarks: &mut Remarks,
) -> Option<Value> {
    let (field, end_field) = (metadata.path("start"), metadata.path("end"));
    let timezone = metadata.text("timezone").unwrap_or_else(|| {
        remarks.changed(metadata.path("timezone"), "not set, which KEDA refuses: UTC is used");
        "UTC".to_owned()
    });
    let (start, end) = (metadata.text("start"), metadata.text("end"));
    let desired = desired(&mut metadata, remarks);
    let place = metadata.path("desiredReplicas");
    metadata.report_unread(UNKNOWN_FIELD, remarks);
    let (Some(start), Some(end)) = (start, end) else {
        remarks.refuse(field, "start and end are required");
        return None;
    };
    if desired == 0 {
        let none = "0: this window asks for no tasks and is left out";
        match combined {
            Some(how @ ("min" | "avg")) => {
                remarks.lost(
                    place,
                    format!("{none}; with {how}, KEDA starts fewer tasks or none during this window"),
                );
            }
            _ => remarks.lost(place, none),
        }
        return None;
    }
    replicas.push((place, desired));
    match KedaWindow::parse(&start, &end, &timezone, context.now) {
        Ok(window) => {
            for text in window.differences {
                remarks.changed(&end_field, text);
            }
            if let Some(text) = window.skipped_starts {
                remarks.changed(&field, text);
            }
            Some(
                json!({ "type": "window", "start": window.start, "duration": window.length, "timezone": timezone }),
            )
        }
        Err(why) => {
            remarks.refuse(field, why);
            None
        }
    }
}

fn desired(metadata: &mut Fields, remarks: &mut Remarks) -> u64 {
    const NAME: &str = "desiredReplicas";
    if !metadata.names().iter().any(|name| name == NAME) {
        remarks.changed(metadata.path(NAME), "not set, which KEDA refuses: 1 is used");
    }
    metadata.count_or(NAME, 0, 1, remarks)
}

/// Sets the job's floor to the largest number: a job has one floor for all its windows.
pub(super) fn set_task_count(
    replicas: &[Replicas],
    beside_others: bool,
    context: &ConversionContext,
    draft: &mut JobDraft,
    remarks: &mut Remarks,
) {
    let Some(largest) = replicas.iter().map(|(_, desired)| *desired).max() else { return };
    let bounded = largest.min(u64::from(context.max_tasks));
    draft.set("taskCount", bounded);
    for (place, desired) in replicas {
        let mut text = match (*desired == largest, bounded == largest) {
            (false, _) => {
                format!("{desired}: a job has one taskCount, the largest of its windows: {bounded}")
            }
            (true, false) => {
                format!("{desired}: ECSS_MAX_TASKS limits each job to {bounded}; raise it to allow more")
            }
            (true, true) => desired.to_string(),
        };
        let also_outside = beside_others && bounded > 1;
        if also_outside {
            text.push_str(&format!(
                "; each trigger of the job that has a demand asks for at least {bounded} tasks, also outside the window"
            ));
        }
        if also_outside || *desired != bounded {
            remarks.changed(place, text);
        }
    }
}

/// A window in the form of a job's trigger.
#[derive(Debug)]
struct KedaWindow {
    start: String,
    length: String,
    /// Times at which only one of KEDA's window and the job's window is open.
    differences: Vec<String>,
    /// Starts that the clock skips.
    skipped_starts: Option<String>,
}

impl KedaWindow {
    fn parse(start: &str, end: &str, timezone: &str, now: Timestamp) -> Result<Self, String> {
        if start == end {
            return Err(format!("start and end are both \"{start}\", which KEDA refuses too"));
        }
        let (first, last) = (crontab(start)?, crontab(end)?);
        let (opens, closes) = (parse(&first, timezone)?, parse(&last, timezone)?);
        let until = now + AHEAD;
        let ahead =
            |schedule: &Schedule| schedule.upcoming(now).take_while(move |tick| *tick < until).take(WINDOWS);
        let spans: Vec<(Timestamp, Timestamp)> =
            ahead(&opens).filter_map(|open| Some((open, closes.next_after(open)?))).collect();
        let length = length(&spans, &opens, until).map_err(|uneven| {
            if uneven {
                format!("the time from \"{start}\" to \"{end}\" varies; write one window per length")
            } else {
                format!("the window from \"{start}\" to \"{end}\" never opens again")
            }
        })?;
        let text = format_duration(std::time::Duration::try_from(length).unwrap_or_default());
        let mut differences = Vec::new();
        let zone = opens.time_zone();
        let (first_in_utc, last_in_utc) = (parse(&first, "UTC")?, parse(&last, "UTC")?);
        let skipped_start = spans.iter().find(|(open, _)| is_moved(*open, &opens, &first_in_utc));
        let skipped_starts = skipped_start.map(|(open, _)| skipped("start", start, "opens", *open, zone));
        let skipped_end = spans.iter().find(|(_, close)| is_moved(*close, &closes, &last_in_utc));
        differences.extend(skipped_end.map(|(open, _)| skipped("end", end, "closes", *open + length, zone)));
        let off: Vec<Date> = spans
            .iter()
            .filter(|(open, close)| *open + length != *close && !is_moved(*open, &opens, &first_in_utc))
            .map(|(_, close)| close.to_zoned(zone.clone()).date())
            .collect();
        if let Some(nights) = listed(&off) {
            differences.push(format!(
                "\"{end}\" becomes {text} of elapsed time: when the clock changes, on {nights}, the window closes at a different hour"
            ));
        }
        let ends: Vec<Timestamp> = ahead(&closes).collect();
        let in_a_row =
            ends.windows(2).find(|pair| opens.next_after(pair[0]).is_none_or(|open| open > pair[1]));
        if let Some(&[from, to]) = in_a_row {
            let local = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
            differences.push(format!(
                "two ends follow each other, so KEDA's window is open from {} to {} and so on; here the window is closed then",
                local(from),
                local(to)
            ));
        }
        Ok(Self { start: first, length: text, differences, skipped_starts })
    }
}

/// Tells whether a tick is not at a time of its expression, because the clock skips that time. `in_utc` is the expression in
/// a zone without such gaps.
fn is_moved(tick: Timestamp, schedule: &Schedule, in_utc: &Schedule) -> bool {
    let wall = schedule.time_zone().to_datetime(tick).to_zoned(jiff::tz::TimeZone::UTC);
    wall.is_ok_and(|wall| {
        let wall = wall.timestamp();
        in_utc.next_after(wall - SignedDuration::from_secs(1)) != Some(wall)
    })
}

/// Describes a start or an end that the clock skips; `at` is the time at which the job's window opens or closes.
fn skipped(which: &str, text: &str, verb: &str, at: Timestamp, zone: &jiff::tz::TimeZone) -> String {
    let at = at.to_zoned(zone.clone()).strftime("%Y-%m-%d, and here the window VERB at %H:%M").to_string();
    format!("the clock skips the {which} \"{text}\": KEDA has none on {}", at.replace("VERB", verb))
}

/// Returns how long windows are open by the wall clock. The error tells whether the lengths differ. Changes of the clock are ignored.
fn length(
    spans: &[(Timestamp, Timestamp)],
    opens: &Schedule,
    until: Timestamp,
) -> Result<SignedDuration, bool> {
    let zone = opens.time_zone();
    let Some((first, _)) = spans.first() else { return Err(false) };
    let day = Span::new().hours(24);
    let changes: Vec<Timestamp> =
        zone.following(*first).map(|change| change.timestamp()).take_while(|at| *at < until).collect();
    let is_plain = |(open, close): &&(Timestamp, Timestamp)| {
        !changes.iter().any(|at| *open - day < *at && *at < *close + day)
    };
    let wall = |at: Timestamp| zone.to_datetime(at);
    let measure = |(open, close): &(Timestamp, Timestamp)| wall(*close).duration_since(wall(*open));
    let mut lengths: HashSet<SignedDuration> = spans.iter().filter(is_plain).map(measure).collect();
    if lengths.is_empty() {
        lengths = spans.iter().map(measure).collect();
    }
    match (lengths.len(), lengths.into_iter().next()) {
        (1, Some(length)) => Ok(length),
        (_, one) => Err(one.is_some()),
    }
}

/// Joins the first two dates.
fn listed(dates: &[Date]) -> Option<String> {
    match dates {
        [] => None,
        [only] => Some(only.to_string()),
        [one, other] => Some(format!("{one} and {other}")),
        [one, other, ..] => Some(format!("{one}, {other} and so on")),
    }
}

fn parse(text: &str, timezone: &str) -> Result<Schedule, String> {
    let expressions = [parse_cron_or(text).into_owned()];
    let spec = ScheduleSpec { timezone: Some(timezone), ..ScheduleSpec::written(&expressions) };
    Schedule::parse(&spec).map_err(|error| format!("\"{text}\": {}", error.explained()))
}

/// Rewrites fields that KEDA's crontab parser reads differently: `?` means `*` there, and a step above 1 restricts a
/// day field.
/// Weekdays get names, which mean the same in every dialect.
///
/// # Source
///
/// <https://pkg.go.dev/github.com/robfig/cron/v3#hdr-CRON_Expression_Format>
fn crontab(text: &str) -> Result<String, String> {
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if text.starts_with('@') {
        return Ok(text.to_owned());
    }
    let [.., day, _, weekday] = words.as_mut_slice() else {
        return Err(format!("\"{text}\": KEDA's cron has five fields"));
    };
    for field in [&mut *day, &mut *weekday] {
        if field.split(',').any(is_unrestricted) {
            "*".clone_into(field);
        }
    }
    if day != "*" && weekday != "*" {
        *day = day.replace("*/", "1-31/");
        *weekday = weekday.replace("*/", "0-6/");
    }
    *weekday = weekday.split(',').map(named_weekdays).collect::<Vec<_>>().join(",");
    if words.len() != 5 {
        return Err(format!("\"{text}\": KEDA's cron has five fields"));
    }
    Ok(words.join(" "))
}

/// Returns whether an item of a day field lifts the restriction by the whole field: `*` or `?`, also with a step of 1.
fn is_unrestricted(item: &str) -> bool {
    let (days, step) = item.split_once('/').unwrap_or((item, "1"));
    matches!(days, "*" | "?") && step.parse() == Ok(1_u32)
}

/// Names the weekdays of an item, which count from 0 = Sunday.
fn named_weekdays(item: &str) -> String {
    const NAMES: [&str; 8] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
    let name = |day: &str| {
        let name = day.parse::<usize>().ok().and_then(|number| NAMES.get(number).copied());
        name.unwrap_or(day).to_owned()
    };
    let (days, step) = item.split_once('/').map_or((item, None), |(days, step)| (days, Some(step)));
    let days = days.split('-').map(name).collect::<Vec<_>>().join("-");
    step.map_or(days.clone(), |step| format!("{days}/{step}"))
}
