use std::time::Duration;

use tokio::time::{Instant, advance};

use super::EventHealth;

#[tokio::test(start_paused = true)]
async fn readable_queue_is_not_receiving_until_an_event_arrives() {
    let health = EventHealth::default();
    health.record_receive();
    assert!(!health.is_receiving("events"));
    health.record_event();
    assert!(health.is_receiving("events"));
    advance(Duration::from_secs(60)).await;
    assert!(!health.is_receiving("events"), "the queue was not read for a minute");
    health.record_receive();
    assert!(health.is_receiving("events"));
}

#[tokio::test(start_paused = true)]
async fn launch_without_event_within_20_s_stops_receiving_until_next_event() {
    let health = EventHealth::default();
    health.record_receive();
    health.record_event();
    advance(Duration::from_secs(1)).await;
    health.expect_event(Instant::now());
    advance(Duration::from_secs(15)).await;
    health.expect_event(Instant::now());
    assert!(health.is_receiving("events"));
    advance(Duration::from_secs(5)).await;
    health.record_receive();
    assert!(!health.is_receiving("events"), "the first launch counts");
    health.record_event();
    assert!(health.is_receiving("events"));
}

#[tokio::test(start_paused = true)]
async fn event_before_response_of_its_call_counts() {
    let health = EventHealth::default();
    health.record_receive();
    let began = Instant::now();
    health.record_event();
    health.expect_event(began);
    advance(Duration::from_secs(30)).await;
    assert!(health.is_receiving("events"));
}

#[test]
fn each_message_shape_is_new_once_up_to_the_limit() {
    let health = EventHealth::default();
    assert!(health.is_new_shape("a") && !health.is_new_shape("a") && health.is_new_shape("b"));
    assert_eq!((0..100).filter(|number| health.is_new_shape(&number.to_string())).count(), 62);
}
