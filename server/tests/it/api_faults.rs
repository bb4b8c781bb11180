//! Trouble that the program knows of, as clients see it: launches that fail, and a clock that was ahead.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::Server;

const YEAR: SignedDuration = SignedDuration::from_hours(24 * 365);

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

async fn with_job(document: Value) -> Server {
    let server = Server::start().await;
    assert_eq!(server.json("POST", "/jobs", document).await.status, 201);
    server
}

#[tokio::test(start_paused = true)]
async fn reason_of_a_failed_launch_is_in_job_decisions_firings_and_metrics() {
    let server = with_job(json!({"taskDefinition": "no-such-task", "schedule": "*/5"})).await;
    seconds(12).await;
    let why = "task definition \"no-such-task\" does not exist";
    let decisions = server.get("/jobs/no-such-task/decisions?outcome=launch_failed").await.json();
    assert_eq!(decisions["decisions"].as_array().unwrap().len(), 2, "{decisions}");
    assert_eq!(decisions["decisions"][0]["note"], why, "{decisions}");
    assert_eq!(server.get("/decisions").await.json()["decisions"][0]["note"], why);
    assert_eq!(server.get("/jobs/no-such-task/firings").await.json()["firings"][0]["note"], why);
    let job = server.get("/jobs/no-such-task").await.json();
    let failing = &job["failing"];
    assert_eq!((&failing["outcome"], &failing["reason"]), (&json!("launch_failed"), &json!(why)), "{job}");
    assert_eq!(failing["ticks"], 2, "{job}");
    assert!(failing["since"].as_str().is_some_and(|since| since.starts_with("2026-06-01T12:00:05")), "{job}");
    let metrics = server.get("/metrics").await.text();
    for line in [
        "ecs_scheduler_ticks_total{outcome=\"launch_failed\"} 2\n",
        "ecs_scheduler_ticks_total{outcome=\"launched\"} 0\n",
        "ecs_scheduler_launcher_fault 1\n",
        "ecs_scheduler_jobs_failing 1\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("outcome=\"pending\""), "a tick is counted when its outcome is final");
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["dependencies"][0]["name"]), (200, &json!("launcher")));
    server.json("PUT", "/jobs/no-such-task", json!({"taskDefinition": "work"})).await;
    seconds(6).await;
    let job = server.get("/jobs/no-such-task").await.json();
    assert!(job["failing"].is_null() && job["lastRun"].is_string(), "{job}");
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("ecs_scheduler_ticks_total{outcome=\"launched\"} 1\n"), "{metrics}");
    assert!(metrics.contains("ecs_scheduler_launcher_fault 0\n"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_shows_its_state_and_suspends_the_job_with_the_reason() {
    let breaker = json!({"failures": 2, "delay": "2s"});
    let job = json!({"taskDefinition": "no-such-task", "schedule": "*/5", "breaker": breaker});
    let server = with_job(job).await;
    let path = "/jobs/no-such-task";
    seconds(6).await;
    let job = server.get(path).await.json();
    assert_eq!(job["breakerState"], json!({"state": "closed", "failures": 1, "canaries": 0}), "{job}");
    assert_eq!(job["breaker"], breaker);
    seconds(6).await;
    let job = server.get(path).await.json();
    let state = &job["breakerState"];
    assert_eq!(
        (&state["state"], &state["failures"], &job["state"]),
        (&json!("open"), &json!(2), &json!("failing"))
    );
    let next = state["nextCanary"].as_str().unwrap();
    assert!(next.starts_with("2026-06-01T12:00:12"), "{job}");
    assert_eq!(state["reason"], "task definition \"no-such-task\" does not exist", "{job}");
    let metrics = server.get("/metrics").await.text();
    for line in ["ecs_scheduler_jobs_with_open_breaker 1\n", "ecs_scheduler_breakers_opened_total 1\n"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    seconds(14).await;
    let decisions = server.get(&format!("{path}/decisions?outcome=cooldown")).await.json();
    let step = decisions["decisions"][0]["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&step["rule"], &step["before"], &step["after"]), (&json!("breaker"), &json!(1), &json!(0)));
    seconds(100).await;
    let job = server.get(path).await.json();
    let reason = job["suspension"]["reason"].as_str().unwrap();
    assert!(reason.contains("all 5 canaries failed") && reason.ends_with("does not exist"), "{job}");
    assert_eq!((&job["suspended"], &job["breakerState"]["state"]), (&json!(true), &json!("closed")), "{job}");
    let resumed = server.json("POST", &format!("{path}/resume"), json!({})).await;
    assert_eq!(resumed.status.as_u16(), 200, "{}", resumed.text());
    server.json("PUT", path, json!({"taskDefinition": "work", "breaker": null})).await;
    seconds(6).await;
    let job = server.get(path).await.json();
    assert!(job.get("breakerState").is_none() && job["lastRun"].is_string(), "{job}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_ahead_shows_at_the_job_and_in_the_metrics_and_resume_brings_the_job_back() {
    let server =
        with_job(json!({"taskDefinition": "work", "schedule": "*/10", "overlap": "allow", "maxCount": 9}))
            .await;
    server.clock.step(YEAR);
    seconds(20).await;
    server.clock.step(-YEAR);
    seconds(10).await;
    let job = server.get("/jobs/work").await.json();
    assert_eq!(job["settledUntil"], "2027-06-01T12:00:20+00:00", "{job}");
    assert_eq!(job["estimatedNextRun"], "2027-06-01T12:00:30+00:00", "what is settled is no next run: {job}");
    let metrics = server.get("/metrics").await.text();
    for line in ["clock_fault 1\n", "jobs_settled_ahead 1\n", "clock_steps_total 2\n"] {
        assert!(metrics.contains(&format!("ecs_scheduler_{line}")), "{line} in {metrics}");
    }
    let ready = server.get("/readyz").await.json();
    assert_eq!(
        (&ready["status"], &ready["dependencies"][0]["name"]),
        (&json!("ready"), &json!("clock")),
        "{ready}"
    );
    assert_eq!(server.json("POST", "/jobs/work/resume", json!({})).await.status, 200);
    seconds(1).await;
    let job = server.get("/jobs/work").await.json();
    assert_eq!(
        (&job["settledUntil"], &job["estimatedNextRun"]),
        (&Value::Null, &json!("2026-06-01T12:00:40+00:00"))
    );
    seconds(10).await;
    let firings = server.get("/jobs/work/firings").await.json();
    assert_eq!(firings["firings"][0]["nominal"], "2026-06-01T12:00:40Z", "{firings}");
    let decisions = server.get("/jobs/work/decisions").await.json();
    let told =
        decisions["decisions"].as_array().unwrap().iter().filter_map(|one| one["explanation"].as_str());
    assert_eq!(
        told.filter(|text| text.starts_with("the clock was ahead: ticks up to 2027-06-01")).count(),
        1
    );
}
