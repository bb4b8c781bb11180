//! Scenarios about queues and metrics.

use ecs_scheduler_core::{Clock, SystemClock};
use jiff::SignedDuration;
use serde_json::json;

use crate::aws::stage::Stage;

/// Messages in a queue ask for as many tasks as they need.
pub(super) async fn queued(stage: &Stage<'_>) {
    let queue = stage.queue("orders").await;
    stage.send(&queue, 7).await;
    let playing = stage.start().await;
    let trigger = json!({"type": "sqs", "queueName": stage.family("orders"), "messagesPerTask": 2});
    playing.create("orders", &stage.job(&json!({"trigger": trigger}))).await;
    let launched = playing.decision("orders", "launched").await;
    assert_eq!((&launched["demand"], &launched["launch"]), (&json!(4), &json!(4)), "{launched}");
    assert!(launched["explanation"].as_str().unwrap().contains('7'), "{launched}");
    playing.settled("orders", 4).await;

    let other = stage.queue("empty").await;
    let trigger = json!({"type": "sqs", "queueUrl": other});
    playing.create("empty", &stage.job(&json!({"trigger": trigger}))).await;
    let idle = playing.decision("empty", "idle").await;
    assert_eq!(idle["demand"], 0, "{idle}");
}

/// A queue that does not exist stops its own job and no other, and is named.
pub(super) async fn no_queue(stage: &Stage<'_>) {
    let playing = stage.start().await;
    let trigger = json!({"type": "sqs", "queueName": stage.family("mistyped")});
    playing.create("blind", &stage.job(&json!({"trigger": trigger}))).await;
    playing.create("well", &stage.job(&json!({}))).await;
    let failed = playing.decision("blind", "source_error").await;
    let why = failed["explanation"].as_str().unwrap();
    assert!(why.contains(&stage.family("mistyped")) && why.contains("check its name"), "{why}");
    playing.settled("well", 1).await;
    assert_eq!(stage.tasks("blind").await.len(), 0);
}

/// Puts a value of a metric into each of the last minutes.
async fn put(stage: &Stage<'_>, metric: &str, value: f64) {
    let now = SystemClock.now();
    for minutes in 0..4 {
        let at = now - SignedDuration::from_mins(minutes);
        stage.cloud.put_metric(&stage.name, metric, at, value).await;
    }
}

/// A metric over its threshold asks for tasks by its value, one under it for none.
pub(super) async fn measured(stage: &Stage<'_>) {
    put(stage, "Backlog", 250.0).await;
    put(stage, "Calm", 5.0).await;
    let playing = stage.start().await;
    let trigger = |metric: &str| {
        json!({
            "type": "cloudwatch", "namespace": stage.name, "metricName": metric, "stat": "Maximum", "threshold": 100,
            "valuePerTask": 100,
        })
    };
    playing.create("backlog", &stage.job(&json!({"trigger": trigger("Backlog")}))).await;
    playing.create("calm", &stage.job(&json!({"trigger": trigger("Calm")}))).await;
    let launched = playing.decision("backlog", "launched").await;
    assert_eq!((&launched["demand"], &launched["launch"]), (&json!(3), &json!(3)), "{launched}");
    playing.settled("backlog", 3).await;
    playing.decision("calm", "idle").await;
    assert_eq!(stage.tasks("calm").await.len(), 0);
}

/// A metric without data stops its own job and no other, and is named.
pub(super) async fn no_data(stage: &Stage<'_>) {
    let playing = stage.start().await;
    let trigger =
        json!({"type": "cloudwatch", "namespace": stage.name, "metricName": "Mistyped", "threshold": 1});
    playing.create("blind", &stage.job(&json!({"trigger": trigger}))).await;
    playing.create("well", &stage.job(&json!({}))).await;
    let failed = playing.decision("blind", "source_error").await;
    let why = failed["explanation"].as_str().unwrap();
    assert!(why.contains("Mistyped"), "{why}");
    playing.settled("well", 1).await;
    assert_eq!(stage.tasks("blind").await.len(), 0);
}
