//! Backfills over the whole server: each answer, each refusal, and real tasks.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler::api::Limits;
use ecs_scheduler_backend_local::{LocalLauncher, LocalOptions};
use ecs_scheduler_core::{MemoryStore, Registers as _, SharedStore as _, Store};
use serde_json::{Value, json};

use crate::harness::Server;

fn hourly(more: &Value) -> Value {
    let mut job = json!({"id": "report", "taskDefinition": "report", "schedule": "0 0 *"});
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

async fn serve(more: &Value) -> Server {
    let server = Server::start().await;
    let created = server.json("POST", "/jobs", hourly(more)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    server
}

fn range(from: &str, to: &str) -> Value {
    json!({"from": format!("2026-05-01T{from}:00:00Z"), "to": format!("2026-05-01T{to}:00:00Z")})
}

#[tokio::test(start_paused = true)]
async fn a_backfill_is_started_shown_and_stopped() {
    let server = serve(&json!({})).await;
    assert_eq!(server.get("/jobs/report/backfill").await.status, 404);
    assert_eq!(server.json("DELETE", "/jobs/report/backfill", "").await.status, 404);
    let mut body = range("00", "03");
    (body["reason"], body["actor"]) = (json!("lost input"), json!("ada"));
    let started = server.json("POST", "/jobs/report/backfill", &body).await;
    assert_eq!((started.status.as_u16(), started.header("location")), (201, "/jobs/report/backfill"));
    let view = started.json();
    assert_eq!(
        (&view["state"], &view["total"], &view["remaining"]),
        (&json!("running"), &json!(3), &json!(3))
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    let view = server.get("/jobs/report/backfill").await.json();
    assert_eq!(view["unfinished"][0]["tick"], "2026-05-01T00:00:00Z");
    assert_eq!((&view["nextTick"], &view["reason"]), (&json!("2026-05-01T01:00:00Z"), &json!("lost input")));
    assert_eq!((&view["actor"], view["done"]["succeeded"].as_u64()), (&json!("ada"), Some(0)));
    let firing =
        server.get(&format!("/firings/{}", view["unfinished"][0]["firing"].as_str().unwrap())).await.json();
    assert_eq!((&firing["origin"], &firing["nominal"]), (&json!("backfill"), &json!("2026-05-01T00:00:00Z")));
    assert_eq!(server.launcher.started(), 1);

    let again = server.json("POST", "/jobs/report/backfill", &body).await;
    assert_eq!((again.status.as_u16(), &again.json()["type"]), (409, &json!("/problems/under-way")));
    assert!(again.text().contains("0 of 3 ticks are done, 1 firings are unfinished"), "{}", again.text());

    let stopped = server.json("DELETE", "/jobs/report/backfill", "").await;
    assert_eq!((stopped.status.as_u16(), &stopped.json()["state"]), (200, &json!("stopped")));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let view = server.get("/jobs/report/backfill").await.json();
    assert_eq!((&view["remaining"], view["unfinished"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(view.get("nextTick"), None);
    assert_eq!(server.launcher.started(), 1, "no further firing begins, and the task goes on");
    assert_eq!(
        server.json("DELETE", "/jobs/report/backfill", "").await.status,
        200,
        "a second stop has no effect"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_each_tick_and_starts_nothing() {
    let server = serve(&json!({"taskCount": 2})).await;
    let mut body = range("00", "03");
    body["dryRun"] = json!(true);
    let shown = server.json("POST", "/jobs/report/backfill", &body).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    let preview = shown.json();
    assert_eq!((&preview["total"], &preview["tasks"], preview.get("waiting")), (&json!(3), &json!(6), None));
    let first = json!({
        "tick": "2026-05-01T00:00:00Z", "outcome": "launched", "tasks": 2,
        "explanation": "backfill of 2026-05-01T00:00:00Z: due, taskCount → 2",
    });
    assert_eq!(preview["ticks"][0], first);
    server.json("POST", "/brake", json!({"reason": "incident"})).await;
    let preview = server.json("POST", "/jobs/report/backfill", &body).await.json();
    assert_eq!((&preview["waiting"], &preview["tasks"]), (&json!("the brake is on: incident"), &json!(6)));
    assert_eq!(
        (server.launcher.started(), server.get("/jobs/report/backfill").await.status.as_u16()),
        (0, 404)
    );
    assert_eq!(server.get("/jobs/report/decisions").await.json()["decisions"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn each_refusal_names_the_field_and_the_remedy_and_changes_nothing() {
    let server = serve(&json!({})).await;
    let queue = json!({"trigger": {"type": "sqs", "queueName": "orders"}, "id": "queue"});
    assert_eq!(server.json("POST", "/jobs", hourly(&queue)).await.status, 201);
    let guarded = json!({"id": "guarded", "trigger": {"type": "all", "of": [queue["trigger"].clone()]}});
    assert_eq!(server.json("POST", "/jobs", hourly(&guarded)).await.status, 201);
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    let hours = || range("00", "03");
    let long = "x".repeat(1_025);
    let moments = |from: &str, to: &str| json!({"from": from, "to": to});
    let cases = [
        ("report", json!({"to": "2026-05-01T00:00:00Z"}), "/from", "Missing data"),
        ("report", json!({"from": "2026-05-01T00:00:00Z"}), "/to", "Missing data"),
        ("report", moments("yesterday", "2026-05-01T00:00:00Z"), "/from", "Not a valid datetime"),
        ("report", moments("1960-01-01T00:00:00Z", "2026-05-01T00:00:00Z"), "/from", "Before 1970"),
        ("report", moments("2026-05-01T00:00:00Z", "2026-06-02T00:00:00Z"), "/to", "Later than now"),
        ("report", range("03", "03"), "/to", "Must be later than `from`"),
        (
            "report",
            moments("2026-05-01T00:00:00Z", "2026-05-11T00:00:00Z"),
            "/max",
            "has 240 ticks, and 100 are allowed",
        ),
        ("report", with(hours(), "max", json!(2)), "/max", "has 3 ticks, and 2 are allowed"),
        ("report", with(hours(), "max", json!(10_001)), "/max", "between 1 and 10000"),
        ("report", with(hours(), "max", json!(0)), "/max", "between 1"),
        ("report", with(hours(), "overlap", json!(101)), "/overlap", "between 1 and 100"),
        ("report", with(hours(), "overlap", json!("all")), "/overlap", "whole number between 1 and 100"),
        ("report", with(hours(), "reason", json!(long)), "/reason", "Longer than maximum length"),
        ("report", with(hours(), "actor", json!("a\u{7}")), "/actor", "control character"),
        ("report", with(hours(), "dryrun", json!(true)), "/dryrun", "dryRun"),
        ("queue", hours(), "", "trigger \"sqs\" measures the present"),
        ("guarded", hours(), "", "trigger \"all\" measures the present"),
    ];
    for (job, body, pointer, part) in cases {
        let refused = server.json("POST", &format!("/jobs/{job}/backfill"), &body).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.text());
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{body}: {}", refused.text());
        assert!(refused.json()["detail"].as_str().unwrap().contains(part), "{body}: {}", refused.text());
        assert_eq!(server.get(&format!("/jobs/{job}/backfill")).await.status, 404);
    }
    assert_eq!(server.json("POST", "/jobs/none/backfill", hours()).await.status, 404);
    assert_eq!(server.json("DELETE", "/jobs/none/backfill", "").await.status, 404);
    assert_eq!(server.call("POST", "/jobs/report/backfill", &[], "").await.status, 415, "a body is needed");
}

#[tokio::test(start_paused = true)]
async fn every_wrong_field_of_a_request_is_named_with_its_own_bound() {
    let server = serve(&json!({})).await;
    let body = json!({
        "from": 5, "max": 0, "overlap": 101, "dryRun": "yes", "reason": 1, "actor": "a\u{7}", "until": "now",
    });
    let refused = server.json("POST", "/jobs/report/backfill", body).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let refused = refused.json();
    let errors = refused["errors"].as_array().unwrap().iter();
    let errors: Vec<(&str, &str)> = errors
        .map(|error| (error["pointer"].as_str().unwrap(), error["message"].as_str().unwrap()))
        .collect();
    let pointers: Vec<&str> = errors.iter().map(|(pointer, _)| *pointer).collect();
    assert_eq!(pointers, ["/until", "/from", "/to", "/max", "/overlap", "/reason", "/actor", "/dryRun"]);
    assert_eq!(errors[3].1, "Must be a whole number between 1 and 10000.");
    assert_eq!(errors[4].1, "Must be a whole number between 1 and 100.");
    assert_eq!(refused["messages"]["to"], json!(["Missing data for required field."]));
    let mut body = range("03", "01");
    (body["max"], body["overlap"]) = (json!(4_294_967_296_u64), json!(1.5));
    let refused = server.json("POST", "/jobs/report/backfill", body).await.json();
    let pointers: Vec<_> =
        refused["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(pointers, ["/max", "/overlap", "/to"], "{refused}");
}

/// Sends a request with an idempotency key.
async fn keyed(server: &Server, key: &str, body: &Value) -> crate::harness::Reply {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    server.call("POST", "/jobs/report/backfill", &headers, body.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_with_the_same_key_starts_one_backfill() {
    let server = serve(&json!({})).await;
    let mut dry = range("00", "03");
    dry["dryRun"] = json!(true);
    assert_eq!(keyed(&server, "k1", &dry).await.status, 200);
    let first = keyed(&server, "k1", &range("00", "03")).await;
    assert_eq!((first.status.as_u16(), first.header("idempotent-replayed")), (201, ""), "{}", first.text());
    let again = keyed(&server, "k1", &range("00", "03")).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (201, "true"));
    assert_eq!((&again.body, again.header("location")), (&first.body, "/jobs/report/backfill"));
    assert_eq!(keyed(&server, "k1", &range("00", "02")).await.status, 422, "the key is of another request");
    assert_eq!(keyed(&server, "k2", &range("00", "03")).await.status, 409, "another one is under way");
    assert_eq!(server.json("DELETE", "/jobs/report/backfill", "").await.status, 200);
    end_tasks(&server).await;
    let second = keyed(&server, "k2", &range("00", "03")).await;
    assert_eq!(second.status, 201, "a refusal that may pass is not stored: {}", second.text());
    assert_ne!(second.json()["id"], first.json()["id"]);
}

/// Ends all tasks, and waits until the backfill has ended.
async fn end_tasks(server: &Server) {
    while server.get("/jobs/report/backfill").await.json().get("ended").is_none() {
        server.launcher.end_all();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_answer_was_not_stored_finds_its_backfill_or_says_that_another_one_followed() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::over(Arc::clone(&store) as Arc<dyn Store>, Limits::default()).await;
    assert_eq!(server.json("POST", "/jobs", hourly(&json!({}))).await.status, 201);
    let first = keyed(&server, "k1", &range("00", "01")).await;
    assert_eq!(first.status, 201);
    // As after a crash before the answer was stored.
    let forget = async || {
        let (name, register) = store.registers("idempotency/").await.unwrap().remove(0);
        let mut record: Value = serde_json::from_str(&register.value).unwrap();
        (record["answer"], record["begun"]) = (Value::Null, json!("2026-01-01T00:00:00Z"));
        let until = record["until"].as_str().unwrap().parse().unwrap();
        store.put_register(&name, &record.to_string(), Some(register.version), Some(until)).await.unwrap();
    };
    forget().await;
    let found = keyed(&server, "k1", &range("00", "01")).await;
    assert_eq!((found.status.as_u16(), &found.json()["id"]), (201, &first.json()["id"]));
    tokio::time::sleep(Duration::from_secs(5)).await;
    end_tasks(&server).await;
    forget().await;
    let ended = keyed(&server, "k1", &range("00", "01")).await;
    assert_eq!((ended.status.as_u16(), &ended.json()["id"]), (201, &first.json()["id"]));
    assert_eq!(server.launcher.started(), 1, "no tick fires twice");
    let other = server.json("POST", "/jobs/report/backfill", range("01", "02")).await;
    assert_eq!(other.status, 201);
    forget().await;
    let unclear = keyed(&server, "k1", &range("00", "01")).await;
    assert_eq!(unclear.status, 409);
    assert!(unclear.text().contains("has had another backfill since"), "{}", unclear.text());
}

#[tokio::test(start_paused = true)]
async fn a_refused_launch_is_shown_with_its_reason_and_makes_the_job_fail() {
    let server = serve(&json!({"taskDefinition": "no-such-task"})).await;
    assert_eq!(server.json("POST", "/jobs/report/backfill", range("00", "02")).await.status, 201);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let view = server.get("/jobs/report/backfill").await.json();
    assert_eq!((&view["state"], &view["done"]["notLaunched"]), (&json!("finished"), &json!(2)), "{view}");
    let failure = &view["lastFailure"];
    assert_eq!(failure["tick"], "2026-05-01T01:00:00Z");
    assert!(failure["reason"].as_str().unwrap().contains("\"no-such-task\" does not exist"), "{failure}");
    let firing = server.get(&format!("/firings/{}", failure["firing"].as_str().unwrap())).await.json();
    assert_eq!(firing["nominal"], failure["tick"]);
    let job = server.get("/jobs/report").await.json();
    assert_eq!((&job["state"], &job["failing"]["ticks"]), (&json!("failing"), &json!(2)), "{job}");
    assert_eq!(server.get("/jobs?state=failing").await.json()["jobs"][0]["id"], "report");
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_trigger_brings_its_ticks_is_backfilled_by_them() {
    let trigger = json!({"type": "cron", "expression": "0 */6 * * *"});
    let server = Server::start().await;
    let job = json!({"id": "report", "taskDefinition": "report", "trigger": trigger});
    assert_eq!(server.json("POST", "/jobs", job).await.status, 201);
    let body = json!({"from": "2026-05-01T00:00:00Z", "to": "2026-05-02T00:00:00Z", "dryRun": true});
    let preview = server.json("POST", "/jobs/report/backfill", body).await.json();
    assert_eq!((&preview["total"], &preview["tasks"]), (&json!(4), &json!(4)), "{preview}");
}

#[tokio::test]
async fn real_tasks_of_a_backfill_get_their_ticks_one_after_the_other() {
    let root = tempfile::tempdir().unwrap();
    let log = root.path().join("log.txt");
    // A second task at the same time would find the folder.
    let command = r#"mkdir "$LOCK" || exit 1; echo "$ECSS_SCHEDULED_AT" >> "$LOG"; rmdir "$LOCK""#;
    let definition = json!({"family": "work", "containerDefinitions": [{"name": "main", "command": ["sh", "-c", command]}]});
    std::fs::write(root.path().join("work.json"), definition.to_string()).unwrap();
    let options = LocalOptions::new(root.path(), root.path().join("data"));
    let server = Server::on(Arc::new(LocalLauncher::open(options).await.unwrap())).await;
    let environment = json!({"LOG": log, "LOCK": root.path().join("lock")});
    let overrides = json!([{"containerName": "main", "environment": environment}]);
    let job = json!({"id": "work", "taskDefinition": "work", "schedule": "0 0 *", "overrides": overrides});
    assert_eq!(server.json("POST", "/jobs", job).await.status, 201);
    assert_eq!(server.json("POST", "/jobs/work/backfill", range("00", "04")).await.status, 201);
    let ending = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            let view = server.get("/jobs/work/backfill").await.json();
            if view["state"] == "finished" {
                return view;
            }
        }
    };
    let view = tokio::time::timeout(Duration::from_secs(120), ending).await.unwrap();
    assert_eq!(view["done"]["succeeded"], 4, "{view}");
    let written = std::fs::read_to_string(log).unwrap();
    let expected: String = (0..4).map(|hour| format!("2026-05-01T{hour:02}:00:00Z\n")).collect();
    assert_eq!(written, expected);
    let firings = server.get("/jobs/work/firings").await.json();
    let origins: Vec<&Value> =
        firings["firings"].as_array().unwrap().iter().map(|firing| &firing["origin"]).collect();
    assert_eq!(origins, [&json!("backfill"); 4]);
}
