//! Puts right what the generators of schemas write and validators and generators of clients refuse.

use ecs_scheduler_core::{FiringState, TickOutcome};
use serde_json::{Map, Value, json};

/// Makes the body of an operation optional instead of null, and names the values of its filters.
pub(super) fn operation(operation: &mut Map<String, Value>) {
    let contents = operation.get_mut("requestBody").and_then(|body| body["content"].as_object_mut());
    for content in contents.into_iter().flat_map(Map::values_mut) {
        let choices = content["schema"]["oneOf"].as_array();
        let choice = choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null"));
        if let Some(choice) = choice.cloned() {
            content["schema"] = choice;
        }
    }
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let names: Vec<String> = match parameter["name"].as_str() {
            Some("outcome") => TickOutcome::ALL.iter().map(ToString::to_string).collect(),
            Some("state") => FiringState::ALL.iter().map(|state| state.as_str().to_owned()).collect(),
            _ => continue,
        };
        parameter["schema"] = json!({"type": "string", "enum": names});
    }
}

/// Goes through all schemas: a default of null is no default, and an array says what it holds.
pub(super) fn schemas(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("default").is_some_and(Value::is_null) {
                fields.remove("default");
            }
            if is_array(fields.get("type")) && fields.get("items").is_none_or(Value::is_boolean) {
                fields.insert("items".to_owned(), json!({}));
            }
            fields.values_mut().for_each(schemas);
        }
        Value::Array(items) => items.iter_mut().for_each(schemas),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_array(kind: Option<&Value>) -> bool {
    let is = |kind: &Value| kind == "array";
    kind.is_some_and(|kind| is(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(is)))
}
