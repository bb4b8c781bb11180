//! The schedule fields of a job: `schedule`, `timezone`, `scheduleStart`, `scheduleEnd`, `suspended`.

use jiff::Timestamp;
use serde_json::Value;

use super::datetime::moment;
use super::reader::Reader;
use super::scalar::{NOT_A_STRING, boolean, collect_error, object, string, text};
use crate::job::field_error::{FieldError, FieldPath};
use crate::job::{Job, JobId, Suspension};
use crate::schedule::{
    Schedule, ScheduleError, ScheduleErrorKind, ScheduleSpec, Strictness, parse_time_zone,
};

const SCHEDULE: &str = "schedule";

/// The schedule of a job, as its document gives it.
pub(super) struct ScheduleFields {
    pub(super) schedule: Option<Schedule>,
    pub(super) timezone: String,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
    /// Whether the document has a `schedule` field, valid or not.
    pub(super) is_given: bool,
}

/// Reads the schedule fields.
pub(super) fn read(reader: &mut Reader<'_>, id: &JobId) -> ScheduleFields {
    let start = date(reader, "scheduleStart");
    let end = date(reader, "scheduleEnd");
    let timezone = timezone(reader);
    let is_given = reader.get(SCHEDULE).is_some();
    let schedule = expressions(reader).and_then(|expressions| {
        let strictness = if reader.is_strict(SCHEDULE) { Strictness::Strict } else { Strictness::Lenient };
        let spec =
            ScheduleSpec { expressions: &expressions, timezone: Some(&timezone), start, end, strictness };
        let schedule = Schedule::parse_for_job(&spec, id.as_str());
        schedule.map_err(|error| reader.errors.push(schedule_error(reader.get(SCHEDULE), &error))).ok()
    });
    if let Some(schedule) = &schedule {
        reader.rewrite(SCHEDULE, |value| {
            // Each `?` has its value now.
            let mut texts: Vec<Value> = schedule.expressions().map(Value::from).collect();
            *value = if value.is_array() { texts.into() } else { texts.remove(0) };
        });
    }
    ScheduleFields { schedule, timezone, start, end, is_given }
}

/// Makes a field error of a schedule error, under the key that the Python version uses for it.
fn schedule_error(value: Option<&Value>, error: &ScheduleError) -> FieldError {
    let field = FieldPath::field(SCHEDULE);
    let entry = field.index(error.entry());
    let path = if value.is_some_and(Value::is_array) { &entry } else { &field };
    if error.kind() == ScheduleErrorKind::Syntax {
        let (key, hint) = (vec!["parsedSchedule".to_owned()], error.hint().map(str::to_owned));
        return FieldError { key, hint, ..path.error(format!("Invalid schedule syntax: {error}")) };
    }
    path.error(error.to_string())
}

fn date(reader: &mut Reader<'_>, name: &str) -> Option<Timestamp> {
    let moment = reader.field(name, moment)?;
    reader.rewrite(name, |value| *value = moment.print().into());
    Some(moment.at)
}

/// Reads the zone. An invalid one is an error and then read as UTC, so that other errors are still found.
fn timezone(reader: &mut Reader<'_>) -> String {
    let name = reader.field("timezone", |value, path| {
        let name = string(value, path)?;
        parse_time_zone(name).map_err(|error| path.error(error.explained()))?;
        Ok(name)
    });
    name.filter(|name| !name.is_empty()).unwrap_or("UTC").to_owned()
}

/// Reads the expressions as they are written.
fn expressions(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let path = FieldPath::field(SCHEDULE);
    let value = reader.get(SCHEDULE)?;
    let items = value.as_array();
    if items.is_some_and(Vec::is_empty) {
        reader.errors.push(path.error(NOT_A_STRING));
        return None;
    }
    let mut texts = Vec::with_capacity(1);
    match items {
        None => texts.push(collect_error(string(value, &path), &mut reader.errors)?),
        Some(items) => {
            for (index, item) in items.iter().enumerate() {
                texts.extend(collect_error(string(item, &path.index(index)), &mut reader.errors));
            }
            if texts.len() < items.len() {
                return None;
            }
        }
    }
    Some(texts.into_iter().map(str::to_owned).collect())
}

/// Reads `suspended` and the details in `suspension`. Details without `suspended: true` are refused if a client writes them
/// now, and dropped otherwise.
pub(super) fn suspension(reader: &mut Reader<'_>) -> Option<Suspension> {
    const NAME: &str = "suspension";
    let suspended = reader.field("suspended", boolean);
    if let Some(suspended) = suspended {
        reader.rewrite("suspended", |value| *value = suspended.into());
    }
    if suspended != Some(true) {
        let is_valid = suspended.is_some() || reader.get("suspended").is_none();
        if is_valid && reader.is_strict(NAME) && reader.get(NAME).is_some_and(|value| !value.is_null()) {
            let message = "Needs \"suspended\": true. Without it, the job fires.";
            reader.errors.push(FieldPath::field(NAME).error(message));
        }
        reader.drop_field(NAME);
        return None;
    }
    let Some(value) = reader.get(NAME) else { return Some(Suspension::default()) };
    let (path, strict) = (FieldPath::field(NAME), reader.is_strict(NAME));
    let errors = &mut reader.errors;
    let fields = object(value, &path, &["reason", "actor", "until"], strict, errors)?;
    let mut words = |name: &str| {
        let words = fields.get(name).map(|value| text(value, &path.key(name), 1_024));
        words.and_then(|words| collect_error(words, errors)).map(str::to_owned)
    };
    let (reason, actor) = (words("reason"), words("actor"));
    let until = fields.get("until").map(|value| moment(value, &path.key("until")));
    let until = until.and_then(|until| collect_error(until, errors)).map(|until| until.at);
    Some(Suspension { reason, actor, until })
}

/// Rejects a schedule without a future tick. The job's start and end are ignored: a job may wait for its start, and an
/// ended job may be kept.
pub(super) fn check_future(job: &Job, written: Option<&Value>, now: Timestamp) -> Result<(), FieldError> {
    let check = |schedule: &Schedule| schedule.ensure_fires_after(now);
    if job.ticks().is_none_or(|ticks| check(ticks).is_ok()) {
        return Ok(());
    }
    if let Some(schedule) = &job.schedule {
        return check(&schedule.unbounded()).map_err(|error| schedule_error(written, &error));
    }
    let provided = job.trigger.as_ref().and_then(|trigger| trigger.schedule());
    let checked = provided.map_or(Ok(()), check);
    checked.map_err(|error| FieldPath::field("trigger").error_of_whole(error.to_string()))
}
