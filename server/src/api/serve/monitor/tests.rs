use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use super::super::ConnectionLimits;
use super::{Entry, Open};

const SECOND: Duration = Duration::from_secs(1);
/// Bytes that a client may take a minute for, beside the 30 s of every answer.
const LENGTH: u64 = 60 * 8 * 1024;

/// Opens a connection that has sent a request.
fn connection() -> (Arc<Open>, Entry) {
    let open = Arc::new(Open::new(ConnectionLimits::within(1_024)));
    let entry = open.enter().unwrap();
    entry.watch().asked();
    (open, entry)
}

/// Tells whether the connection has to be closed now.
fn is_closed(open: &Open, entry: &Entry) -> bool {
    open.close_overdue();
    entry.watch.close.is_cancelled()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_steadily_may_take_the_time_of_its_length_and_no_longer() {
    let (open, entry) = connection();
    entry.watch().answers(LENGTH);
    for second in 0..90 {
        assert!(!is_closed(&open, &entry), "after {second} s");
        entry.watch().wrote(false);
        entry.watch().wrote(true);
        advance(SECOND).await;
    }
    assert!(is_closed(&open, &entry));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_answer_that_is_written_but_not_taken_counts_as_well() {
    let (open, entry) = connection();
    entry.watch().answers(LENGTH / 2);
    entry.watch().answered();
    advance(SECOND * 59).await;
    entry.watch().wrote(false);
    assert!(!is_closed(&open, &entry));
    advance(SECOND).await;
    assert!(is_closed(&open, &entry));
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_answer_was_taken_is_idle_and_has_new_time_for_its_next_answer() {
    let (open, entry) = connection();
    entry.watch().answers(0);
    entry.watch().answered();
    advance(SECOND * 70).await;
    assert!(!is_closed(&open, &entry), "it is idle");
    entry.watch().received();
    entry.watch().asked();
    assert!(!is_closed(&open, &entry), "a handler is at work");
    entry.watch().answers(0);
    advance(SECOND * 29).await;
    assert!(!is_closed(&open, &entry));
    advance(SECOND).await;
    assert!(is_closed(&open, &entry));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_had_to_go_counts_until_it_is_closed() {
    let open = Arc::new(Open::new(ConnectionLimits { connections: 1, ..ConnectionLimits::within(1_024) }));
    let first = open.enter().unwrap();
    let _second = open.enter().expect("the first has to go for it");
    assert!(first.watch.close.is_cancelled());
    let mut closed = std::pin::pin!(open.evicted_are_closed());
    assert!(futures::poll!(closed.as_mut()).is_pending());
    drop(first);
    closed.await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_length_has_no_limit_as_a_whole() {
    let (open, entry) = connection();
    for _ in 0..1_000 {
        advance(SECOND * 9).await;
        entry.watch().wrote(false);
        entry.watch().wrote(true);
    }
    assert!(!is_closed(&open, &entry));
}
