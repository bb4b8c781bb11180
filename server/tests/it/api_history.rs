//! Decisions, firings, the brake, evaluations, live events and health, over a running engine.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use ecs_scheduler::api::Limits;
use ecs_scheduler_core::{
    DecisionId, DecisionRecord, FiringState, ImportBatch, JobUid, JournalEntry, MemoryStore, Registers as _,
    SharedStore as _, Store, StoredJob, TaskId, TaskPhase, TaskState, TickOutcome, Timestamp,
};
use ecs_scheduler_testing::sample;
use http_body_util::BodyExt;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::harness::{BEGIN, Server};

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
async fn history_of_a_removed_job_that_ends_before_a_range_is_empty_and_not_unknown() {
    let server = with_job(every_second()).await;
    seconds(5).await;
    assert_eq!(server.call("DELETE", "/jobs/tick", &[], "").await.status, 200);
    seconds(3 * 3_600).await;
    let from = BEGIN.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(3);
    for list in ["decisions", "firings"] {
        let empty = server.get(&format!("/jobs/tick/{list}?from={from}")).await;
        assert_eq!((empty.status.as_u16(), &empty.json()[list]), (200, &json!([])), "{}", empty.text());
        assert_eq!(server.get(&format!("/jobs/unknown/{list}?from={from}")).await.status, 404);
    }
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

/// Returns the tick that is `index` seconds before the begin of the tests.
fn tick(index: i64) -> Timestamp {
    BEGIN.parse::<Timestamp>().unwrap() - SignedDuration::from_secs(index)
}

/// Imports finished firings of a job, one for each of the newest ticks. Those with these indexes failed.
async fn import_firings(server: &Server, job: &str, count: i64, failed: &[i64]) {
    import_at(server, job, (0..count).rev(), failed).await;
}

/// Imports finished firings of a job, decided at these ticks in this order. Those with these indexes failed.
async fn import_at(server: &Server, job: &str, indexes: impl Iterator<Item = i64>, failed: &[i64]) {
    let uid = JobUid::random();
    let entry = |index| {
        let mut task = TaskState::new(TaskId::new(format!("{job}-{index}")), None, TaskPhase::Stopped);
        task.exit_code = Some(i32::from(failed.contains(&index)));
        let mut firing = sample::firing(&sample::name(job), uid, tick(index));
        (firing.state, firing.tasks) = (FiringState::Finished, vec![task]);
        let (id, draft) = (Some(firing.id.clone()), sample::draft(TickOutcome::Launched, tick(index)));
        let record =
            DecisionRecord { id: DecisionId::default(), job: firing.job.clone(), uid, draft, firing: id };
        JournalEntry { record, firing: Some(firing) }
    };
    for batch in indexes.map(entry).collect::<Vec<_>>().chunks(1_000) {
        server.store.import(ImportBatch::History(batch.to_vec())).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn firings_are_filtered_by_outcome_and_a_page_reads_a_bounded_part_of_the_history() {
    let server = with_job(json!({"id": "often", "taskDefinition": "tick", "schedule": "0 0 0"})).await;
    import_firings(&server, "rare", 2_300, &[0, 7, 2_299]).await;
    import_firings(&server, "often", 30, &[29]).await;
    let (mut path, mut pages, mut seen) =
        ("/firings?outcome=failed&limit=2".to_owned(), Vec::new(), Vec::new());
    loop {
        let page = server.get(&path).await.json();
        let firings = page["firings"].as_array().unwrap().clone();
        assert!(firings.iter().all(|firing| firing["outcome"] == "failed"), "{page}");
        pages.push(firings.len());
        seen.extend(firings.iter().map(|firing| (firing["job"].clone(), firing["nominal"].clone())));
        let Some(next) = page["next"].as_str() else { break };
        path = next.to_owned();
    }
    let expected = [("often", 29), ("rare", 0), ("rare", 7), ("rare", 2_299)];
    assert_eq!(seen, expected.map(|(job, index)| (json!(job), json!(tick(index).to_string()))));
    assert_eq!(pages, [2, 1, 0, 1], "a page reads at most 1,000 firings");
    let of_job = server.get("/jobs/often/firings?outcome=succeeded").await.json();
    assert_eq!((of_job["firings"].as_array().unwrap().len(), of_job.get("next")), (29, None), "{of_job}");
    for (query, expected) in
        [("state=launched&outcome=failed", 0), ("state=finished&outcome=failed", 1), ("outcome=stopped", 0)]
    {
        let found = server.get(&format!("/jobs/often/firings?{query}")).await.json();
        assert_eq!(found["firings"].as_array().unwrap().len(), expected, "{query}: {found}");
    }
    let unknown = server.get("/firings?outcome=fine").await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.text().contains("succeeded, failed, stopped"), "{}", unknown.text());
}

/// Reads a list page by page; returns the entries' jobs and ticks, and the numbers of entries of the pages.
async fn pages(server: &Server, path: &str, name: &str) -> (Vec<(String, String)>, Vec<usize>) {
    let (mut path, mut seen, mut sizes) = (path.to_owned(), Vec::new(), Vec::new());
    loop {
        let page = server.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.json();
        let entries = page[name].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        seen.extend(entries.iter().map(|entry| (text(&entry["job"]), text(&entry["nominal"]))));
        sizes.push(entries.len());
        let Some(next) = page["next"].as_str() else { return (seen, sizes) };
        path = next.to_owned();
    }
}

fn ticks(job: &str, indexes: &[i64]) -> Vec<(String, String)> {
    indexes.iter().map(|index| (job.to_owned(), tick(*index).to_string())).collect()
}

#[tokio::test(start_paused = true)]
async fn time_range_finds_every_entry_although_the_clock_was_stepped_back() {
    let server = with_job(json!({"id": "idle", "taskDefinition": "tick", "schedule": "0 0 0"})).await;
    // The clock is stepped back by a minute, and forward again.
    import_at(&server, "stepped", [100, 99, 98, 160, 159, 158, 40, 39].into_iter(), &[98]).await;
    let range = format!("from={}&to={}", tick(99), tick(39));
    for name in ["firings", "decisions"] {
        for place in [format!("/{name}"), format!("/jobs/stepped/{name}")] {
            let (seen, _) = pages(&server, &format!("{place}?{range}&limit=1"), name).await;
            assert_eq!(seen, ticks("stepped", &[40, 98, 99]), "{place}");
        }
    }
    let (seen, _) = pages(&server, &format!("/firings?{range}&outcome=failed"), "firings").await;
    assert_eq!(seen, ticks("stepped", &[98]));
    let (seen, _) = pages(&server, &format!("/firings?to={}", tick(158)), "firings").await;
    assert_eq!(seen, ticks("stepped", &[159, 160]));
    let (seen, _) = pages(&server, &format!("/decisions?{range}&outcome=idle"), "decisions").await;
    assert!(seen.is_empty(), "{seen:?}");
    for query in ["from=yesterday", "from=2027-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "label=", "form=x"] {
        assert_eq!(server.get(&format!("/decisions?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn range_of_time_is_found_at_once_however_old_it_is() {
    let server = with_job(json!({"id": "idle", "taskDefinition": "tick", "schedule": "0 0 0"})).await;
    // Every ten minutes, for three weeks.
    import_at(&server, "often", (0..3_000).rev().map(|index| 600 * index), &[600 * 2_990]).await;
    let range = format!("from={}&to={}", tick(600 * 2_990), tick(600 * 2_988));
    for name in ["firings", "decisions"] {
        let expected = ticks("often", &[600 * 2_989, 600 * 2_990]);
        assert_eq!(pages(&server, &format!("/{name}?{range}"), name).await, (expected, vec![2]));
        let of_job = format!("/jobs/often/{name}?{range}");
        let (seen, sizes) = pages(&server, &of_job, name).await;
        assert_eq!((seen, sizes), (ticks("often", &[600 * 2_989, 600 * 2_990]), vec![0, 0, 2]), "{of_job}");
        // A list with a begin ends there, although the history goes on.
        let (seen, sizes) = pages(&server, &format!("/jobs/often/{name}?from={}", tick(1_200)), name).await;
        assert_eq!((seen, sizes), (ticks("often", &[0, 600, 1_200]), vec![3]));
    }
    let failed = pages(&server, &format!("/firings?{range}&outcome=failed"), "firings").await;
    assert_eq!(failed, (ticks("often", &[600 * 2_990]), vec![1]));
    let launched = pages(&server, &format!("/decisions?{range}&outcome=launched&limit=1"), "decisions").await;
    assert_eq!(launched, (ticks("often", &[600 * 2_989, 600 * 2_990]), vec![1, 1, 0]));
    assert!(pages(&server, &format!("/firings?to={}", tick(600 * 3_000)), "firings").await.0.is_empty());
}

#[tokio::test(start_paused = true)]
async fn rare_state_of_one_job_reads_a_bounded_part_of_its_firings() {
    let server = with_job(json!({"id": "idle", "taskDefinition": "tick", "schedule": "0 0 0"})).await;
    import_firings(&server, "busy", 2_300, &[]).await;
    let (seen, sizes) = pages(&server, "/jobs/busy/firings?state=refused", "firings").await;
    assert_eq!((seen.len(), sizes), (0, vec![0, 0, 0]));
    let (seen, _) = pages(&server, "/jobs/busy/firings?state=finished&limit=1000", "firings").await;
    assert_eq!(seen.len(), 2_300);
}

#[tokio::test(start_paused = true)]
async fn decision_about_many_ticks_is_in_every_range_that_meets_them() {
    let server = with_job(json!({"id": "idle", "taskDefinition": "tick", "schedule": "0 0 0"})).await;
    let mut draft = sample::draft(TickOutcome::Idle, tick(50));
    (draft.span.first, draft.span.count) = (tick(200), 151);
    let job = sample::name("folded");
    let record =
        DecisionRecord { id: DecisionId::default(), job, uid: JobUid::random(), draft, firing: None };
    let entry = JournalEntry { record, firing: None };
    server.store.import(ImportBatch::History(vec![entry])).await.unwrap();
    for (from, to, expected) in [(300, 200, 0), (300, 199, 1), (150, 100, 1), (50, 10, 1), (49, 10, 0)] {
        let range = format!("/decisions?from={}&to={}", tick(from), tick(to));
        assert_eq!(pages(&server, &range, "decisions").await.0.len(), expected, "{from} {to}");
    }
}

#[tokio::test(start_paused = true)]
async fn history_is_filtered_by_a_label_and_a_page_reads_a_bounded_part() {
    let labels = json!({"team": "data", "stage": "prod"});
    let server =
        with_job(json!({"id": "often", "taskDefinition": "tick", "schedule": "0 0 0", "labels": labels}))
            .await;
    import_firings(&server, "often", 2, &[]).await;
    import_firings(&server, "removed", 2_300, &[]).await;
    import_firings(&server, "often", 1, &[]).await;
    for name in ["firings", "decisions"] {
        for label in ["team", "team=data", "stage=prod"] {
            let path = format!("/{name}?label={label}&limit=1000");
            let (seen, sizes) = pages(&server, &path, name).await;
            assert_eq!(seen, ticks("often", &[0, 0, 1]), "{path}");
            assert_eq!(sizes, [1, 0, 2], "a page reads at most 1,000 entries");
        }
        assert!(pages(&server, &format!("/{name}?label=team=web"), name).await.0.is_empty());
        let (seen, _) = pages(&server, &format!("/jobs/often/{name}?label=team"), name).await;
        assert_eq!(seen.len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn rare_outcome_of_one_job_reads_a_bounded_part_of_its_history() {
    let server = with_job(json!({"id": "idle", "taskDefinition": "tick", "schedule": "0 0 0"})).await;
    import_firings(&server, "busy", 2_300, &[]).await;
    let (seen, sizes) = pages(&server, "/jobs/busy/decisions?outcome=idle", "decisions").await;
    assert_eq!((seen.len(), sizes), (0, vec![0, 0, 0]));
    let (seen, _) = pages(&server, "/jobs/busy/decisions?outcome=launched&limit=1000", "decisions").await;
    assert_eq!(seen.len(), 2_300);
}

#[tokio::test(start_paused = true)]
async fn jobs_are_filtered_by_state_and_a_page_reads_a_bounded_part_of_the_list() {
    let server = with_job(json!({"id": "good", "taskDefinition": "tick", "schedule": "0 *"})).await;
    let suspended = |number| {
        let text = r#"{"taskDefinition": "tick", "schedule": "0 *", "suspended": true}"#;
        StoredJob::from(sample::new_job(&format!("suspended-{number}"), text))
    };
    for batch in (0..10_000).map(suspended).collect::<Vec<_>>().chunks(1_000) {
        server.store.import(ImportBatch::Jobs(batch.to_vec())).await.unwrap();
    }
    for (id, family) in [("denied", "no-such-task"), ("denied-too", "no-such-task"), ("fine", "tick")] {
        let job = json!({"id": id, "taskDefinition": family, "schedule": "0 *"});
        assert_eq!(server.json("POST", "/jobs", job).await.status, 201);
    }
    seconds(70).await;
    let ids = |page: &Value| -> Vec<String> {
        page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = server.get("/jobs?state=failing&count=1").await.json();
    assert_eq!((ids(&first), &first["next"]), (vec![], &json!("/jobs?state=failing&count=1&skip=10000")));
    let second = server.get(first["next"].as_str().unwrap()).await.json();
    assert_eq!((ids(&second), &second["jobs"][0]["state"]), (vec!["denied".to_owned()], &json!("failing")));
    let third = server.get(second["next"].as_str().unwrap()).await.json();
    assert_eq!((ids(&third), third.get("next")), (vec!["denied-too".to_owned()], None), "{third}");
    let fine = server.get("/jobs?state=ok&skip=10000").await.json();
    assert_eq!(ids(&fine), ["fine"]);
    assert_eq!(
        fine["jobs"][0].get("state"),
        None,
        "answers about healthy jobs stay those of the Python version"
    );
    let suspended = server.get("/jobs?state=suspended&count=3").await.json();
    assert_eq!(ids(&suspended), ["suspended-0", "suspended-1", "suspended-2"]);
    assert_eq!(suspended["next"], "/jobs?state=suspended&count=3&skip=4");
    for state in ["retrying", "late", "invalid"] {
        let none = server.get(&format!("/jobs?state={state}&skip=10000")).await.json();
        assert_eq!((ids(&none), none.get("next")), (vec![], None), "{state}");
    }
    let unknown = server.get("/jobs?state=broken").await;
    assert_eq!(unknown.status, 400);
    let known = "one of ok, failing, retrying, late, suspended, invalid";
    assert!(unknown.text().contains(known), "{}", unknown.text());
}

#[tokio::test(start_paused = true)]
async fn a_failing_job_is_listed_after_a_restart_and_no_longer_when_it_launches() {
    let server = with_job(json!({"id": "denied", "taskDefinition": "no-such-task", "schedule": "0 *"})).await;
    seconds(70).await;
    let server = server.restart().await;
    seconds(1).await;
    let listed = server.get("/jobs?state=failing").await.json();
    assert_eq!(listed["jobs"][0]["failing"]["ticks"], 1, "{listed}");
    let changed = server.json("PATCH", "/jobs/denied", json!({"taskDefinition": "tick"})).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    seconds(60).await;
    assert_eq!(server.get("/jobs?state=failing").await.json()["jobs"], json!([]));
    assert_eq!(server.get("/jobs/denied").await.json().get("state"), None);
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
