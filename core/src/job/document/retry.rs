//! The field `retry`: how long a launch is retried, and which failed tasks start again.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::Value;

use super::duration::{Bounds, duration};
use super::reader::Reader;
use super::scalar::{MISSING, NULL, collect_error, enum_value, integer, object, text};
use crate::job::field_error::{FieldError, FieldPath};
use crate::policy::{Mode, RetryAction, RetryCondition, RetryRule, TaskRetry};

const LAUNCH_MAX_AGE: Bounds = Bounds::seconds(1, 86_400);
const BACKOFF: Bounds = Bounds::seconds(0, 3_600);
/// The maximum of `retry.task.attempts`.
const MAX_ATTEMPTS: u32 = 10;
/// The maximum number of `retry.task.rules`.
const MAX_RULES: usize = 20;
/// The maximum length of a text in a rule, in characters.
const MAX_TEXT: usize = 256;

/// Reads `retry.launch.maxAge` and `retry.task`.
pub(super) fn read(reader: &mut Reader<'_>, mode: Mode) -> (Option<Duration>, Option<TaskRetry>) {
    const NAME: &str = "retry";
    let Some(value) = reader.get(NAME) else { return (None, None) };
    let (path, strict) = (FieldPath::field(NAME), reader.is_strict(NAME));
    let is_strict_mode = strict || reader.is_strict("mode");
    let errors = &mut reader.errors;
    let Some(fields) = object(value, &path, &["launch", "task"], strict, errors) else { return (None, None) };
    let max_age = fields.get("launch").and_then(|launch| {
        let path = path.key("launch");
        let launch = object(launch, &path, &["maxAge"], strict, errors)?;
        collect_error(duration(launch.get("maxAge")?, &path.key("maxAge"), LAUNCH_MAX_AGE), errors)
    });
    let task = fields.get("task").and_then(|task| {
        let path = path.key("task");
        if is_strict_mode && mode != Mode::Total {
            errors.push(path.error(
                "Must be absent with `mode` oneShot or drain: the queue delivers the message of a failed task again.",
            ));
        }
        task_retry(task, &path, strict, errors)
    });
    if let Some(task) = &task {
        reader.rewrite_number(NAME, "/task/attempts", task.attempts.get());
        for (index, rule) in task.rules.iter().enumerate() {
            if let RetryCondition::ExitCode(code) = rule.condition {
                reader.rewrite_number(NAME, &format!("/task/rules/{index}/exitCode"), code);
            }
        }
    }
    (max_age, task)
}

fn task_retry(
    value: &Value,
    path: &FieldPath<'_>,
    strict: bool,
    errors: &mut Vec<FieldError>,
) -> Option<TaskRetry> {
    let fields = object(value, path, &["attempts", "backoff", "rules"], strict, errors)?;
    let attempts = fields.get("attempts").map_or_else(
        || Err(path.key("attempts").error(MISSING)),
        |value| integer(value, &path.key("attempts"), 1, MAX_ATTEMPTS),
    );
    let attempts = collect_error(attempts, errors).and_then(NonZeroU32::new);
    let backoff = fields.get("backoff").map(|value| duration(value, &path.key("backoff"), BACKOFF));
    let backoff = backoff.and_then(|backoff| collect_error(backoff, errors));
    let rules = fields.get("rules").map(|value| rules(value, &path.key("rules"), strict, errors));
    Some(TaskRetry {
        attempts: attempts?,
        backoff: backoff.unwrap_or(TaskRetry::DEFAULT_BACKOFF),
        rules: rules.unwrap_or_default(),
    })
}

fn rules(value: &Value, path: &FieldPath<'_>, strict: bool, errors: &mut Vec<FieldError>) -> Vec<RetryRule> {
    let Value::Array(items) = value else {
        errors.push(path.error(if value.is_null() { NULL } else { "Not a valid list." }));
        return Vec::new();
    };
    if items.len() > MAX_RULES {
        errors.push(path.error(format!("Longer than maximum length {MAX_RULES}.")));
        return Vec::new();
    }
    let rules = items.iter().enumerate();
    rules.filter_map(|(index, item)| rule(item, &path.index(index), strict, errors)).collect()
}

fn rule(
    value: &Value,
    path: &FieldPath<'_>,
    strict: bool,
    errors: &mut Vec<FieldError>,
) -> Option<RetryRule> {
    const CONDITIONS: [&str; 3] = ["exitCode", "stopCode", "reason"];
    let fields = object(value, path, &["exitCode", "stopCode", "reason", "action"], strict, errors)?;
    let words = [("retry", RetryAction::Retry), ("fail", RetryAction::Fail)];
    let action = fields.get("action").map_or_else(
        || Err(path.key("action").error(MISSING)),
        |value| enum_value(value, &path.key("action"), &words),
    );
    let action = collect_error(action, errors);
    let mut given = CONDITIONS.into_iter().filter_map(|name| Some((name, fields.get(name)?)));
    let (Some((name, value)), None) = (given.next(), given.next()) else {
        errors.push(path.error("Needs exactly one of exitCode, stopCode, reason."));
        return None;
    };
    let condition = collect_error(condition(name, value, &path.key(name)), errors);
    Some(RetryRule { condition: condition?, action: action? })
}

fn condition(name: &str, value: &Value, path: &FieldPath<'_>) -> Result<RetryCondition, FieldError> {
    if name == "exitCode" {
        return integer(value, path, 1, 255).map(|code| RetryCondition::ExitCode(code.cast_signed()));
    }
    let text = text(value, path, MAX_TEXT)?;
    if text.is_empty() {
        return Err(path.error("Must not be empty."));
    }
    let text = text.to_owned();
    Ok(if name == "stopCode" { RetryCondition::StopCode(text) } else { RetryCondition::Reason(text) })
}
