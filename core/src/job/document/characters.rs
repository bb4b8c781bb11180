//! Rejects characters that change how a terminal or a page shows the text around them.

use serde_json::Value;

use crate::job::field_error::{FieldError, FieldPath};
use crate::text;

/// Adds an error for each string or member name that contains such a character.
///
/// A container's command and the values of its environment are passed on unchanged and never shown, so only NUL is rejected
/// there: no process accepts it. The names of variables may have no `=`, line feed or tab either.
pub(super) fn check(value: &Value, path: &FieldPath<'_>, errors: &mut Vec<FieldError>) {
    walk(value, path, text::refusal, errors);
}

/// Checks the overrides of a job.
pub(super) fn check_overrides(value: &Value, path: &FieldPath<'_>, errors: &mut Vec<FieldError>) {
    let Value::Array(containers) = value else { return check(value, path, errors) };
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        let Value::Object(fields) = container else {
            check(container, &path, errors);
            continue;
        };
        for (name, value) in fields {
            let refusal = match name.as_str() {
                "command" | "environment" => nul,
                _ => text::refusal,
            };
            if let ("environment", Value::Object(variables)) = (name.as_str(), value) {
                let path = path.key(name);
                for (variable, value) in variables {
                    let path = path.key(variable);
                    errors.extend(variable_refusal(variable).map(|message| path.error(message)));
                    walk(value, &path, refusal, errors);
                }
                continue;
            }
            member(name, value, &path, refusal, errors);
        }
    }
}

type Refusal = fn(&str) -> Option<String>;

fn nul(text: &str) -> Option<String> {
    text.contains('\0').then(|| "Contains U+0000, which a process cannot receive; remove it.".to_owned())
}

fn variable_refusal(name: &str) -> Option<String> {
    let is_refused =
        |character: &char| matches!(character, '=' | '\n' | '\t') || text::is_unprintable(*character);
    let found = u32::from(name.chars().find(is_refused)?);
    Some(format!("Contains U+{found:04X}, which a name of an environment variable cannot have; remove it."))
}

fn walk(value: &Value, path: &FieldPath<'_>, refusal: Refusal, errors: &mut Vec<FieldError>) {
    match value {
        Value::String(text) => errors.extend(refusal(text).map(|message| path.error(message))),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &path.index(index), refusal, errors);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                member(name, value, path, refusal, errors);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn member(name: &str, value: &Value, path: &FieldPath<'_>, refusal: Refusal, errors: &mut Vec<FieldError>) {
    let path = path.key(name);
    errors.extend(refusal(name).map(|message| path.error(message)));
    walk(value, &path, refusal, errors);
}
