//! The name, settings and mappings of a new index.
//!
//! Source: <https://www.elastic.co/guide/en/elasticsearch/reference/8.19/indices-create-index.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::response::FakeResponse;

/// The supported settings.
const SETTINGS: [&str; 6] = [
    "index.auto_expand_replicas",
    "index.default_pipeline",
    "index.mapping.source.mode",
    "index.number_of_replicas",
    "index.number_of_shards",
    "index.translog.durability",
];
/// The supported parameters of a mapping.
const MAPPING_PARAMETERS: [&str; 5] = ["_meta", "_source", "dynamic", "enabled", "properties"];

/// Refuses an invalid name of an index or an alias.
pub(crate) fn check_name(name: &str) -> Result<(), FakeResponse> {
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
    Err(FakeResponse::error(400, "invalid_index_name_exception", &reason))
}

/// Parses the settings of a new index.
pub(crate) fn parse_settings(body: &Value) -> Result<BTreeMap<String, Value>, FakeResponse> {
    let mut settings = BTreeMap::new();
    flatten("", body.get("settings").unwrap_or(&Value::Null), &mut settings);
    match settings.keys().find(|name| !SETTINGS.contains(&name.as_str())) {
        None => Ok(settings),
        Some(name) => Err(FakeResponse::illegal_argument(&format!(
            "unknown setting [{name}] please check that any required plugins are installed, or check the breaking changes \
             documentation for removed settings"
        ))),
    }
}

/// Parses the mappings of a new index.
pub(crate) fn parse_mappings(body: &Value) -> Result<Map<String, Value>, FakeResponse> {
    let mappings = body.get("mappings").and_then(Value::as_object).cloned().unwrap_or_default();
    check_mappings(mappings)
}

/// Refuses unknown parameters, and normalizes the others as Elasticsearch shows them.
pub(crate) fn check_mappings(mut mappings: Map<String, Value>) -> Result<Map<String, Value>, FakeResponse> {
    if let Some(name) = mappings.keys().find(|name| !MAPPING_PARAMETERS.contains(&name.as_str())) {
        let reason = format!("Root mapping definition has unsupported parameters:  [{name}]");
        return Err(FakeResponse::error(400, "mapper_parsing_exception", &reason));
    }
    // `dynamic` is always shown as a text.
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
