//! The OpenAPI document: a snapshot of what clients see, and what must hold for every operation.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use ecs_scheduler::api;
use ecs_scheduler_core::{FiringState, Rule, TickOutcome};
use serde_json::{Map, Value};

use crate::harness::{Server, registry};

fn document() -> Value {
    api::openapi(&registry(), NonZeroU32::new(50).unwrap())
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation.as_object().unwrap()))
    })
}

#[test]
fn the_openapi_document_equals_the_reviewed_snapshot() {
    insta::assert_json_snapshot!("openapi", document());
}

#[test]
fn every_operation_has_a_name_a_summary_and_its_problems() {
    let document = document();
    let mut names = BTreeSet::new();
    for (call, operation) in operations(&document) {
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{call}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{call}");
        let responses = operation["responses"].as_object().unwrap();
        for needed in ["500", "503"] {
            assert!(responses.contains_key(needed), "{call} can answer {needed}");
        }
        let has_body = operation.contains_key("requestBody");
        assert_eq!(has_body, responses.contains_key("415"), "{call}");
        assert_eq!(call.contains('{'), responses.contains_key("404"), "{call}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut targets = BTreeSet::new();
    collect(&document, &mut targets);
    assert!(targets.len() > 20);
    for target in targets {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
    }
}

fn collect(value: &Value, targets: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get("$ref") {
                targets.insert(target.clone());
            }
            fields.values().for_each(|field| collect(field, targets));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, targets)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn spec_and_openapi_json_serve_the_same_document() {
    let server = Server::start().await;
    let spec = server.get("/spec").await.json();
    assert_eq!(spec, server.get("/openapi.json").await.json());
    assert_eq!(spec, document());
    assert_eq!(spec["openapi"], "3.1.0");
}

#[tokio::test(start_paused = true)]
async fn every_documented_operation_is_routed() {
    let server = Server::start().await;
    for (call, _) in operations(&document()) {
        let (method, path) = call.split_once(' ').unwrap();
        if path == "/events" {
            continue;
        }
        let path = path.replace("{id}", "none").replace("{task}", "none").replace("{kind}", "stale");
        let reply = server.call(&method.to_uppercase(), &path, &[], "").await;
        assert_ne!(reply.status, 405, "{call}");
        assert!(!reply.text().contains("URL was not found"), "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_problem_has_its_page() {
    let server = Server::start().await;
    for kind in server.get("/problems").await.json()["problems"].as_array().unwrap() {
        let page = server.get(kind["type"].as_str().unwrap()).await;
        assert_eq!(page.json(), *kind);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_parameter_is_refused_on_every_route_with_the_nearest_name() {
    let server = Server::start().await;
    let undocumented =
        ["get /spec", "get /ui/style.css", "get /ui/script.js", "get /docs/"].map(str::to_owned);
    let document = document();
    for call in operations(&document).map(|(call, _)| call).chain(undocumented) {
        let (method, path) = call.split_once(' ').unwrap();
        let path = path.replace("{id}", "none").replace("{task}", "none").replace("{kind}", "stale");
        let headers = [("content-type", "application/json")];
        let reply = server.call(&method.to_uppercase(), &format!("{path}?paused=true"), &headers, "").await;
        assert_eq!(reply.status, 400, "{call}: {}", reply.text());
        assert_eq!(reply.json()["errors"][0]["pointer"], "?paused", "{call}");
        assert_eq!(reply.json()["messages"]["paused"].as_array().unwrap().len(), 1, "{call}");
    }
    for (path, near) in [
        ("/jobs?cuont=5", "did you mean \"count\"?"),
        ("/decisions?outcomes=idle", "did you mean \"outcome\"?"),
        ("/firings?State=failed", "Known are state, outcome, from, to, label, after, limit."),
        ("/readyz?verbos", "did you mean \"verbose\"?"),
    ] {
        let reply = server.get(path).await;
        assert!(
            reply.status == 400 && reply.json()["detail"].as_str().unwrap().contains(near),
            "{}",
            reply.text()
        );
    }
    assert_eq!(server.call("HEAD", "/jobs?count=1", &[], "").await.status, 200);
    assert_eq!(server.get("/jobs?").await.status, 200);
    assert_eq!(server.get("/nowhere?x=1").await.status, 404);
}

#[test]
fn schemas_are_accepted_by_client_generators() {
    let document = document();
    let mut wrong = Vec::new();
    collect_faults(&document, String::new(), &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (call, operation) in operations(&document) {
        let contents = operation.get("requestBody").and_then(|body| body["content"].as_object());
        for content in contents.into_iter().flat_map(Map::values) {
            assert!(content["schema"]["oneOf"].is_null(), "{call}: a body is left out, not null");
        }
    }
}

#[test]
fn enums_of_the_api_list_exactly_the_names_of_the_core() {
    let document = document();
    let words = |name: &str| document["components"]["schemas"][name]["enum"].clone();
    let names = |names: Vec<&'static str>| Value::from(names);
    assert_eq!(words("Outcome"), names(TickOutcome::occurring().map(TickOutcome::as_str).collect()));
    assert_eq!(words("FiringState"), names(FiringState::ALL.map(FiringState::as_str).to_vec()));
    assert_eq!(words("Rule"), names(Rule::occurring().map(Rule::as_str).collect()));
    for reserved in ["denied", "need"] {
        assert!(!words("Outcome").as_array().unwrap().contains(&reserved.into()), "{reserved}");
        assert!(!words("Rule").as_array().unwrap().contains(&reserved.into()), "{reserved}");
    }
}

#[test]
fn filters_and_answers_refer_to_the_sets_of_words() {
    let document = document();
    let reference = |pointer: &str| document.pointer(pointer).and_then(|schema| schema["$ref"].as_str());
    let is_at = |pointer: &str, name: &str| {
        assert_eq!(reference(pointer), Some(format!("#/components/schemas/{name}").as_str()), "{pointer}");
    };
    is_at("/paths/~1decisions/get/parameters/0/schema", "Outcome");
    is_at("/paths/~1jobs~1{id}~1decisions/get/parameters/1/schema", "Outcome");
    is_at("/paths/~1firings/get/parameters/0/schema", "FiringState");
    is_at("/paths/~1jobs~1{id}~1firings/get/parameters/1/schema", "FiringState");
    is_at("/components/schemas/FiringView/properties/state", "FiringState");
    is_at("/components/schemas/StepView/properties/rule", "Rule");
}

fn collect_faults(value: &Value, place: String, wrong: &mut Vec<String>) {
    let is_array = value["type"] == "array"
        || value["type"].as_array().is_some_and(|kinds| kinds.contains(&"array".into()));
    if is_array && !value["items"].is_object() {
        wrong.push(format!("{place}: an array without items"));
    }
    if value.as_object().is_some_and(|fields| fields.get("default").is_some_and(Value::is_null)) {
        wrong.push(format!("{place}: a default of null"));
    }
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| collect_faults(inner, format!("{place}/{name}"), wrong))
        }
        Value::Array(items) => items.iter().for_each(|inner| collect_faults(inner, place.clone(), wrong)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
