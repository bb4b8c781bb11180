use serde_json::json;

use super::*;

#[test]
fn pending_task_is_overdue_only_if_it_was_seen_after_the_limit() {
    let at = |second: i64| Timestamp::from_second(second).expect("it is a moment");
    let firing = json!({
        "id": "1f", "job": "job", "uid": "00000000-0000-0000-0000-000000000001", "revision": 1, "origin": "tick",
        "nominal": at(100), "observed": at(100), "state": "launched", "requested": 1,
        "task": {"definition": "job"}, "definition": "job:1", "deadline": at(700), "explanation": "",
        "startTimeoutSecs": 12, "tasks": [{"taskId": "task", "phase": "pending", "acceptedAt": at(100)}],
    });
    let firing: Firing = serde_json::from_value(firing).expect("it is a firing");
    let found = |seen: Option<Option<i64>>, now: i64| {
        let state = |_: &TaskId| seen.map(|second| (second.map(at), &firing.tasks[0]));
        overdue(&firing, state, &mut FutureTimes::default(), at(now)).len()
    };
    assert_eq!(found(Some(Some(113)), 113), 1);
    assert_eq!(found(Some(Some(105)), 130), 0, "the answer is from before the limit");
    assert_eq!(found(Some(None), 130), 0, "the state is from a cache");
    assert_eq!(found(None, 130), 0, "it was not seen");
}
