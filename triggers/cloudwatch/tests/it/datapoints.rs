use ecs_scheduler_core::{Demand, FaultKind};
use serde_json::json;

use crate::help::{Rig, metric, minutes_ago};

#[tokio::test]
async fn newest_complete_datapoint_decides_and_is_explained() {
    let rig = Rig::new().await;
    rig.put("Backlog", 1, 5.0);
    rig.put("Backlog", 0, 1_150.0);
    // The current minute, which is not complete.
    rig.put("Backlog", -1, 1.0);
    let evaluation = rig.evaluate(metric("Backlog", &json!({"valuePerTask": 100}))).await.unwrap();
    assert_eq!(evaluation.demand.tasks(std::num::NonZeroU32::MIN), 12);
    assert_eq!(evaluation.reason, "Backlog 1150 > 10; 1150 ÷ 100 per task, rounded up");
    let observation = &evaluation.observations[0];
    assert_eq!((observation.name.as_str(), observation.value), ("Backlog", 1_150.0));
    assert_eq!((observation.subject.as_str(), observation.at), ("App/Backlog Average", minutes_ago(0)));
    let earlier = rig.evaluate(metric("Backlog", &json!({"delay": "1m"}))).await.unwrap();
    assert_eq!((earlier.demand, earlier.reason.as_str()), (Demand::Idle, "Backlog 5, not > 10"));
}

#[tokio::test]
async fn statistic_dimensions_and_period_select_the_series() {
    let rig = Rig::new().await;
    let cloudwatch = rig.fake.cloudwatch();
    for (queue, value) in [("a", 20.0), ("a", 30.0), ("b", 1.0)] {
        cloudwatch.put("App", "Age", &[("Queue", queue)], minutes_ago(0), value);
    }
    cloudwatch.put("App", "Age", &[("Queue", "a")], minutes_ago(6), 400.0);
    let value = async |besides| {
        let evaluation = rig.evaluate(metric("Age", &besides)).await.unwrap();
        evaluation.observations[0].value
    };
    assert_eq!(value(json!({"dimensions": {"Queue": "a"}})).await, 25.0);
    assert_eq!(value(json!({"dimensions": {"Queue": "a"}, "stat": "Sum"})).await, 50.0);
    assert_eq!(value(json!({"dimensions": {"Queue": "b"}, "stat": "Maximum"})).await, 1.0);
    assert_eq!(value(json!({"dimensions": {"Queue": "a"}, "stat": "Sum", "period": "10m"})).await, 450.0);
}

#[tokio::test]
async fn m_of_n_datapoints_must_breach() {
    let rig = Rig::new().await;
    for (minutes, value) in [(0, 5.0), (1, 50.0), (2, 40.0)] {
        rig.put("Backlog", minutes, value);
    }
    let two = json!({"datapointsToAlarm": 2, "evaluationPeriods": 3});
    let evaluation = rig.evaluate(metric("Backlog", &two)).await.unwrap();
    assert_eq!(evaluation.reason, "2 of 3 datapoints of Backlog > 10, the newest 5");
    assert_eq!(evaluation.demand, Demand::Floor);
    let three = rig.evaluate(metric("Backlog", &json!({"evaluationPeriods": 3}))).await.unwrap();
    assert_eq!(three.reason, "2 of 3 datapoints of Backlog > 10, 3 are needed, the newest 5");
    assert_eq!(three.demand, Demand::Idle);
    assert_eq!(rig.calls(), 1, "both look at the same reading");
}

#[tokio::test]
async fn missing_data_is_an_error_unless_the_job_configures_it() {
    let rig = Rig::new().await;
    let (error, _) = rig.failure(metric("Nothing", &json!({}))).await;
    assert_eq!(error.kind(), FaultKind::NotFound);
    assert!(error.to_string().starts_with("there is no datapoint of App/Nothing Average"), "{error}");
    assert!(error.to_string().contains("treatMissingData"), "{error}");
    let breaching =
        rig.evaluate(metric("Nothing", &json!({"treatMissingData": "breaching", "valuePerTask": 1})));
    let breaching = breaching.await.unwrap();
    assert_eq!(breaching.demand, Demand::Floor);
    assert_eq!(breaching.reason, "0 of 1 datapoints of Nothing > 10, 1 missing and taken for breaching");
    let not_breaching = rig.evaluate(metric("Nothing", &json!({"treatMissingData": "notBreaching"}))).await;
    assert_eq!(not_breaching.unwrap().demand, Demand::Idle);

    rig.put("Sparse", 1, 50.0);
    let (error, _) = rig.failure(metric("Sparse", &json!({"evaluationPeriods": 3}))).await;
    assert_eq!(error.kind(), FaultKind::Unavailable);
    assert!(error.to_string().starts_with("2 of 3 datapoints of App/Sparse Average are missing"), "{error}");
}

#[tokio::test]
async fn missing_datapoint_error_names_unit_and_period() {
    let rig = Rig::new().await;
    rig.fake.cloudwatch().put_in("Bytes", "App", "Size", &[], minutes_ago(0), 50.0);
    let value = rig.evaluate(metric("Size", &json!({"unit": "Bytes"}))).await.unwrap();
    assert_eq!(value.observations[0].value, 50.0);
    let daily = "; a metric that is published once a day needs the `period` \"1d\"; set `delay`";
    let (error, _) = rig.failure(metric("Size", &json!({"unit": "Kilobytes"}))).await;
    let unit =
        "check its namespace, name and dimensions; data with another `unit` than Kilobytes do not count";
    assert!(error.to_string().contains(&format!("{unit}{daily}")), "{error}");
    let (error, _) = rig.failure(metric("Nothing", &json!({}))).await;
    assert!(error.to_string().contains(&format!("name and dimensions{daily}")), "{error}");
    let (error, _) = rig.failure(metric("Nothing", &json!({"period": "24h"}))).await;
    assert!(error.to_string().contains("name and dimensions; set `delay`"), "{error}");
}
