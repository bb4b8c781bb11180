use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::{DecisionId, JobId, Settled, TickOutcome};
use uuid::Uuid;

use super::{DecisionRow, Existing, FiringRow, JobMeta, SettlementRow, WriteSet, build_write_set};

const UID: Uuid = Uuid::from_u128(7);

fn decision(outcome: TickOutcome, tick: i64) -> DecisionRow {
    DecisionRow {
        outcome,
        observed: tick,
        first: tick,
        last: tick,
        count: 1,
        explanation: String::new(),
        ledger: tick.to_string(),
    }
}

fn settlement(job: &str, expected: Option<i64>, decisions: &[(TickOutcome, i64)]) -> SettlementRow {
    SettlementRow {
        job: JobId::new(job).expect("the name is valid"),
        uid: UID,
        shard: 3,
        revision: 2,
        expected,
        settled: decisions.last().map(|(_, tick)| *tick),
        decisions: decisions.iter().map(|(outcome, tick)| decision(*outcome, *tick)).collect(),
        firing: None,
    }
}

fn with_firing(settlement: SettlementRow, id: &str) -> SettlementRow {
    let row = FiringRow { id: id.to_owned(), state: "planned", tasks: 0, observed: 9, body: "{}".to_owned() };
    SettlementRow { firing: Some(row), ..settlement }
}

/// Builds the write set against one stored job, `a`, whose newest row is 5 and folds idle outcomes.
fn build(settlements: &[SettlementRow]) -> WriteSet<'_> {
    let meta = JobMeta::new(UID, 2, None, 5, Some(TickOutcome::Idle));
    let firings = HashSet::from(["known".to_owned()]);
    let existing = Existing { jobs: HashMap::from([("a".to_owned(), meta)]), firings };
    build_write_set(existing, 100, &settlements.iter().collect::<Vec<_>>())
}

fn recorded(ids: &[u64]) -> Settled {
    Settled::Recorded(ids.iter().copied().map(DecisionId).collect())
}

#[test]
fn decisions_that_fold_into_a_stored_row_are_added_up() {
    let settlements = [
        settlement("a", None, &[(TickOutcome::Idle, 1), (TickOutcome::Idle, 2)]),
        settlement("a", Some(2), &[(TickOutcome::Idle, 3)]),
    ];
    let write_set = build(&settlements);
    assert_eq!(write_set.answers, [recorded(&[5, 5]), recorded(&[5])]);
    assert!(write_set.rows.is_empty());
    let fold = &write_set.folds[&5];
    assert_eq!((fold.count, fold.last, fold.observed, fold.ledger.as_str()), (3, 3, 3, "3"));
    assert_eq!(write_set.jobs[0].1.settled, Some(3));
}

#[test]
fn decision_that_folds_into_a_row_of_the_same_batch_makes_no_second_row() {
    let settlements = [
        settlement(
            "a",
            None,
            &[(TickOutcome::Cooldown, 1), (TickOutcome::Cooldown, 2), (TickOutcome::Idle, 3)],
        ),
        settlement("a", Some(3), &[(TickOutcome::Idle, 4)]),
    ];
    let write_set = build(&settlements);
    assert_eq!(write_set.answers, [recorded(&[100, 100, 101]), recorded(&[101])]);
    assert!(write_set.folds.is_empty());
    let rows: Vec<_> = write_set
        .rows
        .iter()
        .map(|row| (row.seq, row.born, row.decision.first, row.decision.last, row.decision.count))
        .collect();
    assert_eq!(rows, [(100, 1, 1, 2, 2), (101, 3, 3, 4, 2)]);
    assert_eq!((write_set.jobs[0].1.head, write_set.jobs[0].1.folds), (101, Some(TickOutcome::Idle)));
}

#[test]
fn row_of_a_firing_is_never_folded_into() {
    let settlements = [
        with_firing(settlement("a", None, &[(TickOutcome::Idle, 1), (TickOutcome::Idle, 2)]), "f"),
        settlement("a", Some(2), &[(TickOutcome::Idle, 3)]),
    ];
    let write_set = build(&settlements);
    assert_eq!(write_set.answers, [recorded(&[5, 100]), recorded(&[101])]);
    let firings: Vec<_> =
        write_set.rows.iter().map(|row| row.firing.map(|firing| firing.id.as_str())).collect();
    assert_eq!(firings, [Some("f"), None]);
    assert_eq!(
        (write_set.jobs[0].1.last_firing.as_deref(), write_set.jobs[0].1.last_fired),
        (Some("f"), Some(9))
    );
}

#[test]
fn stale_settlement_takes_no_number_and_changes_nothing() {
    let another =
        SettlementRow { uid: Uuid::from_u128(8), ..settlement("a", None, &[(TickOutcome::Idle, 1)]) };
    let of_revision =
        |revision| SettlementRow { revision, ..settlement("a", None, &[(TickOutcome::Missed, 1)]) };
    let settlements = [
        settlement("missing", None, &[(TickOutcome::Missed, 1)]),
        another,
        of_revision(1),
        of_revision(3),
        settlement("a", Some(1), &[(TickOutcome::Missed, 2)]),
        with_firing(settlement("a", None, &[(TickOutcome::Missed, 1), (TickOutcome::Pending, 2)]), "known"),
    ];
    let write_set = build(&settlements);
    assert_eq!(write_set.answers, [const { Settled::Stale }; 6]);
    assert!(write_set.rows.is_empty() && write_set.folds.is_empty() && write_set.jobs.is_empty());
}

#[test]
fn firing_is_known_to_the_rest_of_its_batch() {
    let settlements = [
        with_firing(settlement("a", None, &[(TickOutcome::Pending, 1)]), "f"),
        with_firing(settlement("a", Some(1), &[(TickOutcome::Pending, 2)]), "f"),
        with_firing(settlement("a", Some(1), &[(TickOutcome::Pending, 2)]), "g"),
    ];
    let write_set = build(&settlements);
    assert_eq!(write_set.answers, [recorded(&[100]), Settled::Stale, recorded(&[101])]);
    assert_eq!(write_set.rows.len(), 2);
}
