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
fn the_date_of_an_answer_tells_how_far_the_clock_is_off() {
    let dated = answer(&[("date", "Thu, 01 Jan 2026 00:00:00 GMT")]);
    let skew = |now: SystemTime| Skew::of(&dated, now).unwrap();
    let behind = skew(new_year() - Duration::from_secs(605));
    assert_eq!(behind.to_string(), "10m 5s behind that of AWS");
    let ahead = skew(new_year() + Duration::from_secs(3_600));
    assert_eq!(ahead.to_string(), "1h ahead of that of AWS");
    assert!(behind.matters() && ahead.matters() && !skew(new_year() + Duration::from_secs(3)).matters());
}

#[test]
fn an_answer_without_a_date_or_from_a_cache_tells_nothing() {
    assert_eq!(Skew::of(&answer(&[]), new_year()), None);
    assert_eq!(Skew::of(&answer(&[("date", "yesterday")]), new_year()), None);
    let cached = answer(&[("date", "Thu, 01 Jan 2026 00:00:00 GMT"), ("age", "600")]);
    assert_eq!(Skew::of(&cached, new_year()), None);
}
