//! Access tokens: which requests pass, made from the OpenAPI document, and what a token for some jobs sees.

mod labels;
mod many_jobs;
mod program;
mod tokens;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode};
use ecs_scheduler::access::{OpenResource, Scope};
use ecs_scheduler::api;
use ecs_scheduler_core::{MemoryStore, Store};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::harness::{Grant, Reply, Server, grant, registry};

/// A route, and the scope that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    method: String,
    path: String,
    need: Need,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Need {
    Nothing,
    Token,
    Scope(String),
}

impl Route {
    /// Returns the path with names in the place of its parameters.
    fn path_of(&self, id: &str) -> String {
        self.path.replace("{id}", id).replace("{task}", "none").replace("{kind}", "stale")
    }
}

/// Returns every route of the OpenAPI document, and those that are not in it.
fn routes() -> Vec<Route> {
    let document = api::openapi(&registry(), NonZeroU32::new(50).unwrap());
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let call = format!("{method} {path}");
            let security = operation["security"].as_array().unwrap_or_else(|| panic!("{call} has no scope"));
            let need = match security.as_slice() {
                [] => Need::Nothing,
                [only] => match only["token"].as_array().unwrap().as_slice() {
                    [] => Need::Token,
                    [scope] => Need::Scope(scope.as_str().unwrap().to_owned()),
                    more => panic!("{call}: {more:?}"),
                },
                more => panic!("{call}: {more:?}"),
            };
            routes.push(Route { method: method.to_uppercase(), path: path.clone(), need });
        }
    }
    for (path, need) in [
        ("/spec", Need::Token),
        ("/docs", Need::Token),
        ("/docs/", Need::Token),
        ("/docs/swagger-ui.css", Need::Token),
        ("/ui/style.css", Need::Nothing),
        ("/ui/script.js", Need::Nothing),
    ] {
        routes.push(Route { method: "GET".to_owned(), path: path.to_owned(), need });
    }
    routes
}

/// Sends a request with these headers `Authorization`. The stream of events is not read.
async fn call(server: &Server, method: &str, path: &str, authorization: &[&str], body: &Value) -> Reply {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    for value in authorization {
        request = request.header("authorization", *value);
    }
    let body = if body.is_null() {
        Body::empty()
    } else {
        request = request.header("content-type", "application/json");
        Body::from(body.to_string())
    };
    let response = server.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let is_stream = parts.headers.get("content-type") == Some(&HeaderValue::from_static("text/event-stream"));
    let body = if is_stream { Vec::new() } else { body.collect().await.unwrap().to_bytes().to_vec() };
    Reply { status: parts.status, headers: parts.headers, body }
}

/// Sends a request with a token.
async fn with(server: &Server, token: &Grant, method: &str, path: &str, body: Value) -> Reply {
    call(server, method, path, &[&format!("Bearer {}", token.text)], &body).await
}

async fn server_with(tokens: &[&Grant]) -> Server {
    let store = Arc::new(MemoryStore::default());
    grant(&*store, tokens).await;
    Server::with_tokens(store, &[]).await
}

/// Returns whether a request was refused because of its token.
fn is_refused(reply: &Reply) -> bool {
    matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

#[tokio::test(start_paused = true)]
async fn every_route_passes_with_its_scope_and_with_no_other() {
    let grants =
        Scope::ALL.map(|scope| Grant::new(&scope.as_str().replace(':', "-")).scopes(&[scope.as_str()]));
    let server = server_with(&grants.each_ref()).await;
    let routes = routes();
    assert!(routes.len() >= 50, "{}", routes.len());
    for route in &routes {
        for (scope, token) in Scope::ALL.iter().zip(&grants) {
            let call = format!("{} {} with {}", route.method, route.path, scope.as_str());
            let reply = with(&server, token, &route.method, &route.path_of("none"), Value::Null).await;
            let passes = match &route.need {
                Need::Nothing | Need::Token => true,
                Need::Scope(needed) => *scope == Scope::Admin || needed == scope.as_str(),
            };
            assert_eq!(is_refused(&reply), !passes, "{call}: {} {}", reply.status, reply.text());
            if let Need::Scope(needed) = &route.need
                && !passes
            {
                assert_eq!(reply.status, 403, "{call}");
                let problem = reply.json();
                assert_eq!(problem["type"], "/problems/forbidden", "{call}");
                assert!(problem["detail"].as_str().unwrap().contains(needed.as_str()), "{call}: {problem}");
                assert_eq!(
                    reply.header("www-authenticate"),
                    format!(
                        "Bearer realm=\"ecs-scheduler\", error=\"insufficient_scope\", scope=\"{needed}\""
                    ),
                    "{call}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_valid_token_no_route_does_or_shows_anything() {
    let admin = Grant::new("admin").scopes(&["admin"]);
    let expired = Grant::new("expired").scopes(&["admin"]).expires("2026-06-01T11:00:00Z");
    let revoked = Grant::new("revoked").scopes(&["admin"]);
    let server = server_with(&[&admin, &expired, &revoked]).await;
    let document = json!({"id": "kept", "taskDefinition": "canary", "schedule": "@yearly"});
    assert_eq!(with(&server, &admin, "POST", "/jobs", document).await.status, 201);
    assert_eq!(with(&server, &admin, "POST", "/jobs/kept/firings", Value::Null).await.status, 201);
    assert_eq!(with(&server, &admin, "DELETE", "/tokens/revoked", Value::Null).await.status, 200);
    let history = with(&server, &admin, "GET", "/jobs/kept/firings", Value::Null).await.json();
    let firing = history["firings"][0]["id"].as_str().unwrap();
    let before = with(&server, &admin, "GET", "/jobs/kept", Value::Null).await;
    let valid = format!("Bearer {}", admin.text);
    let text = |grant: &Grant| format!("Bearer {}", grant.text);
    let wrong: Vec<(&str, Vec<String>)> = vec![
        ("no header", vec![]),
        ("an empty one", vec![String::new()]),
        ("no token", vec!["Bearer".to_owned()]),
        ("an empty token", vec!["Bearer ".to_owned()]),
        ("another scheme", vec![format!("Basic {}", admin.text)]),
        ("no scheme", vec![admin.text.clone()]),
        ("an unknown token", vec!["Bearer ecss_0123456789ab_AAAA".to_owned()]),
        ("a wrong secret", vec![format!("{valid}x")]),
        ("a part of the secret", vec![valid[..valid.len() - 1].to_owned()]),
        ("another secret", vec![format!("Bearer ecss_admin_{}", &expired.text["ecss_expired_".len()..])]),
        ("the bootstrap token of no process", vec!["Bearer ecss_bootstrap_AAAA".to_owned()]),
        ("an expired token", vec![text(&expired)]),
        ("a revoked token", vec![text(&revoked)]),
        ("two tokens", vec![valid.clone(), valid.clone()]),
        ("two tokens in one", vec![format!("{valid}, {valid}")]),
    ];
    for route in routes() {
        let id = if route.path.starts_with("/firings") { firing } else { "kept" };
        for (name, headers) in &wrong {
            let call_name = format!("{} {} with {name}", route.method, route.path);
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let reply = call(&server, &route.method, &route.path_of(id), &headers, &Value::Null).await;
            if route.need == Need::Nothing {
                assert!(!is_refused(&reply), "{call_name}: {}", reply.status);
            } else {
                assert_eq!(reply.status, 401, "{call_name}: {}", reply.text());
                assert_eq!(reply.json()["type"], "/problems/unauthenticated", "{call_name}");
                assert!(
                    reply.header("www-authenticate").starts_with("Bearer realm=\"ecs-scheduler\""),
                    "{call_name}"
                );
            }
            assert!(!reply.text().contains("canary"), "{call_name}: {}", reply.text());
        }
    }
    let after = with(&server, &admin, "GET", "/jobs/kept", Value::Null).await;
    assert_eq!((after.header("etag"), after.text()), (before.header("etag"), before.text()));
    let firings = with(&server, &admin, "GET", "/firings", Value::Null).await.json();
    assert_eq!(firings["firings"].as_array().unwrap().len(), 1, "{firings}");
    assert_eq!(with(&server, &admin, "GET", "/brake", Value::Null).await.json()["on"], false);
    let tokens = with(&server, &admin, "GET", "/tokens", Value::Null).await.json();
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 2, "{tokens}");
}

#[tokio::test(start_paused = true)]
async fn the_scheme_has_any_case_and_head_needs_the_scope_of_get() {
    let token = Grant::new("read").scopes(&["jobs:read"]);
    let server = server_with(&[&token]).await;
    let lower = format!("bearer {}", token.text);
    assert_eq!(call(&server, "GET", "/jobs", &[&lower], &Value::Null).await.status, 200);
    assert_eq!(call(&server, "HEAD", "/jobs", &[&lower], &Value::Null).await.status, 200);
    assert_eq!(call(&server, "HEAD", "/jobs", &[], &Value::Null).await.status, 401);
    assert_eq!(call(&server, "HEAD", "/decisions", &[&lower], &Value::Null).await.status, 403);
}

#[tokio::test(start_paused = true)]
async fn unknown_paths_and_methods_need_a_token_too() {
    let token = Grant::new("read").scopes(&["jobs:read"]);
    let server = server_with(&[&token]).await;
    for (method, path, expected) in [
        ("GET", "/nothing", 404),
        ("DELETE", "/jobs", 405),
        ("TRACE", "/jobs/a", 405),
        ("OPTIONS", "/jobs", 200),
    ] {
        assert_eq!(call(&server, method, path, &[], &Value::Null).await.status, 401, "{method} {path}");
        let known = with(&server, &token, method, path, Value::Null).await;
        assert_eq!(known.status, expected, "{method} {path}");
        assert_eq!(expected != 404, known.headers.contains_key("allow"), "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_and_documentation_are_open_if_configured() {
    let all: [(&[OpenResource], u16, u16); 3] =
        [(&[], 401, 401), (&[OpenResource::Metrics], 200, 401), (&[OpenResource::Docs], 401, 200)];
    for (open, metrics, docs) in all {
        let server = Server::with_tokens(Arc::new(MemoryStore::default()), open).await;
        assert_eq!(server.get("/metrics").await.status, metrics, "{open:?}");
        for path in ["/openapi.json", "/spec", "/docs/", "/docs/swagger-ui.css"] {
            assert_eq!(server.get(path).await.status, docs, "{open:?} {path}");
        }
        assert_eq!(server.get("/jobs").await.status, 401);
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_shows_faults_only_to_a_token_for_all_jobs() {
    let whole = Grant::new("whole").scopes(&["logs:read"]);
    let limited = Grant::new("limited").scopes(&["history:read"]).label("team", "media");
    let server = server_with(&[&whole, &limited]).await;
    server.closing.cancel();
    let detail = |reply: Reply| {
        assert_eq!(reply.status, 503);
        reply.json()["checks"][1]["detail"].clone()
    };
    assert_eq!(detail(server.get("/readyz").await), Value::Null);
    assert_eq!(detail(with(&server, &limited, "GET", "/readyz", Value::Null).await), Value::Null);
    let wrong = call(&server, "GET", "/readyz", &["Bearer ecss_whole_x"], &Value::Null).await;
    assert_eq!(detail(wrong), Value::Null);
    assert_eq!(
        detail(with(&server, &whole, "GET", "/readyz", Value::Null).await),
        "the scheduler is stopping"
    );
}

#[tokio::test(start_paused = true)]
async fn health_is_open_and_nobody_passes_while_the_tokens_cannot_be_read() {
    let token = Grant::new("read").scopes(&["jobs:read"]);
    let server = server_with(&[&token]).await;
    assert_eq!(with(&server, &token, "GET", "/jobs", Value::Null).await.status, 200);
    let store: &dyn Store = &*server.store;
    let version = store.get_register("access/tokens").await.unwrap().unwrap().version;
    store.put_register("access/tokens", "damaged", Some(version), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reply = with(&server, &token, "GET", "/jobs", Value::Null).await;
    assert_eq!(reply.status, 500, "{}", reply.text());
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!(server.get("/readyz").await.status, 200);
}
