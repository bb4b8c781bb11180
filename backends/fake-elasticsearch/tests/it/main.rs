//! The fake by plain HTTP: what Elasticsearch promises and what it refuses, each as its documentation says.

#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use ecs_scheduler_fake_elasticsearch::{Fake, Mishap, elasticsearch};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// A cluster and a client without a will of its own.
struct Site {
    fake: Fake,
    http: Client,
}

impl Site {
    async fn new() -> Self {
        Self { fake: Fake::start().await, http: Client::builder().no_proxy().build().unwrap() }
    }

    /// Sends a request with a body of this kind; returns status and body.
    async fn send(&self, request: &str, kind: &str, body: String) -> (u16, Value) {
        let (method, path) = request.split_once(' ').unwrap();
        let request =
            self.http.request(method.parse::<Method>().unwrap(), format!("{}{path}", self.fake.hosts()));
        let request = if body.is_empty() { request } else { request.header("content-type", kind).body(body) };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn ask(&self, request: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(request, JSON, body).await
    }

    /// Sends a request that is refused with this status and this type of error.
    async fn refused(&self, request: &str, body: Value, status: u16, kind: &str) {
        let (answered, said) = self.ask(request, body).await;
        assert_eq!((answered, &said["error"]["type"]), (status, &json!(kind)), "{request}: {said}");
    }

    async fn put(&self, id: &str) -> Value {
        let (status, said) = self.ask(&format!("PUT /jobs/_create/{id}"), json!({ "taskCount": 1 })).await;
        assert_eq!((status, &said["result"]), (201, &json!("created")), "{said}");
        said
    }

    async fn hits(&self, request: &str, body: Value) -> usize {
        let (status, said) = self.ask(request, body).await;
        assert_eq!(status, 200, "{said}");
        said["hits"]["hits"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn a_write_that_expects_another_change_is_a_version_conflict() {
    let site = Site::new().await;
    let first = site.put("a").await;
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
        site.refused(request, body, 409, conflict).await;
    }
    let (status, second) =
        site.ask("PUT /jobs/_doc/a?if_seq_no=0&if_primary_term=1", json!({ "taskCount": 2 })).await;
    assert_eq!((status, &second["_seq_no"], &second["result"]), (200, &json!(1), &json!("updated")));
    let (status, _) = site.ask("DELETE /jobs/_doc/a?if_seq_no=1&if_primary_term=1", Value::Null).await;
    assert_eq!(status, 200);
    let half = "PUT /jobs/_doc/a?if_seq_no=0";
    site.refused(half, json!({}), 400, "illegal_argument_exception").await;
    let both = "PUT /jobs/_create/a?if_seq_no=0&if_primary_term=1";
    site.refused(both, json!({}), 400, "illegal_argument_exception").await;
}

#[tokio::test]
async fn a_search_sees_what_was_refreshed_and_reading_by_id_sees_everything() {
    let site = Site::new().await;
    site.put("a").await;
    let search = "POST /jobs/_search?allow_partial_search_results=false";
    assert_eq!(site.hits(search, json!({})).await, 0);
    let (status, found) = site.ask("GET /jobs/_doc/a", Value::Null).await;
    assert_eq!((status, &found["_source"]), (200, &json!({ "taskCount": 1 })));
    assert_eq!(site.ask("POST /jobs/_refresh", Value::Null).await.0, 200);
    site.put("b").await;
    assert_eq!(site.hits(search, json!({})).await, 1);
}

#[tokio::test]
async fn a_page_of_a_scroll_comes_once() {
    let site = Site::new().await;
    for id in ["a", "b", "c"] {
        site.put(id).await;
    }
    site.ask("POST /jobs/_refresh", Value::Null).await;
    let (_, first) = site.ask("POST /jobs/_search?scroll=1m", json!({ "size": 1, "sort": ["_doc"] })).await;
    let on = json!({ "scroll": "1m", "scroll_id": first["_scroll_id"] });
    site.fake.befall("POST /_search/scroll", 1, Mishap::Lost);
    let url = format!("{}/_search/scroll", site.fake.hosts());
    let lost = site.http.post(url).header("content-type", JSON).body(on.to_string()).send().await;
    assert!(match lost {
        Err(_) => true,
        Ok(answer) => answer.bytes().await.is_err(),
    });
    assert_eq!(site.hits("POST /_search/scroll", on.clone()).await, 1);
    assert_eq!(site.hits("POST /_search/scroll", on.clone()).await, 0, "one page was lost with its answer");
    let off = json!({ "scroll_id": [first["_scroll_id"]] });
    assert_eq!(site.ask("DELETE /_search/scroll", off.clone()).await.0, 200);
    assert_eq!(site.ask("DELETE /_search/scroll", off).await.0, 404);
    site.refused("POST /_search/scroll", on, 404, "search_context_missing_exception").await;
    let none = json!({ "size": 0, "sort": ["_doc"] });
    site.refused("POST /jobs/_search?scroll=1m", none, 400, "action_request_validation_exception").await;
}

#[tokio::test]
async fn items_of_a_bulk_request_fail_one_by_one() {
    let site = Site::new().await;
    site.put("a").await;
    site.put("b").await;
    let bulk = |ids: &[&str]| -> String {
        ids.iter().map(|id| format!("{}\n", json!({ "delete": { "_id": id } }))).collect()
    };
    site.fake.befall("POST /jobs/_bulk", 1, Mishap::Item(429, "es_rejected_execution_exception"));
    let (status, said) = site.send("POST /jobs/_bulk", LINES, bulk(&["a", "b", "none"])).await;
    let statuses: Vec<&Value> =
        said["items"].as_array().unwrap().iter().map(|item| &item["delete"]["status"]).collect();
    assert_eq!((status, &said["errors"]), (200, &json!(true)));
    assert_eq!(statuses, [&json!(429), &json!(200), &json!(404)]);
    site.fake.world(|world| world.full = true);
    let (status, said) = site.send("POST /jobs/_bulk", LINES, bulk(&["a"])).await;
    let blocked = &said["items"][0]["delete"];
    assert_eq!(
        (status, &blocked["status"], &blocked["error"]["type"]),
        (200, &json!(429), &json!("cluster_block_exception"))
    );
    let (status, _) = site.send("POST /jobs/_bulk", LINES, bulk(&["a"]).trim_end().to_owned()).await;
    assert_eq!(status, 400, "the last line ends too");
}

#[tokio::test]
async fn full_disks_take_neither_documents_nor_their_removal() {
    let site = Site::new().await;
    site.put("a").await;
    site.fake.world(|world| world.full = true);
    let blocked = "cluster_block_exception";
    site.refused("PUT /jobs/_create/b", json!({}), 429, blocked).await;
    site.refused("DELETE /jobs/_doc/a?if_seq_no=0&if_primary_term=1", Value::Null, 429, blocked).await;
    assert_eq!(site.ask("GET /jobs/_doc/a", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_body_needs_its_content_type() {
    let site = Site::new().await;
    for kind in ["text/plain", LINES] {
        let (status, said) = site.send("PUT /jobs/_create/a", kind, "{}".to_owned()).await;
        assert_eq!(status, 406, "{said}");
    }
    let (status, _) =
        site.send("PUT /jobs/_create/a", "application/json; charset=UTF-8", "{}".to_owned()).await;
    assert_eq!(status, 201);
}

#[tokio::test]
async fn what_is_not_there_or_not_known_is_refused() {
    let site = Site::new().await;
    site.refused("GET /none", Value::Null, 404, "index_not_found_exception").await;
    site.refused("GET /none/_doc/a", Value::Null, 404, "index_not_found_exception").await;
    site.refused("POST /none/_search", json!({}), 404, "index_not_found_exception").await;
    let demanding = "PUT /none/_create/a?require_alias=true";
    site.refused(demanding, json!({}), 404, "index_not_found_exception").await;
    site.refused("PUT /Upper", json!({}), 400, "invalid_index_name_exception").await;
    let unknown = json!({ "settings": { "index": { "number_of_wheels": 4 } } });
    site.refused("PUT /jobs", unknown, 400, "illegal_argument_exception").await;
    site.refused("PUT /jobs", json!({ "mappings": { "static": true } }), 400, "mapper_parsing_exception")
        .await;
    site.refused("GET /jobs?pretty_please=1", Value::Null, 400, "illegal_argument_exception").await;
    assert_eq!(site.ask("PUT /jobs", json!({ "aliases": { "current": {} } })).await.0, 200);
    site.refused("PUT /jobs", json!({}), 400, "resource_already_exists_exception").await;
    site.refused("PUT /more", json!({ "aliases": { "jobs": {} } }), 400, "invalid_alias_name_exception")
        .await;
    assert_eq!(site.ask("PATCH /jobs", json!({})).await.0, 400);
    site.fake.world(|world| world.root = elasticsearch("7.9.3"));
    site.refused("PUT /current/_create/a?require_alias=true", json!({}), 400, "illegal_argument_exception")
        .await;
}

#[tokio::test]
async fn fields_are_guessed_and_refuse_what_does_not_fit() {
    let site = Site::new().await;
    let first = json!({
        "count": 1, "since": "2024-01-31", "on": true, "name": "x", "inner": { "deep": 1 }, "odd": null, "many": [1, 2],
    });
    assert_eq!(site.ask("PUT /jobs/_doc/first", first).await.0, 201);
    for fitting in [
        json!({ "count": "5", "since": "2024-02-01T10:00:00Z", "on": "false", "name": 5, "odd": "text", "many": 3 }),
        json!({ "inner.deep": 2 }),
    ] {
        let (status, said) = site.ask("PUT /jobs/_doc/next", fitting).await;
        assert!(status < 300, "{said}");
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
        site.refused("PUT /jobs/_doc/other", unfit, 400, "document_parsing_exception").await;
    }
    let wide: serde_json::Map<_, _> = (0..600).map(|n| (format!("f{n}"), json!("text"))).collect();
    site.refused("PUT /jobs/_doc/wide", wide.into(), 400, "illegal_argument_exception").await;
    site.refused("PUT /jobs/_doc/none", json!(5), 400, "document_parsing_exception").await;
    assert_eq!(site.ask("PUT /jobs/_mapping", json!({ "dynamic": false })).await.0, 200);
    assert_eq!(site.ask("PUT /jobs/_doc/free", json!({ "new": 1 })).await.0, 201);
    assert_eq!(
        site.ask("PUT /jobs/_doc/free", json!({ "new": { "x": "y" } })).await.0,
        200,
        "nothing was guessed"
    );
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let site = Site::new().await;
    site.fake.world(|world| world.denied.insert("indices:data/write/index"));
    site.refused("PUT /jobs/_create/a", json!({}), 403, "security_exception").await;
    site.fake.world(|world| world.authorization = Some("ApiKey aWQ6a2V5".to_owned()));
    site.refused("GET /", Value::Null, 401, "security_exception").await;
}
