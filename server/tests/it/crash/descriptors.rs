//! Few file descriptors, and as many idle connections as there are descriptors: jobs keep firing and the API answers.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::audit::audit;
use super::process::Scheduler;
use super::site::{Site, until};

/// As many as the process may have: half for connections, half for the store and the tasks.
const DESCRIPTORS: usize = 96;

#[tokio::test]
async fn jobs_fire_and_health_answers_while_idle_connections_ask_for_every_descriptor() {
    let site = Site::new();
    site.define("work", "");
    let scheduler = Scheduler::start_with_descriptors(&site, DESCRIPTORS).await;
    scheduler.create("a", &json!({"taskDefinition": "work", "schedule": "*"})).await;
    site.wait_for_starts(1).await;

    let idle = scheduler.connect_idle(DESCRIPTORS).await;
    let crowded = async || site.log().contains("too many connections");
    until("the connections are more than there may be", crowded).await;
    assert!(scheduler.descriptors() < DESCRIPTORS, "{}", scheduler.descriptors());
    let started = site.starts().len();
    for path in ["/healthz", "/readyz", "/metrics", "/jobs/a"] {
        assert_eq!(scheduler.status(path).await, Some(StatusCode::OK), "{path}");
    }
    scheduler.create("b", &json!({"taskDefinition": "work", "schedule": "*"})).await;
    site.wait_for_starts(started + 3).await;
    drop(idle);

    scheduler.quiesce_within(Duration::from_secs(20)).await;
    scheduler.terminate().await;
    assert!(!site.log().contains("Too many open files"), "{}", site.log());
    let audit = audit(&site).await;
    assert!(audit.firings >= 4, "{audit:?}");
}
