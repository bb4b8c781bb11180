//! Requests that a browser is made to send: under a foreign name, from another site, by a form.

use axum::body::Body;
use axum::http::{Request, Version};
use serde_json::json;

use crate::harness::Server;

async fn with_job() -> Server {
    let server = Server::start().await;
    let job = json!({"taskDefinition": "hello", "schedule": "@yearly"});
    assert_eq!(server.json("POST", "/jobs", job).await.status, 201);
    server
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_this_servers_is_refused_on_every_route() {
    let server = with_job().await;
    for host in
        ["evil.example:5000", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "intranet"]
    {
        for path in
            ["/", "/jobs", "/jobs/hello", "/events", "/metrics", "/openapi.json", "/docs/", "/ui/script.js"]
        {
            let reply = server.call("GET", path, &[("host", host)], "").await;
            assert_eq!(reply.status, 421, "{host} {path}: {}", reply.text());
            assert!(
                reply.json()["detail"].as_str().unwrap().contains("ECSS_ALLOWED_HOSTS"),
                "{}",
                reply.text()
            );
        }
        let job = json!({"id": "own", "taskDefinition": "hello", "schedule": "0 0 0"}).to_string();
        let json = ("content-type", "application/json");
        assert_eq!(server.call("POST", "/jobs", &[("host", host), json], job).await.status, 421);
        assert_eq!(server.call("POST", "/jobs/hello/firings", &[("host", host)], "").await.status, 421);
    }
    assert_eq!(server.launcher.started(), 0);
    for host in [
        "127.0.0.1:5000",
        "10.1.2.3",
        "[::1]:5000",
        "localhost:5000",
        "LocalHost.",
        "app.localhost",
        "scheduler.test:5000",
        "Scheduler.Test",
    ] {
        assert_eq!(server.call("GET", "/jobs", &[("host", host)], "").await.status, 200, "{host}");
    }
    let target = server.call("GET", "http://evil.example/jobs", &[("host", "localhost")], "").await;
    assert_eq!(target.status, 421, "the target of a request wins over its Host");
}

#[tokio::test(start_paused = true)]
async fn a_request_has_exactly_one_host() {
    let server = Server::start().await;
    let none = Request::get("/jobs").body(Body::empty()).unwrap();
    assert_eq!(server.send_as_it_is(none).await.status, 400);
    let two = Request::get("/jobs").header("host", "localhost").header("host", "localhost");
    assert_eq!(server.send_as_it_is(two.body(Body::empty()).unwrap()).await.status, 400);
    for host in ["", "a b", "user@localhost", "localhost:x", "localhost:99999"] {
        assert_eq!(server.call("GET", "/jobs", &[("host", host)], "").await.status, 400, "{host}");
    }
    let old = Request::get("/healthz").version(Version::HTTP_10).body(Body::empty()).unwrap();
    assert_eq!(server.send_as_it_is(old).await.status, 200, "HTTP/1.0 has none, and health checks use it");
}

#[tokio::test(start_paused = true)]
async fn another_site_can_neither_change_anything_nor_hold_a_stream() {
    let server = with_job().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let changes = [
        ("POST", "/jobs/hello/firings"),
        ("POST", "/jobs/hello/suspend"),
        ("POST", "/jobs/hello/resume"),
        ("POST", "/jobs/hello/evaluate"),
        ("POST", "/brake"),
        ("DELETE", "/brake"),
        ("DELETE", "/jobs/hello"),
        ("PUT", "/jobs/hello"),
    ];
    let foreign: [&[(&str, &str)]; 5] = [
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
        &[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")],
        &[("origin", "https://localhost:5000")],
        &[("origin", "null")],
    ];
    for (method, path) in changes {
        for headers in foreign.iter().take(3).chain(&foreign[4..]) {
            let headers = [&[("host", "localhost:5000"), form], *headers].concat();
            let reply = server.call(method, path, &headers, "").await;
            assert_eq!(reply.status, 403, "{method} {path} {headers:?}: {}", reply.text());
        }
    }
    assert_eq!(server.launcher.started(), 0);
    let stream = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")];
    assert_eq!(server.call("GET", "/events", &stream, "").await.status, 403);
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("accept", "text/html")];
    assert_eq!(server.call("GET", "/", &link, "").await.status, 200, "a link to the status page");
}

#[tokio::test(start_paused = true)]
async fn programs_and_pages_of_the_server_itself_change_things_as_before() {
    let server = with_job().await;
    let own: [&[(&str, &str)]; 6] = [
        &[],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("host", "localhost:5000"), ("origin", "http://localhost:5000"), ("sec-fetch-site", "same-origin")],
        &[
            ("host", "scheduler.test"),
            ("origin", "https://scheduler.test"),
            ("sec-fetch-site", "same-origin"),
        ],
        &[("host", "10.0.0.7:5000"), ("origin", "https://scheduler.test"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
    ];
    for headers in own {
        for path in ["/jobs/hello/suspend", "/jobs/hello/resume", "/jobs/hello/evaluate"] {
            let reply = server.call("POST", path, headers, "").await;
            assert_eq!(reply.status, 200, "{path} {headers:?}: {}", reply.text());
        }
    }
    assert_eq!(server.call("POST", "/jobs/hello/firings", &[], "").await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_announced_as_json_on_every_post() {
    let server = with_job().await;
    for path in [
        "/jobs",
        "/jobs/hello/firings",
        "/jobs/hello/suspend",
        "/jobs/hello/resume",
        "/jobs/hello/evaluate",
        "/evaluate",
        "/schedules/preview",
        "/brake",
    ] {
        for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            assert_eq!(
                server.call("POST", path, &[("content-type", media)], "x=").await.status,
                415,
                "{path}"
            );
        }
        assert_eq!(server.call("POST", path, &[], "{}").await.status, 415, "{path}");
        let json = ("content-type", "application/json");
        let packed = server.call("POST", path, &[json, ("content-encoding", "gzip")], "{}").await;
        assert_eq!(packed.status, 415, "{path}");
        let wide =
            server.call("POST", path, &[("content-type", "application/json; charset=utf-16")], "{}").await;
        assert_eq!(wide.status, 415, "{path}");
    }
    let extra = server.json("POST", "/jobs/hello/resume", json!({"x": 1})).await;
    assert_eq!(extra.status, 400, "{}", extra.text());
    assert_eq!(
        server.json("POST", "/jobs/hello/resume", json!({})).await.status,
        200,
        "as the command line sends it"
    );
}

#[tokio::test(start_paused = true)]
async fn every_answer_keeps_browsers_from_guessing_and_sharing() {
    let server = Server::start().await;
    for path in [
        "/",
        "/jobs",
        "/jobs/none",
        "/nowhere",
        "/metrics",
        "/healthz",
        "/docs/",
        "/ui/style.css",
        "/jobs?x=1",
    ] {
        let reply = server.get(path).await;
        let found = (reply.header("x-content-type-options"), reply.header("cross-origin-resource-policy"));
        assert_eq!(found, ("nosniff", "same-origin"), "{path}");
    }
    let foreign = server.call("GET", "/jobs", &[("host", "evil.example")], "").await;
    assert_eq!(foreign.header("x-content-type-options"), "nosniff");
}
