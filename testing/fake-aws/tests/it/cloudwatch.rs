use ciborium::Value as Cbor;
use ecs_scheduler_fake_aws::DataStatus;
use jiff::{SignedDuration, Timestamp};

use crate::help::{Rig, SIGNED, beginning};

pub(crate) fn text(text: &str) -> Cbor {
    Cbor::Text(text.to_owned())
}

pub(crate) fn map<const N: usize>(members: [(&str, Cbor); N]) -> Cbor {
    Cbor::Map(members.map(|(name, value)| (text(name), value)).into())
}

pub(crate) fn moment(at: Timestamp) -> Cbor {
    Cbor::Tag(1, Box::new(Cbor::Float(at.as_second() as f64)))
}

pub(crate) fn member<'a>(document: &'a Cbor, name: &str) -> &'a Cbor {
    let members = document.as_map().unwrap();
    members.iter().find(|(key, _)| key.as_text() == Some(name)).map_or(&Cbor::Null, |(_, value)| value)
}

pub(crate) fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) query_error: Option<String>,
    pub(crate) body: Cbor,
}

impl Rig {
    pub(crate) async fn cloudwatch(&self, operation: &str, body: &Cbor) -> Told {
        let mut bytes = Vec::new();
        ciborium::into_writer(body, &mut bytes).unwrap();
        let url = format!("{}/service/GraniteServiceVersion20100801/operation/{operation}", self.fake.url());
        let request =
            self.http.post(url).header("smithy-protocol", "rpc-v2-cbor").header("authorization", SIGNED);
        let response = request.header("content-type", "application/cbor").body(bytes).send().await.unwrap();
        assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
        let status = response.status().as_u16();
        let header = response.headers().get("x-amzn-query-error");
        let query_error = header.map(|value| value.to_str().unwrap().to_owned());
        let bytes = response.bytes().await.unwrap();
        Told { status, query_error, body: ciborium::from_reader(&bytes[..]).unwrap() }
    }

    pub(crate) async fn get(&self, queries: Vec<Cbor>, more: Vec<(&str, Cbor)>) -> Told {
        let mut members = vec![
            (text("MetricDataQueries"), Cbor::Array(queries)),
            (text("StartTime"), moment(beginning())),
            (text("EndTime"), moment(beginning() + minutes(10))),
            (text("ScanBy"), text("TimestampAscending")),
        ];
        for (name, value) in more {
            members.retain(|(key, _)| key.as_text() != Some(name));
            members.push((text(name), value));
        }
        self.cloudwatch("GetMetricData", &Cbor::Map(members)).await
    }
}

fn stat(id: &str, name: &str, statistic: &str, period: i64) -> Cbor {
    let dimensions = Cbor::Array(vec![map([("Name", text("Queue")), ("Value", text("orders"))])]);
    let metric = map([("Namespace", text("Shop")), ("MetricName", text(name)), ("Dimensions", dimensions)]);
    let stat = map([("Metric", metric), ("Period", Cbor::from(period)), ("Stat", text(statistic))]);
    map([("Id", text(id)), ("MetricStat", stat)])
}

pub(crate) fn expression(id: &str, expression: &str) -> Cbor {
    map([("Id", text(id)), ("Expression", text(expression))])
}

/// Returns seconds since the beginning, and values, of one result.
pub(crate) fn points(told: &Told, index: usize) -> Vec<(i64, f64)> {
    assert_eq!(told.status, 200, "{:?}", told.body);
    let result = &member(&told.body, "MetricDataResults").as_array().unwrap()[index];
    let times = member(result, "Timestamps").as_array().unwrap().iter().map(|at| {
        let (tag, inner) = at.as_tag().unwrap();
        assert_eq!(tag, 1);
        i64::try_from(inner.as_integer().unwrap()).unwrap() - beginning().as_second()
    });
    let values = member(result, "Values").as_array().unwrap().iter().map(|value| value.as_float().unwrap());
    times.zip(values).collect()
}

async fn with_data() -> Rig {
    let rig = Rig::new().await;
    for (minute, value) in [(0, 1.0), (0, 3.0), (1, 5.0), (5, 7.0)] {
        let at = beginning() + minutes(minute) + SignedDuration::from_secs(30);
        rig.fake.cloudwatch().put("Shop", "Depth", &[("Queue", "orders")], at, value);
    }
    rig.pass(600);
    rig
}

#[tokio::test]
async fn statistics_are_returned_per_period() {
    let rig = with_data().await;
    let queries = vec![
        stat("a", "Depth", "Average", 60),
        stat("b", "Depth", "Sum", 300),
        stat("c", "Depth", "Maximum", 60),
        stat("d", "Depth", "SampleCount", 600),
        stat("e", "Depth", "p50", 600),
        stat("f", "Depth", "Minimum", 600),
        stat("g", "Nothing", "Sum", 60),
    ];
    let told = rig.get(queries, vec![]).await;
    assert_eq!(points(&told, 0), [(0, 2.0), (60, 5.0), (300, 7.0)]);
    assert_eq!(points(&told, 1), [(0, 9.0), (300, 7.0)]);
    assert_eq!(points(&told, 2), [(0, 3.0), (60, 5.0), (300, 7.0)]);
    assert_eq!(points(&told, 3), [(0, 4.0)]);
    assert_eq!(points(&told, 4), [(0, 3.0)]);
    assert_eq!(points(&told, 5), [(0, 1.0)]);
    assert_eq!(points(&told, 6), []);
    let result = &member(&told.body, "MetricDataResults").as_array().unwrap()[0];
    assert_eq!((member(result, "StatusCode"), member(result, "Label")), (&text("Complete"), &text("Depth")));
}

#[tokio::test]
async fn newest_is_first_by_default_and_start_is_rounded_down() {
    let rig = with_data().await;
    let start = ("StartTime", moment(beginning() + minutes(1) + SignedDuration::from_secs(59)));
    let told = rig
        .get(vec![stat("a", "Depth", "Sum", 60)], vec![start, ("ScanBy", text("TimestampDescending"))])
        .await;
    assert_eq!(points(&told, 0), [(300, 7.0), (60, 5.0)]);
}

#[tokio::test]
async fn expressions_use_other_queries() {
    let rig = with_data().await;
    let queries = vec![
        stat("a", "Depth", "Sum", 60),
        stat("b", "Depth", "SampleCount", 60),
        expression("c", "a / b"),
        expression("d", "c * 10 + FILL(a, 0)"),
        expression("e", "SUM(METRICS())"),
    ];
    let told = rig.get(queries, vec![]).await;
    assert_eq!(points(&told, 2), [(0, 2.0), (60, 5.0), (300, 7.0)]);
    assert_eq!(points(&told, 3), [(0, 24.0), (60, 55.0), (300, 77.0)]);
    assert_eq!(points(&told, 4), [(0, 6.0), (60, 6.0), (300, 8.0)]);
}

#[tokio::test]
async fn invalid_queries_are_refused() {
    let rig = with_data().await;
    let many = (0..501).map(|n| stat(&format!("m{n}"), "Depth", "Sum", 60)).collect();
    let twice = vec![stat("a", "Depth", "Sum", 60), stat("a", "Depth", "Sum", 60)];
    for (queries, why) in [
        (many, "501 queries"),
        (vec![], "no query"),
        (twice, "an id twice"),
        (vec![stat("A", "Depth", "Sum", 60)], "an id in capitals"),
        (vec![stat("a", "Depth", "Sum", 90)], "period 90"),
        (vec![stat("a", "Depth", "Total", 60)], "an unknown statistic"),
        (vec![expression("a", "b + 1")], "an unknown id"),
        (vec![expression("a", "a + 1")], "a circle"),
        (vec![expression("a", "1 + 1")], "a number instead of a series"),
    ] {
        let told = rig.get(queries, vec![]).await;
        assert_eq!(told.status, 400, "{why}");
        assert_eq!(told.query_error.as_deref(), Some("ValidationError;Sender"), "{why}");
        assert_eq!(member(&told.body, "__type"), &text("com.amazonaws.cloudwatch#ValidationError"));
    }
    let backwards = ("EndTime", moment(beginning()));
    assert_eq!(rig.get(vec![stat("a", "Depth", "Sum", 60)], vec![backwards]).await.status, 400);
}

#[tokio::test]
async fn long_answers_are_paged() {
    let rig = with_data().await;
    rig.fake.configure(|settings| settings.cloudwatch.page_size = Some(2));
    let queries = || vec![stat("a", "Depth", "Sum", 60), stat("b", "Depth", "Maximum", 300)];
    let first = rig.get(queries(), vec![]).await;
    assert_eq!(points(&first, 0), [(0, 4.0), (60, 5.0)]);
    let result = &member(&first.body, "MetricDataResults").as_array().unwrap()[0];
    assert_eq!(member(result, "StatusCode"), &text("PartialData"));
    let second = rig.get(queries(), vec![("NextToken", member(&first.body, "NextToken").clone())]).await;
    assert_eq!((points(&second, 0), points(&second, 1)), (vec![(300, 7.0)], vec![(0, 5.0)]));
    let third = rig.get(queries(), vec![("NextToken", member(&second.body, "NextToken").clone())]).await;
    assert_eq!(points(&third, 0), [(300, 7.0)]);
    assert_eq!(member(&third.body, "NextToken"), &Cbor::Null);
    let wrong = rig.get(queries(), vec![("NextToken", text("x"))]).await;
    assert_eq!(wrong.query_error.as_deref(), Some("InvalidNextToken;Sender"));
}

#[tokio::test]
async fn query_statuses_are_configurable() {
    let rig = with_data().await;
    rig.fake.configure(|settings| {
        settings.cloudwatch.statuses =
            [("a".to_owned(), DataStatus::InternalError), ("b".to_owned(), DataStatus::PartialData)].into();
    });
    let told = rig.get(vec![stat("a", "Depth", "Sum", 60), stat("b", "Depth", "Sum", 60)], vec![]).await;
    let results = member(&told.body, "MetricDataResults").as_array().unwrap();
    assert_eq!(member(&results[0], "StatusCode"), &text("InternalError"));
    assert_eq!(points(&told, 0), []);
    assert_eq!(member(&results[1], "StatusCode"), &text("PartialData"));
    assert_eq!(points(&told, 1), [(0, 4.0)]);
}

#[tokio::test]
async fn data_are_put_over_http_and_listed() {
    let rig = Rig::new().await;
    let counted = map([
        ("MetricName", text("Latency")),
        ("Timestamp", moment(beginning())),
        ("Values", Cbor::Array(vec![Cbor::Float(1.0), Cbor::Float(2.5)])),
        ("Counts", Cbor::Array(vec![Cbor::Float(2.0), Cbor::Float(1.0)])),
    ]);
    let put = |namespace: &str| {
        map([("Namespace", text(namespace)), ("MetricData", Cbor::Array(vec![counted.clone()]))])
    };
    assert_eq!(rig.cloudwatch("PutMetricData", &put("Shop")).await.status, 200);
    let listed = rig.cloudwatch("ListMetrics", &map([("Namespace", text("Shop"))])).await;
    let metrics = member(&listed.body, "Metrics").as_array().unwrap();
    assert_eq!((metrics.len(), member(&metrics[0], "MetricName")), (1, &text("Latency")));
    let metric = map([("Namespace", text("Shop")), ("MetricName", text("Latency"))]);
    let stat = map([("Metric", metric), ("Period", Cbor::from(60)), ("Stat", text("Sum"))]);
    let told = rig.get(vec![map([("Id", text("a")), ("MetricStat", stat)])], vec![]).await;
    assert_eq!(points(&told, 0), [(0, 4.5)]);
    let refused = rig.cloudwatch("PutMetricData", &put("AWS/SQS")).await;
    assert_eq!(refused.query_error.as_deref(), Some("InvalidParameterValue;Sender"));
    rig.pass(15 * 86_400);
    assert_eq!(rig.cloudwatch("PutMetricData", &put("Shop")).await.status, 400);
}
