use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const BREAKER: Breaker =
    Breaker { failures: NonZeroU32::new(3).expect("it is not zero"), delay: Duration::from_secs(60) };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// Returns a firing that was decided at this second, with other fields than those of a tick whose tasks are over.
fn firing(second: i64, tasks: &[Value], fields: &Value) -> Firing {
    let mut firing = json!({"id": format!("f{second}"), "job": "job", "uid": crate::JobUid::random(), "revision": 1,
        "origin": "tick", "nominal": at(second), "observed": at(second), "decision": second, "state": "finished",
        "requested": 3, "task": {"definition": "job"}, "definition": "job:1", "deadline": at(second + 600),
        "tasks": tasks, "attempts": [], "explanation": "due → 3"});
    firing.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(firing).unwrap()
}

fn broken(second: i64) -> Value {
    json!({"taskId": format!("t{second}"), "phase": "stopped", "stopCode": "TaskFailedToStart", "reason": "no such image",
        "stoppedAt": at(second)})
}

fn ran(second: i64, exit_code: i32) -> Value {
    json!({"taskId": format!("t{second}"), "phase": "stopped", "exitCode": exit_code, "startedAt": at(second),
        "stoppedAt": at(second + 5)})
}

fn canary() -> Value {
    json!({"explanation": "due → 3; canary 1 of 5 while the breaker is open → 1"})
}

/// Returns the state after these firings.
fn state_of(firings: &[Firing]) -> BreakerState {
    StartHistory::from_firings(firings).state(&BREAKER, at(1_000_000))
}

fn failures_of(tasks: &[Value], fields: &Value) -> u64 {
    state_of(&[firing(0, tasks, fields)]).failures
}

#[test]
fn failures_in_a_row_open_it_at_the_moment_of_the_last_of_them() {
    let firings = [firing(0, &[broken(5)], &json!({})), firing(60, &[broken(65)], &json!({}))];
    let state = state_of(&firings);
    assert_eq!((state.is_open(), state.failures), (false, 2));
    let mut firings = firings.to_vec();
    firings.push(firing(120, &[broken(125)], &json!({})));
    let state = state_of(&firings);
    assert_eq!((state.is_open(), state.failures, state.since), (true, 3, Some(at(125))));
    assert_eq!((state.next_canary, state.canaries), (Some(at(185)), 0));
    let reason = state.reason.unwrap();
    assert!(reason.starts_with("the task failed to start: "), "{reason}");
}

#[test]
fn each_task_of_a_firing_counts_unless_one_started() {
    let state = state_of(&[firing(0, &[broken(5), broken(6), broken(7)], &json!({}))]);
    assert_eq!((state.is_open(), state.failures, state.since), (true, 3, Some(at(7))));
    let state = state_of(&[firing(0, &[broken(5), broken(6), broken(7), ran(8, 1)], &json!({}))]);
    assert_eq!((state.is_open(), state.failures), (false, 0));
}

#[test]
fn a_task_that_started_ends_the_row_whatever_its_exit_code() {
    for exit_code in [0, 1, 137] {
        let firings = [
            firing(0, &[broken(5), broken(6), broken(7)], &json!({})),
            firing(60, &[ran(62, exit_code)], &json!({})),
            firing(120, &[broken(125)], &json!({})),
        ];
        assert_eq!(state_of(&firings).failures, 1, "exit code {exit_code}");
    }
    let running = json!({"taskId": "r", "phase": "running", "startedAt": at(70)});
    let firings = [
        firing(0, &[broken(5), broken(6), broken(7)], &json!({})),
        firing(60, &[running], &json!({"state": "launched"})),
    ];
    assert!(!state_of(&firings).is_open(), "it need not end");
}

#[test]
fn a_long_task_that_started_earlier_does_not_end_a_later_row() {
    let firings =
        [firing(0, &[ran(2, 0)], &json!({})), firing(60, &[broken(65), broken(66), broken(67)], &json!({}))];
    assert!(state_of(&firings).is_open());
}

#[test]
fn ends_that_say_nothing_about_the_start_do_not_count() {
    let stopped = json!({"taskId": "s", "phase": "stopped", "stopCode": "UserInitiated", "stoppedAt": at(5)});
    assert_eq!(failures_of(std::slice::from_ref(&stopped), &json!({})), 0, "stopped by hand");
    let mut late = stopped;
    late["diagnosis"] = json!({"code": "startTimeout", "text": "it did not start", "remedy": "wait"});
    assert_eq!(failures_of(&[late], &json!({})), 1, "stopped by the scheduler at startTimeout");
    let mut lost = broken(5);
    lost["diagnosis"] = json!(Diagnosis::TASK_LOST);
    assert_eq!(failures_of(&[lost], &json!({})), 0, "it may have run");
    assert_eq!(failures_of(&[broken(5)], &json!({"origin": "hand"})), 0, "it may have had other overrides");
    assert_eq!(failures_of(&[broken(5)], &json!({"origin": "retry"})), 1);
    let pending = json!({"taskId": "p", "phase": "pending"});
    assert_eq!(failures_of(&[broken(5), pending], &json!({"state": "launched"})), 0, "one may still start");
    let retried = json!({"state": "launched", "retry": {"at": at(50)}});
    assert_eq!(failures_of(&[broken(5)], &retried), 1, "it waits for its retry");
    for state in ["unknown", "expired", "cancelled", "planned"] {
        assert_eq!(failures_of(&[], &json!({"state": state})), 0, "{state}");
    }
}

#[test]
fn launch_that_is_refused_for_good_counts_and_one_that_was_too_late_does_not() {
    let refused = |answer: &Value, note: &str| {
        let attempt =
            json!({"batch": 0, "number": 1, "count": 3, "token": "t", "sentAt": at(3), "answer": answer});
        failures_of(&[], &json!({"state": "refused", "attempts": [attempt], "note": note}))
    };
    let report = |retryable: bool| json!({"report": {"started": [], "refused": [{"reason": "MISSING", "retryable": retryable}]}});
    assert_eq!(refused(&report(false), "refused: MISSING"), 1);
    assert_eq!(refused(&report(true), "refused for all of retry.launch.maxAge: MISSING"), 0);
    assert_eq!(refused(&json!({"failed": "access denied"}), "access denied"), 1);
    assert_eq!(refused(&json!({"failed": "throttled"}), "nothing could be sent in time: throttled"), 0);
}

#[test]
fn failed_canaries_delay_the_next_one_and_the_last_leaves_none() {
    let mut firings = vec![firing(0, &[broken(5), broken(6), broken(7)], &json!({}))];
    let mut next = Vec::new();
    for number in 1..=i64::from(Breaker::MAX_CANARIES) {
        let second = number * 10_000;
        firings.push(firing(second, &[broken(second)], &canary()));
        let state = state_of(&firings);
        assert_eq!((i64::from(state.canaries), state.since), (number, Some(at(7))));
        next.push(state.next_canary.map(|next| next.duration_since(at(second)).as_secs()));
        assert_eq!(state.exhausted().is_some(), next.len() == 5, "{number}");
    }
    assert_eq!(next, [Some(120), Some(240), Some(480), Some(960), None]);
}

#[test]
fn only_the_last_step_of_a_tick_marks_a_canary() {
    let open = firing(0, &[broken(5), broken(6), broken(7)], &json!({}));
    let other = json!({"explanation": "canary 1 of 5; at least taskCount 3 → 3"});
    let mut by_hand = canary();
    by_hand["origin"] = json!("retry");
    for fields in [other, by_hand] {
        assert_eq!(state_of(&[open.clone(), firing(60, &[broken(65)], &fields)]).canaries, 0, "{fields}");
    }
}

#[test]
fn an_open_canary_keeps_the_next_one_back() {
    let mut fields = canary();
    fields["state"] = json!("launched");
    let pending = json!({"taskId": "p", "phase": "pending"});
    let firings =
        [firing(0, &[broken(5), broken(6), broken(7)], &json!({})), firing(100, &[pending], &fields)];
    let state = state_of(&firings);
    assert_eq!((state.canary, state.next_canary), (Some(firings[1].id.clone()), None));
}

#[test]
fn a_failure_from_a_time_when_the_clock_was_ahead_does_not_delay_the_canary() {
    let history =
        StartHistory::from_firings(&[firing(0, &[broken(9_005), broken(9_006), broken(9_007)], &json!({}))]);
    assert_eq!(history.state(&BREAKER, at(60)).next_canary, Some(at(60)));
}

#[test]
fn the_newest_firings_are_kept() {
    let mut history = StartHistory::default();
    for second in 0..2_000 {
        history.record(&firing(second, &[broken(second)], &json!({})));
    }
    assert_eq!(history.state(&BREAKER, at(0)).failures, MAX_STARTS as u64);
}

fn any_firings() -> impl Strategy<Value = Vec<Firing>> {
    let one = (0i64..20, 0..5usize, any::<bool>());
    proptest::collection::vec(one, 0..12).prop_map(|rows| {
        let rows = rows.into_iter().enumerate();
        let rows = rows.map(|(index, (lag, kind, is_canary))| {
            let second = index as i64 * 10;
            let fields = if is_canary { canary() } else { json!({}) };
            match kind {
                0 => firing(second, &[ran(second + lag, 1)], &fields),
                1 => firing(second, &[], &json!({"state": "planned"})),
                _ => firing(second, &[broken(second + lag)], &fields),
            }
        });
        rows.collect()
    })
}

proptest! {
    #[test]
    fn state_does_not_depend_on_who_saw_which_firing_first(firings in any_firings(), seed in any::<u64>(), cut in 0usize..12) {
        let expected = state_of(&firings);
        let mut shuffled = firings.clone();
        shuffled.sort_by_key(|firing| crate::hash::stable(&[&seed.to_be_bytes(), firing.id.as_str().as_bytes()]));
        prop_assert_eq!(&state_of(&shuffled), &expected);
        // Some were seen live, and all are in the journal.
        let mut live = StartHistory::from_firings(&firings[cut.min(firings.len())..]);
        live.add_older(StartHistory::from_firings(&firings));
        prop_assert_eq!(&live.state(&BREAKER, at(1_000_000)), &expected);
    }

    #[test]
    fn an_open_breaker_has_a_canary_or_a_moment_for_it_or_has_none_left(firings in any_firings()) {
        let state = state_of(&firings);
        if state.is_open() {
            let ways = [state.canary.is_some(), state.next_canary.is_some(), state.exhausted().is_some()];
            prop_assert!(ways.contains(&true), "{state:?}");
            prop_assert!(state.failures >= 3 && state.since.is_some() && state.reason.is_some());
        } else {
            prop_assert_eq!(state.clone(), BreakerState { failures: state.failures, ..BreakerState::closed() });
        }
    }
}
