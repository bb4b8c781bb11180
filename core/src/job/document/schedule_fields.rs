//! When to look, and until when not: `schedule`, `timezone`, `scheduleStart`, `scheduleEnd`, `suspended`.

use jiff::Timestamp;
use serde_json::Value;

use super::datetime::moment;
use super::error::{FieldError, Place};
use super::reader::Reader;
use super::scalar::{NOT_A_STRING, boolean, note, object, string, text};
use crate::job::{Job, JobId, Suspension};
use crate::schedule::{
    Dialect, Schedule, ScheduleError, ScheduleErrorKind, ScheduleSpec, is_wild, parse_time_zone,
    resolve_wildcards,
};

const SCHEDULE: &str = "schedule";

/// When a job is looked at.
pub(super) struct When {
    pub(super) schedule: Option<Schedule>,
    pub(super) timezone: String,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
    /// Whether the document has a schedule, be it right or wrong.
    pub(super) is_given: bool,
}

/// Reads when to look.
pub(super) fn read(reader: &mut Reader<'_>, id: &JobId) -> When {
    let start = date(reader, "scheduleStart");
    let end = date(reader, "scheduleEnd");
    let timezone = timezone(reader);
    let is_given = reader.get(SCHEDULE).is_some();
    let schedule = expressions(reader, id).and_then(|expressions| {
        let dialect = if reader.is_strict(SCHEDULE) { Dialect::Written } else { Dialect::Stored };
        let spec = ScheduleSpec { expressions: &expressions, timezone: Some(&timezone), start, end, dialect };
        let schedule = Schedule::parse(&spec);
        schedule.map_err(|error| reader.errors.push(schedule_error(reader.get(SCHEDULE), &error))).ok()
    });
    When { schedule, timezone, start, end, is_given }
}

/// Says what is wrong with a schedule, under the key that the Python version uses for it.
fn schedule_error(value: Option<&Value>, error: &ScheduleError) -> FieldError {
    let field = Place::field(SCHEDULE);
    let entry = field.index(error.entry());
    let place = if value.is_some_and(Value::is_array) { &entry } else { &field };
    if error.kind() == ScheduleErrorKind::Syntax {
        let (key, hint) = (vec!["parsedSchedule".to_owned()], error.hint().map(str::to_owned));
        return FieldError { key, hint, ..place.error(format!("Invalid schedule syntax: {error}")) };
    }
    place.error(error.to_string())
}

fn date(reader: &mut Reader<'_>, name: &str) -> Option<Timestamp> {
    let moment = reader.field(name, moment)?;
    reader.rewrite(name, |value| *value = moment.print().into());
    Some(moment.at)
}

/// Reads the zone; a wrong one is noted and then taken for UTC, so that other errors still come to light.
fn timezone(reader: &mut Reader<'_>) -> String {
    let name = reader.field("timezone", |value, place| {
        let name = string(value, place)?;
        parse_time_zone(name).map_err(|error| {
            let near = error.nearest().map(|name| format!(" (did you mean {name}?)")).unwrap_or_default();
            place.error(format!("{error}{near}"))
        })?;
        Ok(name)
    });
    name.filter(|name| !name.is_empty()).unwrap_or("UTC").to_owned()
}

/// Reads the expressions, with every `?` replaced.
fn expressions(reader: &mut Reader<'_>, id: &JobId) -> Option<Vec<String>> {
    let place = Place::field(SCHEDULE);
    let value = reader.get(SCHEDULE)?;
    let items = value.as_array();
    if items.is_some_and(Vec::is_empty) {
        reader.errors.push(place.error(NOT_A_STRING));
        return None;
    }
    let mut texts = Vec::with_capacity(1);
    match items {
        None => texts.push(note(string(value, &place), &mut reader.errors)?),
        Some(items) => {
            for (index, item) in items.iter().enumerate() {
                texts.extend(note(string(item, &place.index(index)), &mut reader.errors));
            }
            if texts.len() < items.len() {
                return None;
            }
        }
    }
    let wild = texts.iter().any(|text| is_wild(text));
    let texts: Vec<String> =
        texts.into_iter().map(|text| resolve_wildcards(text, id.as_str()).into_owned()).collect();
    if wild {
        let resolved = if items.is_some() { texts.clone().into() } else { texts[0].clone().into() };
        reader.rewrite(SCHEDULE, |value| *value = resolved);
    }
    Some(texts)
}

/// Reads whether the job is suspended, and what is known about that.
pub(super) fn suspension(reader: &mut Reader<'_>) -> Option<Suspension> {
    const NAME: &str = "suspension";
    let suspended = reader.field("suspended", boolean);
    if let Some(suspended) = suspended {
        reader.rewrite("suspended", |value| *value = suspended.into());
    }
    if suspended != Some(true) {
        reader.drop_field(NAME);
        return None;
    }
    let Some(value) = reader.get(NAME) else { return Some(Suspension::default()) };
    let (place, strict) = (Place::field(NAME), reader.is_strict(NAME));
    let errors = &mut reader.errors;
    let fields = object(value, &place, &["reason", "actor", "until"], strict, errors)?;
    let mut words = |name: &str| {
        let words = fields.get(name).map(|value| text(value, &place.key(name), 1_024));
        words.and_then(|words| note(words, errors)).map(str::to_owned)
    };
    let (reason, actor) = (words("reason"), words("actor"));
    let until = fields.get("until").map(|value| moment(value, &place.key("until")));
    let until = until.and_then(|until| note(until, errors)).map(|until| until.at);
    Some(Suspension { reason, actor, until })
}

/// Refuses ticks of which none is left. The job's start and end are not looked at: it may wait for its start, and one
/// that has ended can be kept.
pub(super) fn check_future(job: &Job, written: Option<&Value>, now: Timestamp) -> Result<(), FieldError> {
    let check = |schedule: &Schedule| schedule.ensure_fires_after(now);
    if job.ticks().is_none_or(|ticks| check(ticks).is_ok()) {
        return Ok(());
    }
    if let Some(schedule) = &job.schedule {
        return check(&schedule.unbounded()).map_err(|error| schedule_error(written, &error));
    }
    let brought = job.trigger.as_ref().and_then(|trigger| trigger.schedule());
    let checked = brought.map_or(Ok(()), check);
    checked.map_err(|error| Place::field("trigger").error_of_whole(error.to_string()))
}
