//! Tokens for the jobs with certain labels: searches, actions on many jobs, dry runs, and creation by name.

use super::labels::{admin, job, media, server};
use super::*;

/// Sends a request that may only create the job.
async fn create_named(server: &Server, token: &Grant, path: &str, body: &Value) -> Reply {
    let request = Request::put(path)
        .header("host", "localhost")
        .header("authorization", format!("Bearer {}", token.text))
        .header("content-type", "application/json")
        .header("if-none-match", "*")
        .body(Body::from(body.to_string()))
        .unwrap();
    let (parts, body) = server.router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Reply { status: parts.status, headers: parts.headers, body }
}

#[tokio::test(start_paused = true)]
async fn a_search_finds_and_counts_only_the_jobs_of_the_token() {
    let server = server().await;
    for (query, total) in [
        ("view=row", 1),
        ("view=row&count=1", 1),
        ("sort=-id", 1),
        ("q=mine", 1),
        ("q=-x", 1),
        ("q=foreign", 0),
        ("label=team", 1),
        ("label=team%3Ddata", 0),
        ("suspended=false", 1),
    ] {
        let path = format!("/jobs?{query}");
        let reply = with(&server, &media(), "GET", &path, Value::Null).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let text = reply.text().replace("q=foreign", "");
        assert!(!text.contains("foreign"), "{path}: {text}");
        let page = reply.json();
        assert_eq!((&page["total"], &page["next"]), (&json!(total), &Value::Null), "{path}: {page}");
        assert_eq!(page["jobs"].as_array().unwrap().len(), total, "{path}: {page}");
    }
    let all = with(&server, &admin(), "GET", "/jobs?view=row", Value::Null).await.json();
    assert_eq!(all["total"], 4, "a token for all jobs sees them in the same index");
    let outcome = with(&server, &media(), "GET", "/jobs?outcome=launched&view=row", Value::Null).await;
    assert!(!outcome.text().contains("foreign"), "{}", outcome.text());
    let moved = json!({"labels": {"team": "data"}});
    assert_eq!(with(&server, &admin(), "PUT", "/jobs/mine", moved).await.status, 200);
    assert_eq!(with(&server, &media(), "GET", "/jobs?view=row", Value::Null).await.json()["total"], 0);
}

#[tokio::test(start_paused = true)]
async fn an_action_on_many_jobs_reaches_only_those_of_the_token() {
    let server = server().await;
    let before = with(&server, &admin(), "GET", "/jobs/foreign-1", Value::Null).await;
    for action in ["suspend", "resume", "fire", "label", "delete"] {
        for is_dry in [true, false] {
            let mut body =
                json!({"select": {"ids": ["foreign-1", "unknown-1"]}, "do": action, "dryRun": is_dry});
            if action == "label" {
                body["labels"] = json!({"team": "media"});
            }
            let reply = with(&server, &media(), "POST", "/jobs/bulk", body.clone()).await;
            assert_eq!(reply.status, 200, "{body}: {}", reply.text());
            let results = reply.json()["results"].clone();
            let (foreign, unknown) = (results[0].to_string(), results[1].to_string());
            assert_eq!(results[0]["status"], 404, "{body}");
            assert_eq!(foreign.replace("foreign-1", "NAME"), unknown.replace("unknown-1", "NAME"), "{body}");
        }
    }
    let after = with(&server, &admin(), "GET", "/jobs/foreign-1", Value::Null).await;
    assert_eq!(after.text(), before.text());
    // A query selects none of the others, and the expected number does not tell of them.
    let mut body = json!({"select": {"query": {"suspended": false}}, "do": "suspend", "expect": 4});
    let stale = with(&server, &media(), "POST", "/jobs/bulk", body.clone()).await;
    assert_eq!(stale.status, 412);
    assert!(stale.text().contains("1 are selected"), "{}", stale.text());
    body["expect"] = json!(1);
    let done = with(&server, &media(), "POST", "/jobs/bulk", body).await.json();
    assert_eq!(done["results"], json!([{"id": "mine", "status": 200}]));
    // Nor can a job leave the labels.
    let body = json!({"select": {"ids": ["mine"]}, "do": "label", "labels": {"team": "data"}});
    let left = with(&server, &media(), "POST", "/jobs/bulk", body).await.json();
    assert_eq!(left["results"][0]["status"], 403, "{left}");
}

#[tokio::test(start_paused = true)]
async fn firing_many_jobs_needs_the_scope_of_firing_too() {
    let write = Grant::new("write").scopes(&["jobs:write"]);
    let fire = Grant::new("fire").scopes(&["jobs:fire"]);
    let both = Grant::new("both").scopes(&["jobs:write", "jobs:fire"]);
    let server = server_with(&[&write, &fire, &both]).await;
    for is_dry in [true, false] {
        let body = json!({"select": {"ids": ["none"]}, "do": "fire", "dryRun": is_dry});
        let refused = with(&server, &write, "POST", "/jobs/bulk", body.clone()).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert!(refused.header("www-authenticate").contains("scope=\"jobs:fire\""));
        assert_eq!(with(&server, &fire, "POST", "/jobs/bulk", body.clone()).await.status, 403);
        assert_eq!(with(&server, &both, "POST", "/jobs/bulk", body).await.status, 200);
    }
    let body = json!({"select": {"ids": ["none"]}, "do": "suspend"});
    assert_eq!(with(&server, &write, "POST", "/jobs/bulk", body).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_job_named_as_the_operation_on_many_jobs_has_the_scopes_of_a_job() {
    let server = server().await;
    let created = with(&server, &admin(), "POST", "/jobs", job("bulk", &json!({"team": "data"}))).await;
    assert_eq!(created.status, 201, "{}", created.text());
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let reply = with(&server, &media(), method, "/jobs/bulk", json!({})).await;
        assert_eq!(reply.status, 404, "{method}: {}", reply.text());
    }
    assert_eq!(with(&server, &admin(), "GET", "/jobs/bulk", Value::Null).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn dry_runs_and_creation_by_name_stay_within_the_labels() {
    let server = server().await;
    let (own, foreign) = (json!({"team": "media"}), json!({"team": "data"}));
    for (method, path, body, expected) in [
        ("POST", "/jobs?dryRun=true", job("new", &foreign), 403),
        ("POST", "/jobs?dryRun=true", job("foreign-1", &foreign), 403),
        ("POST", "/jobs?dryRun=true", job("new", &own), 200),
        ("PUT", "/jobs/mine?dryRun=true", json!({"labels": foreign}), 403),
        ("PATCH", "/jobs/mine?dryRun=true", json!({"labels": {"team": null}}), 403),
        ("PATCH", "/jobs/mine?dryRun=true", json!({"description": "new"}), 200),
        ("PATCH", "/jobs/foreign-1?dryRun=true", json!({"description": "new"}), 404),
    ] {
        let reply = with(&server, &media(), method, path, body.clone()).await;
        assert_eq!(reply.status, expected, "{method} {path} {body}: {}", reply.text());
    }
    for query in ["?dryRun=true", ""] {
        for (id, labels, expected) in [
            ("new", &foreign, 403),
            ("foreign-1", &foreign, 403),
            ("foreign-1", &own, 412),
            ("mine", &own, 412),
        ] {
            let path = format!("/jobs/{id}{query}");
            let reply = create_named(&server, &media(), &path, &job(id, labels)).await;
            assert_eq!(reply.status, expected, "{path} {labels}: {}", reply.text());
            assert!(!reply.text().contains("canary"), "{path}: {}", reply.text());
        }
        let wrong = create_named(&server, &media(), &format!("/jobs/foreign-1{query}"), &json!({})).await;
        assert_eq!(wrong.status, 400, "{}", wrong.text());
    }
    assert_eq!(create_named(&server, &media(), "/jobs/new", &job("new", &own)).await.status, 201);
}
