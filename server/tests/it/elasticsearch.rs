//! The real program with its jobs in Elasticsearch: in the fake of it, since a real one cannot be had here.

use std::process::Output;

use ecs_scheduler_fake_elasticsearch::Fake;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::crash::process::{PROGRAM, Scheduler};
use crate::crash::site::{Site, until};

/// A site whose store is an index of a cluster.
fn site(hosts: String) -> Site {
    let mut site = Site::new();
    site.define("t", "true");
    let settings = [("ECSS_ELASTICSEARCH_INDEX", "jobs".to_owned()), ("ECSS_ELASTICSEARCH_HOSTS", hosts)];
    site.environment.extend(settings);
    site
}

/// Runs a command with a data folder of its own. The fake goes on meanwhile, in this very thread.
async fn run(site: &Site, arguments: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().current_dir(site.root()).env("ECSS_DATA_DIR", site.path("aside"));
    command.envs(site.environment.iter().map(|(name, value)| (name, value)));
    command.output().await.unwrap()
}

async fn doctor(site: &Site) -> (bool, Vec<Value>) {
    let output = run(site, &["doctor", "--json"]).await;
    let seen: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), seen["examinations"].as_array().unwrap().clone())
}

#[tokio::test]
async fn jobs_and_history_in_an_index_outlive_the_process_and_a_second_one_makes_the_first_stop() {
    let fake = Fake::start().await;
    let site = site(fake.hosts());
    let first = Scheduler::start(&site).await;
    first.create("by-hand", &json!({ "taskDefinition": "t", "schedule": "@yearly" })).await;
    first.post("/jobs/by-hand/firings", &json!({})).await;
    until("the task ends", async || !first.list("/firings?state=finished", "firings").await.is_empty()).await;
    let before = first.get("/jobs/by-hand").await;
    first.kill().await;

    let first = Scheduler::start(&site).await;
    let after = first.get("/jobs/by-hand").await;
    assert_eq!(
        (&after["taskDefinition"], &after["revision"]),
        (&before["taskDefinition"], &before["revision"])
    );
    assert_eq!(first.list("/jobs/by-hand/firings", "firings").await.len(), 1);
    assert_eq!(site.starts().len(), 1);
    let document = fake.with_state(|state| state.index("jobs").docs()["by-hand"].source.clone());
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["taskDefinition"], "t", "as the Python version reads it");

    let (healthy, seen) = doctor(&site).await;
    assert!(healthy && json!(seen).to_string().contains("store: index \\\"jobs\\\""), "{seen:#?}");
    assert_eq!(first.status("/readyz").await, Some(StatusCode::OK), "who only looks disturbs nobody");

    let mut elsewhere = Site::new();
    elsewhere.environment.clone_from(&site.environment);
    let second = Scheduler::start(&elsewhere).await;
    until("the first of two is not ready any more", async || {
        first.status("/readyz").await == Some(StatusCode::SERVICE_UNAVAILABLE)
    })
    .await;
    let why = first.text("/readyz").await;
    assert!(why.contains("another process writes to index"), "{why}");
    let (status, why) =
        first.try_post("/jobs", &json!({ "id": "late", "taskDefinition": "t", "schedule": "@yearly" })).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{why}");
    assert!(why.contains("another process writes to index"), "{why}");
    assert_eq!(second.status("/readyz").await, Some(StatusCode::OK));
}

#[tokio::test]
async fn doctor_reports_faults_of_the_cluster_and_changes_nothing() {
    let fake = Fake::start().await;
    let site = site(fake.hosts());
    let problem = async || {
        let (healthy, seen) = doctor(&site).await;
        assert!(!healthy, "{seen:#?}");
        json!(seen).to_string()
    };
    let missing = problem().await;
    assert!(missing.contains("it is created when the scheduler starts"), "{missing}");
    fake.with_state(|state| {
        state.create("jobs", &json!({ "settings": { "index": { "translog": { "durability": "async" } } } }))
    });
    let weak = problem().await;
    assert!(weak.contains("index.translog.durability"), "{weak}");
    fake.with_state(|state| state.denied.insert("indices:admin/get"));
    let denied = problem().await;
    assert!(denied.contains("permission: view_index_metadata"), "{denied}");
    fake.with_state(|state| state.authorization = Some("Basic bm9ib2R5Om5vdGhpbmc=".to_owned()));
    let unknown = problem().await;
    assert!(unknown.contains("not accepted") && unknown.contains("ECSS_ELASTICSEARCH_API_KEY"), "{unknown}");
    assert_eq!(fake.count("PUT"), 0);
}

#[tokio::test]
async fn config_check_finds_errors_without_calling_the_cluster_and_hides_passwords() {
    let mut site = site("https://elastic:hush@es1:9243, es2".to_owned());
    let output = run(&site, &["config", "check"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("https://(hidden)@es1:9243"), "{text}");
    assert!(!text.contains("hush"), "{text}");
    site.environment.push(("ECSS_ELASTICSEARCH_INDEX", "Jobs".to_owned()));
    let output = run(&site, &["config", "check"]).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("ECSS_ELASTICSEARCH_INDEX"), "{error}");
    assert!(error.contains("lower case"), "{error}");
}
