use ecs_scheduler_core::store::write_set;
use ecs_scheduler_core::{DecisionDraft, JobId, JobUid, NewJob, TickOutcome, TickSpan, Timestamp};

use super::*;

fn draft(outcome: TickOutcome) -> DecisionDraft {
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

fn meta(open_decision: Option<TickOutcome>) -> JobMeta {
    let job = JobId::new("nightly").unwrap();
    let document = serde_json::value::RawValue::from_string("{}".to_owned()).unwrap();
    let new = NewJob { id: job, uid: JobUid::random(), document, at: Timestamp::UNIX_EPOCH };
    let mut meta = JobMeta::new(&new.into(), 1);
    meta.open_decision =
        open_decision.map(|outcome| OpenDecision { id: DecisionId(3), draft: draft(outcome) });
    meta
}

fn settlement(meta: &JobMeta, outcomes: &[TickOutcome]) -> Settlement {
    Settlement {
        job: meta.job.clone(),
        uid: meta.uid,
        revision: meta.revision,
        expected_cursor: None,
        new_cursor: Some(Timestamp::UNIX_EPOCH),
        records: outcomes.iter().copied().map(draft).collect(),
        firing: None,
    }
}

/// Computes the writes of outcomes after an open decision; returns the ids and the number of writes, and checks the count of new ids.
fn ids_and_writes(open_decision: Option<TickOutcome>, outcomes: &[TickOutcome]) -> (Vec<u64>, usize) {
    let meta = meta(open_decision);
    let settlement = settlement(&meta, outcomes);
    let write_set = write_set(meta.head(), &settlement, |_| false).unwrap();
    let writes = SettlementWrites::new(0, &meta, &settlement, &write_set, 7, "write-id".to_owned()).unwrap();
    let ids: Vec<u64> = writes.ids.iter().map(|id| id.0).collect();
    let new_ids: std::collections::BTreeSet<u64> = ids.iter().copied().filter(|id| *id >= 7).collect();
    assert_eq!(write_set.appended(), new_ids.len(), "{outcomes:?} after {open_decision:?}");
    (ids, writes.writes.len())
}

#[test]
fn an_outcome_that_folds_writes_only_the_metadata_and_needs_no_id() {
    assert_eq!(ids_and_writes(Some(TickOutcome::Idle), &[TickOutcome::Idle]), (vec![3], 1));
    assert_eq!(
        ids_and_writes(Some(TickOutcome::Idle), &[TickOutcome::Idle, TickOutcome::Idle]),
        (vec![3, 3], 1)
    );
}

#[test]
fn an_open_decision_gets_a_row_when_another_outcome_follows() {
    assert_eq!(ids_and_writes(None, &[TickOutcome::Idle]), (vec![7], 1));
    assert_eq!(ids_and_writes(Some(TickOutcome::Cooldown), &[TickOutcome::Idle]), (vec![7], 2));
    assert_eq!(ids_and_writes(Some(TickOutcome::Idle), &[TickOutcome::Launched]), (vec![7], 3));
    assert_eq!(
        ids_and_writes(None, &[TickOutcome::Idle, TickOutcome::Missed, TickOutcome::Missed]),
        (vec![7, 8, 8], 2)
    );
    assert_eq!(ids_and_writes(None, &[TickOutcome::Launched, TickOutcome::Launched]), (vec![7, 8], 3));
}

#[test]
fn more_outcomes_than_fit_into_a_transaction_are_refused() {
    let meta = meta(None);
    let settlement = settlement(&meta, &[TickOutcome::Launched; 100]);
    let write_set = write_set(meta.head(), &settlement, |_| false).unwrap();
    let refused = SettlementWrites::new(0, &meta, &settlement, &write_set, 7, String::new()).unwrap_err();
    assert!(refused.to_string().contains("100 outcomes of job \"nightly\""), "{refused}");
}
