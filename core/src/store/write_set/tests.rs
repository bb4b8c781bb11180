use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::decide::{DecisionDraft, TickOutcome, TickSpan};
use crate::firing::Firing;
use crate::job::JobId;

const JOB: &str = "nightly";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn uid(number: u128) -> JobUid {
    JobUid::from_uuid(uuid::Uuid::from_u128(number))
}

fn draft(outcome: TickOutcome, explanation: &str, tick: i64, count: u64) -> DecisionDraft {
    DecisionDraft {
        span: TickSpan { first: at(tick), last: at(tick + 1), count },
        observed: at(tick + 2),
        outcome,
        demand: None,
        busy: Some(u32::try_from(tick).unwrap()),
        launch: 0,
        tries: 1,
        explanation: explanation.to_owned(),
        steps: Vec::new(),
        observations: Vec::new(),
    }
}

fn firing(id: &str) -> Firing {
    let at = at(0);
    let task = serde_json::json!({"definition": "worker", "overrides": [], "options": {}});
    serde_json::from_value(serde_json::json!({
        "id": id, "job": JOB, "uid": uid(0), "revision": 1, "origin": "tick", "nominal": at, "observed": at,
        "state": "planned", "requested": 1, "task": task, "definition": "worker:1", "deadline": at,
        "explanation": "",
    }))
    .unwrap()
}

fn settlement(records: Vec<DecisionDraft>, firing: Option<Firing>) -> Settlement {
    Settlement {
        job: JobId::new(JOB).unwrap(),
        uid: uid(0),
        revision: Revision::FIRST,
        expected_cursor: None,
        new_cursor: Some(at(9)),
        records,
        firing,
    }
}

fn head(open_row: Option<FoldKey<'_>>) -> JobHead<'_> {
    JobHead { uid: uid(0), revision: Revision::FIRST, cursor: None, open_row }
}

/// The rows of one job, as a store makes them from write sets.
#[derive(Default)]
struct Rows {
    rows: Vec<(DecisionDraft, Option<FiringId>)>,
    progress: Progress,
    known: BTreeSet<FiringId>,
}

impl Rows {
    fn settle(&mut self, settlement: &Settlement) -> Option<Vec<DecisionId>> {
        let newest = self.rows.last().filter(|(_, firing)| firing.is_none());
        let head =
            JobHead { cursor: self.progress.settled, ..head(newest.and_then(|(draft, _)| draft.fold_key())) };
        let writes = write_set(head, settlement, |firing| self.known.contains(firing))?;
        let stored = self.rows.len() as u64;
        for (op, draft) in writes.ops.iter().zip(settlement.records.iter().cloned()) {
            match op {
                JournalOp::AppendDecision => self.rows.push((draft, None)),
                JournalOp::AppendFiring => {
                    self.rows.push((draft, settlement.firing.as_ref().map(|firing| firing.id.clone())));
                }
                JournalOp::Fold => self.rows.last_mut().unwrap().0.fold(draft),
            }
        }
        assert_eq!(self.rows.len() as u64 - stored, writes.appended() as u64);
        settlement.apply_to(&mut self.progress);
        self.known.extend(settlement.firing.as_ref().map(|firing| firing.id.clone()));
        Some(writes.ids(DecisionId(stored), DecisionId(stored + 1)))
    }
}

/// The same job as a flat list of everything that was ever settled. Its rows are groups of that list.
#[derive(Default)]
struct FlatHistory {
    records: Vec<(DecisionDraft, Option<FiringId>)>,
    cursor: Option<Timestamp>,
}

impl FlatHistory {
    fn settle(&mut self, settlement: &Settlement) -> bool {
        let name = settlement.firing.as_ref().map(|firing| firing.id.clone());
        let repeated = name.is_some() && self.records.iter().any(|(_, firing)| *firing == name);
        let basis = (uid(0), Revision::FIRST, self.cursor);
        if repeated || basis != (settlement.uid, settlement.revision, settlement.expected_cursor) {
            return false;
        }
        self.records.extend(settlement.records.iter().map(|draft| (draft.clone(), None)));
        self.records.last_mut().unwrap().1 = name;
        self.cursor = settlement.new_cursor;
        true
    }

    fn rows(&self) -> Vec<(DecisionDraft, Option<FiringId>)> {
        let idle = |(draft, firing): &(DecisionDraft, Option<FiringId>)| {
            firing.is_none() && draft.span.count > 0 && draft.outcome.folds()
        };
        let groups = self.records.chunk_by(|one, next| {
            let said = |draft: &DecisionDraft| (draft.outcome, draft.explanation.clone());
            idle(one) && idle(next) && said(&one.0) == said(&next.0)
        });
        let row = |group: &[(DecisionDraft, Option<FiringId>)]| {
            let (newest, firing) = group.last().unwrap().clone();
            let first = group[0].0.span.first;
            let count = group.iter().map(|(draft, _)| draft.span.count).sum();
            (DecisionDraft { span: TickSpan { first, count, ..newest.span }, ..newest }, firing)
        };
        groups.map(row).collect()
    }
}

prop_compose! {
    fn any_draft()(
        outcome in prop::sample::select(vec![TickOutcome::Idle, TickOutcome::Cooldown, TickOutcome::Pending]),
        explanation in prop::sample::select(vec!["one", "other"]),
        tick in 0..100_i64,
        count in prop::sample::select(vec![0_u64, 1, 1, 1, 3]),
    ) -> DecisionDraft {
        draft(outcome, explanation, tick, count)
    }
}

prop_compose! {
    /// A settlement that is often fresh, because its cursors are one moment or absent.
    fn any_settlement()(
        records in prop::collection::vec(any_draft(), 1..4),
        firing_number in prop::option::weighted(0.3, 0..4_u8),
        uid_number in prop::sample::select(vec![0, 0, 0, 0, 1]),
        revision in prop::sample::select(vec![1, 1, 1, 1, 2]),
        expected in prop::option::weighted(0.5, 0..1_i64),
        new_cursor in prop::option::weighted(0.5, 0..1_i64),
    ) -> Settlement {
        Settlement {
            uid: uid(uid_number),
            revision: Revision(revision),
            expected_cursor: expected.map(at),
            new_cursor: new_cursor.map(at),
            ..settlement(records, firing_number.map(|number| firing(&format!("f{number}"))))
        }
    }
}

proptest! {
    #[test]
    fn write_sets_make_the_rows_of_a_flat_history(settlements in prop::collection::vec(any_settlement(), 0..12)) {
        let (mut rows, mut history) = (Rows::default(), FlatHistory::default());
        for settlement in &settlements {
            let ids = rows.settle(settlement);
            prop_assert_eq!(ids.is_some(), history.settle(settlement));
            let expected = history.rows();
            prop_assert_eq!(&rows.rows, &expected);
            prop_assert_eq!(rows.progress.settled, history.cursor);
            if let Some(ids) = ids {
                prop_assert_eq!(ids.len(), settlement.records.len());
                prop_assert_eq!(ids.last(), Some(&DecisionId(expected.len() as u64)));
                prop_assert!(ids.is_sorted());
            }
        }
    }
}

#[test]
fn settlement_of_another_version_or_cursor_is_stale() {
    let fresh = settlement(vec![draft(TickOutcome::Missed, "", 1, 1)], None);
    let stale = [
        Settlement { uid: uid(1), ..fresh.clone() },
        Settlement { revision: Revision(2), ..fresh.clone() },
        Settlement { expected_cursor: Some(at(1)), ..fresh.clone() },
    ];
    let known = |_: &FiringId| panic!("a stale settlement does not look for its firing");
    assert!(write_set(head(None), &fresh, known).is_some());
    for settlement in stale {
        let settlement = Settlement { firing: Some(firing("f")), ..settlement };
        assert_eq!(write_set(head(None), &settlement, known), None);
    }
}

#[test]
fn settlement_of_a_known_firing_is_stale() {
    let settlement = settlement(vec![draft(TickOutcome::Pending, "", 1, 1)], Some(firing("f")));
    assert_eq!(write_set(head(None), &settlement, |id| id.as_str() == "f"), None);
    assert!(write_set(head(None), &settlement, |_| false).is_some());
}

#[test]
fn firing_belongs_to_the_last_record_and_its_row_is_not_folded_into() {
    let idle = |tick| draft(TickOutcome::Idle, "empty", tick, 1);
    let settlement = settlement(vec![idle(1), idle(2), idle(3)], Some(firing("f")));
    let stored = idle(0);
    let writes = write_set(head(stored.fold_key()), &settlement, |_| false).unwrap();
    assert_eq!(writes.ops, [JournalOp::Fold, JournalOp::Fold, JournalOp::AppendFiring]);
    assert_eq!(writes.ids(DecisionId(5), DecisionId(8)), [5, 5, 8].map(DecisionId));
    assert_eq!((writes.appended(), JournalOp::AppendFiring.open_row(stored.fold_key())), (1, None));
}

#[test]
fn settlement_moves_the_cursor_and_records_its_firing() {
    let records = || vec![draft(TickOutcome::Pending, "", 1, 1)];
    let mut progress = Progress::default();
    settlement(records(), Some(firing("f"))).apply_to(&mut progress);
    let fired = Progress {
        settled: Some(at(9)),
        last_firing: Some(FiringId::from_text("f")),
        last_fired: Some(at(0)),
        ..Progress::default()
    };
    assert_eq!(progress, fired);
    Settlement { new_cursor: None, ..settlement(records(), None) }.apply_to(&mut progress);
    assert_eq!(progress, Progress { settled: None, ..fired });
}
