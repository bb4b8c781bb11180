//! The OpenAPI document: a snapshot of what clients see, and what must hold for every operation.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use ecs_scheduler::api;
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
fn the_document_is_the_one_that_was_reviewed() {
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
async fn what_is_served_is_the_same_under_both_names() {
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
        let path = path.replace("{id}", "none").replace("{kind}", "stale");
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
