//! How tasks are replaced, how they end, and from when their limits count.

use ecs_scheduler_fake_aws::{Capacity, Service};
use jiff::SignedDuration;
use serde_json::json;

use super::cloud::{Cloud, Kind};
use super::stage::{Playing, Stage};
use crate::crash::site::until;

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Waits until a firing of the job has come to its end, and returns its first task.
async fn first_ended_task(playing: &Playing<'_>, job: &str) -> serde_json::Value {
    playing.firing(job, "finished").await["tasks"][0].clone()
}

/// Returns the value of a metric.
async fn metric(playing: &Playing<'_>, name: &str) -> u64 {
    let page = playing.text("/metrics").await;
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("ecs_scheduler_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

#[tokio::test]
async fn a_replacement_of_a_task_that_is_slow_to_stop_never_runs_beside_it() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "replacing").await;
    cloud.fake().configure(|settings| settings.ecs.life.stopping = seconds(5));
    let playing = stage.start().await;
    let job = stage.job(&json!({"overlap": "replace", "maxCount": 1, "schedule": "*/2"}));
    playing.create("repl", &job).await;
    until("a second task is launched", async || cloud.fake().launches().len() > 1).await;
    playing.decision("repl", "coalesced").await;
    assert_eq!(cloud.fake().max_concurrent(&stage.started_by("repl")), 1);
    let (stops, launches) =
        (cloud.fake().calls(Service::Ecs, "StopTask").calls, cloud.fake().launches().len());
    assert!(stops <= launches as u64, "{launches} tasks were asked to stop {stops} times");
}

#[tokio::test]
async fn a_task_that_ecs_accepts_late_has_its_whole_start_timeout() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "late").await;
    let full = Capacity { of: None, reason: "RESOURCE:MEMORY".to_owned(), at_most: None, refuse: 6 };
    cloud.fake().configure(|settings| {
        settings.ecs.life.pending = seconds(12);
        settings.ecs.capacity.insert("late".to_owned(), vec![full]);
    });
    let playing = stage.start().await;
    let job = stage.job(&json!({"schedule": "@yearly", "startTimeout": "15s"}));
    playing.create("late", &job).await;
    playing.post("/jobs/late/firings", &json!({})).await;
    playing.firing("late", "launched").await;
    until("the task runs", async || {
        stage.tasks("late").await.iter().any(|task| task["lastStatus"] == "RUNNING")
    })
    .await;
    until("its start was seen", async || {
        playing.firing("late", "launched").await["tasks"][0]["state"] == "running"
    })
    .await;
    assert_eq!(cloud.fake().calls(Service::Ecs, "StopTask").calls, 0);
}

#[tokio::test]
async fn tasks_that_were_stopped_are_followed_by_others_while_the_queue_has_messages() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "draining").await;
    cloud.fake().configure(|settings| settings.ecs.life.stopped_exit_code = 0);
    let queue = stage.queue("work").await;
    stage.send(&queue, 20).await;
    let playing = stage.start().await;
    let trigger = json!({"type": "sqs", "queueUrl": queue, "messagesPerTask": 1});
    let job = stage.job(&json!({
        "mode": "drain", "settle": "10m", "maxCount": 2, "timeout": "1s", "trigger": trigger,
    }));
    playing.create("drain", &job).await;
    until("two more are launched", async || cloud.fake().launches().len() >= 4).await;
    let task = first_ended_task(&playing, "drain").await;
    assert_eq!((&task["outcome"], &task["exitCode"]), (&json!("stopped"), &json!(0)), "{task}");
    assert_eq!(metric(&playing, "tasks_succeeded_total").await, 0);
    assert!(metric(&playing, "tasks_stopped_total").await >= 2);
}

#[tokio::test]
async fn a_sidecar_that_ecs_kills_behind_the_main_container_does_not_make_the_run_a_failure() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "sidecar").await;
    let container = |name: &str| json!({"name": name, "image": "busybox", "memory": 64, "essential": true});
    let definition = json!({
        "family": stage.family("two"), "containerDefinitions": [container("main"), container("otel")],
    });
    cloud.ecs("RegisterTaskDefinition", definition).await;
    let playing = stage.start().await;
    for (id, codes, succeeds_by, outcome) in [
        ("killed", [("main", 0), ("otel", 137)], None, "succeeded"),
        ("crashed", [("main", 143), ("otel", 1)], None, "failed"),
        ("named", [("main", 0), ("otel", 1)], Some("main"), "succeeded"),
    ] {
        cloud.fake().configure(|settings| {
            let life = &mut settings.ecs.life;
            life.run = Some(seconds(1));
            life.exit_codes = codes.map(|(name, code)| (name.to_owned(), code)).into();
        });
        let mut job = json!({
            "taskDefinition": stage.family("two"), "schedule": "@yearly", "launch": {"launchType": "EC2"},
        });
        if let Some(name) = succeeds_by {
            job["succeedsBy"] = name.into();
        }
        playing.create(id, &job).await;
        playing.post(&format!("/jobs/{id}/firings"), &json!({})).await;
        let task = first_ended_task(&playing, id).await;
        assert_eq!(task["outcome"], outcome, "{id}: {task}");
    }
}
