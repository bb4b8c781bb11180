use axum::http::HeaderValue;
use ecs_scheduler_core::SystemClock;
use ecs_scheduler_test_support::TcpProxy;
use tokio::time::Instant;

use super::*;

/// Reads `Retry-After`, at noon, with a `Date` if there is one.
fn wait(text: &'static str, date: Option<&'static str>) -> Option<u64> {
    let mut headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
    headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
    retry_after(&headers, "2026-11-06T12:00:00Z".parse().unwrap()).map(|wait| wait.as_secs())
}

#[test]
fn retry_after_is_a_number_of_seconds_or_a_date_in_any_form() {
    for text in
        ["90", "Fri, 06 Nov 2026 12:01:30 GMT", "Friday, 06-Nov-26 12:01:30 GMT", "Fri Nov  6 12:01:30 2026"]
    {
        assert_eq!(wait(text, None), Some(90), "{text}");
    }
    for text in ["", "-1", "soon", "Fri, 06 Nov 2026 12:01:30", "2026-11-06T12:01:30Z"] {
        assert_eq!(wait(text, None), None, "{text}");
    }
    assert_eq!(wait("Fri, 06 Nov 2026 11:00:00 GMT", None), Some(0), "a date in the past");
}

#[test]
fn date_counts_from_the_clock_of_the_receiver() {
    let ahead = "Fri, 06 Nov 2026 13:00:00 GMT";
    assert_eq!(wait("Fri, 06 Nov 2026 13:00:20 GMT", Some(ahead)), Some(20));
    assert_eq!(wait("Fri, 06 Nov 2026 12:00:20 GMT", Some("now")), Some(20), "a wrong date does not count");
}

#[tokio::test]
async fn delivery_does_not_use_an_earlier_connection_that_a_firewall_may_have_dropped() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = TcpProxy::start(listener.local_addr().unwrap().port()).await;
    let receiver = axum::Router::new().fallback(async || "received");
    tokio::spawn(async move { axum::serve(listener, receiver).await });
    let allow = AllowList::parse(&["127.0.0.1".to_owned()]).unwrap();
    let client = HttpClient::new(allow, Arc::new(SystemClock));
    let url = ReceiverUrl::parse(&format!("http://127.0.0.1:{}/hook", proxy.port())).unwrap();
    for number in 1..=3 {
        let began = Instant::now();
        client.post(&url, &[], "{}".to_owned()).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(proxy.connections(), number);
        proxy.forget_connections();
    }
}
