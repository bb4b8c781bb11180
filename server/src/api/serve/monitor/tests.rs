use std::sync::Arc;
use std::time::Duration;

use tokio::time::advance;

use super::super::ConnectionLimits;
use super::{ConnHandle, ConnTable};

const SECOND: Duration = Duration::from_secs(1);
/// Bytes that a client may take a minute for, beside the 30 s of every answer.
const LENGTH: u64 = 60 * 8 * 1024;

/// Opens a connection that has sent a request.
fn connection() -> (Arc<ConnTable>, ConnHandle) {
    let table = Arc::new(ConnTable::new(ConnectionLimits::for_descriptors(1_024)));
    let handle = table.register().unwrap();
    handle.monitor().on_request();
    (table, handle)
}

/// Tells whether the connection has to be closed now.
fn is_closed(table: &ConnTable, handle: &ConnHandle) -> bool {
    table.close_overdue();
    handle.monitor.close.is_cancelled()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_steadily_may_take_the_time_of_its_length_and_no_longer() {
    let (table, handle) = connection();
    handle.monitor().on_response_start(LENGTH);
    for second in 0..90 {
        assert!(!is_closed(&table, &handle), "after {second} s");
        handle.monitor().on_write(false);
        handle.monitor().on_write(true);
        advance(SECOND).await;
    }
    assert!(is_closed(&table, &handle));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_answer_that_is_written_but_not_taken_counts_as_well() {
    let (table, handle) = connection();
    handle.monitor().on_response_start(LENGTH / 2);
    handle.monitor().on_response_end();
    advance(SECOND * 59).await;
    handle.monitor().on_write(false);
    assert!(!is_closed(&table, &handle));
    advance(SECOND).await;
    assert!(is_closed(&table, &handle));
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_answer_was_taken_is_idle_and_has_new_time_for_its_next_answer() {
    let (table, handle) = connection();
    handle.monitor().on_response_start(0);
    handle.monitor().on_response_end();
    advance(SECOND * 70).await;
    assert!(!is_closed(&table, &handle), "it is idle");
    handle.monitor().on_received();
    handle.monitor().on_request();
    assert!(!is_closed(&table, &handle), "a handler is at work");
    handle.monitor().on_response_start(0);
    advance(SECOND * 29).await;
    assert!(!is_closed(&table, &handle));
    advance(SECOND).await;
    assert!(is_closed(&table, &handle));
}

#[tokio::test(start_paused = true)]
async fn an_evicted_connection_counts_until_it_is_closed() {
    let table = Arc::new(ConnTable::new(ConnectionLimits {
        connections: 1,
        ..ConnectionLimits::for_descriptors(1_024)
    }));
    let first = table.register().unwrap();
    let _second = table.register().expect("the first has to go for it");
    assert!(first.monitor.close.is_cancelled());
    let mut closed = std::pin::pin!(table.wait_for_evicted());
    assert!(futures::poll!(closed.as_mut()).is_pending());
    drop(first);
    closed.await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_length_has_no_limit_as_a_whole() {
    let (table, handle) = connection();
    for _ in 0..1_000 {
        advance(SECOND * 9).await;
        handle.monitor().on_write(false);
        handle.monitor().on_write(true);
    }
    assert!(!is_closed(&table, &handle));
}
