//! The field `notify`: which events of a job go to which channel.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;

use super::duration::{format_duration, parse_duration};
use super::reader::Reader;
use super::scalar::{MISSING, NULL, collect_error, object, string};
use crate::job::field_error::{FieldError, FieldPath};
use crate::policy::{NotifyCondition, NotifyRule};

/// The maximum number of entries.
const MAX_RULES: usize = 20;
/// The maximum number of events in one entry.
const MAX_CONDITIONS: usize = 20;
/// The maximum of `failing:N`.
const MAX_FAILURES: u32 = 1_000;
/// The bounds of `late:D`.
const LATE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(31 * 24));
/// The events as documents write them.
const CONDITIONS: &str = "failing:3, recovered, missed, late:90m, suspended, unknown";

/// Reads the entries of `notify`. An invalid entry of a stored document is left out: it must not keep the job from running.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Vec<NotifyRule>> {
    const NAME: &str = "notify";
    let value = reader.get(NAME)?;
    let (path, strict) = (FieldPath::field(NAME), reader.is_strict(NAME));
    let mut errors = Vec::new();
    let rules = rules(value, &path, reader.cx.channels.filter(|_| strict), &mut errors);
    if strict {
        reader.errors.append(&mut errors);
    }
    Some(rules)
}

/// Reads entries as the field `notify` of a job has them. `name` begins the pointers of errors; `channels` are the names that an
/// entry may have.
///
/// # Errors
///
/// Fails with everything that is wrong.
pub fn parse_notify(
    name: &str,
    value: &Value,
    channels: &[String],
) -> Result<Vec<NotifyRule>, Vec<FieldError>> {
    let mut errors = Vec::new();
    let rules = rules(value, &FieldPath::field(name), Some(channels), &mut errors);
    if errors.is_empty() { Ok(rules) } else { Err(errors) }
}

fn rules(
    value: &Value,
    path: &FieldPath<'_>,
    channels: Option<&[String]>,
    errors: &mut Vec<FieldError>,
) -> Vec<NotifyRule> {
    let Some(items) = list(value, path, MAX_RULES, errors) else { return Vec::new() };
    let items = items.iter().enumerate();
    items.filter_map(|(index, item)| rule(item, &path.index(index), channels, errors)).collect()
}

fn list<'v>(
    value: &'v Value,
    path: &FieldPath<'_>,
    most: usize,
    errors: &mut Vec<FieldError>,
) -> Option<&'v [Value]> {
    let message = match value {
        Value::Array(items) if items.len() <= most => return Some(items),
        Value::Array(_) => format!("Longer than maximum length {most}."),
        Value::Null => NULL.to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            "Not a valid list.".to_owned()
        }
    };
    errors.push(path.error(message));
    None
}

fn rule(
    value: &Value,
    path: &FieldPath<'_>,
    channels: Option<&[String]>,
    errors: &mut Vec<FieldError>,
) -> Option<NotifyRule> {
    let fields = object(value, path, &["to", "on"], true, errors)?;
    let to = fields.get("to").map_or_else(
        || Err(path.key("to").error(MISSING)),
        |value| channel(value, &path.key("to"), channels),
    );
    let to = collect_error(to, errors);
    let path = path.key("on");
    let Some(value) = fields.get("on") else {
        errors.push(path.error(MISSING));
        return None;
    };
    let items = list(value, &path, MAX_CONDITIONS, errors)?;
    if items.is_empty() {
        errors.push(path.error(format!("Needs at least one of: {CONDITIONS}.")));
    }
    let read = items.iter().enumerate();
    let read = read.map(|(index, item)| condition(item, &path.index(index)));
    let on: Vec<_> = read.filter_map(|condition| collect_error(condition, errors)).collect();
    let is_failing = |condition: &NotifyCondition| matches!(condition, NotifyCondition::Failing(_));
    if on.contains(&NotifyCondition::Recovered) && !on.iter().any(is_failing) && on.len() == items.len() {
        errors.push(
            path.error("Needs failing:N beside recovered, which reports the end of a reported failure."),
        );
    }
    Some(NotifyRule { to: to?, on })
}

fn channel(value: &Value, path: &FieldPath<'_>, channels: Option<&[String]>) -> Result<String, FieldError> {
    let name = string(value, path)?;
    let Some(channels) = channels else { return Ok(name.to_owned()) };
    if channels.iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    if channels.is_empty() {
        let message =
            "No channel is configured: add it under notify.channels in the file of ECSS_CONFIG_FILE.";
        return Err(path.error(message));
    }
    let mut error = path.error(format!("Must be one of the configured channels: {}.", channels.join(", ")));
    let likeness = |known: &&String| strsim::jaro_winkler(known, name);
    let nearest = channels.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    error.hint = nearest
        .filter(|nearest| likeness(nearest) > 0.7)
        .map(|nearest| format!("Did you mean \"{nearest}\"?"));
    Err(error)
}

fn condition(value: &Value, path: &FieldPath<'_>) -> Result<NotifyCondition, FieldError> {
    let text = string(value, path)?;
    match text.split_once(':') {
        None => match text {
            "recovered" => Ok(NotifyCondition::Recovered),
            "missed" => Ok(NotifyCondition::Missed),
            "suspended" => Ok(NotifyCondition::Suspended),
            "unknown" => Ok(NotifyCondition::Unknown),
            "failing" => Err(path.error("Needs a number of failures in a row: failing:3.")),
            "late" => Err(path.error("Needs a duration: late:90m.")),
            _ => Err(path.error(format!("Must be one of: {CONDITIONS}."))),
        },
        Some(("failing", failures)) => {
            let failures = Some(failures).filter(|text| text.bytes().all(|c| c.is_ascii_digit()));
            let failures = failures.and_then(|text| text.parse::<NonZeroU32>().ok());
            failures
                .filter(|failures| failures.get() <= MAX_FAILURES)
                .map(NotifyCondition::Failing)
                .ok_or_else(|| path.error(format!("Must be failing:N with N between 1 and {MAX_FAILURES}.")))
        }
        Some(("late", delay)) => {
            let (least, most) = LATE;
            let delay = parse_duration(delay).filter(|delay| (least..=most).contains(delay));
            delay.map(NotifyCondition::Late).ok_or_else(|| {
                let (least, most) = (format_duration(least), format_duration(most));
                path.error(format!(
                    "Must be late:D with a duration D such as 90m, between {least} and {most}."
                ))
            })
        }
        Some(_) => Err(path.error(format!("Must be one of: {CONDITIONS}."))),
    }
}
