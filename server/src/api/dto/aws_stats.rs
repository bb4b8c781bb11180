//! The schema of the calls to AWS. The core has the types, because the plugins fill them.

use ecs_scheduler_core::call_stats::CallStats;
use serde_json::{Map, Value};

use super::named_schema::named_schema;

named_schema!(
    /// The calls of this process to AWS.
    AwsStats
);

/// Returns the schema of [`CallStats`] under its name in the API, and those that it refers to.
pub(super) fn schemas() -> Map<String, Value> {
    let mut stats = schemars::schema_for!(CallStats).to_value();
    let parts = stats.as_object_mut().and_then(|fields| fields.remove("$defs"));
    let mut schemas = Map::from_iter([("AwsStats".to_owned(), stats)]);
    if let Some(Value::Object(parts)) = parts {
        schemas.extend(parts);
    }
    schemas.values_mut().for_each(tidy);
    schemas
}

/// Writes references and integers as the other schemas of the document do.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("$schema");
            fields.retain(|name, value| name != "title" || !value.is_string());
            for (name, value) in fields {
                match (name.as_str(), value.as_str()) {
                    ("format", Some("uint64")) => *value = "int64".into(),
                    ("$ref", Some(target)) => {
                        *value = target.replace("#/$defs/", "#/components/schemas/").into()
                    }
                    _ => tidy(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
