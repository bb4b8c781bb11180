//! Texts of channels from the environment, so that the file has no secrets: `secret: {env: OPS_SECRET}`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::CHANNELS;

/// The one member of an object that names a variable.
const MEMBER: &str = "env";

/// Replaces each `{env: NAME}` in the place of a text of a channel, or of one of its headers, by the variable's value. Returns the
/// JSON of the setting; text that is not JSON of that form stays as it is.
///
/// # Errors
///
/// Fails with one line for each variable that is not set or empty, without values.
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
        if let Some(headers) = fields.get_mut("headers").and_then(Value::as_object_mut) {
            replace(&format!("{key}.headers"), headers, environment, &mut problems);
        }
        replace(&key, fields, environment, &mut problems);
    }
    if problems.is_empty() { Ok(value.to_string()) } else { Err(problems) }
}

fn replace(
    key: &str,
    fields: &mut Map<String, Value>,
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<String>,
) {
    for (field, value) in fields.iter_mut().filter(|(field, _)| *field != "headers") {
        let Some(variable) = variable(value) else { continue };
        match environment.get(variable).filter(|text| !text.is_empty()) {
            Some(text) => *value = text.as_str().into(),
            None => problems.push(format!("{key}.{field}: the environment variable {variable} is not set")),
        }
    }
}

/// Returns the name in `{env: NAME}`.
fn variable(value: &Value) -> Option<&str> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.get(MEMBER)?.as_str()
}
