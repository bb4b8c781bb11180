use super::*;

#[test]
fn milliseconds_become_seconds_without_rounding() {
    assert_eq!([1, 25, 1_000, 60_000].map(seconds), ["0.001", "0.025", "1.000", "60.000"]);
}

#[test]
fn the_histogram_is_cumulative_and_ends_at_the_count() {
    let mut text = MetricsText(String::new());
    write_lateness(&mut text, &Counters::default()).unwrap();
    assert!(text.0.contains("ecs_scheduler_lateness_seconds_bucket{le=\"0.025\"} 0\n"), "{}", text.0);
    assert!(text.0.contains("_bucket{le=\"+Inf\"} 0\n") && text.0.ends_with("_count 0\n"), "{}", text.0);
}

#[test]
fn answers_are_counted_by_class() {
    let answered = ResponseCounters::default();
    for status in [200, 201, 404, 503] {
        answered.count(axum::http::StatusCode::from_u16(status).unwrap());
    }
    let counts = answered.0.map(AtomicU64::into_inner);
    assert_eq!(counts, [0, 2, 0, 1, 1]);
}

#[test]
fn help_texts_are_for_operators() {
    let mut text = MetricsText(String::new());
    write_server(&mut text, &ResponseCounters::default(), 0).unwrap();
    let help = "# HELP ecs_scheduler_http_requests_total Requests answered, by class of status code.\n";
    assert!(text.0.starts_with(help), "{}", text.0);
}
