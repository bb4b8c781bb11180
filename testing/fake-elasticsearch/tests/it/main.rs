//! The fake over plain HTTP: guarantees and errors of Elasticsearch, each as documented.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use ecs_scheduler_fake_elasticsearch::{Fake, InjectedFault, elasticsearch};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// A fake cluster, and a client without retries.
struct TestClient {
    fake: Fake,
    http: Client,
}

impl TestClient {
    async fn new() -> Self {
        Self { fake: Fake::start().await, http: Client::builder().no_proxy().build().unwrap() }
    }

    /// Sends a request with a body of this content type; returns status and body.
    async fn send(&self, request: &str, kind: &str, body: String) -> (u16, Value) {
        let (method, path) = request.split_once(' ').unwrap();
        let request =
            self.http.request(method.parse::<Method>().unwrap(), format!("{}{path}", self.fake.hosts()));
        let request = if body.is_empty() { request } else { request.header("content-type", kind).body(body) };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn send_json(&self, request: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(request, JSON, body).await
    }

    /// Asserts that a request fails with this status and this type of error.
    async fn assert_refused(&self, request: &str, body: Value, status: u16, kind: &str) {
        let (answered, body) = self.send_json(request, body).await;
        assert_eq!((answered, &body["error"]["type"]), (status, &json!(kind)), "{request}: {body}");
    }

    async fn create(&self, id: &str) -> Value {
        let (status, body) =
            self.send_json(&format!("PUT /jobs/_create/{id}"), json!({ "taskCount": 1 })).await;
        assert_eq!((status, &body["result"]), (201, &json!("created")), "{body}");
        body
    }

    async fn count_hits(&self, request: &str, body: Value) -> usize {
        let (status, body) = self.send_json(request, body).await;
        assert_eq!(status, 200, "{body}");
        body["hits"]["hits"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn write_with_another_expected_change_is_a_version_conflict() {
    let client = TestClient::new().await;
    let first = client.create("a").await;
    assert_eq!((&first["_seq_no"], &first["_primary_term"]), (&json!(0), &json!(1)));
    let conflict = "version_conflict_engine_exception";
    for request in [
        "PUT /jobs/_create/a",
        "PUT /jobs/_doc/a?if_seq_no=7&if_primary_term=1",
        "PUT /jobs/_doc/a?if_seq_no=0&if_primary_term=2",
        "PUT /jobs/_doc/none?if_seq_no=0&if_primary_term=1",
        "DELETE /jobs/_doc/a?if_seq_no=7&if_primary_term=1",
        "DELETE /jobs/_doc/none?if_seq_no=0&if_primary_term=1",
    ] {
        let body = if request.starts_with("PUT") { json!({}) } else { Value::Null };
        client.assert_refused(request, body, 409, conflict).await;
    }
    let (status, second) =
        client.send_json("PUT /jobs/_doc/a?if_seq_no=0&if_primary_term=1", json!({ "taskCount": 2 })).await;
    assert_eq!((status, &second["_seq_no"], &second["result"]), (200, &json!(1), &json!("updated")));
    let (status, _) =
        client.send_json("DELETE /jobs/_doc/a?if_seq_no=1&if_primary_term=1", Value::Null).await;
    assert_eq!(status, 200);
    let half = "PUT /jobs/_doc/a?if_seq_no=0";
    client.assert_refused(half, json!({}), 400, "illegal_argument_exception").await;
    let both = "PUT /jobs/_create/a?if_seq_no=0&if_primary_term=1";
    client.assert_refused(both, json!({}), 400, "illegal_argument_exception").await;
}

#[tokio::test]
async fn search_sees_refreshed_documents_and_read_by_id_sees_all() {
    let client = TestClient::new().await;
    client.create("a").await;
    let search = "POST /jobs/_search?allow_partial_search_results=false";
    assert_eq!(client.count_hits(search, json!({})).await, 0);
    let (status, found) = client.send_json("GET /jobs/_doc/a", Value::Null).await;
    assert_eq!((status, &found["_source"]), (200, &json!({ "taskCount": 1 })));
    assert_eq!(client.send_json("POST /jobs/_refresh", Value::Null).await.0, 200);
    client.create("b").await;
    assert_eq!(client.count_hits(search, json!({})).await, 1);
}

#[tokio::test]
async fn page_of_a_scroll_is_returned_once() {
    let client = TestClient::new().await;
    for id in ["a", "b", "c"] {
        client.create(id).await;
    }
    client.send_json("POST /jobs/_refresh", Value::Null).await;
    let (_, first) =
        client.send_json("POST /jobs/_search?scroll=1m", json!({ "size": 1, "sort": ["_doc"] })).await;
    let on = json!({ "scroll": "1m", "scroll_id": first["_scroll_id"] });
    client.fake.inject("POST /_search/scroll", 1, InjectedFault::ResponseLost);
    let url = format!("{}/_search/scroll", client.fake.hosts());
    let lost = client.http.post(url).header("content-type", JSON).body(on.to_string()).send().await;
    assert!(match lost {
        Err(_) => true,
        Ok(answer) => answer.bytes().await.is_err(),
    });
    assert_eq!(client.count_hits("POST /_search/scroll", on.clone()).await, 1);
    assert_eq!(
        client.count_hits("POST /_search/scroll", on.clone()).await,
        0,
        "one page was lost with its response"
    );
    let off = json!({ "scroll_id": [first["_scroll_id"]] });
    assert_eq!(client.send_json("DELETE /_search/scroll", off.clone()).await.0, 200);
    assert_eq!(client.send_json("DELETE /_search/scroll", off).await.0, 404);
    client.assert_refused("POST /_search/scroll", on, 404, "search_context_missing_exception").await;
    let none = json!({ "size": 0, "sort": ["_doc"] });
    client
        .assert_refused("POST /jobs/_search?scroll=1m", none, 400, "action_request_validation_exception")
        .await;
}

#[tokio::test]
async fn items_of_a_bulk_request_fail_one_by_one() {
    let client = TestClient::new().await;
    client.create("a").await;
    client.create("b").await;
    let bulk = |ids: &[&str]| -> String {
        ids.iter().map(|id| format!("{}\n", json!({ "delete": { "_id": id } }))).collect()
    };
    client.fake.inject(
        "POST /jobs/_bulk",
        1,
        InjectedFault::BulkItem(429, "es_rejected_execution_exception"),
    );
    let (status, body) = client.send("POST /jobs/_bulk", LINES, bulk(&["a", "b", "none"])).await;
    let statuses: Vec<&Value> =
        body["items"].as_array().unwrap().iter().map(|item| &item["delete"]["status"]).collect();
    assert_eq!((status, &body["errors"]), (200, &json!(true)));
    assert_eq!(statuses, [&json!(429), &json!(200), &json!(404)]);
    client.fake.with_state(|state| state.full = true);
    let (status, body) = client.send("POST /jobs/_bulk", LINES, bulk(&["a"])).await;
    let blocked = &body["items"][0]["delete"];
    assert_eq!(
        (status, &blocked["status"], &blocked["error"]["type"]),
        (200, &json!(429), &json!("cluster_block_exception"))
    );
    let (status, _) = client.send("POST /jobs/_bulk", LINES, bulk(&["a"]).trim_end().to_owned()).await;
    assert_eq!(status, 400, "the last line must end with a newline");
}

#[tokio::test]
async fn full_disks_refuse_writes_and_removals() {
    let client = TestClient::new().await;
    client.create("a").await;
    client.fake.with_state(|state| state.full = true);
    let blocked = "cluster_block_exception";
    client.assert_refused("PUT /jobs/_create/b", json!({}), 429, blocked).await;
    client
        .assert_refused("DELETE /jobs/_doc/a?if_seq_no=0&if_primary_term=1", Value::Null, 429, blocked)
        .await;
    assert_eq!(client.send_json("GET /jobs/_doc/a", Value::Null).await.0, 200);
}

#[tokio::test]
async fn body_without_its_content_type_is_refused() {
    let client = TestClient::new().await;
    for kind in ["text/plain", LINES] {
        let (status, body) = client.send("PUT /jobs/_create/a", kind, "{}".to_owned()).await;
        assert_eq!(status, 406, "{body}");
    }
    let (status, _) =
        client.send("PUT /jobs/_create/a", "application/json; charset=UTF-8", "{}".to_owned()).await;
    assert_eq!(status, 201);
}

#[tokio::test]
async fn missing_indices_and_unknown_parameters_are_refused() {
    let client = TestClient::new().await;
    client.assert_refused("GET /none", Value::Null, 404, "index_not_found_exception").await;
    client.assert_refused("GET /none/_doc/a", Value::Null, 404, "index_not_found_exception").await;
    client.assert_refused("POST /none/_search", json!({}), 404, "index_not_found_exception").await;
    let demanding = "PUT /none/_create/a?require_alias=true";
    client.assert_refused(demanding, json!({}), 404, "index_not_found_exception").await;
    client.assert_refused("PUT /Upper", json!({}), 400, "invalid_index_name_exception").await;
    let unknown = json!({ "settings": { "index": { "number_of_wheels": 4 } } });
    client.assert_refused("PUT /jobs", unknown, 400, "illegal_argument_exception").await;
    client
        .assert_refused(
            "PUT /jobs",
            json!({ "mappings": { "static": true } }),
            400,
            "mapper_parsing_exception",
        )
        .await;
    client.assert_refused("GET /jobs?pretty_please=1", Value::Null, 400, "illegal_argument_exception").await;
    assert_eq!(client.send_json("PUT /jobs", json!({ "aliases": { "current": {} } })).await.0, 200);
    client.assert_refused("PUT /jobs", json!({}), 400, "resource_already_exists_exception").await;
    client
        .assert_refused(
            "PUT /more",
            json!({ "aliases": { "jobs": {} } }),
            400,
            "invalid_alias_name_exception",
        )
        .await;
    assert_eq!(client.send_json("PATCH /jobs", json!({})).await.0, 400);
    client.fake.with_state(|state| state.root = elasticsearch("7.9.3"));
    client
        .assert_refused(
            "PUT /current/_create/a?require_alias=true",
            json!({}),
            400,
            "illegal_argument_exception",
        )
        .await;
}

#[tokio::test]
async fn derived_field_types_refuse_other_values() {
    let client = TestClient::new().await;
    let first = json!({
        "count": 1, "since": "2024-01-31", "on": true, "name": "x", "inner": { "deep": 1 }, "odd": null, "many": [1, 2],
    });
    assert_eq!(client.send_json("PUT /jobs/_doc/first", first).await.0, 201);
    for fitting in [
        json!({ "count": "5", "since": "2024-02-01T10:00:00Z", "on": "false", "name": 5, "odd": "text", "many": 3 }),
        json!({ "inner.deep": 2 }),
    ] {
        let (status, body) = client.send_json("PUT /jobs/_doc/next", fitting).await;
        assert!(status < 300, "{body}");
    }
    for unfit in [
        json!({ "count": "five" }),
        json!({ "since": "always" }),
        json!({ "on": "perhaps" }),
        json!({ "name": { "first": "x" } }),
        json!({ "inner": 1 }),
        json!({ "count.of": 1 }),
        json!({ "many": [1, "two"] }),
        json!({ "": 1 }),
        json!({ "dotted.": 1 }),
    ] {
        client.assert_refused("PUT /jobs/_doc/other", unfit, 400, "document_parsing_exception").await;
    }
    let wide: serde_json::Map<_, _> = (0..600).map(|n| (format!("f{n}"), json!("text"))).collect();
    client.assert_refused("PUT /jobs/_doc/wide", wide.into(), 400, "illegal_argument_exception").await;
    client.assert_refused("PUT /jobs/_doc/none", json!(5), 400, "document_parsing_exception").await;
    assert_eq!(client.send_json("PUT /jobs/_mapping", json!({ "dynamic": false })).await.0, 200);
    assert_eq!(client.send_json("PUT /jobs/_doc/free", json!({ "new": 1 })).await.0, 201);
    assert_eq!(
        client.send_json("PUT /jobs/_doc/free", json!({ "new": { "x": "y" } })).await.0,
        200,
        "no type was derived"
    );
}

#[tokio::test]
async fn denied_and_unauthenticated_requests_are_refused() {
    let client = TestClient::new().await;
    client.fake.with_state(|state| state.denied.insert("indices:data/write/index"));
    client.assert_refused("PUT /jobs/_create/a", json!({}), 403, "security_exception").await;
    client.fake.with_state(|state| state.authorization = Some("ApiKey aWQ6a2V5".to_owned()));
    client.assert_refused("GET /", Value::Null, 401, "security_exception").await;
}
