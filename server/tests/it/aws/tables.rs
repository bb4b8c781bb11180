//! The real program with its jobs in DynamoDB.

use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::stage::Stage;

#[tokio::test]
async fn jobs_and_history_in_dynamodb_outlive_the_process() {
    let cloud = Cloud::start(Kind::Ministack).await;
    let mut stage = Stage::set(&cloud, "tables").await;
    stage.site.environment.push(("ECSS_DYNAMODB_TABLE", "the-jobs".to_owned()));
    let doctor = stage.command(&["doctor", "--json"]).await;
    let seen: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    assert!(seen.to_string().contains("store: DynamoDB table the-jobs-journal"), "{seen}");
    let first = stage.start().await;
    first.create("every-second", &stage.job(&json!({"maxCount": 1}))).await;
    first.firing("every-second", "launched").await;
    first.scheduler.kill().await;
    let again = stage.start().await;
    let job = again.get("/jobs/every-second").await;
    assert_eq!(job["maxCount"], 1, "{job}");
    assert_eq!(again.list("/jobs/every-second/firings", "firings").await.len(), 1);
    let policy = String::from_utf8(stage.command(&["iam-policy"]).await.stdout).unwrap();
    assert!(
        policy.contains("dynamodb:UpdateItem") && policy.contains("table/the-jobs-journal/index/*"),
        "{policy}"
    );
}
