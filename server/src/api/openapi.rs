//! The OpenAPI document: derived from the handlers, and completed by the parts that all operations share and by the
//! installed plugins.

use std::collections::HashMap;
use std::num::NonZeroU32;

use axum::body::Bytes;
use axum::http::{HeaderValue, Method};
use ecs_scheduler_core::TriggerRegistry;
use serde_json::{Map, Value, json};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::dto;
use super::problem::{ProblemDocument, ProblemType};
use super::request::MAX_BODY;
use super::respond;
use super::scopes;

mod tidy;
mod triggers;

/// The tags, in the order in which they are shown.
const TAGS: [(&str, &str); 12] = [
    ("jobs", "Jobs: a schedule, a trigger and a task."),
    ("schedules", "Previews of schedules."),
    ("decisions", "The outcome and the reasons of every tick; dry runs."),
    ("firings", "Launches and the state of their tasks."),
    ("brake", "Stops all launches at once."),
    ("budgets", "Limits that jobs share, and their use."),
    ("notifications", "Messages about jobs, and their delivery."),
    ("plugins", "Installed triggers, launchers and stores."),
    ("events", "Live events."),
    ("tokens", "Access tokens of clients."),
    ("operation", "Health, metrics, and this document."),
    ("problems", "Kinds of problems."),
];

/// Begins the document, before any route is known.
pub(super) fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("ECS Scheduler")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Starts tasks on a schedule or a condition. Every error is a problem document (RFC 9457) that names \
             each invalid field by a JSON pointer.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Completes the document that the routes made.
pub(super) fn complete(derived: &OpenApi, registry: &TriggerRegistry, max_tasks: NonZeroU32) -> Value {
    let mut document = serde_json::to_value(derived).expect("an OpenAPI document is JSON");
    document["tags"] = TAGS.iter().map(|(name, text)| json!({"name": name, "description": text})).collect();
    let schemas = document["components"]["schemas"].as_object_mut();
    let schemas = schemas.expect("the handlers name schemas");
    schemas.extend(problems());
    schemas.extend(dto::schemas(max_tasks.get()));
    schemas.extend(triggers::schemas(registry));
    document["components"]["securitySchemes"] = json!({ "token": scopes::security_scheme() });
    let paths = document["paths"].as_object_mut().expect("there are routes");
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.as_object_mut() {
                operation
                    .extend(scopes::security(method, path).map(|needed| ("security".to_owned(), needed)));
                add_problems(path, operation);
                tidy::operation(operation);
            }
        }
    }
    tidy::schemas(&mut document);
    // A row without its optional fields fits the schema of a job, too.
    if let Some(listed) = document["components"]["schemas"]["ListedJob"].as_object_mut()
        && let Some(either) = listed.remove("oneOf")
    {
        listed.insert("anyOf".to_owned(), either);
    }
    document
}

/// Returns the schemas of problem documents.
fn problems() -> impl Iterator<Item = (String, Value)> {
    let mut known = vec![(ProblemDocument::name().into_owned(), ProblemDocument::schema())];
    ProblemDocument::schemas(&mut known);
    known.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).expect("a schema is JSON")))
}

/// The served document, and the resources that it describes.
#[derive(Debug)]
pub(super) struct ServedDocument {
    /// The document as JSON.
    pub(super) body: Bytes,
    /// `Allow` of every documented resource, by its path.
    allow: HashMap<String, HeaderValue>,
    /// The parameters of every documented operation, by method and path.
    parameters: HashMap<String, Vec<String>>,
}

impl ServedDocument {
    /// Serves a complete document.
    pub(super) fn new(document: &Value) -> Self {
        let (allow, parameters) = (methods(document), parameters(document));
        Self { body: respond::encode(document).into(), allow, parameters }
    }

    /// Returns the methods of a resource; an undocumented resource can only be read.
    pub(super) fn allow(&self, path: &str) -> HeaderValue {
        self.allow.get(path).cloned().unwrap_or(HeaderValue::from_static("GET, HEAD, OPTIONS"))
    }

    /// Returns the parameters of an operation, none for a resource that is not documented; nothing where there is no such
    /// operation.
    pub(super) fn parameters(&self, method: &Method, path: &str) -> Option<&[String]> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let path = if path == scopes::BULK_PATH && method != Method::POST { "/jobs/{id}" } else { path };
        match self.parameters.get(&format!("{method} {path}")) {
            Some(known) => Some(known.as_slice()),
            None if self.allow.contains_key(path) => None,
            None => Some(&[]),
        }
    }
}

/// Returns `Allow` for every path of the document.
fn methods(document: &Value) -> HashMap<String, HeaderValue> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let allow = paths.map(|(path, item)| {
        let mut names: Vec<String> =
            item.as_object().into_iter().flat_map(Map::keys).map(|name| name.to_uppercase()).collect();
        if names.iter().any(|name| name == "GET") {
            names.push("HEAD".to_owned());
        }
        names.push("OPTIONS".to_owned());
        names.sort_unstable();
        (path.clone(), HeaderValue::try_from(names.join(", ")).expect("method names are a header value"))
    });
    allow.collect()
}

/// Returns the names of the parameters in the query of every operation: `GET /jobs`.
fn parameters(document: &Value) -> HashMap<String, Vec<String>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    });
    let named = operations.map(|(call, operation)| {
        let all = operation["parameters"].as_array().into_iter().flatten();
        let query = all.filter(|parameter| parameter["in"] == "query");
        (call, query.filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned())).collect())
    });
    named.collect()
}

/// Returns the description of an answer with a problem.
fn problem_response(kind: ProblemType) -> Value {
    json!({
        "description": kind.title(),
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}},
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}},
        },
    })
}

/// Adds the answers that every operation of a kind can give.
fn add_problems(path: &str, operation: &mut Map<String, Value>) {
    let named = |place: &str| {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        parameters.is_some_and(|all| all.iter().any(|parameter| parameter["in"] == place))
    };
    let header = |name: &str| {
        let parameters = operation.get("parameters").and_then(Value::as_array);
        parameters.is_some_and(|all| all.iter().any(|parameter| parameter["name"] == name))
    };
    // Any operation is refused under a foreign name, from another site, and with unknown parameters.
    let mut kinds = vec![
        ProblemType::Internal,
        ProblemType::Unavailable,
        ProblemType::Invalid,
        ProblemType::ForeignHost,
        ProblemType::ForeignSite,
    ];
    if operation.get("security").is_none_or(|needed| *needed != json!([])) {
        kinds.extend([ProblemType::Unauthenticated, ProblemType::Forbidden]);
    }
    if operation.contains_key("requestBody") {
        kinds.extend([ProblemType::TooLarge, ProblemType::MediaType, ProblemType::Slow]);
    }
    if named("path") {
        kinds.push(ProblemType::NotFound);
    }
    if header("If-Match") {
        kinds.extend([ProblemType::Stale, ProblemType::Contended]);
    }
    if header("Idempotency-Key") {
        kinds.extend([ProblemType::KeyReused, ProblemType::KeyPending]);
    }
    if ["/evaluate", "/next", "/firings", "/backfill"].iter().any(|end| path.ends_with(end)) {
        kinds.push(ProblemType::Unprocessable);
    }
    let of_one_path = [
        ("/logs", ProblemType::Denied),
        ("/notifications/test", ProblemType::TooMany),
        ("/tokens", ProblemType::TooMany),
        ("/backfill", ProblemType::UnderWay),
    ];
    kinds.extend(of_one_path.iter().filter(|(end, _)| path.ends_with(end)).map(|(_, kind)| *kind));
    let known_tag =
        json!({"description": "Not modified", "headers": {"ETag": {"schema": {"type": "string"}}}});
    let conditional = header("If-None-Match") && !operation.contains_key("requestBody");
    let responses =
        operation.get_mut("responses").and_then(Value::as_object_mut).expect("every operation answers");
    for kind in kinds {
        responses.entry(kind.status().as_str()).or_insert_with(|| problem_response(kind));
    }
    if conditional {
        responses.insert("304".to_owned(), known_tag);
    }
    if let Some(body) = operation.get_mut("requestBody") {
        body["description"] = format!("At most {MAX_BODY} bytes of JSON.").into();
    }
}
