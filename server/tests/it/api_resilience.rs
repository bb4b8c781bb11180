//! One client or one bug does not affect others: a reader that does not read, a handler that panics.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use ecs_scheduler_core::{BuildContext, ConfigError, EVENT_BUFFER, Trigger, TriggerRegistry, TriggerType};
use http_body_util::BodyExt as _;
use schemars::JsonSchema;
use serde::Deserialize;
use tower::ServiceExt as _;

use crate::harness::Server;

/// A trigger with a mistake in it.
struct Broken;

#[derive(Debug, Deserialize, JsonSchema)]
struct Nothing {}

impl TriggerType for Broken {
    const KIND: &'static str = "broken";
    const SUMMARY: &'static str = "panics";
    type Config = Nothing;

    fn build(&self, _: Nothing, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        panic!("a mistake in a trigger")
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_is_a_problem_document_and_the_server_lives() {
    let mut registry = TriggerRegistry::new();
    registry.add(Broken).unwrap();
    let server = Server::with(registry).await;
    let job = r#"{"taskDefinition": "work", "schedule": "0 0", "trigger": {"type": "broken"}}"#;
    let problem = [("content-type", "application/json"), ("accept", "application/problem+json")];
    for _ in 0..2 {
        let reply = server.call("POST", "/jobs", &problem, job).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (500, "application/problem+json"));
        assert_eq!(reply.json()["status"], 500);
        assert!(!reply.text().contains("a mistake in a trigger"), "{}", reply.text());
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    let sound = r#"{"taskDefinition": "work", "schedule": "0 0"}"#;
    assert_eq!(server.json("POST", "/jobs", sound).await.status, 201);
    assert_eq!(server.get("/jobs/work").await.status, 200);
}

async fn frame(body: &mut Body) -> Bytes {
    body.frame().await.expect("the stream goes on").unwrap().into_data().expect("it carries data")
}

#[tokio::test(start_paused = true)]
async fn slow_event_reader_gets_refetch_and_a_bounded_buffer() {
    let server = Server::start().await;
    let request = Request::get("/events").header("host", "localhost").body(Body::empty()).unwrap();
    let mut stream = server.router.clone().oneshot(request).await.unwrap().into_body();
    let missed = 700;
    for _ in 0..(EVENT_BUFFER + missed) / 2 {
        server.engine.brake("busy".to_owned()).await.unwrap();
        server.engine.release().await.unwrap();
    }
    let first = String::from_utf8(frame(&mut stream).await.to_vec()).unwrap();
    assert!(first.contains("event: refetch"), "{first}");
    assert!(first.contains(&format!("{missed} events were left out")), "{first}");
    for _ in 0..EVENT_BUFFER {
        let next = frame(&mut stream).await;
        assert!(next.starts_with(b"event: brake"), "{next:?}");
    }
    let kept_no_more = frame(&mut stream).await;
    assert!(kept_no_more.starts_with(b":"), "only a sign of life follows: {kept_no_more:?}");
    assert!(server.engine.stop(Duration::from_secs(60)).await);
}
