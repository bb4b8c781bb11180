//! Decisions, firings, the brake, evaluations, live events and health, over a running engine.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use ecs_scheduler::api::Limits;
use ecs_scheduler_core::{MemoryStore, Registers as _, SharedStore as _, Store};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::harness::Server;

async fn with_job(document: Value) -> Server {
    let server = Server::start().await;
    let created = server.json("POST", "/jobs", document).await;
    assert_eq!(created.status, 201, "{}", created.text());
    server
}

fn every_second() -> Value {
    json!({"taskDefinition": "tick", "schedule": "*", "taskCount": 2, "overlap": "allow", "maxCount": 50})
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn history_is_listed_newest_first_page_by_page() {
    let server = with_job(every_second()).await;
    seconds(10).await;
    let all = server.get("/jobs/tick/firings").await.json();
    let ids: Vec<&Value> = all["firings"].as_array().unwrap().iter().map(|firing| &firing["id"]).collect();
    assert!(ids.len() >= 9, "{all}");
    let (mut path, mut seen) = ("/jobs/tick/firings?limit=4".to_owned(), Vec::new());
    loop {
        let page = server.get(&path).await.json();
        seen.extend(page["firings"].as_array().unwrap().iter().map(|firing| firing["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = next.to_owned();
    }
    assert!(
        seen.len() >= ids.len() && seen.ends_with(&ids.iter().map(|id| (*id).clone()).collect::<Vec<_>>())
    );
    let firing = server.get(&format!("/firings/{}", ids[0].as_str().unwrap())).await.json();
    assert_eq!(
        (&firing["job"], &firing["requested"], &firing["started"]),
        (&json!("tick"), &json!(2), &json!(2))
    );
    assert_eq!(firing["tasks"].as_array().unwrap().len(), 2);
    let decisions = server.get("/decisions?outcome=launched&limit=3").await.json();
    assert_eq!(decisions["decisions"].as_array().unwrap().len(), 3);
    assert_eq!(decisions["decisions"][0]["steps"][0]["rule"], "demand");
    let next = decisions["next"].as_str().unwrap();
    let older = server.get(next).await.json();
    assert!(older["decisions"][0]["id"].as_u64() < decisions["decisions"][2]["id"].as_u64());
    assert_eq!(server.get("/jobs/none/decisions").await.status, 404);
    assert_eq!(server.get("/firings/none").await.status, 404);
    assert_eq!(server.get("/firings?state=flying").await.status, 400);
    assert_eq!(server.get("/decisions?outcome=fine").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_fired_by_hand_once_per_key() {
    let server = with_job(json!({"taskDefinition": "report", "schedule": "0 0 0"})).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "now-1")];
    let first = server.call("POST", "/jobs/report/firings", &headers, r#"{"tasks": 3}"#).await;
    let again = server.call("POST", "/jobs/report/firings", &headers, r#"{"tasks": 3}"#).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, "true"));
    seconds(1).await;
    assert_eq!(server.launcher.started(), 3);
    let firing = server.get(first.header("location")).await.json();
    assert_eq!((&firing["origin"], &firing["state"]), (&json!("hand"), &json!("launched")));
    let enough = server.call("POST", "/jobs/report/firings", &[], "").await;
    assert_eq!((enough.status.as_u16(), &enough.json()["outcome"]), (200, &json!("satisfied")));
    assert_eq!(server.call("POST", "/jobs/none/firings", &[], "").await.status, 404);
    let zero = server.json("POST", "/jobs/report/firings", json!({"tasks": 0})).await;
    assert_eq!((zero.status.as_u16(), &zero.json()["errors"][0]["pointer"]), (400, &json!("/tasks")));
}

#[tokio::test(start_paused = true)]
async fn a_firing_that_a_passing_fault_prevents_is_not_stored_under_its_key() {
    let server = with_job(every_second()).await;
    server.launcher.break_down();
    let headers = [("content-type", "application/json"), ("idempotency-key", "now-1")];
    for attempt in ["first", "second"] {
        let reply = server.call("POST", "/jobs/tick/firings", &headers, "").await;
        let outcome = (reply.status.as_u16(), reply.json()["outcome"].clone());
        assert_eq!(outcome, (200, json!("live_unknown")), "{attempt}: {}", reply.text());
        assert_eq!(reply.header("idempotent-replayed"), "", "{attempt}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_key_whose_response_was_lost_finds_the_firing_and_launches_nothing() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::over(Arc::clone(&store) as Arc<dyn Store>, Limits::default()).await;
    let job = json!({"id": "report", "taskDefinition": "report", "schedule": "0 0 0", "overlap": "allow"});
    assert_eq!(server.json("POST", "/jobs", job).await.status, 201);
    let headers = [("content-type", "application/json"), ("idempotency-key", "now-1")];
    let first = server.call("POST", "/jobs/report/firings", &headers, "").await;
    assert_eq!(first.status, 201, "{}", first.text());
    // As after a crash between the settlement and the response.
    let (name, register) = store.registers("idempotency/").await.unwrap().remove(0);
    let mut record: Value = serde_json::from_str(&register.value).unwrap();
    record["answer"] = Value::Null;
    store.put_register(&name, &record.to_string(), Some(register.version), None).await.unwrap();
    seconds(60).await;
    let again = server.call("POST", "/jobs/report/firings", &headers, "").await;
    assert_eq!(again.status, 201, "{}", again.text());
    assert_eq!(again.header("location"), first.header("location"));
    seconds(1).await;
    assert_eq!(server.launcher.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn brake_stops_launches_and_shows_its_reason() {
    let server = with_job(every_second()).await;
    let pulled = server.json("POST", "/brake", json!({"reason": "runaway queue"})).await.json();
    assert_eq!((&pulled["on"], &pulled["reason"]), (&json!(true), &json!("runaway queue")));
    seconds(5).await;
    assert_eq!(server.launcher.started(), 0);
    let held = server.get("/jobs/tick/decisions").await.json();
    assert_eq!(held["decisions"][0]["outcome"], "suspended");
    let server = server.restart().await;
    assert_eq!(server.get("/brake").await.json()["reason"], "runaway queue", "it survives a restart");
    assert_eq!(server.call("DELETE", "/brake", &[], "").await.json(), json!({"on": false}));
    seconds(3).await;
    assert!(server.launcher.started() > 0);
    assert_eq!(server.json("POST", "/brake", json!({"reason": " "})).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_decides_and_launches_nothing() {
    let server = with_job(json!({"taskDefinition": "report", "schedule": "0 0 0", "taskCount": 2})).await;
    let plain = server.call("POST", "/jobs/report/evaluate", &[], "").await.json();
    assert_eq!(
        (&plain["outcome"], &plain["launch"], &plain["busy"]),
        (&json!("launched"), &json!(2), &json!(0)),
        "what would come of it"
    );
    let given = json!({"given": {"demand": 120, "busy": 7}});
    let capped = server.json("POST", "/jobs/report/evaluate", given).await.json();
    assert_eq!((&capped["demand"], &capped["busy"], &capped["launch"]), (&json!(120), &json!(7), &json!(43)));
    let given = json!({"given": {"observations": {"visible": 9, "inFlight": 3}, "busy": 4}});
    let counted = server.json("POST", "/jobs/report/evaluate", given).await.json();
    assert_eq!((&counted["demand"], &counted["launch"]), (&json!(9), &json!(5)));
    assert_eq!(counted["observations"][1]["name"], "inFlight");
    let given = json!({"given": {"observations": {"weather": 3}}});
    let unknown = server.json("POST", "/jobs/report/evaluate", given).await.json();
    assert_eq!(unknown["errors"][0]["pointer"], "/given/observations/weather");
    let draft = json!({"job": {"taskDefinition": "new", "schedule": "0 0 0"}, "given": {"demand": 0}});
    let idle = server.json("POST", "/evaluate", draft).await.json();
    assert_eq!((&idle["outcome"], &idle["launch"]), (&json!("idle"), &json!(0)));
    let wrong = server.json("POST", "/evaluate", json!({"job": {"schedule": 5}})).await.json();
    assert_eq!(wrong["errors"][0]["pointer"], "/job/taskDefinition");
    assert_eq!(server.launcher.started(), 0);
    assert_eq!(server.get("/decisions").await.json()["decisions"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn evaluation_of_a_suspended_job_is_suspended() {
    let server = with_job(json!({"taskDefinition": "report", "schedule": "0 0 0"})).await;
    server.json("POST", "/jobs/report/suspend", json!({"reason": "lunch"})).await;
    let stored = server.call("POST", "/jobs/report/evaluate", &[], "").await.json();
    let held = (&stored["outcome"], &stored["launch"], &stored["explanation"]);
    assert_eq!(held, (&json!("suspended"), &json!(0), &json!("suspended: lunch")));
    let draft = json!({"job": {"taskDefinition": "new", "schedule": "0 0 0", "suspended": true}});
    assert_eq!(server.json("POST", "/evaluate", draft).await.json()["outcome"], "suspended");
    server.call("POST", "/jobs/report/resume", &[], "").await;
    let resumed = server.call("POST", "/jobs/report/evaluate", &[], "").await.json();
    assert_eq!(resumed["outcome"], "launched");
    let fired = server.json("POST", "/jobs/report/suspend", json!({})).await;
    assert_eq!(fired.status, 200);
    assert_eq!(
        server.call("POST", "/jobs/report/firings", &[], "").await.status,
        201,
        "firing by hand minds the brake only"
    );
}

#[tokio::test(start_paused = true)]
async fn events_are_numbered_named_and_end_with_the_server() {
    let server = Server::start().await;
    let request = Request::get("/events")
        .header("host", "localhost")
        .header("last-event-id", "7")
        .body(Body::empty())
        .unwrap();
    let response = server.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let reader = tokio::spawn(response.into_body().collect());
    server.json("POST", "/jobs", every_second()).await;
    seconds(3).await;
    server.json("POST", "/brake", json!({"reason": "enough"})).await;
    seconds(1).await;
    server.closing.cancel();
    let text = String::from_utf8(reader.await.unwrap().unwrap().to_bytes().to_vec()).unwrap();
    assert!(text.starts_with("event: refetch\nid: 1\n"), "{text}");
    for name in ["job", "decision", "firing", "brake"] {
        assert!(text.contains(&format!("event: {name}\n")), "{name} in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn health_and_metrics_show_events() {
    let server = with_job(every_second()).await;
    seconds(4).await;
    assert_eq!(server.get("/healthz").await.json(), json!({"status": "ok"}));
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["status"]), (200, &json!("ready")));
    let metrics = server.get("/metrics").await.text();
    let started = server.launcher.started();
    assert!(metrics.contains(&format!("ecs_scheduler_tasks_started_total {started}\n")), "{metrics}");
    assert!(metrics.contains("ecs_scheduler_jobs 1\n"), "{metrics}");
    assert!(metrics.contains("ecs_scheduler_http_requests_total{class=\"2xx\"} 3\n"), "{metrics}");
    server.closing.cancel();
    let stopping = server.get("/readyz").await;
    assert_eq!((stopping.status.as_u16(), stopping.header("retry-after")), (503, "5"));
    assert_eq!(stopping.json()["checks"][1]["ok"], false);
}

#[tokio::test(start_paused = true)]
async fn readiness_holds_while_aws_is_unreachable_and_lists_the_failing_dependency() {
    let server = with_job(every_second()).await;
    seconds(2).await;
    let ready = server.get("/readyz").await.json();
    assert_eq!(ready.get("dependencies"), None, "{ready}");
    let verbose = server.get("/readyz?verbose").await.json();
    assert!(
        verbose["dependencies"].as_array().unwrap().contains(&json!({"name": "launcher", "ok": true})),
        "{verbose}"
    );
    server.launcher.break_down();
    seconds(4).await;
    for path in ["/readyz", "/readyz?verbose"] {
        let ready = server.get(path).await;
        assert_eq!(
            (ready.status.as_u16(), &ready.json()["status"]),
            (200, &json!("ready")),
            "{}",
            ready.text()
        );
        let launcher = ready.json()["dependencies"][0].clone();
        assert_eq!((&launcher["name"], &launcher["ok"]), (&json!("launcher"), &json!(false)));
        assert!(launcher["detail"].as_str().unwrap().contains("could not reach ECS"), "{launcher}");
    }
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("ecs_scheduler_launcher_fault 1\n"), "{metrics}");
    server.store.close().await.unwrap();
    assert_eq!(server.get("/readyz").await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn plugins_are_listed_with_their_schemas() {
    let server = Server::start().await;
    let triggers = server.get("/triggers").await.json();
    let kinds: Vec<_> = triggers["triggers"].as_array().unwrap().iter().map(|kind| &kind["type"]).collect();
    assert!(kinds.contains(&&json!("cron")) && kinds.contains(&&json!("all")), "{triggers}");
    assert!(triggers["triggers"].as_array().unwrap().iter().all(|kind| kind["schema"].is_object()));
    assert_eq!(server.get("/launchers").await.json()["launchers"][0]["type"], "instant");
    assert_eq!(server.get("/stores").await.json()["stores"][0]["active"], true);
}
