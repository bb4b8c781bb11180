//! A disk that takes no more: the scheduler says so, launches nothing, and goes on when there is room.

use reqwest::StatusCode;
use serde_json::json;

use super::audit::audit;
use super::process::Scheduler;
use super::site::{Site, until};

/// How large a file may become: room for the tables and some seconds of the journal.
const KIBIBYTES: u32 = 2_048;

#[tokio::test]
async fn a_scheduler_on_a_full_disk_answers_and_launches_only_what_it_has_journalled() {
    let site = Site::new();
    site.define("work", "");
    let scheduler = Scheduler::start_bounded(&site, KIBIBYTES).await;
    for id in ["a", "b", "c", "d"] {
        scheduler.create(id, &json!({"taskDefinition": "work", "schedule": "*"})).await;
    }
    // Each look at `/readyz` writes too; without this the disk might be full before the first tick.
    let fired =
        async || scheduler.get("/firings").await["firings"].as_array().is_some_and(|all| !all.is_empty());
    until("something has fired", fired).await;
    let full = async || scheduler.status("/readyz").await == Some(StatusCode::SERVICE_UNAVAILABLE);
    until("the disk is full", full).await;
    assert_eq!(scheduler.status("/healthz").await, Some(StatusCode::OK));
    assert_eq!(scheduler.status("/jobs/a").await, Some(StatusCode::OK));
    let checks = scheduler.get("/readyz").await["checks"].clone();
    let store = checks.as_array().unwrap().iter().find(|check| check["name"] == "store").unwrap();
    assert_eq!(store["ok"], false);
    let reason = store["detail"].as_str().unwrap();
    assert!(reason.contains("scheduler.db"), "{reason}");
    scheduler.terminate().await;

    let scheduler = Scheduler::start(&site).await;
    let ready = async || scheduler.status("/readyz").await == Some(StatusCode::OK);
    until("there is room again", ready).await;
    scheduler.quiesce().await;
    scheduler.terminate().await;
    let audit = audit(&site).await;
    assert!(audit.firings > 0, "{audit:?}");
}
