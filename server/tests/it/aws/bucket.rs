//! The real program with its jobs in an S3 bucket.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::stage::Stage;
use crate::crash::process::Scheduler;
use crate::crash::site::{Site, until};

#[tokio::test]
async fn jobs_and_history_in_a_bucket_outlive_the_process_and_a_second_one_makes_the_first_stop() {
    let cloud = Cloud::start(Kind::Moto).await;
    let mut stage = Stage::set(&cloud, "bucket").await;
    let settings = [("ECSS_S3_BUCKET", "the-jobs"), ("ECSS_S3_PREFIX", "prod")];
    stage.site.environment.extend(settings.map(|(name, value)| (name, value.to_owned())));
    let first = stage.start().await;
    first.create("every-second", &stage.job(&json!({"maxCount": 1}))).await;
    first.firing("every-second", "launched").await;
    let before = first.get("/jobs/every-second").await;
    first.scheduler.kill().await;

    let first = stage.start().await;
    let after = first.get("/jobs/every-second").await;
    assert_eq!(
        (&after["taskDefinition"], &after["schedule"]),
        (&before["taskDefinition"], &before["schedule"])
    );
    assert_eq!(first.list("/jobs/every-second/firings", "firings").await.len(), 1);

    let policy = stage.command(&["iam-policy"]).await;
    let policy = String::from_utf8(policy.stdout).unwrap();
    assert!(policy.contains("s3:PutObject") && policy.contains("arn:aws:s3:::the-jobs/prod/*"), "{policy}");
    let doctor = stage.command(&["doctor", "--json"]).await;
    let seen: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    assert!(seen.to_string().contains("store: bucket \\\"the-jobs\\\""), "{seen}");
    assert_eq!(first.status("/readyz").await, Some(StatusCode::OK), "who only looks disturbs nobody");

    let mut elsewhere = Site::bare();
    elsewhere.environment = stage.site.environment.clone();
    let second = Scheduler::start(&elsewhere).await;
    let stopped = async || first.status("/readyz").await == Some(StatusCode::SERVICE_UNAVAILABLE);
    until("the first of two is not ready any more", stopped).await;
    let why = first.text("/readyz").await;
    assert!(why.contains("another process writes to bucket"), "{why}");
    assert_eq!(second.status("/readyz").await, Some(StatusCode::OK));
}
