//! Expressions that make several time series are refused as early as possible.

use ecs_scheduler_core::{Clock, SystemClock};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::cloud::{Cloud, Kind};
use super::stage::Stage;

const DEPTHS: &str =
    "SEARCH('{AWS/SQS,QueueName} MetricName=\"ApproximateNumberOfMessagesVisible\"', 'Maximum', 60)";

#[tokio::test]
async fn search_with_three_results_launches_nothing_and_names_the_remedy() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "several").await;
    for (queue, depth) in [("images", 0.0), ("mail", 10.0), ("orders", 20.0)] {
        for minutes in 0..4 {
            let at = SystemClock.now() - SignedDuration::from_mins(minutes);
            let metric = "ApproximateNumberOfMessagesVisible";
            cloud.fake().cloudwatch().put("AWS/SQS", metric, &[("QueueName", queue)], at, depth);
        }
    }
    let playing = stage.start().await;
    let trigger = |expression: &str| json!({"type": "cloudwatch", "expression": expression, "threshold": 0, "valuePerTask": 10});
    playing.create("several", &stage.job(&json!({"trigger": trigger(DEPTHS)}))).await;
    playing.create("one", &stage.job(&json!({"trigger": trigger(&format!("SUM({DEPTHS})"))}))).await;
    let failed = playing.decision("several", "source_error").await;
    let why = failed["explanation"].as_str().unwrap();
    let words =
        "the expression makes 3 time series; put SUM(…), MAX(…) around it: they are images, mail, orders";
    assert!(why.contains(words), "{why}");
    playing.settled("one", 3).await;
    assert_eq!(stage.tasks("several").await, [] as [Value; 0]);
}

#[tokio::test]
async fn an_expression_that_makes_two_series_for_certain_is_refused_when_the_job_is_written() {
    let cloud = Cloud::start(Kind::Fake).await;
    let stage = Stage::set(&cloud, "certain").await;
    let playing = stage.start().await;
    let metric = |id: &str| json!({"id": id, "namespace": "Shop", "metricName": id});
    for expression in ["METRICS()", "[a, b]", "ANOMALY_DETECTION_BAND(a - b)"] {
        let trigger = json!({
            "type": "cloudwatch", "expression": expression, "metrics": [metric("a"), metric("b")], "threshold": 0,
        });
        let job = stage.job(&json!({"id": "certain", "trigger": trigger}));
        let (status, answer) = playing.try_post("/jobs", &job).await;
        assert_eq!(status, 400, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["errors"][0]["pointer"], "/trigger/expression", "{answer}");
        assert!(answer.to_string().contains("makes 2 time series"), "{answer}");
    }
}
