//! Corrects generated schemas that validators and client generators refuse.

use serde_json::{Map, Value, json};

/// Makes the body and the parameters of an operation optional instead of null.
pub(super) fn operation(operation: &mut Map<String, Value>) {
    let contents = operation.get_mut("requestBody").and_then(|body| body["content"].as_object_mut());
    for content in contents.into_iter().flat_map(Map::values_mut) {
        required(&mut content["schema"]);
    }
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        required(&mut parameter["schema"]);
    }
}

/// Replaces a choice of null and something else by that: an optional part is left out instead of null.
fn required(schema: &mut Value) {
    let choices = schema["oneOf"].as_array();
    let choice = choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null"));
    if let Some(choice) = choice.cloned() {
        *schema = choice;
    }
}

/// Visits all schemas: removes a default of null, and gives each array the type of its items.
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
