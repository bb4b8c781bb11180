//! One action on many jobs, over the whole server.

use serde_json::{Value, json};

use crate::harness::Server;

async fn with_jobs(count: usize) -> Server {
    let server = Server::start().await;
    for number in 0..count {
        let team = if number % 2 == 0 { "media" } else { "data" };
        let job = json!({"id": format!("j{number}"), "taskDefinition": "work", "schedule": "0 0 0", "labels": {"team": team}});
        assert_eq!(server.json("POST", "/jobs", job).await.status, 201);
    }
    server
}

async fn total(server: &Server, query: &str) -> Value {
    server.get(&format!("/jobs?{query}")).await.json()["total"].clone()
}

#[tokio::test(start_paused = true)]
async fn every_action_is_done_for_each_selected_job() {
    let server = with_jobs(4).await;
    let media = json!({"query": {"label": "team=media"}});
    let bulk = async |body: Value| {
        let reply = server.json("POST", "/jobs/bulk", &body).await;
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
        reply.json()
    };
    let delete = json!({"select": media, "do": "delete", "reason": "\u{1b}[2J"});
    let refused = server.json("POST", "/jobs/bulk", &delete).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["pointer"]), (400, &json!("/reason")));
    let suspended = bulk(json!({"select": media, "do": "suspend", "reason": "lunch", "expect": 2})).await;
    assert_eq!(
        suspended,
        json!({"selected": 2, "failed": 0, "results": [{"id": "j0", "status": 200}, {"id": "j2", "status": 200}]})
    );
    assert_eq!(server.get("/jobs/j2").await.json()["suspension"]["reason"], "lunch");
    assert_eq!(total(&server, "suspended=true").await, 2);
    bulk(json!({"select": {"query": {"suspended": true, "q": "j2"}}, "do": "resume", "expect": 1})).await;
    assert_eq!(total(&server, "suspended=true").await, 1);

    let fired = bulk(json!({"select": {"ids": ["j1", "j3", "j1", "none"]}, "do": "fire"})).await;
    assert_eq!((&fired["selected"], &fired["failed"]), (&json!(3), &json!(1)), "{fired:#}");
    let firing = fired["results"][0]["firing"].as_str().unwrap();
    assert_eq!(server.get(&format!("/firings/{firing}")).await.json()["job"], "j1");
    let missing = &fired["results"][2];
    assert_eq!((&missing["id"], &missing["status"]), (&json!("none"), &json!(404)));
    assert_eq!(missing["problem"]["type"], "/problems/not-found");

    bulk(json!({"select": media, "do": "label", "labels": {"team": null, "tier": "gold"}, "expect": 2}))
        .await;
    assert_eq!(server.get("/jobs/j0").await.json()["labels"], json!({"tier": "gold"}));
    bulk(json!({"select": {"ids": ["j0", "j1"]}, "do": "delete", "expect": 2})).await;
    assert_eq!(total(&server, "sort=id").await, 2);
}

#[tokio::test(start_paused = true)]
async fn another_number_than_the_expected_one_changes_nothing() {
    let server = with_jobs(3).await;
    let body = json!({"select": {"query": {"q": "j"}}, "do": "delete", "expect": 2});
    let refused = server.json("POST", "/jobs/bulk", &body).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["type"]), (412, &json!("/problems/stale")));
    assert!(refused.text().contains("2 jobs were expected, and 3 are selected"), "{}", refused.text());
    let dry = json!({"select": {"query": {"q": "j"}}, "do": "delete", "dryRun": true});
    let shown = server.json("POST", "/jobs/bulk", &dry).await.json();
    assert_eq!((&shown["selected"], shown["results"].as_array().unwrap().len()), (&json!(3), 3));
    assert_eq!(total(&server, "q=j").await, 3);
}

#[tokio::test(start_paused = true)]
async fn wrong_requests_for_many_jobs_are_refused_with_their_place() {
    let server = with_jobs(1).await;
    let all = json!({"query": {"q": "j"}});
    let many: Vec<String> = (0..1_001).map(|number| format!("x{number}")).collect();
    for (body, pointer) in [
        (json!({"select": all, "do": "delete"}), "/expect"),
        (json!({"select": {}, "do": "delete"}), "/select"),
        (json!({"select": {"ids": ["j0"], "query": {"q": "j"}}, "do": "delete"}), "/select"),
        (json!({"select": {"query": {}}, "do": "delete", "expect": 1}), "/select/query"),
        (json!({"select": {"query": {"q": "  "}}, "do": "delete", "expect": 1}), "/select/query"),
        (json!({"select": {"query": {"stat": "ok"}}, "do": "delete", "expect": 1}), "/select/query/stat"),
        (json!({"select": {"query": {"state": "fine"}}, "do": "delete", "expect": 1}), "/select/query/state"),
        (json!({"select": {"ids": ["a b"]}, "do": "delete"}), "/select/ids/0"),
        (json!({"select": {"ids": many}, "do": "fire"}), "/select/ids"),
        (json!({"select": {"ids": ["j0"]}, "do": "fire", "until": "2027-01-01T00:00:00Z"}), "/until"),
        (json!({"select": {"ids": ["j0"]}, "do": "label"}), "/labels"),
        (json!({"select": {"ids": ["j0"]}, "do": "stop"}), "/do"),
        (json!({"select": {"ids": ["j0"]}, "do": "fire", "dryrun": true}), "/dryrun"),
    ] {
        let reply = server.json("POST", "/jobs/bulk", &body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        assert_eq!(reply.json()["errors"][0]["pointer"], pointer, "{}", reply.text());
    }
    let wrong = json!({"select": {"ids": ["j0"]}, "do": "suspend", "until": "soon"});
    let result = server.json("POST", "/jobs/bulk", wrong).await.json();
    assert_eq!(
        (&result["failed"], &result["results"][0]["problem"]["errors"][0]["pointer"]),
        (&json!(1), &json!("/until"))
    );
    assert_eq!(server.get("/jobs/j0").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_job_may_be_named_as_the_operation_is() {
    let server = with_jobs(0).await;
    let job = json!({"id": "bulk", "taskDefinition": "work", "schedule": "0 0 0"});
    assert_eq!(server.json("POST", "/jobs", job).await.status, 201);
    assert_eq!(
        server.json("PUT", "/jobs/bulk?dryRun=true", json!({"taskCount": 2})).await.json()["effect"],
        "change"
    );
    assert_eq!(server.get("/jobs/bulk?coutn=1").await.status, 400);
    assert_eq!(server.get("/jobs/bulk").await.json()["taskCount"], 1);
    assert_eq!(server.call("DELETE", "/jobs/bulk", &[], "").await.status, 200);
}
