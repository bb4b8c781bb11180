use std::sync::Arc;

use ecs_scheduler_core::Trigger;
use futures::future::join_all;
use serde_json::json;

use crate::help::{Rig, evaluate, metric};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_metrics_need_twenty_calls() {
    let rig = Rig::new().await;
    rig.put("M7", 0, 50.0);
    let quiet = json!({"treatMissingData": "notBreaching"});
    let jobs: Vec<Arc<dyn Trigger>> =
        (0..10_000).map(|n| rig.trigger(metric(&format!("M{n}"), &quiet))).collect();
    let answers = join_all(jobs.iter().map(|job| evaluate(&**job))).await;
    let firing = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| answer.as_ref().unwrap().demand != ecs_scheduler_core::Demand::Idle);
    assert_eq!(firing.map(|(n, _)| n).collect::<Vec<_>>(), [7]);
    assert_eq!(rig.calls(), 20);
}

#[tokio::test]
async fn metric_of_many_jobs_is_read_once() {
    let rig = Rig::new().await;
    rig.put("Backlog", 0, 50.0);
    let jobs: Vec<Arc<dyn Trigger>> = (0..300)
        .map(|n| rig.trigger(metric("Backlog", &json!({"valuePerTask": n % 7 + 1, "threshold": n % 5}))))
        .collect();
    for answer in join_all(jobs.iter().map(|job| evaluate(&**job))).await {
        assert_eq!(answer.unwrap().observations[0].value, 50.0);
    }
    assert_eq!(rig.calls(), 1);
}

#[tokio::test]
async fn each_period_and_delay_has_its_own_call() {
    let rig = Rig::new().await;
    let quiet = |besides: serde_json::Value| {
        let mut fields = metric("Backlog", &besides);
        fields["treatMissingData"] = "notBreaching".into();
        fields
    };
    let jobs =
        [json!({}), json!({"period": "5m"}), json!({"delay": "2m"}), json!({"period": "5m", "stat": "Sum"})];
    let jobs = jobs.map(|besides| rig.trigger(quiet(besides)));
    for answer in join_all(jobs.iter().map(|job| evaluate(&**job))).await {
        answer.unwrap();
    }
    assert_eq!(rig.calls(), 3);
}

#[tokio::test]
async fn all_pages_of_a_response_are_read() {
    let rig = Rig::new().await;
    for minutes in 0..4 {
        for name in ["A", "B", "C"] {
            rig.put(name, minutes, 50.0);
        }
    }
    rig.fake.configure(|settings| settings.cloudwatch.page_size = Some(1));
    let all = json!({"evaluationPeriods": 4});
    let jobs = ["A", "B", "C"].map(|name| rig.trigger(metric(name, &all)));
    for answer in join_all(jobs.iter().map(|job| evaluate(&**job))).await {
        assert!(answer.unwrap().reason.starts_with("4 of 4 datapoints"));
    }
    assert!(rig.calls() >= 4, "{} pages", rig.calls());
}
