use aws_sdk_cloudwatch::primitives::DateTime;

use super::*;
use crate::expression::Expression;
use crate::query::Metric;

/// A result of the query `q0` with these datapoints: seconds and values.
fn result(label: &str, status: StatusCode, points: &[(i64, f64)]) -> MetricDataResult {
    MetricDataResult::builder()
        .id("q0")
        .label(label)
        .status_code(status)
        .set_timestamps(Some(points.iter().map(|(at, _)| DateTime::from_secs(*at)).collect()))
        .set_values(Some(points.iter().map(|(_, value)| *value).collect()))
        .build()
}

fn page(results: impl IntoIterator<Item = MetricDataResult>) -> GetMetricDataOutput {
    GetMetricDataOutput::builder().set_metric_data_results(Some(results.into_iter().collect())).build()
}

fn math(text: &str) -> Series {
    Series::Math { expression: Expression::new(text), metrics: Vec::new() }
}

/// Reads pages as the result of this query: values, newest first.
fn read(
    series: &Series,
    pages: impl IntoIterator<Item = GetMetricDataOutput>,
) -> Result<Vec<f64>, TriggerError> {
    let mut all = ResultPages::default();
    pages.into_iter().for_each(|page| all.add(page));
    let points = all.take("q0").points(series, "eu-central-1")?;
    Ok(points.iter().map(|point| point.value).collect())
}

#[test]
fn series_over_several_pages_is_one_series() {
    use StatusCode::{Complete, InternalError, PartialData};
    let search = math("SEARCH('x', 'Sum', 60)");
    for interrupted in [PartialData, InternalError] {
        let pages = [
            page([result("a", interrupted, &[(180, 4.0), (120, 3.0)])]),
            page([result("a", PartialData, &[(60, 2.0)])]),
            page([result("a", Complete, &[(0, 1.0)])]),
        ];
        assert_eq!(read(&search, pages).unwrap(), [4.0, 3.0, 2.0, 1.0]);
    }
    let unfinished = [page([result("a", PartialData, &[(60, 2.0)])])];
    assert_eq!(read(&search, unfinished).unwrap_err().kind(), FaultKind::Unavailable);
}

#[test]
fn series_are_counted_over_pages_and_labels() {
    use StatusCode::{Complete, PartialData};
    let (search, select) = (math("SEARCH('x', 'Sum', 60)"), math("SELECT SUM(a) FROM \"App\" GROUP BY b"));
    let tables = [
        (2, vec![page([result("a", Complete, &[(0, 1.0)]), result("b", Complete, &[(0, 2.0)])])]),
        (2, vec![page([result("a", Complete, &[(0, 1.0)]), result("a", Complete, &[(0, 2.0)])])]),
        (2, vec![page([result("a", Complete, &[(0, 1.0)])]), page([result("b", Complete, &[(0, 2.0)])])]),
        (2, vec![page([result("a", Complete, &[(0, 1.0)])]), page([result("a", Complete, &[(0, 2.0)])])]),
        (2, vec![page([result("a", Complete, &[]), result("b", Complete, &[(0, 2.0)])])]),
        (
            3,
            vec![
                page([result("a", Complete, &[(60, 1.0)]), result("b", PartialData, &[(60, 2.0)])]),
                page([result("b", Complete, &[(0, 2.0)]), result("c", Complete, &[(0, 2.0)])]),
            ],
        ),
    ];
    for (series, remedy) in [(search, "put SUM(…), MAX(…) around it"), (select, "leave GROUP BY out")] {
        for (count, pages) in &tables {
            let error = read(&series, pages.clone()).unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (FaultKind::Config, false));
            let told = format!("in eu-central-1: the expression makes {count} time series; {remedy}");
            assert!(error.to_string().contains(&told), "{error}");
        }
    }
}

#[test]
fn error_source_has_the_labels_of_all_series() {
    let results = ["a", "b", "c", "d", "e", "f"].map(|label| result(label, StatusCode::Complete, &[]));
    let error = read(&math("METRICS()"), [page(results)]).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "they are a, b, c, d, e, …");
}

#[test]
fn metric_is_one_series_over_all_labels() {
    let metric = Series::Metric(Metric {
        namespace: "App".to_owned(),
        name: "x".to_owned(),
        dimensions: Vec::new(),
        stat: "Sum".to_owned(),
        unit: None,
    });
    let pages = [
        page([result("a", StatusCode::PartialData, &[(60, 2.0)])]),
        page([result("b", StatusCode::Complete, &[(0, 1.0)])]),
    ];
    assert_eq!(read(&metric, pages).unwrap(), [2.0, 1.0]);
    assert_eq!(read(&metric, []).unwrap_err().kind(), FaultKind::Unavailable);
}

#[test]
fn search_without_metrics_has_no_datapoint() {
    assert_eq!(read(&math("SEARCH('x', 'Sum', 60)"), [page([])]).unwrap(), [0.0; 0]);
    let error = read(&math("m1 / m2"), [page([])]).unwrap_err();
    assert!(error.to_string().ends_with("CloudWatch said no answer"), "{error}");
}

#[test]
fn sum_over_truncated_metrics_is_an_error() {
    let message = |code: &str| MessageData::builder().code(code).value("in words").build();
    let whole = || page([result("a", StatusCode::Complete, &[(0, 1.0)])]);
    let sum = math("SUM(SEARCH('x', 'Sum', 60))");
    for code in ["MaxMetricsExceeded", "MaxQueryResultsExceeded", "MaxMatchingResultsExceeded"] {
        let mut of_the_call = whole();
        of_the_call.messages = Some(vec![message(code)]);
        let mut of_the_result = whole();
        of_the_result.metric_data_results.as_mut().unwrap()[0].messages = Some(vec![message(code)]);
        for page in [of_the_call, of_the_result] {
            let error = read(&sum, [page]).unwrap_err();
            assert_eq!(error.kind(), FaultKind::Config, "{code}");
            assert!(error.to_string().ends_with("left out some of the metrics; search for fewer"), "{error}");
        }
    }
    let mut harmless = whole();
    harmless.messages = Some(vec![message("ArithmeticError")]);
    assert_eq!(read(&sum, [harmless]).unwrap(), [1.0]);
}
