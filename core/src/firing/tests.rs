use serde_json::{Value, json};

use super::*;

#[test]
fn states_have_their_api_names() {
    let names =
        ["planned", "launching", "launched", "finished", "refused", "unknown", "expired", "cancelled"];
    assert_eq!(FiringState::ALL.map(FiringState::as_str), names);
    for state in FiringState::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    let error = "ended".parse::<FiringState>().unwrap_err();
    assert!(error.starts_with("unknown state \"ended\"; one of planned, launching, "), "{error}");
}

#[test]
fn a_firing_moves_forward_only_and_never_after_its_end() {
    use FiringState::{Cancelled, Expired, Finished, Launched, Launching, Planned, Refused, Unknown};
    let next = |from: FiringState| {
        FiringState::ALL.into_iter().filter(move |to| from.can_transition_to(*to)).collect::<Vec<_>>()
    };
    assert_eq!(next(Planned), [Launching, Refused, Expired, Cancelled]);
    assert_eq!(next(Launching), [Launching, Launched, Finished, Refused, Unknown]);
    assert_eq!(next(Launched), [Launched, Finished]);
    assert_eq!(next(Unknown), [Launched, Finished, Refused]);
    for ended in [Finished, Refused, Expired, Cancelled] {
        assert!(next(ended).is_empty() && !ended.is_open(), "{ended:?}");
    }
    assert!([Planned, Launching, Launched].into_iter().all(FiringState::is_open) && !Unknown.is_open());
}

#[test]
fn ids_sort_by_the_moment_of_the_firing() {
    let uid = JobUid::derived("test", &JobId::new("job").unwrap());
    let at = |second| Timestamp::from_second(second).unwrap();
    let [first, second] = [1_800_000_000, 1_800_000_001].map(|second| FiringId::for_tick(&uid, at(second)));
    assert!(first < second && first.as_str().starts_with("01a3185c5000"), "{first}");
    assert_eq!((first.to_string().as_str(), first.as_str().len()), (first.as_str(), 32));
    assert_ne!(first, FiringId::for_manual(&uid, at(1_800_000_000), ""), "a tick is no firing by hand");
}

/// Returns a firing of three tasks that started none, with these other fields.
fn firing(fields: &Value) -> Firing {
    let mut firing = json!({"id": "f", "job": "job", "uid": JobUid::random(), "revision": 1, "origin": "tick",
        "nominal": "2027-01-15T08:00:00Z", "observed": "2027-01-15T08:00:00Z", "decision": 1, "state": "launching",
        "requested": 3, "task": {"definition": "job"}, "definition": "job:1", "deadline": "2027-01-15T08:10:00Z",
        "tasks": [], "attempts": [], "explanation": "due → 3"});
    firing.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(firing).unwrap()
}

fn attempt(answer: &Value) -> Value {
    json!({"batch": 0, "number": 1, "count": 3, "token": "t", "sentAt": "2027-01-15T08:00:01Z", "answer": answer})
}

#[test]
fn origins_have_their_api_names() {
    assert_eq!(Origin::ALL.map(Origin::as_str), ["tick", "hand", "retry", "backfill"]);
    for origin in Origin::ALL {
        assert_eq!(serde_json::to_value(origin).unwrap(), origin.as_str());
    }
}

#[test]
fn retry_is_stored_without_its_defaults() {
    for stored in [
        json!({}),
        json!({"of": "earlier"}),
        json!({"number": 2}),
        json!({"at": "2027-01-15T08:01:00Z"}),
        json!({"by": "later"}),
        json!({"note": "three attempts failed"}),
        json!({"backfill": true}),
    ] {
        let retry: FiringRetry = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&retry).unwrap(), stored);
        assert_eq!(retry.is_none(), stored == json!({}), "{stored}");
        let firing = serde_json::to_value(firing(&json!({"retry": stored}))).unwrap();
        assert_eq!(firing.get("retry"), Some(&stored).filter(|_| !retry.is_none()));
    }
}

#[test]
fn reason_is_the_note_or_what_the_newest_answer_says_while_it_launches() {
    let reason = |fields: Value| firing(&fields).reason();
    let refused =
        json!({"report": {"started": [], "refused": [{"reason": "RESOURCE:CPU", "retryable": true}]}});
    let started = json!({"report": {"started": [{"taskId": "a"}], "refused": []}});
    let failed = json!({"failed": "throttled"});
    let unanswered = attempt(&Value::Null);
    let of = |answers: &[&Value]| answers.iter().map(|answer| attempt(answer)).collect::<Vec<_>>();
    assert_eq!(reason(json!({})), None);
    assert_eq!(reason(json!({"attempts": of(&[&started])})), None);
    assert_eq!(reason(json!({"attempts": of(&[&started, &refused])})).unwrap(), "refused: RESOURCE:CPU");
    assert_eq!(reason(json!({"attempts": of(&[&refused, &failed])})).unwrap(), "throttled");
    assert_eq!(reason(json!({"attempts": [attempt(&failed), unanswered]})).unwrap(), "throttled");
    let noted = json!({"attempts": of(&[&failed]), "note": "the definition is inactive"});
    assert_eq!(reason(noted).unwrap(), "the definition is inactive");
    // After the launch an answer of an earlier batch is no reason.
    assert_eq!(reason(json!({"attempts": of(&[&refused]), "state": "launched"})), None);
}

#[test]
fn only_a_refused_firing_is_refused_for_good() {
    let missing = json!({"report": {"started": [], "refused": [{"reason": "MISSING", "retryable": false}]}});
    let is_refused = |state: &str, tasks: Value| {
        let fields = json!({"state": state, "attempts": [attempt(&missing)], "tasks": tasks});
        firing(&fields).is_refused_for_good()
    };
    assert!(is_refused("refused", json!([])));
    assert!(!is_refused("refused", json!([{"taskId": "a", "phase": "running"}])));
    for state in ["launching", "expired", "cancelled", "unknown"] {
        assert!(!is_refused(state, json!([])), "{state}");
    }
}
