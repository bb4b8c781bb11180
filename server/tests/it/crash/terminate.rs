//! The good end: what runs goes on, and nothing is lost.

use ecs_scheduler::shutdown;
use ecs_scheduler_core::{FiringQuery, TaskPhase};
use serde_json::json;

use super::audit::{audit, open};
use super::process::Scheduler;
use super::site::Site;

#[tokio::test]
async fn a_scheduler_that_is_asked_to_stop_does_within_ten_seconds_and_loses_nothing() {
    let site = Site::new();
    site.define("work", "sleep 2; exit 7");
    let scheduler = Scheduler::start(&site).await;
    for (id, count) in [("one", 1), ("three", 3)] {
        let job = json!({"taskDefinition": "work", "schedule": "*", "taskCount": count});
        scheduler.create(id, &job).await;
    }
    site.wait_for_starts(4).await;
    let (status, took) = scheduler.terminate().await;
    assert!(status.success(), "{status}");
    assert!(took <= shutdown::SHUTDOWN_TIMEOUT, "took {took:?}");

    let scheduler = Scheduler::start(&site).await;
    scheduler.quiesce().await;
    scheduler.terminate().await;
    let audit = audit(&site).await;
    assert!(audit.tasks >= 4, "{audit:?}");
    let firings = open(&site).await.firings(&FiringQuery::default()).await.unwrap();
    for task in firings.iter().flat_map(|firing| &firing.tasks) {
        assert_eq!((task.phase, task.exit_code), (TaskPhase::Stopped, Some(7)), "{task:?}");
    }
}
