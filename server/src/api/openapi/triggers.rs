//! Schemas of the installed triggers, each with its `type`, as one choice.

use ecs_scheduler_core::TriggerRegistry;
use serde_json::{Map, Value, json};

/// Returns `Trigger`, a choice of the installed kinds, and the schemas that they refer to.
pub(super) fn schemas(registry: &TriggerRegistry) -> Map<String, Value> {
    let mut schemas = Map::new();
    let mut choices = vec![noop()];
    for factory in registry.kinds() {
        let kind = factory.kind();
        let name = format!("Trigger.{kind}");
        let mut schema = factory.schema();
        adopt(&mut schema, kind, &mut schemas);
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
            // A generated client names a type after it: `any` alone would hide a type of the language.
            object.insert("title".to_owned(), format!("{kind} trigger").into());
            object.insert("description".to_owned(), factory.summary().into());
            object.insert("type".to_owned(), "object".into());
            let properties = object.entry("properties").or_insert_with(|| json!({}));
            properties["type"] = json!({"type": "string", "const": kind});
            let required = object.entry("required").or_insert_with(|| json!([]));
            required.as_array_mut().into_iter().for_each(|names| names.push("type".into()));
        }
        choices.push(json!({"$ref": format!("#/components/schemas/{name}")}));
        schemas.insert(name, schema);
    }
    let text =
        "Decides whether and how many tasks start; without a trigger, `taskCount` tasks start at each tick.";
    schemas.insert("Trigger".to_owned(), json!({"description": text, "oneOf": choices}));
    schemas
}

/// The Python version's name for no trigger.
fn noop() -> Value {
    json!({
        "type": "object",
        "title": "noop trigger",
        "description": "No condition: the same as no `trigger`.",
        "properties": {"type": {"type": "string", "const": "noop"}},
        "required": ["type"],
    })
}

/// Moves the definitions of a schema to the document's components, under names of their own.
fn adopt(schema: &mut Value, kind: &str, schemas: &mut Map<String, Value>) {
    let definitions = schema.as_object_mut().and_then(|object| object.remove("$defs"));
    redirect(schema, kind);
    if let Some(Value::Object(definitions)) = definitions {
        for (name, mut definition) in definitions {
            redirect(&mut definition, kind);
            schemas.insert(format!("Trigger.{kind}.{name}"), definition);
        }
    }
}

fn redirect(value: &mut Value, kind: &str) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix("#/$defs/")
            {
                *target = format!("#/components/schemas/Trigger.{kind}.{name}");
            }
            fields.values_mut().for_each(|field| redirect(field, kind));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, kind)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
