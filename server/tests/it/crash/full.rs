//! A disk that takes no more, and a file that goes away: the scheduler says so, launches nothing, and goes on when there is room or
//! the file is back.

use reqwest::StatusCode;
use serde_json::json;

use super::audit::audit;
use super::process::Scheduler;
use super::site::{Site, until};

/// How large a file may become: room for the tables and some seconds of the journal.
const KIBIBYTES: u32 = 2_048;

#[tokio::test]
async fn full_disk_scheduler_answers_and_launches_only_journalled_firings() {
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

#[tokio::test]
async fn scheduler_launches_nothing_while_its_file_is_moved_away() {
    let site = Site::new();
    site.define("work", "");
    let scheduler = Scheduler::start(&site).await;
    scheduler.create("a", &json!({"taskDefinition": "work", "schedule": "*"})).await;
    site.wait_for_starts(1).await;
    let (file, away) = (site.path("data/scheduler.db"), site.path("away.db"));
    std::fs::rename(&file, &away).unwrap();
    let said = async || site.log().contains("deleted or moved away while it was open");
    until("the log says so", said).await;
    let answer =
        scheduler.try_post("/jobs", &json!({"id": "b", "taskDefinition": "work", "schedule": "*"})).await;
    assert_eq!(answer.0, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.1);
    assert_eq!(scheduler.status("/readyz").await, Some(StatusCode::SERVICE_UNAVAILABLE));
    let began = site.starts().len();
    let late = async || scheduler.text("/metrics").await.contains("ecs_scheduler_store_fault 1");
    until("a tick met the fault", late).await;
    assert!(site.starts().len() <= began + 1, "only what was under way began");
    std::fs::rename(&away, &file).unwrap();
    let ready = async || scheduler.status("/readyz").await == Some(StatusCode::OK);
    until("the file is back", ready).await;
    site.wait_for_starts(began + 2).await;
    scheduler.quiesce().await;
    scheduler.terminate().await;
    audit(&site).await;
}

#[tokio::test]
async fn a_scheduler_whose_file_is_moved_away_just_before_it_stops_says_so_at_the_end() {
    let site = Site::new();
    let scheduler = Scheduler::start(&site).await;
    std::fs::rename(site.path("data/scheduler.db"), site.path("away.db")).unwrap();
    scheduler.terminate().await;
    // The check beside the writer may have found it too, and adds a remark.
    let is_last = |line: &str| {
        line.contains("was deleted or moved away while it was open") && !line.contains("nothing is launched")
    };
    assert!(site.log().lines().any(is_last), "{}", site.log());
}
