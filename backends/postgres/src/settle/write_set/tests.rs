use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::store::encoding::to_json;
use ecs_scheduler_core::{DecisionDraft, Progress, Revision, Settlement, TickSpan, Timestamp};

use super::*;

fn at(tick: i64) -> Timestamp {
    Timestamp::from_nanosecond(tick.into()).expect("the tick is in range")
}

fn uid(number: u128) -> JobUid {
    JobUid::from_uuid(uuid::Uuid::from_u128(number))
}

fn decision(outcome: TickOutcome, tick: i64) -> DecisionDraft {
    DecisionDraft {
        span: TickSpan { first: at(tick), last: at(tick), count: 1 },
        observed: at(tick),
        outcome,
        demand: None,
        busy: None,
        launch: u32::try_from(tick).expect("ticks are small"),
        tries: 1,
        explanation: String::new(),
        steps: Vec::new(),
        observations: Vec::new(),
    }
}

fn settlement(job: &str, expected: Option<i64>, decisions: &[(TickOutcome, i64)]) -> Settlement {
    Settlement {
        job: JobId::new(job).expect("the name is valid"),
        uid: uid(7),
        revision: Revision(2),
        expected_cursor: expected.map(at),
        new_cursor: decisions.last().map(|(_, tick)| at(*tick)),
        records: decisions.iter().map(|(outcome, tick)| decision(*outcome, *tick)).collect(),
        firing: None,
    }
}

fn with_firing(settlement: Settlement, id: &str) -> Settlement {
    let firing = serde_json::json!({
        "id": id, "job": settlement.job, "uid": settlement.uid, "revision": 2, "origin": "tick",
        "nominal": at(9), "observed": at(9), "state": "planned", "requested": 1, "task": {"definition": "worker"},
        "definition": "worker:1", "deadline": at(9), "explanation": "",
    });
    Settlement { firing: Some(serde_json::from_value(firing).expect("it is a firing")), ..settlement }
}

fn encode(settlements: impl IntoIterator<Item = Settlement>) -> Vec<SettlementRow> {
    let encode = |settlement| SettlementRow::new(settlement, to_json);
    settlements.into_iter().map(encode).collect::<Result<_, _>>().expect("its times are in range")
}

/// Builds the writes against one stored job, `a`, whose newest row is 5 and folds idle outcomes.
fn build(rows: &[SettlementRow]) -> BatchWrites<'_> {
    let meta = JobMeta {
        uid: uid(7),
        revision: Revision(2),
        progress: Progress::default(),
        newest: 5,
        open_row: Some(FoldKey { outcome: TickOutcome::Idle, explanation: "".into() }),
        is_changed: false,
    };
    let firings = HashSet::from(["known".to_owned()]);
    let existing = Existing { jobs: HashMap::from([("a".to_owned(), meta)]), firings };
    build_batch(existing, 100, &rows.iter().collect::<Vec<_>>())
}

fn recorded(ids: &[u64]) -> Settled {
    Settled::Recorded(ids.iter().copied().map(DecisionId).collect())
}

#[test]
fn decisions_that_fold_into_a_stored_row_are_added_up() {
    let rows = encode([
        settlement("a", None, &[(TickOutcome::Idle, 1), (TickOutcome::Idle, 2)]),
        settlement("a", Some(2), &[(TickOutcome::Idle, 3)]),
    ]);
    let batch = build(&rows);
    assert_eq!(batch.answers, [recorded(&[5, 5]), recorded(&[5])]);
    assert!(batch.rows.is_empty());
    let fold = &batch.folds[&5];
    assert_eq!(
        (fold.count, fold.last, fold.observed, &fold.details),
        (3, 3, 3, &rows[1].decisions[0].details)
    );
    assert_eq!(batch.jobs[0].1.progress.settled, Some(at(3)));
}

#[test]
fn decision_that_folds_into_a_row_of_the_same_batch_makes_no_second_row() {
    let rows = encode([
        settlement(
            "a",
            None,
            &[(TickOutcome::Cooldown, 1), (TickOutcome::Cooldown, 2), (TickOutcome::Idle, 3)],
        ),
        settlement("a", Some(3), &[(TickOutcome::Idle, 4)]),
    ]);
    let batch = build(&rows);
    assert_eq!(batch.answers, [recorded(&[100, 100, 101]), recorded(&[101])]);
    assert!(batch.folds.is_empty());
    let rows: Vec<_> = batch
        .rows
        .iter()
        .map(|row| (row.seq, row.born, row.decision.first, row.decision.last, row.decision.count))
        .collect();
    assert_eq!(rows, [(100, 1, 1, 2, 2), (101, 3, 3, 4, 2)]);
    let meta = &batch.jobs[0].1;
    assert_eq!(meta.newest, 101);
    assert_eq!(meta.open_row.as_ref().map(|key| key.outcome), Some(TickOutcome::Idle));
}

#[test]
fn row_of_a_firing_is_never_folded_into() {
    let rows = encode([
        with_firing(settlement("a", None, &[(TickOutcome::Idle, 1), (TickOutcome::Idle, 2)]), "f"),
        settlement("a", Some(2), &[(TickOutcome::Idle, 3)]),
    ]);
    let batch = build(&rows);
    assert_eq!(batch.answers, [recorded(&[5, 100]), recorded(&[101])]);
    let firings: Vec<_> =
        batch.rows.iter().map(|row| row.firing.map(|(firing, _)| firing.id.as_str())).collect();
    assert_eq!(firings, [Some("f"), None]);
    let progress = &batch.jobs[0].1.progress;
    assert_eq!(progress.last_firing, Some(FiringId::from_text("f")));
    assert_eq!(progress.last_fired, Some(at(9)));
}

#[test]
fn stale_settlement_takes_no_number_and_changes_nothing() {
    let missed = || settlement("a", None, &[(TickOutcome::Missed, 1)]);
    let rows = encode([
        settlement("missing", None, &[(TickOutcome::Missed, 1)]),
        Settlement { uid: uid(8), ..missed() },
        Settlement { revision: Revision(1), ..missed() },
        Settlement { revision: Revision(3), ..missed() },
        settlement("a", Some(1), &[(TickOutcome::Missed, 2)]),
        with_firing(settlement("a", None, &[(TickOutcome::Missed, 1), (TickOutcome::Pending, 2)]), "known"),
    ]);
    let batch = build(&rows);
    assert_eq!(batch.answers, [const { Settled::Stale }; 6]);
    assert!(batch.rows.is_empty() && batch.folds.is_empty() && batch.jobs.is_empty());
}

#[test]
fn firing_is_known_to_the_rest_of_its_batch() {
    let rows = encode([
        with_firing(settlement("a", None, &[(TickOutcome::Pending, 1)]), "f"),
        with_firing(settlement("a", Some(1), &[(TickOutcome::Pending, 2)]), "f"),
        with_firing(settlement("a", Some(1), &[(TickOutcome::Pending, 2)]), "g"),
    ]);
    let batch = build(&rows);
    assert_eq!(batch.answers, [recorded(&[100]), Settled::Stale, recorded(&[101])]);
    assert_eq!(batch.rows.len(), 2);
}
