use ecs_scheduler_core::{DecisionDraft, JobId, JobUid, Outcome, TickSpan, Timestamp};

use super::*;

fn draft(outcome: Outcome) -> DecisionDraft {
    let at = Timestamp::UNIX_EPOCH;
    DecisionDraft {
        span: TickSpan { first: at, last: at, count: 1 },
        observed: at,
        outcome,
        demand: None,
        busy: None,
        launch: 0,
        tries: 1,
        explanation: String::new(),
        steps: Vec::new(),
        observations: Vec::new(),
    }
}

fn mark(tail: Option<Outcome>) -> Mark {
    let job = JobId::new("nightly").unwrap();
    let mut mark = Mark::new(job, JobUid::random(), 1, "{}", Timestamp::UNIX_EPOCH);
    mark.tail = tail.map(|outcome| Tail { id: DecisionId(3), draft: draft(outcome) });
    mark
}

fn settlement(mark: &Mark, outcomes: &[Outcome]) -> Settlement {
    Settlement {
        job: mark.job.clone(),
        uid: mark.uid,
        revision: mark.revision,
        expected: None,
        settled: Some(Timestamp::UNIX_EPOCH),
        records: outcomes.iter().copied().map(draft).collect(),
        firing: None,
    }
}

/// Plans outcomes behind a tail; returns the ids and how many items are written, and checks the count of numbers.
fn planned(tail: Option<Outcome>, outcomes: &[Outcome]) -> (Vec<u64>, usize) {
    let mark = mark(tail);
    let settlement = settlement(&mark, outcomes);
    let plan = Plan::new(0, &mark, &settlement, 7, "stamp".to_owned()).unwrap();
    let ids: Vec<u64> = plan.ids.iter().map(|id| id.0).collect();
    let fresh: std::collections::BTreeSet<u64> = ids.iter().copied().filter(|id| *id >= 7).collect();
    assert_eq!(numbers(&mark, &settlement), fresh.len(), "{outcomes:?} behind {tail:?}");
    (ids, plan.writes.len())
}

#[test]
fn an_outcome_that_folds_writes_the_mark_only_and_takes_no_number() {
    assert_eq!(planned(Some(Outcome::Idle), &[Outcome::Idle]), (vec![3], 1));
    assert_eq!(planned(Some(Outcome::Idle), &[Outcome::Idle, Outcome::Idle]), (vec![3, 3], 1));
}

#[test]
fn a_tail_gets_a_row_when_another_outcome_follows() {
    assert_eq!(planned(None, &[Outcome::Idle]), (vec![7], 1));
    assert_eq!(planned(Some(Outcome::Cooldown), &[Outcome::Idle]), (vec![7], 2));
    assert_eq!(planned(Some(Outcome::Idle), &[Outcome::Launched]), (vec![7], 3));
    assert_eq!(planned(None, &[Outcome::Idle, Outcome::Missed, Outcome::Missed]), (vec![7, 8, 8], 2));
    assert_eq!(planned(None, &[Outcome::Launched, Outcome::Launched]), (vec![7, 8], 3));
}

#[test]
fn more_outcomes_than_a_transaction_takes_are_refused() {
    let mark = mark(None);
    let settlement = settlement(&mark, &[Outcome::Launched; 100]);
    let refused = Plan::new(0, &mark, &settlement, 7, String::new()).unwrap_err();
    assert!(refused.to_string().contains("100 outcomes of job \"nightly\""), "{refused}");
}
