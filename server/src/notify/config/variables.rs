//! Texts of channels from the environment, so that the file has no secrets: `secret: {env: OPS_SECRET}`.
//!
//! The kind and the command of a channel are not secret, and stand in the file itself.

use std::collections::BTreeMap;

use serde_json::Value;

use super::CHANNELS;

/// The one member of an object that names a variable.
const MEMBER: &str = "env";

/// The members of a channel whose texts may come from the environment; besides, the values of its headers.
const TEXTS: [&str; 3] = ["url", "secret", "topicArn"];

/// Replaces each `{env: NAME}` in the place of a text of a channel, or of one of its headers, by the variable's value. Returns the
/// JSON of the setting; text that is not JSON of that form stays as it is.
///
/// # Errors
///
/// Fails with one line for each variable that is not set or empty, and for each in a wrong place, without values.
pub(crate) fn insert_variables(
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<String, Vec<String>> {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return Ok(text.to_owned()) };
    let channels = value.get_mut("channels").and_then(Value::as_object_mut);
    let mut problems = Vec::new();
    for (name, channel) in channels.into_iter().flatten() {
        let Some(fields) = channel.as_object_mut() else { continue };
        let key = format!("{CHANNELS}.{name}");
        if let Some(variable) = fields.get("headers").and_then(variable) {
            problems.push(format!(
                "{key}.headers: {{{MEMBER}: {variable}}} stands for one text; give each header its own, such as \
                 authorization: {{{MEMBER}: {variable}}}. A header with the name {MEMBER} is written Env"
            ));
        } else if let Some(headers) = fields.get_mut("headers").and_then(Value::as_object_mut) {
            for (name, value) in headers {
                replace(&format!("{key}.headers.{name}"), value, environment, &mut problems);
            }
        }
        for (field, value) in fields.iter_mut().filter(|(field, _)| *field != "headers") {
            if TEXTS.contains(&field.as_str()) {
                replace(&format!("{key}.{field}"), value, environment, &mut problems);
            } else if variable(value).is_some() {
                problems.push(format!(
                    "{key}.{field}: a variable may stand for {} and the values of headers, not for this",
                    TEXTS.join(", ")
                ));
            }
        }
    }
    if problems.is_empty() { Ok(value.to_string()) } else { Err(problems) }
}

fn replace(key: &str, value: &mut Value, environment: &BTreeMap<String, String>, problems: &mut Vec<String>) {
    let Some(variable) = variable(value) else { return };
    match environment.get(variable).filter(|text| !text.is_empty()) {
        Some(text) => *value = text.as_str().into(),
        None => problems.push(format!("{key}: the environment variable {variable} is not set")),
    }
}

/// Returns the name in `{env: NAME}`.
fn variable(value: &Value) -> Option<&str> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.get(MEMBER)?.as_str()
}
