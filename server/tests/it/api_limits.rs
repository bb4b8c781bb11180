//! Bounds: too many requests, too slow, too large, and a broken store.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler::api::Limits;
use ecs_scheduler_core::MemoryStore;
use futures::StreamExt as _;

use crate::harness::Server;

#[tokio::test(start_paused = true)]
async fn requests_beyond_the_bound_are_answered_with_503_and_retry_after() {
    let limits = Limits { requests: 0, ..Limits::default() };
    let server = Server::over(Arc::new(MemoryStore::default()), limits).await;
    let reply = server.get("/jobs").await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"));
    assert_eq!(reply.json()["type"], "/problems/unavailable");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(path).await.status, 200, "{path} has places of its own");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_beyond_the_bound_are_answered_with_503() {
    let limits = Limits { streams: 0, ..Limits::default() };
    let server = Server::over(Arc::new(MemoryStore::default()), limits).await;
    assert_eq!(server.get("/events").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_body_never_ends_times_out() {
    let limits = Limits { deadline: Duration::from_secs(10), ..Limits::default() };
    let server = Server::over(Arc::new(MemoryStore::default()), limits).await;
    let endless =
        axum::body::Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let begun = tokio::time::Instant::now();
    let reply = server.call("POST", "/jobs", &[("content-type", "application/json")], endless).await;
    assert_eq!((reply.status.as_u16(), reply.header("connection")), (408, "close"));
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn body_over_the_limit_is_refused_also_without_content_length() {
    let server = Server::start().await;
    let json = ("content-type", "application/json");
    let large = || vec![b' '; 256 * 1024 + 1];
    assert_eq!(server.call("POST", "/jobs", &[json], large()).await.status, 413);
    let chunks = futures::stream::iter([Ok::<_, std::io::Error>(large())]);
    let unknown = axum::body::Body::from_stream(chunks);
    assert_eq!(server.call("POST", "/jobs", &[json], unknown).await.status, 413);
    let announced = [json, ("content-length", "300000")];
    assert_eq!(server.call("POST", "/jobs", &announced, "{}").await.status, 413);
}

#[tokio::test(start_paused = true)]
async fn a_body_of_too_many_members_is_refused_with_the_limit_wherever_json_is_sent() {
    let server = Server::start().await;
    let kept = serde_json::json!({"taskDefinition": "kept", "schedule": "0 0 0"});
    assert_eq!(server.json("POST", "/jobs", kept).await.status, 201);
    // The object, the list and its items.
    let body = |values: usize| format!("{{\"a\":[{}]}}", vec!["0"; values - 2].join(","));
    for (method, path) in [
        ("POST", "/jobs"),
        ("PUT", "/jobs/kept"),
        ("PATCH", "/jobs/kept"),
        ("POST", "/jobs/kept/firings"),
        ("POST", "/jobs/kept/evaluate"),
        ("POST", "/jobs/kept/suspend"),
        ("POST", "/jobs/kept/resume"),
        ("POST", "/evaluate"),
        ("POST", "/schedules/preview"),
        ("POST", "/brake"),
    ] {
        let call = format!("{method} {path}");
        let reply = server.json(method, path, body(20_001)).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["type"]),
            (400, &"/problems/syntax".into()),
            "{call}"
        );
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("has too many members") && detail.contains("20000"), "{call}: {detail}");
        let reply = server.json(method, path, body(20_000)).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["type"]),
            (400, &"/problems/invalid".into()),
            "{call}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_beyond_the_bound_of_all_are_answered_with_503_and_small_ones_are_read() {
    let server =
        Server::over(Arc::new(MemoryStore::default()), Limits { bodies: 8 * 1024, ..Limits::default() })
            .await;
    let (json, job) = ([("content-type", "application/json")], r#"{"taskDefinition": "a", "schedule": "0"}"#);
    let padded = |length: usize| format!("{job}{}", " ".repeat(length - job.len()));
    let reply = server.call("POST", "/jobs", &json, padded(16 * 1024 + 1)).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"), "{}", reply.text());
    assert_eq!(
        (reply.header("connection"), &reply.json()["type"]),
        ("close", &"/problems/unavailable".into())
    );
    assert_eq!(server.call("POST", "/jobs", &json, padded(16 * 1024)).await.status, 201);
    // One body takes the whole bound, and never ends.
    let first = futures::stream::iter([Ok::<_, std::io::Error>(padded(16 * 1024))]);
    let endless = axum::body::Body::from_stream(first.chain(futures::stream::pending()));
    let held = server.call("POST", "/jobs", &json, endless);
    let others = async {
        tokio::task::yield_now().await;
        assert_eq!(server.call("POST", "/jobs", &json, padded(8 * 1024 + 1)).await.status, 503);
        assert_eq!(server.call("POST", "/jobs", &json, padded(8 * 1024)).await.status, 409);
    };
    assert_eq!(tokio::join!(held, others).0.status, 408);
    assert_eq!(server.call("POST", "/jobs", &json, padded(16 * 1024)).await.status, 409, "it is free again");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_lists_as_many_errors_as_fit_and_says_how_many_there_are_more() {
    let server = Server::start().await;
    let unknown: Vec<String> = (0..9_000).map(|number| format!("\"u{number}\":0")).collect();
    let long = format!(r#"{{"{}": 0}}"#, "x".repeat(200_000));
    let many = format!("{{{}}}", unknown.join(","));
    for (path, body) in [("/jobs", &many), ("/schedules/preview", &many), ("/schedules/preview", &long)] {
        let reply = server.json("POST", path, body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.body.len() < 512 * 1024),
            (400, true),
            "{path}: {} bytes",
            reply.body.len()
        );
        let (listed, detail) =
            (reply.json()["errors"].as_array().unwrap().len(), reply.json()["detail"].clone());
        assert!(listed > 0, "{path}");
        assert!(listed == 1 || detail.as_str().unwrap().ends_with(" more"), "{path}: {listed} errors");
    }
    let twice = format!(r#"{{"{0}": 0, "{0}": 0}}"#, "\u{7f}".repeat(100_000));
    let reply = server.json("POST", "/jobs", twice).await;
    assert_eq!(
        (reply.status.as_u16(), reply.body.len() < 512 * 1024),
        (400, true),
        "{} bytes",
        reply.body.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_closed_is_a_problem_document_and_no_readiness() {
    let server = Server::start().await;
    server.store.close().await.unwrap();
    for path in ["/jobs", "/jobs/a", "/decisions"] {
        let reply = server.get(path).await;
        assert!(
            reply.status.is_server_error() && reply.json()["message"].is_string(),
            "{path}: {}",
            reply.text()
        );
    }
    assert_eq!(server.get("/readyz").await.status, 503);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn requests_get_an_id_and_a_valid_id_of_the_client_is_kept() {
    let server = Server::start().await;
    let ids = [server.get("/jobs").await, server.get("/jobs").await]
        .map(|reply| reply.header("x-request-id").to_owned());
    assert!(!ids[0].is_empty() && ids[0] != ids[1]);
    let own = server.call("GET", "/jobs", &[("x-request-id", "abc-1")], "").await;
    assert_eq!(own.header("x-request-id"), "abc-1");
    let unfit = "x".repeat(200);
    let other = server.call("GET", "/jobs", &[("x-request-id", &unfit)], "").await;
    assert!(other.header("x-request-id").len() < 64);
}

#[tokio::test(start_paused = true)]
async fn options_lists_the_methods_and_allows_no_origin() {
    let server = Server::start().await;
    let options = server.call("OPTIONS", "/jobs/report", &[("origin", "https://example.com")], "").await;
    assert_eq!(options.header("allow"), "DELETE, GET, HEAD, OPTIONS, PATCH, PUT");
    assert_eq!((options.status.as_u16(), options.body.len()), (200, 0));
    assert_eq!(options.header("access-control-allow-origin"), "");
    assert_eq!(server.call("OPTIONS", "/nowhere", &[], "").await.status, 404);
}
