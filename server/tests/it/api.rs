//! Jobs, conditions, idempotency and suspension over the whole server.

use std::sync::Arc;

use ecs_scheduler::api::Limits;
use ecs_scheduler_core::{MemoryStore, Registers as _, SharedStore as _, Store};
use serde_json::{Value, json};

use crate::harness::Server;

fn daily(id: &str) -> Value {
    json!({"taskDefinition": id, "schedule": "0 0 0"})
}

#[tokio::test(start_paused = true)]
async fn a_job_can_be_put_back_as_it_was_read() {
    let server = Server::start().await;
    let mut document = daily("report");
    document["scheduleStart"] = "2027-01-01T00:00:00+02:00".into();
    document["labels"] = json!({"team": "finance"});
    let created = server.json("POST", "/jobs", document).await;
    assert_eq!((created.status.as_u16(), created.header("location")), (201, "/jobs/report"));
    let shown = server.get("/jobs/report").await;
    let put = server.json("PUT", "/jobs/report", shown.json()).await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(server.get("/jobs/report").await.json(), shown.json());
}

#[tokio::test(start_paused = true)]
async fn the_tag_of_a_job_guards_its_edits() {
    let server = Server::start().await;
    let created = server.json("POST", "/jobs", daily("report")).await;
    let tag = server.get("/jobs/report").await.header("etag").to_owned();
    assert_eq!(created.header("etag"), tag, "the tag is that of the job as it is shown");
    let put = |tag: String| {
        let headers =
            [("content-type", "application/json"), ("if-match", &tag)].map(|(a, b)| (a, b.to_owned()));
        let server = &server;
        async move {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            server.call("PUT", "/jobs/report", &headers, r#"{"taskCount": 2}"#).await
        }
    };
    let first = put(tag.clone()).await;
    assert_eq!(first.status, 200);
    let stale = put(tag.clone()).await;
    assert_eq!((stale.status.as_u16(), stale.json()["type"].as_str()), (412, Some("/problems/stale")));
    assert_eq!(put(first.header("etag").to_owned()).await.status, 200);
    let removed = server.call("DELETE", "/jobs/report", &[("if-match", &tag)], "").await;
    assert_eq!(removed.status, 412);
    assert_eq!(server.call("DELETE", "/jobs/report", &[("if-match", "*")], "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_representation_that_the_client_has_is_answered_with_304() {
    let server = Server::start().await;
    server.json("POST", "/jobs", daily("report")).await;
    for path in ["/jobs", "/jobs/report", "/openapi.json", "/triggers", "/ui/style.css"] {
        let tag = server.get(path).await.header("etag").to_owned();
        let again = server.call("GET", path, &[("if-none-match", &tag)], "").await;
        assert_eq!(
            (again.status.as_u16(), again.body.len(), again.header("etag")),
            (304, 0, tag.as_str()),
            "{path}"
        );
    }
    let tag = server.get("/jobs/report").await.header("etag").to_owned();
    server.json("PUT", "/jobs/report", json!({"taskCount": 2})).await;
    assert_eq!(server.call("GET", "/jobs/report", &[("if-none-match", &tag)], "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn merge_patch_changes_members_of_an_object() {
    let server = Server::start().await;
    let mut document = daily("report");
    document["labels"] = json!({"team": "finance", "tier": "gold"});
    server.json("POST", "/jobs", document).await;
    let patch = json!({"labels": {"tier": null, "owner": "ann"}, "taskCount": 3});
    let headers = [("content-type", "application/merge-patch+json")];
    let patched = server.call("PATCH", "/jobs/report", &headers, patch.to_string()).await;
    assert_eq!(patched.status, 200, "{}", patched.text());
    let job = server.get("/jobs/report").await.json();
    assert_eq!((&job["labels"], &job["taskCount"]), (&json!({"team": "finance", "owner": "ann"}), &json!(3)));
}

#[tokio::test(start_paused = true)]
async fn a_repeated_creation_has_the_same_answer_and_makes_one_job() {
    let server = Server::start().await;
    let create = |key: &'static str, body: Value| {
        let server = &server;
        async move {
            let headers = [("content-type", "application/json"), ("idempotency-key", key)];
            server.call("POST", "/jobs", &headers, body.to_string()).await
        }
    };
    let first = create("k1", daily("report")).await;
    let again = create("k1", daily("report")).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!((&again.body, again.header("idempotent-replayed")), (&first.body, "true"));
    assert_eq!(
        (again.header("location"), again.header("etag")),
        (first.header("location"), first.header("etag"))
    );
    let other = create("k1", daily("other")).await;
    assert_eq!((other.status.as_u16(), other.json()["type"].as_str()), (422, Some("/problems/key-reused")));
    assert_eq!(create("k2", daily("report")).await.status, 409);
    assert_eq!(create("k2", daily("report")).await.header("idempotent-replayed"), "true");
    assert_eq!(create("with blank", daily("a")).await.status, 400);
    tokio::time::sleep(std::time::Duration::from_secs(24 * 3_600 + 1)).await;
    assert_eq!(create("k1", daily("other")).await.status, 201, "after a day the key is free again");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_longer_than_4_kib_under_an_idempotency_key_is_not_stored_and_is_the_same_each_time() {
    let server = Server::start().await;
    let mut document = daily("report");
    for number in 0..100 {
        document[format!("unknown-{number}")] = 1.into();
    }
    let headers = [("content-type", "application/json"), ("idempotency-key", "k1")];
    for attempt in ["first", "second"] {
        let refusal = server.call("POST", "/jobs", &headers, document.to_string()).await;
        assert_eq!(refusal.status, 400, "{attempt}");
        assert!(refusal.body.len() > 4 * 1024, "{attempt}: {} bytes", refusal.body.len());
        let errors = refusal.json()["errors"].as_array().unwrap().len();
        assert_eq!((errors, refusal.header("idempotent-replayed")), (100, ""), "{attempt}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_idempotency_keys_of_one_request_are_refused() {
    let server = Server::start().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")];
    let reply = server.call("POST", "/jobs", &headers, daily("report").to_string()).await;
    assert_eq!((reply.status.as_u16(), server.get("/jobs/report").await.status.as_u16()), (400, 404));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_begun_while_the_clock_was_ahead_can_be_claimed_again() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::over(Arc::clone(&store) as Arc<dyn Store>, Limits::default()).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k1")];
    let create = || server.call("POST", "/jobs", &headers, daily("report").to_string());
    assert_eq!(create().await.status, 201);
    // As after a crash before the response.
    let claim = async |begun: &str| {
        let (name, register) = store.registers("idempotency/").await.unwrap().remove(0);
        let mut record: Value = serde_json::from_str(&register.value).unwrap();
        (record["answer"], record["begun"]) = (Value::Null, begun.into());
        store.put_register(&name, &record.to_string(), Some(register.version), None).await.unwrap();
    };
    claim("2026-06-01T12:00:05Z").await;
    let pending = create().await;
    assert_eq!((pending.status.as_u16(), &pending.json()["type"]), (409, &json!("/problems/key-pending")));
    claim("2036-06-01T12:00:00Z").await;
    assert_eq!(create().await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_suspension_has_a_reason_an_end_and_no_next_run() {
    let server = Server::start().await;
    server.json("POST", "/jobs", daily("report")).await;
    let until = json!({"reason": "migration", "until": "2026-06-04T06:00:00Z"});
    let suspended = server.json("POST", "/jobs/report/suspend", until).await.json();
    assert_eq!(suspended["suspended"], true);
    assert_eq!(suspended["suspension"]["reason"], "migration");
    assert_eq!(suspended["estimatedNextRun"], "2026-06-05T00:00:00+00:00", "the first tick after its end");
    let forever = server.call("POST", "/jobs/report/suspend", &[], "").await.json();
    assert_eq!(forever.get("estimatedNextRun"), None);
    let resumed = server.call("POST", "/jobs/report/resume", &[], "").await.json();
    assert_eq!((&resumed["suspended"], resumed.get("suspension")), (&json!(false), None));
    assert_eq!(resumed["estimatedNextRun"], "2026-06-02T00:00:00+00:00");
    for until in ["soon", "2020-01-01T00:00:00Z", "2026-06-01T00:00:00Z"] {
        let wrong = server.json("POST", "/jobs/report/suspend", json!({"until": until})).await;
        assert_eq!((wrong.status.as_u16(), &wrong.json()["errors"][0]["pointer"]), (400, &json!("/until")));
    }
    let job = server.call("GET", "/jobs/report", &[], "").await.json();
    assert_eq!(job["suspended"], false, "a refused suspension changes nothing");
}

#[tokio::test]
async fn a_schedule_with_a_question_mark_gives_the_remedy_for_the_line_as_written() {
    let server = Server::start().await;
    let create = async |id: &str, line: &str| {
        let job = json!({"id": id, "taskDefinition": "work", "schedule": line});
        server.json("POST", "/jobs", job).await
    };
    let refused = create("q1", "0 9 ? * MON-FRI").await;
    assert!(
        refused.status == 400 && refused.text().contains("write `cron(0 9 * * MON-FRI)`"),
        "{}",
        refused.text()
    );
    let accepted = create("q1", "0 9 ? * 1-5").await;
    assert_eq!(accepted.status, 201, "{}", accepted.text());
    let warnings = accepted.json()["warnings"].to_string();
    assert!(warnings.contains("write `cron(0 9 * * 1-5)`"), "{warnings}");
    let stored = server.get("/jobs/q1").await.json();
    assert!(!stored["schedule"].as_str().unwrap().contains('?'), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn a_preview_lists_ticks_in_the_zone_and_warns() {
    let server = Server::start().await;
    let asked = json!({
        "schedule": "0 30 2", "timezone": "Europe/Berlin", "after": "2027-03-27T12:00:00Z", "count": 2,
    });
    let preview = server.json("POST", "/schedules/preview", asked).await.json();
    assert_eq!(preview["next"], json!(["2027-03-28T03:30:00+02:00", "2027-03-29T02:30:00+02:00"]));
    assert!(preview["description"].as_str().unwrap().contains("Europe/Berlin"), "{preview}");
    assert!(!preview["warnings"].as_array().unwrap().is_empty(), "the gap that night: {preview}");
    let odd = server.json("POST", "/schedules/preview", json!({"schedule": "* */5"})).await.json();
    assert!(odd["warnings"][0].as_str().unwrap().contains("0 */5"), "{odd}");
    for (id, of_no_job) in [(json!({}), true), (json!({"id": "report"}), false)] {
        let mut asked = json!({"schedule": "? ? 4"});
        asked.as_object_mut().unwrap().extend(id.as_object().unwrap().clone());
        let text = server.json("POST", "/schedules/preview", asked).await.json()["warnings"].to_string();
        assert_eq!(text.contains("for a job named") && text.contains("`id`"), of_no_job, "{text}");
    }
    server.json("POST", "/jobs", daily("report")).await;
    let next = server.get("/jobs/report/next?count=1&after=2026-12-31T00:00:00Z").await.json();
    assert_eq!(next["next"], json!(["2027-01-01T00:00:00+00:00"]));
    assert_eq!(server.get("/jobs/report/next?count=0").await.status, 400);
    assert_eq!(server.get("/jobs/other/next").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn five_fields_fire_on_the_days_of_a_crontab_and_six_on_those_of_eventbridge() {
    let server = Server::start().await;
    let preview = async |schedule: &str| {
        let asked = json!({"schedule": schedule, "after": "2027-01-01T00:00:00Z", "count": 2});
        server.json("POST", "/schedules/preview", asked).await.json()
    };
    // 1 January 2027 is a Friday.
    let five = preview("cron(0 9 * * 1-5)").await;
    assert_eq!(five["next"], json!(["2027-01-01T09:00:00+00:00", "2027-01-04T09:00:00+00:00"]));
    assert_eq!(five["description"], "At 09:00 on Monday to Friday, UTC");
    assert_eq!(five["warnings"], json!([]));
    for sunday in ["cron(0 9 * * 0)", "cron(0 9 * * 7)", "cron(0 9 ? * 1 *)"] {
        assert_eq!(preview(sunday).await["next"][0], "2027-01-03T09:00:00+00:00", "{sunday}");
    }
    let six = preview("cron(0 9 ? * 2-6 *)").await;
    assert_eq!(six["next"], five["next"]);
    assert!(six["warnings"][0].as_str().unwrap().contains("`2-6` is Monday to Friday"), "{six}");
}

#[tokio::test(start_paused = true)]
async fn a_written_job_is_answered_with_warnings_only_where_there_are_some() {
    let server = Server::start().await;
    let plain = server.json("POST", "/jobs", daily("plain")).await.json();
    assert_eq!(plain.get("warnings"), None);
    let job = json!({"id": "often", "taskDefinition": "report", "schedule": "0", "jitter": "5m"});
    let created = server.json("POST", "/jobs", &job).await;
    assert_eq!(created.status, 201);
    let warning = created.json()["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.starts_with("jitter 5m is longer than the 1m from "), "{warning}");
    let shorter = server.json("PUT", "/jobs/often", json!({"jitter": "1m"})).await.json();
    assert_eq!(shorter.get("warnings"), None, "{shorter}");
    let line = server.json("PATCH", "/jobs/often", json!({"schedule": "*/5 * * * 1"})).await.json();
    let warning = line["warnings"][0].as_str().unwrap();
    assert!(warning.ends_with("for Unix cron write `cron(*/5 * * * 1)`"), "{line}");
    let asked = json!({"schedule": "rate(30 seconds)", "jitter": "45s"});
    let preview = server.json("POST", "/schedules/preview", asked).await.json();
    assert!(
        preview["warnings"][0].as_str().unwrap().contains("jitter 45s is longer than the 30s"),
        "{preview}"
    );
    let refused = server.json("POST", "/schedules/preview", json!({"schedule": "0 0 12 * * ?"})).await;
    let refused = refused.json();
    let recorded = r#"Invalid schedule syntax: Unrecognized expression "?" for field "day""#;
    assert_eq!(refused["messages"]["parsedSchedule"], json!([recorded]), "the Python version's words");
    assert!(refused["detail"].as_str().unwrap().contains("write `cron(0 12 * * ? *)`"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_preview_resolves_question_marks_by_the_job_that_it_names() {
    let server = Server::start().await;
    let preview = async |asked: Value| server.json("POST", "/schedules/preview", asked).await.json();
    let job = json!({"id": "nightly", "taskDefinition": "report", "schedule": "? ? 4"});
    server.json("POST", "/jobs", &job).await;
    let stored = server.get("/jobs/nightly").await.json();
    let named = preview(json!({"schedule": "? ? 4", "id": "nightly"})).await;
    assert_eq!(named["schedule"], stored["schedule"]);
    assert_ne!(preview(json!({"schedule": "? ? 4"})).await["schedule"], stored["schedule"]);
    let wrong = server.json("POST", "/schedules/preview", json!({"schedule": "0", "id": "not a name"})).await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test(start_paused = true)]
async fn browsers_get_a_page_and_programs_get_links() {
    let server = Server::start().await;
    let page = server.call("GET", "/", &[("accept", "text/html,*/*;q=0.8")], "").await;
    assert!(page.header("content-type").starts_with("text/html") && page.text().contains("/ui/script.js"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(page.header("vary"), "accept");
    let links = server.call("GET", "/", &[("accept", "*/*")], "").await;
    assert_eq!(links.json()["resources"][0]["link"]["href"], "/jobs");
    for (path, media) in
        [("/ui/script.js", "text/javascript"), ("/docs/", "text/html"), ("/spec", "application/json")]
    {
        let reply = server.get(path).await;
        assert!(reply.status == 200 && reply.header("content-type").starts_with(media), "{path}");
    }
}
