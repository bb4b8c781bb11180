use super::*;

fn task(name: &str) -> TaskId {
    TaskId::new(name)
}

/// Asks for a stop whenever that is due within so many seconds, and returns at which second each call was made.
fn calls(within: u64, taken: impl Fn(usize) -> bool) -> Vec<u64> {
    let (stops, began) = (Stops::default(), Instant::now());
    let mut calls = Vec::new();
    for second in 0..within {
        let now = began + Duration::from_secs(second);
        if stops.begin(&task("a"), now) {
            stops.note(&task("a"), taken(calls.len()), now);
            calls.push(second);
        }
    }
    calls
}

#[test]
fn a_task_that_does_not_stop_is_asked_again_after_a_minute_and_then_ever_later() {
    assert_eq!(calls(1_900, |_| true), [0, 60, 180, 420, 900, 1_860]);
}

#[test]
fn a_call_that_failed_is_made_again_soon() {
    assert_eq!(calls(100, |call| call > 6), [0, 1, 3, 7, 15, 31, 61, 91]);
    assert_eq!(calls(70, |call| call > 0), [0, 1, 61]);
}

#[test]
fn each_task_is_asked_by_itself_and_forgotten_long_after_it_could_be_asked_again() {
    let (stops, began) = (Stops::default(), Instant::now());
    assert!(stops.begin(&task("a"), began) && stops.begin(&task("b"), began));
    assert!(!stops.begin(&task("a"), began));
    let later = began + Duration::from_hours(1);
    assert!(stops.begin(&task("c"), later));
    assert_eq!(stops.asked.lock().tasks.len(), 1);
}
