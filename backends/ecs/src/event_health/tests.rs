use std::time::Duration;

use tokio::time::{Instant, advance};

use super::Hearing;

#[tokio::test(start_paused = true)]
async fn a_queue_that_can_be_read_is_not_heard_until_an_event_has_come() {
    let hearing = Hearing::default();
    hearing.received();
    assert!(!hearing.hears("events"));
    hearing.event();
    assert!(hearing.hears("events"));
    advance(Duration::from_secs(60)).await;
    assert!(!hearing.hears("events"), "the queue was not read for a minute");
    hearing.received();
    assert!(hearing.hears("events"));
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_no_event_follows_within_20_s_ends_the_hearing_until_the_next_event() {
    let hearing = Hearing::default();
    hearing.received();
    hearing.event();
    advance(Duration::from_secs(1)).await;
    hearing.expect(Instant::now());
    advance(Duration::from_secs(15)).await;
    hearing.expect(Instant::now());
    assert!(hearing.hears("events"));
    advance(Duration::from_secs(5)).await;
    hearing.received();
    assert!(!hearing.hears("events"), "the first launch counts");
    hearing.event();
    assert!(hearing.hears("events"));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_comes_before_the_answer_of_its_call_counts() {
    let hearing = Hearing::default();
    hearing.received();
    let began = Instant::now();
    hearing.event();
    hearing.expect(began);
    advance(Duration::from_secs(30)).await;
    assert!(hearing.hears("events"));
}

#[test]
fn each_shape_is_news_once_and_so_many_are_remembered() {
    let hearing = Hearing::default();
    assert!(hearing.is_new("a") && !hearing.is_new("a") && hearing.is_new("b"));
    assert_eq!((0..100).filter(|number| hearing.is_new(&number.to_string())).count(), 62);
}
