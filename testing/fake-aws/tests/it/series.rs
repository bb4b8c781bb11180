//! Queries with several time series, and units.

use ciborium::Value as Cbor;
use ecs_scheduler_fake_aws::DataStatus;

use crate::cloudwatch::{Told, expression, map, member, minutes, moment, points, text};
use crate::help::{Rig, beginning};

/// Queues with one value each, in the first minute, and one metric of another application.
async fn with_queues() -> Rig {
    let rig = Rig::new().await;
    let cloudwatch = rig.fake.cloudwatch();
    for (queue, value) in [("images", 1.0), ("mail", 40.0), ("orders", 500.0)] {
        cloudwatch.put("AWS/SQS", "Depth", &[("QueueName", queue)], beginning(), value);
        cloudwatch.put("AWS/SQS", "Age", &[("QueueName", queue)], beginning(), value / 10.0);
    }
    cloudwatch.put("Shop", "Depth", &[("QueueName", "orders"), ("Shop", "a")], beginning(), 7.0);
    rig.pass(600);
    rig
}

fn stat(id: &str, queue: &str) -> Cbor {
    let dimension = map([("Name", text("QueueName")), ("Value", text(queue))]);
    let metric = map([
        ("Namespace", text("AWS/SQS")),
        ("MetricName", text("Depth")),
        ("Dimensions", Cbor::Array(vec![dimension])),
    ]);
    let stat = map([("Metric", metric), ("Period", Cbor::from(60)), ("Stat", text("Sum"))]);
    map([("Id", text(id)), ("MetricStat", stat), ("ReturnData", Cbor::Bool(false))])
}

fn insights(query: &str) -> Cbor {
    map([("Id", text("q")), ("Expression", text(query)), ("Period", Cbor::from(60))])
}

/// Returns id, label and values of each result.
fn results(told: &Told) -> Vec<(String, String, Vec<f64>)> {
    assert_eq!(told.status, 200, "{:?}", told.body);
    let all = member(&told.body, "MetricDataResults").as_array().unwrap();
    let one = |result: &Cbor| {
        let text = |name| member(result, name).as_text().unwrap().to_owned();
        let values = member(result, "Values").as_array().unwrap().iter();
        (text("Id"), text("Label"), values.map(|value| value.as_float().unwrap()).collect())
    };
    all.iter().map(one).collect()
}

fn result(label: &str, value: f64) -> (String, String, Vec<f64>) {
    ("q".to_owned(), label.to_owned(), vec![value])
}

#[tokio::test]
async fn search_returns_a_series_for_each_metric() {
    let rig = with_queues().await;
    for (search, expected) in [
        (
            "{AWS/SQS,QueueName} MetricName=\"Depth\"",
            vec![result("images", 1.0), result("mail", 40.0), result("orders", 500.0)],
        ),
        ("{AWS/SQS,QueueName} Depth AND QueueName=\"mail\"", vec![result("mail", 40.0)]),
        ("Namespace=\"AWS/SQS\" mail", vec![result("mail Age", 4.0), result("mail Depth", 40.0)]),
        ("{Shop,QueueName,Shop}", vec![result("orders a", 7.0)]),
        ("{Shop,QueueName}", vec![]),
    ] {
        let told = rig.get(vec![expression("q", &format!("SEARCH('{search}', 'Sum', 60)"))], vec![]).await;
        assert_eq!(results(&told), expected, "{search}");
    }
    let sum = expression("q", "SUM(SEARCH('{AWS/SQS,QueueName} Depth', 'Sum', 60))");
    assert_eq!(points(&rig.get(vec![sum], vec![]).await, 0), [(0, 541.0)]);
    for wrong in ["", "{", "{}", "{App} OR x", "(x)", "x=\"y"] {
        let told = rig.get(vec![expression("q", &format!("SEARCH('{wrong}', 'Sum', 60)"))], vec![]).await;
        assert_eq!(told.query_error.as_deref(), Some("ValidationError;Sender"), "{wrong}");
    }
}

#[tokio::test]
async fn search_finds_metrics_with_data_within_two_weeks() {
    let rig = with_queues().await;
    rig.pass(14 * 86_400);
    rig.fake.cloudwatch().put("AWS/SQS", "Depth", &[("QueueName", "new")], rig.now(), 3.0);
    let span = vec![("StartTime", moment(rig.now())), ("EndTime", moment(rig.now() + minutes(2)))];
    let told = rig.get(vec![expression("q", "SEARCH('{AWS/SQS,QueueName} Depth', 'Sum', 60)")], span).await;
    assert_eq!(results(&told), [result("new", 3.0)]);
}

#[tokio::test]
async fn query_returns_a_series_for_each_group() {
    let rig = with_queues().await;
    for (query, expected) in [
        (
            "SELECT SUM(Depth) FROM SCHEMA(\"AWS/SQS\", QueueName) GROUP BY QueueName",
            vec![result("images", 1.0), result("mail", 40.0), result("orders", 500.0)],
        ),
        (
            "select max(Depth) from \"AWS/SQS\" where QueueName != 'images' group by QueueName order by max() desc",
            vec![result("orders", 500.0), result("mail", 40.0)],
        ),
        (
            "SELECT MAX(Depth) FROM \"AWS/SQS\" GROUP BY QueueName ORDER BY MAX() ASC LIMIT 1",
            vec![result("images", 1.0)],
        ),
        ("SELECT AVG(Age) FROM \"AWS/SQS\" WHERE QueueName = 'mail'", vec![result("Age", 4.0)]),
        ("SELECT SUM(Depth) FROM \"AWS/SQS\"", vec![result("Depth", 541.0)]),
        ("SELECT COUNT(Depth) FROM \"AWS/SQS\"", vec![result("Depth", 3.0)]),
        ("SELECT SUM(Depth) FROM SCHEMA(Shop, QueueName)", vec![]),
    ] {
        assert_eq!(results(&rig.get(vec![insights(query)], vec![]).await), expected, "{query}");
    }
    for wrong in [
        "SELECT Depth FROM \"AWS/SQS\"",
        "SELECT SUM(Depth)",
        "SELECT SUM(Depth) FROM AWS/SQS",
        "SELECT SUM(Depth) FROM \"AWS/SQS\" LIMIT 0",
        "SELECT SUM(Depth) FROM \"AWS/SQS\" GROUP QueueName",
    ] {
        let told = rig.get(vec![insights(wrong)], vec![]).await;
        assert_eq!(told.query_error.as_deref(), Some("ValidationError;Sender"), "{wrong}");
    }
}

#[tokio::test]
async fn query_needs_a_period_and_its_own_call() {
    let rig = with_queues().await;
    let query = "SELECT SUM(Depth) FROM \"AWS/SQS\"";
    assert_eq!(rig.get(vec![expression("q", query)], vec![]).await.status, 400);
    let other = map([("Id", text("r")), ("Expression", text(query)), ("Period", Cbor::from(60))]);
    assert_eq!(rig.get(vec![insights(query), other], vec![]).await.status, 400);
    assert_eq!(rig.get(vec![insights(query), stat("m", "mail")], vec![]).await.status, 200);
}

#[tokio::test]
async fn lists_and_bands_return_several_series() {
    let rig = with_queues().await;
    let metrics = || vec![stat("m1", "mail"), stat("m2", "orders")];
    for (text, expected) in [
        ("METRICS()", vec![result("Depth", 40.0), result("Depth", 500.0)]),
        ("METRICS('m2') / 2", vec![result("Depth", 250.0)]),
        ("[m1, m2]", vec![result("m1", 40.0), result("m2", 500.0)]),
        (
            "ANOMALY_DETECTION_BAND(m1, 2)",
            vec![result("ANOMALY_DETECTION_BAND", 40.0), result("ANOMALY_DETECTION_BAND", 40.0)],
        ),
    ] {
        let queries = metrics().into_iter().chain([expression("q", text)]).collect();
        assert_eq!(results(&rig.get(queries, vec![]).await), expected, "{text}");
    }
    let labelled = map([("Id", text("q")), ("Expression", text("[m1, m2]")), ("Label", text("depth of"))]);
    let queries = metrics().into_iter().chain([labelled]).collect();
    let told = rig.get(queries, vec![]).await;
    assert_eq!(results(&told), [result("depth of m1", 40.0), result("depth of m2", 500.0)]);
}

#[tokio::test]
async fn series_continue_over_pages_and_share_the_query_status() {
    let rig = with_queues().await;
    for queue in ["images", "mail"] {
        rig.fake.cloudwatch().put("AWS/SQS", "Depth", &[("QueueName", queue)], beginning() + minutes(1), 2.0);
    }
    rig.fake.configure(|settings| settings.cloudwatch.page_size = Some(3));
    let search = || vec![expression("q", "SEARCH('{AWS/SQS,QueueName} Depth', 'Sum', 60)")];
    let first = rig.get(search(), vec![]).await;
    let both = ("q".to_owned(), "images".to_owned(), vec![1.0, 2.0]);
    assert_eq!(results(&first), [both, result("mail", 40.0)]);
    let statuses = |told: &Told| -> Vec<String> {
        let all = member(&told.body, "MetricDataResults").as_array().unwrap();
        all.iter().map(|result| member(result, "StatusCode").as_text().unwrap().to_owned()).collect()
    };
    assert_eq!(statuses(&first), ["Complete", "PartialData"]);
    let next = ("NextToken", member(&first.body, "NextToken").clone());
    let second = rig.get(search(), vec![next]).await;
    assert_eq!(results(&second), [result("mail", 2.0), result("orders", 500.0)]);
    assert_eq!(statuses(&second), ["Complete", "Complete"]);
    rig.fake.configure(|settings| {
        settings.cloudwatch.statuses = [("q".to_owned(), DataStatus::Forbidden)].into();
    });
    assert_eq!(statuses(&rig.get(search(), vec![]).await), ["Forbidden"; 3]);
}

#[tokio::test]
async fn series_beyond_the_limit_are_dropped_with_a_message() {
    let rig = with_queues().await;
    rig.fake.configure(|settings| settings.cloudwatch.most_found = Some(2));
    for (query, code) in [
        (expression("q", "SUM(SEARCH('{AWS/SQS,QueueName} Depth', 'Sum', 60))"), "MaxMetricsExceeded"),
        (insights("SELECT SUM(Depth) FROM \"AWS/SQS\" GROUP BY QueueName"), "MaxQueryResultsExceeded"),
    ] {
        let told = rig.get(vec![query], vec![]).await;
        let messages = member(&told.body, "Messages").as_array().unwrap();
        assert_eq!(member(&messages[0], "Code"), &text(code));
        assert_eq!(results(&told)[0].2.iter().sum::<f64>(), if code.contains("Query") { 1.0 } else { 41.0 });
    }
    let told =
        rig.get(vec![expression("q", "SEARCH('{AWS/SQS,QueueName} mail Age', 'Sum', 60)")], vec![]).await;
    assert_eq!(member(&told.body, "Messages"), &Cbor::Array(vec![]));
}

#[tokio::test]
async fn data_with_another_unit_are_not_returned() {
    let rig = Rig::new().await;
    let cloudwatch = rig.fake.cloudwatch();
    cloudwatch.put_in("Bytes", "Shop", "Size", &[], beginning(), 2_048.0);
    cloudwatch.put_in("Kilobytes", "Shop", "Size", &[], beginning(), 2.0);
    cloudwatch.put("Shop", "Size", &[], beginning(), 5.0);
    rig.pass(600);
    let metric = map([("Namespace", text("Shop")), ("MetricName", text("Size"))]);
    let query = |unit: Option<&str>| {
        let mut stat = vec![
            (text("Metric"), metric.clone()),
            (text("Period"), Cbor::from(60)),
            (text("Stat"), text("Sum")),
        ];
        stat.extend(unit.map(|unit| (text("Unit"), text(unit))));
        map([("Id", text("a")), ("MetricStat", Cbor::Map(stat))])
    };
    for (unit, expected) in [
        (None, vec![(0, 2_055.0)]),
        (Some("Bytes"), vec![(0, 2_048.0)]),
        (Some("Kilobytes"), vec![(0, 2.0)]),
        (Some("None"), vec![(0, 5.0)]),
        (Some("Count"), vec![]),
    ] {
        assert_eq!(points(&rig.get(vec![query(unit)], vec![]).await, 0), expected, "{unit:?}");
    }
    assert_eq!(rig.get(vec![query(Some("Messages"))], vec![]).await.status, 400);
    let datum = map([("MetricName", text("Size")), ("Value", Cbor::Float(1.0)), ("Unit", text("Messages"))]);
    let put = map([("Namespace", text("Shop")), ("MetricData", Cbor::Array(vec![datum]))]);
    assert_eq!(rig.cloudwatch("PutMetricData", &put).await.status, 400);
}
