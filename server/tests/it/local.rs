//! Jobs written to a server whose launcher runs local processes.

use std::sync::Arc;

use axum::http::StatusCode;
use ecs_scheduler_backend_local::{LocalLauncher, LocalOptions};
use serde_json::{Value, json};

use crate::harness::Server;

/// A folder with the definition `work`, whose command comes from its image.
struct DefinitionFolder {
    root: tempfile::TempDir,
}

impl DefinitionFolder {
    fn new() -> Self {
        let this = Self { root: tempfile::tempdir().unwrap() };
        this.define(&json!({"name": "main", "image": "busybox"}));
        this
    }

    fn define(&self, container: &Value) {
        let definition = json!({"family": "work", "containerDefinitions": [container]});
        std::fs::write(self.root.path().join("work.json"), definition.to_string()).unwrap();
    }

    async fn serve(&self) -> Server {
        let options = LocalOptions::new(self.root.path(), self.root.path().join("data"));
        Server::on(Arc::new(LocalLauncher::open(options).await.unwrap())).await
    }
}

fn job(overrides: &Value) -> Value {
    json!({"id": "work", "schedule": "0 0 0", "overrides": overrides})
}

#[tokio::test(start_paused = true)]
async fn job_without_a_command_is_refused_with_the_places_to_set_one() {
    let folder = DefinitionFolder::new();
    let server = folder.serve().await;
    let refused = server.json("POST", "/jobs", job(&json!([]))).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let text = refused.text();
    assert!(text.contains("/overrides"), "{text}");
    assert!(text.contains(r#"container \"main\" has no command"#), "{text}");
    assert!(text.contains("the job's overrides or in task definition work:1"), "{text}");

    let command = json!([{"containerName": "main", "command": ["true"]}]);
    let created = server.json("POST", "/jobs", job(&command)).await;
    assert_eq!((created.status, created.json().get("warnings")), (StatusCode::CREATED, None));
    let removed = server.json("PATCH", "/jobs/work", json!({"overrides": []})).await;
    assert_eq!(removed.status, StatusCode::BAD_REQUEST, "{}", removed.text());
}

#[tokio::test(start_paused = true)]
async fn a_stored_job_can_be_changed_although_its_definition_lost_the_command() {
    let folder = DefinitionFolder::new();
    folder.define(&json!({"name": "main", "command": ["true"]}));
    let server = folder.serve().await;
    let mut plain = job(&json!([]));
    plain.as_object_mut().unwrap().remove("overrides");
    assert_eq!(server.json("POST", "/jobs", plain).await.status, StatusCode::CREATED);
    folder.define(&json!({"name": "main", "image": "busybox:1"}));
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    let changed = server.json("PATCH", "/jobs/work", json!({"description": "nightly"})).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    assert_eq!(server.get("/jobs/work").await.json().get("invalid"), None);
    let again = server.json("PATCH", "/jobs/work", json!({"taskDefinition": "work:1"})).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "{}", again.text());
}

#[tokio::test(start_paused = true)]
async fn job_for_ecs_is_accepted_with_a_warning_about_ignored_fields() {
    let folder = DefinitionFolder::new();
    let server = folder.serve().await;
    let mut document = job(&json!([{"containerName": "main", "command": ["true"], "cpu": 256}]));
    document["launch"] =
        json!({"launchType": "FARGATE", "network": {"subnets": ["subnet-0123456789abcdef0"]}});
    document["succeedsBy"] = json!("mian");
    let created = server.json("POST", "/jobs", &document).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    assert_eq!(
        created.json()["warnings"],
        json!([
            "the local launcher cannot honour overrides of main: cpu; it is ignored",
            "the local launcher cannot honour launch: launchType; it is ignored",
            "the local launcher cannot honour launch: network; it is ignored",
            "succeedsBy names \"mian\", which work:1 does not have",
        ])
    );
    assert_eq!(server.get("/jobs/work").await.json()["launch"], document["launch"], "it is kept for ECS");
    let missing = server.json("PATCH", "/jobs/work", json!({"taskDefinition": "wrok"})).await;
    let warnings = missing.json()["warnings"].to_string();
    assert!(warnings.contains("no task definition \\\"wrok\\\" in"), "{warnings}");
}

/// Fires a job by hand, and returns how its task ended.
async fn fired(server: &Server, job: &str) -> Value {
    fired_with(server, job, json!({})).await
}

/// Fires a job by hand with these options, and returns how its task ended.
async fn fired_with(server: &Server, job: &str, options: Value) -> Value {
    let fired = server.json("POST", &format!("/jobs/{job}/firings"), options).await;
    assert_eq!(fired.status, StatusCode::CREATED, "{}", fired.text());
    let path = fired.header("location").to_owned();
    let ending = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            tick.tick().await;
            let firing = server.get(&path).await.json();
            if firing["state"] == "finished" {
                return firing["tasks"][0].clone();
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), ending).await.unwrap()
}

#[tokio::test]
async fn the_container_that_succeeds_by_names_decides_how_a_local_task_ended() {
    let root = tempfile::tempdir().unwrap();
    let definition = json!({"family": "work", "containerDefinitions": [
        {"name": "main", "command": ["true"], "dependsOn": [{"containerName": "side", "condition": "COMPLETE"}]},
        {"name": "side", "essential": false, "command": ["sh", "-c", "exit 3"]},
    ]});
    std::fs::write(root.path().join("work.json"), definition.to_string()).unwrap();
    let options = LocalOptions::new(root.path(), root.path().join("data"));
    let server = Server::on(Arc::new(LocalLauncher::open(options).await.unwrap())).await;
    for (id, by) in [("by-rule", None), ("by-side", Some("side")), ("by-main", Some("main"))] {
        let mut document = json!({"id": id, "taskDefinition": "work", "schedule": "0 0 0"});
        if let Some(by) = by {
            document["succeedsBy"] = json!(by);
        }
        assert_eq!(server.json("POST", "/jobs", &document).await.status, StatusCode::CREATED);
    }
    let (rule, side, main) =
        tokio::join!(fired(&server, "by-rule"), fired(&server, "by-side"), fired(&server, "by-main"));
    let codes = [&rule, &side, &main].map(|task| task["exitCode"].clone());
    assert_eq!(codes, [json!(0), json!(3), json!(0)], "{side}");
    let causes = [&rule, &side, &main].map(|task| task["diagnosis"]["code"].clone());
    assert_eq!(causes, [Value::Null, json!("exitCode"), Value::Null], "{side}");
    let failing = server.get("/jobs/by-side").await.json()["failingTasks"].clone();
    assert_eq!(failing["diagnosis"], side["diagnosis"], "{failing}");
    assert_eq!(server.get("/jobs/by-main").await.json().get("failingTasks"), None);
}

#[tokio::test]
async fn a_firing_by_hand_runs_with_its_own_overrides_and_moment() {
    let root = tempfile::tempdir().unwrap();
    let definition = json!({"family": "work", "containerDefinitions": [{"name": "main"}]});
    std::fs::write(root.path().join("work.json"), definition.to_string()).unwrap();
    let options = LocalOptions::new(root.path(), root.path().join("data"));
    let server = Server::on(Arc::new(LocalLauncher::open(options).await.unwrap())).await;
    let command = r#"[ "$ECSS_SCHEDULED_AT" = 2026-01-01T00:00:00Z ] && exit 9; exit $(($OF_JOB + $MORE))"#;
    let document = json!({"id": "work", "taskDefinition": "work", "schedule": "0 0 0", "overrides": [
        {"containerName": "main", "command": ["sh", "-c", command], "environment": {"OF_JOB": "3", "MORE": "0"}},
    ]});
    assert_eq!(server.json("POST", "/jobs", document).await.status, StatusCode::CREATED);
    let more = json!({"overrides": [{"containerName": "main", "environment": {"MORE": "4"}}]});
    assert_eq!(fired_with(&server, "work", more).await["exitCode"], 7, "variables of the job stay");
    let earlier = json!({"scheduledAt": "2026-01-01T00:00:00Z"});
    assert_eq!(fired_with(&server, "work", earlier).await["exitCode"], 9);
    assert_eq!(fired(&server, "work").await["exitCode"], 3, "the next firing is the job's own");
    assert_eq!(server.get("/jobs/work").await.json()["overrides"][0]["environment"]["MORE"], "0");
}

#[tokio::test]
async fn a_firing_by_hand_with_wrong_overrides_or_a_future_moment_is_refused_and_starts_nothing() {
    let root = tempfile::tempdir().unwrap();
    let definition =
        json!({"family": "work", "containerDefinitions": [{"name": "main", "command": ["true"]}]});
    std::fs::write(root.path().join("work.json"), definition.to_string()).unwrap();
    let options = LocalOptions::new(root.path(), root.path().join("data"));
    let server = Server::on(Arc::new(LocalLauncher::open(options).await.unwrap())).await;
    let document = json!({"id": "work", "taskDefinition": "work", "schedule": "0 0 0",
        "overrides": [{"containerName": "main", "environment": {"A": "1"}}]});
    assert_eq!(server.json("POST", "/jobs", document).await.status, StatusCode::CREATED);
    let long = "x".repeat(9_000);
    let wrong = [
        (json!({"overrides": [{"containerName": "main"}, {"command": ["a"]}]}), "/overrides/1/containerName"),
        (json!({"overrides": [{"containerName": "main", "enviroment": {}}]}), "/overrides/0/enviroment"),
        (json!({"overrides": [{"containerName": "main", "environment": {"A": long}}]}), "/overrides"),
        (json!({"overrides": {}}), "/overrides"),
        (json!({"scheduledAt": "9999-01-01T00:00:00Z"}), "/scheduledAt"),
        (json!({"scheduledAt": "yesterday"}), "/scheduledAt"),
    ];
    for (body, pointer) in wrong {
        let refused = server.json("POST", "/jobs/work/firings", body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text());
        assert_eq!(refused.json()["errors"][0]["pointer"], pointer, "{}", refused.text());
    }
    assert_eq!(server.get("/jobs/work/firings").await.json()["firings"], json!([]));
}
