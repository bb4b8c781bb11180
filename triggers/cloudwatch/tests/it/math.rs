use ecs_scheduler_core::{Demand, FaultKind};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::help::{NOW, World, evaluate, evaluate_at, metric, minutes_ago};

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

/// A search, or a Metrics Insights query, for more than 0; each 10 ask for a task.
fn search(expression: &str) -> Value {
    json!({"expression": expression, "threshold": 0, "valuePerTask": 10})
}

const DEPTHS: &str =
    "SEARCH('{AWS/SQS,QueueName} MetricName=\"ApproximateNumberOfMessagesVisible\"', 'Maximum', 60)";
const GROUPS: &str =
    "SELECT MAX(ApproximateNumberOfMessagesVisible) FROM SCHEMA(\"AWS/SQS\", QueueName) GROUP BY QueueName";

/// Puts depths of these queues, in each of the last five minutes.
fn depths(world: &World, queues: &[(&str, f64)]) {
    for (queue, value) in queues {
        for minutes in 0..5 {
            let (metric, at) = ("ApproximateNumberOfMessagesVisible", minutes_ago(minutes));
            world.fake.cloudwatch().put("AWS/SQS", metric, &[("QueueName", queue)], at, *value);
        }
    }
}

#[tokio::test]
async fn an_expression_that_makes_several_series_is_refused_with_their_number_and_the_remedy() {
    let queues = [("images", 0.0), ("mail", 40.0), ("orders", 5_000.0)];
    let world = World::new().await;
    depths(&world, &queues);
    for (expression, remedy) in [
        (DEPTHS, "put SUM(…), MAX(…) around it"),
        (GROUPS, "leave GROUP BY out, or end with ORDER BY … LIMIT 1"),
    ] {
        // With pages of two datapoints each series goes on on several of them.
        for page_size in [None, Some(2)] {
            world.fake.configure(|settings| settings.cloudwatch.page_size = page_size);
            let (error, told) = world.failure(search(expression)).await;
            assert_eq!((error.kind(), error.is_transient()), (FaultKind::Config, false), "{told}");
            let expected =
                format!("{expression} in eu-central-1: the expression makes 3 time series; {remedy}");
            assert!(error.to_string().ends_with(&expected), "{error}");
            assert!(told.ends_with("they are images, mail, orders"), "{told}");
        }
    }
}

#[tokio::test]
async fn an_expression_that_makes_one_series_decides_however_many_pages_it_has() {
    let world = World::new().await;
    depths(&world, &[("images", 0.0), ("mail", 40.0), ("orders", 5_000.0)]);
    let lasting = |expression: &str| {
        let mut fields = search(expression);
        fields["evaluationPeriods"] = 5.into();
        fields
    };
    let one = DEPTHS.replace("{AWS/SQS,QueueName}", "{AWS/SQS,QueueName} QueueName=\"mail\"");
    for page_size in [None, Some(2)] {
        world.fake.configure(|settings| settings.cloudwatch.page_size = page_size);
        for (expression, newest) in [
            (format!("SUM({DEPTHS})"), 5_040),
            (one.clone(), 40),
            (format!("{GROUPS} ORDER BY MAX() DESC LIMIT 1"), 5_000),
        ] {
            let evaluation = world.evaluate(lasting(&expression)).await.unwrap();
            let expected =
                format!("5 of 5 datapoints of expression > 0, the newest {newest}; {newest} ÷ 10 per task");
            assert_eq!(evaluation.because, expected, "{expression}");
        }
    }
}

#[tokio::test]
async fn a_search_that_finds_nothing_has_no_datapoint() {
    let world = World::new().await;
    for expression in [DEPTHS, GROUPS] {
        let (error, _) = world.failure(search(expression)).await;
        assert_eq!(error.kind(), FaultKind::NotFound);
        let mut quiet = search(expression);
        quiet["treatMissingData"] = "notBreaching".into();
        assert_eq!(world.evaluate(quiet).await.unwrap().demand, Demand::Idle);
    }
}

#[tokio::test]
async fn a_sum_of_which_cloudwatch_left_out_a_part_is_no_value() {
    let world = World::new().await;
    depths(&world, &[("images", 0.0), ("mail", 40.0), ("orders", 5_000.0)]);
    world.fake.configure(|settings| settings.cloudwatch.most_found = Some(2));
    let (error, told) = world.failure(search(&format!("SUM({DEPTHS})"))).await;
    assert_eq!(error.kind(), FaultKind::Config);
    assert!(told.contains("left out some of the metrics; search for fewer: MaxMetricsExceeded"), "{told}");
}

#[tokio::test]
async fn an_expression_that_chooses_metrics_by_their_ids_sees_the_ids_of_the_job() {
    let world = World::new().await;
    world.put("Errors", 0, 3.0);
    world.put("Calls", 0, 90.0);
    let metric = |id: &str, name: &str| json!({"id": id, "namespace": "App", "metricName": name});
    let fields = json!({
        "expression": "SUM(METRICS('q'))", "threshold": 0,
        "metrics": [metric("errors", "Errors"), metric("requests", "Calls")],
    });
    assert_eq!(world.evaluate(fields).await.unwrap().because, "expression 90 > 0");
}
