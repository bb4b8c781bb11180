use std::sync::Arc;

use ecs_scheduler_core::Trigger;
use futures::future::join_all;
use serde_json::json;

use crate::help::{World, evaluate, metric};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_metrics_make_twenty_calls() {
    let world = World::new().await;
    world.put("M7", 0, 50.0);
    let quiet = json!({"treatMissingData": "notBreaching"});
    let jobs: Vec<Arc<dyn Trigger>> =
        (0..10_000).map(|n| world.trigger(metric(&format!("M{n}"), &quiet))).collect();
    let answers = join_all(jobs.iter().map(|job| evaluate(&**job))).await;
    let firing = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| answer.as_ref().unwrap().demand != ecs_scheduler_core::Demand::Idle);
    assert_eq!(firing.map(|(n, _)| n).collect::<Vec<_>>(), [7]);
    assert_eq!(world.calls(), 20);
}

#[tokio::test]
async fn a_metric_that_many_jobs_look_at_is_read_once() {
    let world = World::new().await;
    world.put("Backlog", 0, 50.0);
    let jobs: Vec<Arc<dyn Trigger>> = (0..300)
        .map(|n| world.trigger(metric("Backlog", &json!({"valuePerTask": n % 7 + 1, "threshold": n % 5}))))
        .collect();
    for answer in join_all(jobs.iter().map(|job| evaluate(&**job))).await {
        assert_eq!(answer.unwrap().observations[0].value, 50.0);
    }
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn each_period_and_delay_has_a_call_of_its_own() {
    let world = World::new().await;
    let quiet = |besides: serde_json::Value| {
        let mut fields = metric("Backlog", &besides);
        fields["treatMissingData"] = "notBreaching".into();
        fields
    };
    let jobs =
        [json!({}), json!({"period": "5m"}), json!({"delay": "2m"}), json!({"period": "5m", "stat": "Sum"})];
    let jobs = jobs.map(|besides| world.trigger(quiet(besides)));
    for answer in join_all(jobs.iter().map(|job| evaluate(&**job))).await {
        answer.unwrap();
    }
    assert_eq!(world.calls(), 3);
}

#[tokio::test]
async fn an_answer_of_many_pages_is_read_to_its_end() {
    let world = World::new().await;
    for minutes in 0..4 {
        for name in ["A", "B", "C"] {
            world.put(name, minutes, 50.0);
        }
    }
    world.fake.configure(|settings| settings.cloudwatch.page_size = Some(1));
    let all = json!({"evaluationPeriods": 4});
    let jobs = ["A", "B", "C"].map(|name| world.trigger(metric(name, &all)));
    for answer in join_all(jobs.iter().map(|job| evaluate(&**job))).await {
        assert!(answer.unwrap().because.starts_with("4 of 4 datapoints"));
    }
    assert!(world.calls() >= 4, "{} pages", world.calls());
}
