//! Smaller forms of records that a store refuses for good, for example because they are too large: outcome, numbers and
//! tasks are kept, texts and old attempts are not.

use crate::firing::{Answer, Attempt, Firing};
use crate::launcher::{LaunchReport, Refusal};
use crate::store::Settlement;

/// The text in place of one that the store refused.
pub(super) const NOT_STORED: &str = "the details are not recorded, because the store refused them";

/// Returns a settlement without steps, observations and texts.
pub(super) fn settlement(settlement: &Settlement) -> Settlement {
    let mut plain = settlement.clone();
    for draft in &mut plain.records {
        (draft.steps, draft.observations) = (Vec::new(), Vec::new());
        NOT_STORED.clone_into(&mut draft.explanation);
    }
    if let Some(firing) = &mut plain.firing {
        NOT_STORED.clone_into(&mut firing.explanation);
    }
    plain
}

/// Returns a firing without texts and without the answered attempts before the newest one. A later attempt gets the same
/// number and size as after the complete firing.
pub(super) fn firing(firing: &Firing) -> Firing {
    let newest = firing.attempts.len().saturating_sub(1);
    let attempts = firing.attempts.iter().enumerate();
    let kept = attempts.filter(|(index, attempt)| *index == newest || attempt.answer.is_none());
    Firing {
        attempts: kept
            .map(|(_, one)| Attempt { answer: one.answer.as_ref().map(answer), ..one.clone() })
            .collect(),
        explanation: NOT_STORED.to_owned(),
        note: firing.note.as_ref().map(|_| NOT_STORED.to_owned()),
        ..firing.clone()
    }
}

fn answer(answer: &Answer) -> Answer {
    match answer {
        Answer::Report(report) => {
            // One refusal that may pass makes the whole answer one that may pass.
            let refused = report.refused.iter().max_by_key(|refusal| refusal.retryable);
            let refused = refused.map(|refusal| Refusal::new(NOT_STORED, refusal.retryable));
            Answer::Report(LaunchReport::new(report.started.clone(), refused.into_iter().collect()))
        }
        Answer::Failed(_) => Answer::Failed(NOT_STORED.to_owned()),
        Answer::Lost(_) => Answer::Lost(NOT_STORED.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn attempt(number: u32, answer: &Value) -> Value {
        json!({"batch": 0, "number": number, "count": 3, "token": format!("token {number}"),
            "sentAt": "2026-01-01T10:00:00Z", "answer": answer})
    }

    fn with_attempts(attempts: &[Value]) -> Firing {
        let tasks = json!([{"taskId": "t1", "phase": "stopped", "reason": "why it stopped"}]);
        let firing = json!({"id": "f", "job": "job", "uid": crate::JobUid::random(), "revision": 1, "origin": "tick",
            "nominal": "2026-01-01T10:00:00Z", "observed": "2026-01-01T10:00:00Z", "state": "launching", "requested": 3,
            "task": {"definition": "job"}, "definition": "job:1", "deadline": "2026-01-01T10:10:00Z", "tasks": tasks,
            "attempts": attempts, "explanation": "long", "note": "longer"});
        serde_json::from_value(firing).unwrap()
    }

    #[test]
    fn firing_without_details_keeps_tasks_and_newest_and_open_attempts() {
        let refused = |retryable: &[bool]| {
            let refused =
                retryable.iter().map(|retryable| json!({"reason": "no room", "retryable": retryable}));
            json!({"report": {"started": [{"taskId": "t1"}], "refused": refused.collect::<Vec<_>>()}})
        };
        let complete = with_attempts(&[
            attempt(1, &refused(&[true; 400])),
            attempt(2, &Value::Null),
            attempt(3, &refused(&[false, true, false])),
        ]);
        let small = firing(&complete);
        assert_eq!(small.tasks, complete.tasks);
        assert_eq!((small.explanation.as_str(), small.note.as_deref()), (NOT_STORED, Some(NOT_STORED)));
        let numbers: Vec<_> = small.attempts.iter().map(|attempt| attempt.number).collect();
        assert_eq!((numbers, small.unanswered()), (vec![2, 3], complete.unanswered()));
        let Some(Answer::Report(report)) = &small.attempts[1].answer else { panic!("it is a report") };
        assert_eq!((report.started.len(), report.refused.len()), (1, 1));
        assert!(!report.is_refused_for_good() && report.refused[0].reason == NOT_STORED);
        assert_eq!(firing(&small), small, "it is the smallest form");
    }

    #[test]
    fn permanent_refusals_and_failures_remain_such_without_details() {
        let refused =
            json!({"report": {"started": [], "refused": [{"reason": "denied", "retryable": false}]}});
        let small = firing(&with_attempts(&[attempt(1, &refused)]));
        assert!(
            matches!(&small.attempts[0].answer, Some(Answer::Report(report)) if report.is_refused_for_good())
        );
        let small = firing(&with_attempts(&[attempt(1, &json!({"failed": "long"}))]));
        assert_eq!(small.attempts[0].answer, Some(Answer::Failed(NOT_STORED.to_owned())));
    }
}
