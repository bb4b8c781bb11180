use serde_json::{Value, json};

use super::*;

fn plan(document: &Value) -> Result<QueryPlan, ConfigError> {
    let config =
        serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{document}: {error}"));
    QueryPlan::from_config(&config)
}

/// A metric with these fields changed; a field set to null is left out.
fn metric(change: Value) -> Value {
    merged(json!({"namespace": "App", "metricName": "Backlog", "threshold": 10}), change)
}

/// An expression with these fields changed.
fn math(change: Value) -> Value {
    let metric = |id: &str| json!({"id": id, "namespace": "App", "metricName": id, "stat": "Sum"});
    let document = json!({"expression": "m1 / m2", "threshold": 1, "metrics": [metric("m1"), metric("m2")]});
    merged(document, change)
}

fn merged(mut document: Value, change: Value) -> Value {
    let Value::Object(change) = change else { panic!("an object") };
    for (name, value) in change {
        if value.is_null() {
            document.as_object_mut().unwrap().remove(&name);
        } else {
            document[name] = value;
        }
    }
    document
}

#[test]
fn omitted_fields_have_defaults() {
    let plan = plan(&metric(json!({}))).unwrap();
    assert_eq!((plan.period, plan.delay, plan.scope.clone()), (60, 0, AwsScope::default()));
    assert_eq!((plan.rule.datapoints, plan.rule.periods, plan.rule.amount), (1, 1, Amount::Floor));
    assert_eq!(plan.query.series.to_string(), "App/Backlog Average");
}

#[test]
fn every_field_is_applied() {
    let plan = plan(&metric(json!({
        "dimensions": {"Queue": "b", "App": "a"}, "stat": "p99", "unit": "Count", "period": "5m",
        "comparison": "<=", "evaluationPeriods": 5, "datapointsToAlarm": 3, "treatMissingData": "breaching",
        "delay": 120, "steps": [{"over": -5, "tasks": 1}, {"over": 5.5, "tasks": 4}], "region": "eu-west-1",
        "accountId": "123456789012",
    })))
    .unwrap();
    assert_eq!(plan.query.series.to_string(), "App/Backlog p99 App=a Queue=b");
    assert_eq!((plan.period, plan.delay, plan.rule.datapoints, plan.rule.periods), (300, 120, 3, 5));
    assert_eq!(plan.scope.region.as_deref(), Some("eu-west-1"));
    assert_eq!(plan.query.account.as_deref(), Some("123456789012"));
    assert!(matches!(plan.rule.amount, Amount::Steps(steps) if steps.len() == 2));
}

#[test]
fn omitted_datapoints_to_alarm_means_all() {
    assert_eq!(plan(&metric(json!({"evaluationPeriods": 4}))).unwrap().rule.datapoints, 4);
}

#[test]
fn expressions_are_accepted_with_their_metrics() {
    for document in [
        math(json!({})),
        math(json!({"expression": "IF(m1 > 1e3 AND m2 > 0, m1/m2, 0)"})),
        math(json!({"expression": "SUM(METRICS())"})),
        math(json!({"expression": "AVG(SEARCH('{App,Queue} backlog', 'Sum', 60))", "metrics": null})),
        math(json!({"expression": "SELECT AVG(cpu) FROM \"App\"", "metrics": null})),
    ] {
        plan(&document).unwrap_or_else(|error| panic!("{document}: {error}"));
    }
}

#[test]
fn expression_with_certainly_several_series_is_refused() {
    for expression in ["METRICS()", "[m1, m2]", "ANOMALY_DETECTION_BAND(m1 + m2)"] {
        let error = plan(&math(json!({"expression": expression}))).unwrap_err();
        assert_eq!(error.pointer, "/expression", "{expression}");
        let message = "makes 2 time series, and a trigger needs one; put SUM(…), MAX(…) around it";
        assert_eq!(error.message, message, "{expression}");
    }
}

#[test]
fn errors_point_to_the_field() {
    let many: serde_json::Map<String, Value> = (0..31).map(|n| (format!("d{n}"), json!("v"))).collect();
    let steps: Vec<Value> = (0..51).map(|n| json!({"over": n, "tasks": 1})).collect();
    let twice = json!([{"id": "m1", "namespace": "A", "metricName": "a"}, {"id": "m1", "namespace": "A", "metricName": "b"}]);
    let one = |id: &str| json!([{"id": id, "namespace": "App", "metricName": "x"}]);
    let table = [
        (metric(json!({"namespace": null})), "/namespace"),
        (metric(json!({"metricName": null})), "/metricName"),
        (metric(json!({"namespace": null, "metricName": null})), "/namespace"),
        (metric(json!({"namespace": ""})), "/namespace"),
        (metric(json!({"namespace": ":x"})), "/namespace"),
        (metric(json!({"metricName": "x".repeat(256)})), "/metricName"),
        (metric(json!({"dimensions": many})), "/dimensions"),
        (metric(json!({"dimensions": {"a/b": ""}})), "/dimensions/a~1b"),
        (metric(json!({"dimensions": {"a": "x".repeat(1_025)}})), "/dimensions/a"),
        (metric(json!({"stat": "average"})), "/stat"),
        (metric(json!({"unit": "Messages"})), "/unit"),
        (metric(json!({"metrics": one("m1")})), "/metrics"),
        (metric(json!({"expression": "m1"})), "/namespace"),
        (math(json!({"stat": "Sum"})), "/stat"),
        (math(json!({"unit": "Count"})), "/unit"),
        (math(json!({"dimensions": {"a": "b"}})), "/dimensions"),
        (math(json!({"expression": " "})), "/expression"),
        (math(json!({"expression": "m1".repeat(1_100)})), "/expression"),
        (math(json!({"expression": "m1 + m2 + m3"})), "/expression"),
        (math(json!({"expression": "m1"})), "/metrics/1/id"),
        (math(json!({"expression": "1 + 1", "metrics": null})), "/metrics"),
        (math(json!({"expression": "m1", "metrics": twice})), "/metrics/1/id"),
        (math(json!({"expression": "M1", "metrics": one("M1")})), "/metrics/0/id"),
        (math(json!({"expression": "a", "metrics": one("a-b")})), "/metrics/0/id"),
        (math(json!({"metrics": (0..11).map(|_| one("a")[0].clone()).collect::<Vec<_>>()})), "/metrics"),
        (metric(json!({"period": 0})), "/period"),
        (metric(json!({"period": 45})), "/period"),
        (metric(json!({"period": "90s"})), "/period"),
        (metric(json!({"period": "2d"})), "/period"),
        (metric(json!({"period": "1500ms"})), "/period"),
        (metric(json!({"period": "soon"})), "/period"),
        (metric(json!({"delay": "25h"})), "/delay"),
        (metric(json!({"delay": "x"})), "/delay"),
        (metric(json!({"evaluationPeriods": 101})), "/evaluationPeriods"),
        (metric(json!({"evaluationPeriods": 2, "datapointsToAlarm": 3})), "/datapointsToAlarm"),
        (metric(json!({"period": "30s", "delay": "3h"})), "/evaluationPeriods"),
        (metric(json!({"valuePerTask": 0})), "/valuePerTask"),
        (metric(json!({"valuePerTask": -1})), "/valuePerTask"),
        (metric(json!({"valuePerTask": 1, "steps": [{"over": 1, "tasks": 1}]})), "/steps"),
        (metric(json!({"steps": [{"over": 5, "tasks": 1}, {"over": 5, "tasks": 2}]})), "/steps/1/over"),
        (metric(json!({"steps": steps})), "/steps"),
        (metric(json!({"region": "Paris"})), "/region"),
        (metric(json!({"region": "eu-west"})), "/region"),
        (metric(json!({"accountId": "1"})), "/accountId"),
    ];
    for (document, pointer) in table {
        let error = plan(&document).expect_err(&document.to_string());
        assert_eq!(error.pointer, pointer, "{document}: {error}");
        assert!(!error.message.is_empty() && !error.message.ends_with('.'), "{error}");
    }
}
