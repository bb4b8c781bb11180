use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::Skew;

/// Returns the moment of `Thu, 01 Jan 2026 00:00:00 GMT`.
fn new_year() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

fn answer(headers: &[(&'static str, &'static str)]) -> HttpResponse {
    let mut answer = HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::empty());
    for (name, value) in headers {
        answer.headers_mut().insert(*name, *value);
    }
    answer
}

#[test]
fn response_date_gives_the_clock_skew() {
    let dated = answer(&[("date", "Thu, 01 Jan 2026 00:00:00 GMT")]);
    let skew = |now: SystemTime| Skew::measure(&dated, now).unwrap();
    let behind = skew(new_year() - Duration::from_secs(605));
    assert_eq!(behind.to_string(), "10m 5s behind that of AWS");
    let ahead = skew(new_year() + Duration::from_secs(3_600));
    assert_eq!(ahead.to_string(), "1h ahead of that of AWS");
    assert!(
        behind.is_significant()
            && ahead.is_significant()
            && !skew(new_year() + Duration::from_secs(3)).is_significant()
    );
}

#[test]
fn response_without_date_or_from_cache_gives_no_skew() {
    assert_eq!(Skew::measure(&answer(&[]), new_year()), None);
    assert_eq!(Skew::measure(&answer(&[("date", "yesterday")]), new_year()), None);
    let cached = answer(&[("date", "Thu, 01 Jan 2026 00:00:00 GMT"), ("age", "600")]);
    assert_eq!(Skew::measure(&cached, new_year()), None);
}
