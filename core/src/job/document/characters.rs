//! Refuses characters that can change how a terminal or a page shows the text around them.

use serde_json::Value;

use super::error::{FieldError, Place};
use crate::text;

/// Adds an error for each string, or name of a member, that contains such a character.
///
/// A container's command and environment are passed on as they are and shown by nothing, so only NUL is refused there: no
/// process can be given it.
pub(super) fn check(value: &Value, place: &Place<'_>, errors: &mut Vec<FieldError>) {
    walk(value, place, text::refusal, errors);
}

/// Checks the overrides of a job.
pub(super) fn check_overrides(value: &Value, place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let Value::Array(containers) = value else { return check(value, place, errors) };
    for (index, container) in containers.iter().enumerate() {
        let place = place.index(index);
        let Value::Object(fields) = container else {
            check(container, &place, errors);
            continue;
        };
        for (name, value) in fields {
            let refusal =
                if matches!(name.as_str(), "command" | "environment") { nul } else { text::refusal };
            member(name, value, &place, refusal, errors);
        }
    }
}

type Refusal = fn(&str) -> Option<String>;

fn nul(text: &str) -> Option<String> {
    text.contains('\0').then(|| "Contains U+0000, which no process can be given; leave it out.".to_owned())
}

fn walk(value: &Value, place: &Place<'_>, refusal: Refusal, errors: &mut Vec<FieldError>) {
    match value {
        Value::String(text) => errors.extend(refusal(text).map(|message| place.error(message))),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &place.index(index), refusal, errors);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                member(name, value, place, refusal, errors);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn member(name: &str, value: &Value, place: &Place<'_>, refusal: Refusal, errors: &mut Vec<FieldError>) {
    let place = place.key(name);
    errors.extend(refusal(name).map(|message| place.error(message)));
    walk(value, &place, refusal, errors);
}
