//! Dry runs of writes, and `PUT` that creates, over the whole server.

use serde_json::{Value, json};

use crate::harness::Server;

fn daily(id: &str) -> Value {
    json!({"id": id, "taskDefinition": "work", "schedule": "0 30 2", "timezone": "Europe/Berlin", "maxCount": 5})
}

async fn revision(server: &Server, id: &str) -> u64 {
    let id = ecs_scheduler_core::JobId::new(id).unwrap();
    server.store.get(&[id]).await.unwrap()[0].revision.0
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_a_change_shows_its_effect_and_writes_nothing() {
    let server = Server::start().await;
    server.json("POST", "/jobs", daily("report")).await;
    let before = server.get("/jobs/report").await.json();
    let change = json!({"taskCount": 7, "timezone": null, "labels": {"team": "media"}, "description": "a"});
    let reply = server.json("PUT", "/jobs/report?dryRun=true", &change).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let shown = reply.json();
    assert_eq!((&shown["id"], &shown["effect"]), (&json!("report"), &json!("change")));
    let mut diff = shown["diff"].as_array().unwrap().clone();
    diff.sort_by_key(|difference| difference["pointer"].to_string());
    assert_eq!(
        diff,
        [
            json!({"pointer": "/description", "after": "a"}),
            json!({"pointer": "/labels", "after": {"team": "media"}}),
            json!({"pointer": "/taskCount", "before": 1, "after": 7}),
            json!({"pointer": "/timezone", "before": "Europe/Berlin"}),
        ]
    );
    assert_eq!(
        shown["document"],
        json!({
            "id": "report", "taskDefinition": "work", "schedule": "0 30 2", "taskCount": 7, "maxCount": 5,
            "labels": {"team": "media"}, "description": "a",
        })
    );
    assert_eq!(shown["description"], "At 02:30 every day, UTC");
    assert_eq!(shown["next"].as_array().unwrap().len(), 10);
    assert_eq!(shown["next"][0], "2026-06-02T02:30:00+00:00");
    assert_eq!(
        (&shown["evaluation"]["outcome"], &shown["evaluation"]["launch"]),
        (&json!("launched"), &json!(5))
    );
    assert!(
        shown["warnings"][0].as_str().unwrap().starts_with("taskCount 7 is greater than maxCount 5"),
        "{shown}"
    );

    assert_eq!(server.get("/jobs/report").await.json(), before);
    assert_eq!(revision(&server, "report").await, 1);
    for history in ["/firings", "/decisions"] {
        let list = server.get(history).await.json();
        assert_eq!(list.as_object().unwrap().values().next().unwrap(), &json!([]), "{history}");
    }
    let written = server.json("PUT", "/jobs/report", change).await;
    assert_eq!(written.status, 200);
    let mut stored = server.get("/jobs/report").await.json();
    for name in ["link", "estimatedNextRun"] {
        stored.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(stored, shown["document"], "the dry run has shown what the write stores");
}

#[tokio::test(start_paused = true)]
async fn a_change_without_effect_makes_no_version() {
    let server = Server::start().await;
    let mut document = daily("report");
    document["overrides"] = json!([{"containerName": "main", "environment": {"N": 1}}]);
    server.json("POST", "/jobs", &document).await;
    let merge = [("content-type", "application/merge-patch+json")];
    for (method, change) in [
        ("PUT", document.clone()),
        ("PUT", json!({})),
        ("PUT", json!({"taskCount": 1, "description": null})),
        ("PUT", server.get("/jobs/report").await.json()),
        ("PATCH", json!({"overrides": document["overrides"]})),
    ] {
        let dry = server.call(method, "/jobs/report?dryRun=true", &merge, change.to_string()).await.json();
        assert_eq!((&dry["effect"], &dry["diff"]), (&json!("none"), &json!([])), "{method} {change}");
        let written = server.call(method, "/jobs/report", &merge, change.to_string()).await;
        assert_eq!(
            (written.status.as_u16(), revision(&server, "report").await),
            (200, 1),
            "{method} {change}"
        );
    }
    for expected in [2, 2] {
        server.json("POST", "/jobs/report/suspend", json!({"reason": "lunch"})).await;
        assert_eq!(revision(&server, "report").await, expected);
    }
    let dry = server.json("PUT", "/jobs/report?dryRun=true", json!({"taskCount": 2})).await.json();
    assert_eq!(dry["evaluation"]["outcome"], "suspended");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_refuses_as_the_write_does() {
    let server = Server::start().await;
    let tag = server.json("POST", "/jobs", daily("report")).await.header("etag").to_owned();
    server.json("PUT", "/jobs/report", json!({"taskCount": 2})).await;
    let json = ("content-type", "application/json");
    for (method, path, headers, body, status) in [
        ("PUT", "/jobs/report?dryRun=true", vec![json], json!({"taskCount": 0}), 400),
        ("PATCH", "/jobs/report?dryRun=true", vec![json], json!({"taskCuont": 1}), 400),
        ("PUT", "/jobs/report?dryRun=yes", vec![json], json!({}), 400),
        ("PUT", "/jobs/none?dryRun=true", vec![json], json!({}), 404),
        ("PUT", "/jobs/report?dryRun=true", vec![json, ("if-match", &tag)], json!({"taskCount": 3}), 412),
        ("PUT", "/jobs/report?dryRun=true", vec![], json!({}), 415),
        ("POST", "/jobs?dryRun=true", vec![json], daily("report"), 409),
        ("POST", "/jobs?dryRun=true", vec![json], json!({"id": "other"}), 400),
    ] {
        let reply = server.call(method, path, &headers, body.to_string()).await;
        assert_eq!(reply.status, status, "{method} {path} {body}: {}", reply.text());
    }
    assert_eq!(revision(&server, "report").await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_a_creation_shows_the_whole_job_and_does_not_use_the_key() {
    let server = Server::start().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k1")];
    let body = json!({"taskDefinition": "report", "schedule": "0 0 0", "overrides": [{"containerName": "main", "environment": {"N": 1}}]});
    let dry = server.call("POST", "/jobs?dryRun=true", &headers, body.to_string()).await;
    assert_eq!(dry.status, 200, "{}", dry.text());
    let shown = dry.json();
    assert_eq!((&shown["effect"], &shown["document"]["taskCount"]), (&json!("create"), &json!(1)));
    assert_eq!(
        shown["document"]["overrides"][0]["environment"]["N"], "1",
        "values have their canonical form"
    );
    assert_eq!(shown["diff"].as_array().unwrap().len(), 4, "{shown}");
    assert_eq!(server.get("/jobs/report").await.status, 404);
    let created = server.call("POST", "/jobs", &headers, daily("other").to_string()).await;
    assert_eq!(created.status, 201, "another body may follow under the same key");
}

#[tokio::test(start_paused = true)]
async fn put_creates_a_job_that_does_not_exist_if_asked() {
    let server = Server::start().await;
    let headers = [("content-type", "application/json"), ("if-none-match", "*")];
    let put = async |path: &str, body: &Value| server.call("PUT", path, &headers, body.to_string()).await;
    let document = json!({"taskDefinition": "work", "schedule": "0 0 0"});
    assert_eq!(server.json("PUT", "/jobs/report", &document).await.status, 404, "only if asked");

    let dry = put("/jobs/report?dryRun=true", &document).await;
    assert_eq!((dry.status.as_u16(), &dry.json()["effect"]), (200, &json!("create")));
    assert_eq!(server.get("/jobs/report").await.status, 404);

    let known = [headers[0], headers[1], ("if-match", "\"x\"")];
    let refused = server.call("PUT", "/jobs/report", &known, document.to_string()).await;
    assert_eq!(refused.status, 412, "it has no version that a client could know");
    assert_eq!(server.get("/jobs/report").await.status, 404);

    let created = put("/jobs/report", &document).await;
    assert_eq!((created.status.as_u16(), created.header("location")), (201, "/jobs/report"));
    assert_eq!(created.header("etag"), server.get("/jobs/report").await.header("etag"));
    let again = put("/jobs/report", &document).await;
    assert_eq!((again.status.as_u16(), &again.json()["type"]), (412, &json!("/problems/stale")));
    assert_eq!(put("/jobs/report?dryRun=true", &document).await.status, 412);

    for (path, id) in
        [("/jobs/new", json!("other")), ("/jobs/new", json!(null)), ("/jobs/a%20b", json!("a b"))]
    {
        let mut document = document.clone();
        document["id"] = id;
        let refused = put(path, &document).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["errors"][0]["pointer"]),
            (400, &json!("/id")),
            "{path}"
        );
    }
    let merge = [("content-type", "application/merge-patch+json"), ("if-none-match", "*")];
    assert_eq!(server.call("PATCH", "/jobs/new", &merge, document.to_string()).await.status, 404);
}
