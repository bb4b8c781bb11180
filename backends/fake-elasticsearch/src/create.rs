//! What an index may be called, and what may be said of it when it is created.
//!
//! Source: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/indices-create-index.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::answer::Answer;

/// Settings that are known, of all those that Elasticsearch has.
const SETTINGS: [&str; 6] = [
    "index.auto_expand_replicas",
    "index.default_pipeline",
    "index.mapping.source.mode",
    "index.number_of_replicas",
    "index.number_of_shards",
    "index.translog.durability",
];
/// Parameters of a mapping that are known, of all those that Elasticsearch has.
const PARAMETERS: [&str; 5] = ["_meta", "_source", "dynamic", "enabled", "properties"];

/// Refuses what no index and no alias can be called.
pub(crate) fn check_name(name: &str) -> Result<(), Answer> {
    let reason = if name.is_empty() || name == "." || name == ".." {
        "must not be empty, '.' or '..'"
    } else if name.len() > 255 {
        "index name is too long, (more than 255 bytes)"
    } else if name.starts_with(['_', '-', '+']) {
        "must not start with '_', '-', or '+'"
    } else if name.to_lowercase() != name {
        "must be lowercase"
    } else if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':']) {
        "must not contain the following characters [ , \", *, \\, <, |, ,, >, /, ?]"
    } else {
        return Ok(());
    };
    let reason = format!("Invalid index name [{name}], {reason}");
    Err(Answer::refusal(400, "invalid_index_name_exception", &reason))
}

/// Reads the settings of a new index.
pub(crate) fn settings(body: &Value) -> Result<BTreeMap<String, Value>, Answer> {
    let mut settings = BTreeMap::new();
    flatten("", body.get("settings").unwrap_or(&Value::Null), &mut settings);
    match settings.keys().find(|name| !SETTINGS.contains(&name.as_str())) {
        None => Ok(settings),
        Some(name) => Err(Answer::wrong(&format!(
            "unknown setting [{name}] please check that any required plugins are installed, or check the breaking changes \
             documentation for removed settings"
        ))),
    }
}

/// Reads the mappings of a new index.
pub(crate) fn mappings(body: &Value) -> Result<Map<String, Value>, Answer> {
    let mappings = body.get("mappings").and_then(Value::as_object).cloned().unwrap_or_default();
    known_mappings(mappings)
}

/// Refuses parameters that no mapping has, and spells the others as they are shown.
pub(crate) fn known_mappings(mut mappings: Map<String, Value>) -> Result<Map<String, Value>, Answer> {
    if let Some(name) = mappings.keys().find(|name| !PARAMETERS.contains(&name.as_str())) {
        let reason = format!("Root mapping definition has unsupported parameters:  [{name}]");
        return Err(Answer::refusal(400, "mapper_parsing_exception", &reason));
    }
    // `dynamic` is shown as a text, whatever it was given.
    if let Some(dynamic) = mappings.get_mut("dynamic") {
        let text = dynamic.as_str().map_or_else(|| dynamic.to_string(), str::to_owned);
        *dynamic = text.into();
    }
    Ok(mappings)
}

/// Settings as `flat_settings` shows them: names joined by dots, values as texts.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&below, value, into);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            into.insert(path.to_owned(), text.clone().into());
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            into.insert(path.to_owned(), value.to_string().into());
        }
    }
}
