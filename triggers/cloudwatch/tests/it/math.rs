use ecs_scheduler_core::{Demand, FaultKind};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::help::{NOW, Rig, evaluate, evaluate_at, metric, minutes_ago};

/// An expression over `m1` and `m2`, which are these metrics of the namespace `App`.
fn math(expression: &str, m1: &str, m2: &str) -> Value {
    let metric =
        |id: &str, name: &str| json!({"id": id, "namespace": "App", "metricName": name, "stat": "Sum"});
    json!({"expression": expression, "metrics": [metric("m1", m1), metric("m2", m2)], "threshold": 2})
}

#[tokio::test]
async fn expression_over_metrics_decides() {
    let rig = Rig::new().await;
    rig.put("Backlog", 0, 30.0);
    rig.put("Running", 0, 10.0);
    let evaluation = rig.evaluate(math("m1 / m2", "Backlog", "Running")).await.unwrap();
    assert_eq!((evaluation.demand, evaluation.reason.as_str()), (Demand::Floor, "expression 3 > 2"));
    assert_eq!(evaluation.observations[0].subject, "m1 / m2");
    assert_eq!(evaluation.observations.len(), 1, "what the expression is made of is not returned");
}

#[tokio::test]
async fn expressions_with_equal_ids_share_a_call() {
    let rig = Rig::new().await;
    for (name, value) in [("A", 6.0), ("B", 2.0), ("C", 60.0)] {
        rig.put(name, 0, value);
    }
    let jobs = [("m1 / m2", "A", "B"), ("m1 / m2", "C", "B"), ("m2 - m1", "A", "C")]
        .map(|(expression, m1, m2)| rig.trigger(math(expression, m1, m2)));
    let values = join_all(jobs.iter().map(|job| evaluate(&**job))).await;
    let values: Vec<f64> = values.into_iter().map(|value| value.unwrap().observations[0].value).collect();
    assert_eq!(values, [3.0, 30.0, 54.0]);
    assert_eq!(rig.calls(), 1);
    let report = rig.aws.meter().report();
    assert!(report.operations.iter().any(|operation| operation.operation == "GetMetricData"));
}

#[tokio::test]
async fn refused_expression_fails_its_own_job_only() {
    let rig = Rig::new().await;
    let names: Vec<String> = (0..30).map(|n| format!("M{n}")).collect();
    for (name, value) in names.iter().zip([20.0, 5.0].into_iter().cycle()) {
        rig.put(name, 0, value);
    }
    let good: Vec<_> = names.iter().map(|name| rig.trigger(metric(name, &json!({})))).collect();
    let bad = rig.trigger(math("m1 / / m2", "M0", "M1"));
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
    let searching = rig.calls();
    // The invalid expression is known by now and read in its own call.
    round("2026-11-22T12:00:37Z").await;
    assert_eq!(rig.calls() - searching, 2);
}

/// A search, or a Metrics Insights query, with threshold 0 and a task for each 10.
fn search(expression: &str) -> Value {
    json!({"expression": expression, "threshold": 0, "valuePerTask": 10})
}

const DEPTHS: &str =
    "SEARCH('{AWS/SQS,QueueName} MetricName=\"ApproximateNumberOfMessagesVisible\"', 'Maximum', 60)";
const GROUPS: &str =
    "SELECT MAX(ApproximateNumberOfMessagesVisible) FROM SCHEMA(\"AWS/SQS\", QueueName) GROUP BY QueueName";

/// Stores depths of these queues, in each of the last five minutes.
fn depths(rig: &Rig, queues: &[(&str, f64)]) {
    for (queue, value) in queues {
        for minutes in 0..5 {
            let (metric, at) = ("ApproximateNumberOfMessagesVisible", minutes_ago(minutes));
            rig.fake.cloudwatch().put("AWS/SQS", metric, &[("QueueName", queue)], at, *value);
        }
    }
}

#[tokio::test]
async fn expression_with_several_series_is_refused_with_remedy() {
    let queues = [("images", 0.0), ("mail", 40.0), ("orders", 5_000.0)];
    let rig = Rig::new().await;
    depths(&rig, &queues);
    for (expression, remedy) in [
        (DEPTHS, "put SUM(…), MAX(…) around it"),
        (GROUPS, "leave GROUP BY out, or end with ORDER BY … LIMIT 1"),
    ] {
        // With pages of two datapoints, each series spans several pages.
        for page_size in [None, Some(2)] {
            rig.fake.configure(|settings| settings.cloudwatch.page_size = page_size);
            let (error, error_chain) = rig.failure(search(expression)).await;
            assert_eq!((error.kind(), error.is_transient()), (FaultKind::Config, false), "{error_chain}");
            let expected =
                format!("{expression} in eu-central-1: the expression makes 3 time series; {remedy}");
            assert!(error.to_string().ends_with(&expected), "{error}");
            assert!(error_chain.ends_with("they are images, mail, orders"), "{error_chain}");
        }
    }
}

#[tokio::test]
async fn single_series_expression_decides_over_many_pages() {
    let rig = Rig::new().await;
    depths(&rig, &[("images", 0.0), ("mail", 40.0), ("orders", 5_000.0)]);
    let lasting = |expression: &str| {
        let mut fields = search(expression);
        fields["evaluationPeriods"] = 5.into();
        fields
    };
    let one = DEPTHS.replace("{AWS/SQS,QueueName}", "{AWS/SQS,QueueName} QueueName=\"mail\"");
    for page_size in [None, Some(2)] {
        rig.fake.configure(|settings| settings.cloudwatch.page_size = page_size);
        for (expression, newest) in [
            (format!("SUM({DEPTHS})"), 5_040),
            (one.clone(), 40),
            (format!("{GROUPS} ORDER BY MAX() DESC LIMIT 1"), 5_000),
        ] {
            let evaluation = rig.evaluate(lasting(&expression)).await.unwrap();
            let expected =
                format!("5 of 5 datapoints of expression > 0, the newest {newest}; {newest} ÷ 10 per task");
            assert_eq!(evaluation.reason, expected, "{expression}");
        }
    }
}

#[tokio::test]
async fn empty_search_has_no_datapoint() {
    let rig = Rig::new().await;
    for expression in [DEPTHS, GROUPS] {
        let (error, _) = rig.failure(search(expression)).await;
        assert_eq!(error.kind(), FaultKind::NotFound);
        let mut quiet = search(expression);
        quiet["treatMissingData"] = "notBreaching".into();
        assert_eq!(rig.evaluate(quiet).await.unwrap().demand, Demand::Idle);
    }
}

#[tokio::test]
async fn truncated_sum_is_an_error() {
    let rig = Rig::new().await;
    depths(&rig, &[("images", 0.0), ("mail", 40.0), ("orders", 5_000.0)]);
    rig.fake.configure(|settings| settings.cloudwatch.most_found = Some(2));
    let (error, error_chain) = rig.failure(search(&format!("SUM({DEPTHS})"))).await;
    assert_eq!(error.kind(), FaultKind::Config);
    assert!(
        error_chain.contains("left out some of the metrics; search for fewer: MaxMetricsExceeded"),
        "{error_chain}"
    );
}

#[tokio::test]
async fn expression_selecting_by_id_sees_the_jobs_ids() {
    let rig = Rig::new().await;
    rig.put("Errors", 0, 3.0);
    rig.put("Calls", 0, 90.0);
    let metric = |id: &str, name: &str| json!({"id": id, "namespace": "App", "metricName": name});
    let fields = json!({
        "expression": "SUM(METRICS('q'))", "threshold": 0,
        "metrics": [metric("errors", "Errors"), metric("requests", "Calls")],
    });
    assert_eq!(rig.evaluate(fields).await.unwrap().reason, "expression 90 > 0");
}
