use ecs_scheduler_core::{Demand, FaultKind};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::world::{NOW, World, evaluate, evaluate_at, metric};

/// An expression over `m1` and `m2`, which are these metrics of the namespace `App`.
fn math(expression: &str, m1: &str, m2: &str) -> Value {
    let metric =
        |id: &str, name: &str| json!({"id": id, "namespace": "App", "metricName": name, "stat": "Sum"});
    json!({"expression": expression, "metrics": [metric("m1", m1), metric("m2", m2)], "threshold": 2})
}

#[tokio::test]
async fn an_expression_over_several_metrics_decides() {
    let world = World::new().await;
    world.put("Backlog", 0, 30.0);
    world.put("Running", 0, 10.0);
    let evaluation = world.evaluate(math("m1 / m2", "Backlog", "Running")).await.unwrap();
    assert_eq!((evaluation.demand, evaluation.because.as_str()), (Demand::Floor, "expression 3 > 2"));
    assert_eq!(evaluation.observations[0].subject, "m1 / m2");
    assert_eq!(evaluation.observations.len(), 1, "what the expression is made of is not returned");
}

#[tokio::test]
async fn expressions_of_several_jobs_share_a_call_although_they_use_the_same_ids() {
    let world = World::new().await;
    for (name, value) in [("A", 6.0), ("B", 2.0), ("C", 60.0)] {
        world.put(name, 0, value);
    }
    let jobs = [("m1 / m2", "A", "B"), ("m1 / m2", "C", "B"), ("m2 - m1", "A", "C")]
        .map(|(expression, m1, m2)| world.trigger(math(expression, m1, m2)));
    let values = join_all(jobs.iter().map(|job| evaluate(&**job))).await;
    let values: Vec<f64> = values.into_iter().map(|value| value.unwrap().observations[0].value).collect();
    assert_eq!(values, [3.0, 30.0, 54.0]);
    assert_eq!(world.calls(), 1);
    let report = world.aws.meter().report();
    assert!(report.operations.iter().any(|operation| operation.operation == "GetMetricData"));
}

#[tokio::test]
async fn an_expression_that_cloudwatch_refuses_fails_its_own_job_only() {
    let world = World::new().await;
    let names: Vec<String> = (0..30).map(|n| format!("M{n}")).collect();
    for (name, value) in names.iter().zip([20.0, 5.0].into_iter().cycle()) {
        world.put(name, 0, value);
    }
    let good: Vec<_> = names.iter().map(|name| world.trigger(metric(name, &json!({})))).collect();
    let bad = world.trigger(math("m1 / / m2", "M0", "M1"));
    let round = async |at: &str| {
        let answers = join_all(good.iter().map(|job| evaluate_at(&**job, at)));
        let (good, bad) = futures::join!(answers, evaluate_at(&*bad, at));
        let idle = good.into_iter().map(|answer| answer.unwrap().demand == Demand::Idle);
        assert!(idle.zip([false, true].into_iter().cycle()).all(|(idle, expected)| idle == expected));
        let error = bad.unwrap_err();
        assert_eq!(error.kind(), FaultKind::Config);
        assert!(error.to_string().contains("m1 / / m2"), "{error}");
    };
    round(NOW).await;
    let searching = world.calls();
    // What is wrong is known by now and read apart.
    round("2026-11-22T12:00:37Z").await;
    assert_eq!(world.calls() - searching, 2);
}
