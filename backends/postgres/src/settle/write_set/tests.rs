use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::{DecisionId, JobId, Outcome, Settled};
use uuid::Uuid;

use super::{Entry, Mark, Record, Shot, Slate, Written, write};

const UID: Uuid = Uuid::from_u128(7);

fn record(outcome: Outcome, tick: i64) -> Record {
    Record {
        outcome,
        observed: tick,
        first: tick,
        last: tick,
        count: 1,
        explanation: String::new(),
        ledger: tick.to_string(),
    }
}

fn entry(job: &str, expected: Option<i64>, records: &[(Outcome, i64)]) -> Entry {
    Entry {
        job: JobId::new(job).expect("the name is sound"),
        uid: UID,
        shard: 3,
        revision: 2,
        expected,
        settled: records.last().map(|(_, tick)| *tick),
        records: records.iter().map(|(outcome, tick)| record(*outcome, *tick)).collect(),
        firing: None,
    }
}

fn firing(entry: Entry, id: &str) -> Entry {
    let shot = Shot { id: id.to_owned(), state: "planned", tasks: 0, observed: 9, body: "{}".to_owned() };
    Entry { firing: Some(shot), ..entry }
}

/// Plans against one stored job, `a`, whose newest row is 5 and folds idle outcomes.
fn plan(entries: &[Entry]) -> Written<'_> {
    let mark = Mark::new(UID, 2, None, 5, Some(Outcome::Idle));
    let known = HashSet::from(["known".to_owned()]);
    let slate = Slate { marks: HashMap::from([("a".to_owned(), mark)]), known };
    write(slate, 100, &entries.iter().collect::<Vec<_>>())
}

fn recorded(ids: &[u64]) -> Settled {
    Settled::Recorded(ids.iter().copied().map(DecisionId).collect())
}

#[test]
fn what_folds_into_a_stored_row_is_added_up() {
    let written_from = [
        entry("a", None, &[(Outcome::Idle, 1), (Outcome::Idle, 2)]),
        entry("a", Some(2), &[(Outcome::Idle, 3)]),
    ];
    let written = plan(&written_from);
    assert_eq!(written.answers, [recorded(&[5, 5]), recorded(&[5])]);
    assert!(written.rows.is_empty());
    let fold = &written.folds[&5];
    assert_eq!((fold.count, fold.last, fold.observed, fold.ledger.as_str()), (3, 3, 3, "3"));
    assert_eq!(written.marks[0].1.settled, Some(3));
}

#[test]
fn what_folds_into_a_row_of_the_same_batch_is_no_second_row() {
    let entries = [
        entry("a", None, &[(Outcome::Cooldown, 1), (Outcome::Cooldown, 2), (Outcome::Idle, 3)]),
        entry("a", Some(3), &[(Outcome::Idle, 4)]),
    ];
    let written = plan(&entries);
    assert_eq!(written.answers, [recorded(&[100, 100, 101]), recorded(&[101])]);
    assert!(written.folds.is_empty());
    let rows: Vec<_> = written
        .rows
        .iter()
        .map(|row| (row.seq, row.born, row.record.first, row.record.last, row.record.count))
        .collect();
    assert_eq!(rows, [(100, 1, 1, 2, 2), (101, 3, 3, 4, 2)]);
    assert_eq!((written.marks[0].1.head, written.marks[0].1.folds), (101, Some(Outcome::Idle)));
}

#[test]
fn the_row_of_a_firing_stands_alone() {
    let entries = [
        firing(entry("a", None, &[(Outcome::Idle, 1), (Outcome::Idle, 2)]), "f"),
        entry("a", Some(2), &[(Outcome::Idle, 3)]),
    ];
    let written = plan(&entries);
    assert_eq!(written.answers, [recorded(&[5, 100]), recorded(&[101])]);
    let firings: Vec<_> =
        written.rows.iter().map(|row| row.firing.map(|firing| firing.id.as_str())).collect();
    assert_eq!(firings, [Some("f"), None]);
    assert_eq!(
        (written.marks[0].1.last_firing.as_deref(), written.marks[0].1.last_fired),
        (Some("f"), Some(9))
    );
}

#[test]
fn what_is_stale_takes_no_number_and_changes_nothing() {
    let another = Entry { uid: Uuid::from_u128(8), ..entry("a", None, &[(Outcome::Idle, 1)]) };
    let of_version = |revision| Entry { revision, ..entry("a", None, &[(Outcome::Missed, 1)]) };
    let entries = [
        entry("missing", None, &[(Outcome::Missed, 1)]),
        another,
        of_version(1),
        of_version(3),
        entry("a", Some(1), &[(Outcome::Missed, 2)]),
        firing(entry("a", None, &[(Outcome::Missed, 1), (Outcome::Pending, 2)]), "known"),
    ];
    let written = plan(&entries);
    assert_eq!(written.answers, [const { Settled::Stale }; 6]);
    assert!(written.rows.is_empty() && written.folds.is_empty() && written.marks.is_empty());
}

#[test]
fn a_firing_is_known_to_the_rest_of_its_batch() {
    let entries = [
        firing(entry("a", None, &[(Outcome::Pending, 1)]), "f"),
        firing(entry("a", Some(1), &[(Outcome::Pending, 2)]), "f"),
        firing(entry("a", Some(1), &[(Outcome::Pending, 2)]), "g"),
    ];
    let written = plan(&entries);
    assert_eq!(written.answers, [recorded(&[100]), Settled::Stale, recorded(&[101])]);
    assert_eq!(written.rows.len(), 2);
}
