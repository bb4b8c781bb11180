use super::*;

fn task(name: &str) -> TaskId {
    TaskId::new(name)
}

/// Requests a stop whenever that is due within this many seconds, and returns the second of each call.
fn calls(within: u64, accepted: impl Fn(usize) -> bool) -> Vec<u64> {
    let (requests, started) = (StopRequests::default(), Instant::now());
    let mut calls = Vec::new();
    for second in 0..within {
        let now = started + Duration::from_secs(second);
        if requests.try_begin(&task("a"), now) {
            requests.record_answer(&task("a"), accepted(calls.len()), now);
            calls.push(second);
        }
    }
    calls
}

#[test]
fn running_task_is_requested_again_after_doubling_waits() {
    assert_eq!(calls(1_900, |_| true), [0, 60, 180, 420, 900, 1_860]);
}

#[test]
fn failed_call_is_retried_soon() {
    assert_eq!(calls(100, |call| call > 6), [0, 1, 3, 7, 15, 31, 61, 91]);
    assert_eq!(calls(70, |call| call > 0), [0, 1, 61]);
}

#[test]
fn each_task_has_its_own_waits_and_is_forgotten_later() {
    let (requests, started) = (StopRequests::default(), Instant::now());
    assert!(requests.try_begin(&task("a"), started) && requests.try_begin(&task("b"), started));
    assert!(!requests.try_begin(&task("a"), started));
    let later = started + Duration::from_hours(1);
    assert!(requests.try_begin(&task("c"), later));
    assert_eq!(requests.state.lock().tasks.len(), 1);
}
