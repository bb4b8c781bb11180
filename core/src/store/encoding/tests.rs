use proptest::prelude::*;

use super::*;
use crate::decide::{DecisionId, DecisionRecord, FoldKey, TickOutcome, TickSpan};
use crate::job::{JobId, JobUid, Progress, Revision};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn draft(first: i64, last: i64, count: u64) -> DecisionDraft {
    DecisionDraft {
        span: TickSpan { first: at(first), last: at(last), count },
        observed: at(last),
        outcome: TickOutcome::Idle,
        demand: None,
        busy: Some(u32::try_from(last).unwrap()),
        launch: 0,
        tries: 1,
        explanation: "the queue is empty".to_owned(),
        steps: Vec::new(),
        observations: Vec::new(),
    }
}

proptest! {
    #[test]
    fn nanoseconds_restore_the_timestamp_and_keep_the_order(one in any::<i64>(), other in any::<i64>()) {
        let [first, second] = [one, other].map(|nanos| Timestamp::from_nanosecond(nanos.into()).unwrap());
        prop_assert_eq!(to_nanos(first).unwrap(), one);
        prop_assert_eq!(to_nanos_saturating(first), one);
        prop_assert_eq!(from_nanos(one), first);
        prop_assert_eq!(first.cmp(&second), one.cmp(&other));
    }

    #[test]
    fn folded_columns_are_the_columns_of_the_folded_decision(ticks in prop::collection::vec((0..9_i64, 1..9_u64), 1..5)) {
        let drafts = ticks.iter().map(|(tick, count)| draft(*tick, tick + 1, *count));
        let folded = drafts.clone().reduce(|mut row, newer| {
            row.fold(newer);
            row
        });
        let columns = drafts.map(|draft| DecisionColumns::new(&draft).unwrap()).reduce(|mut row, newer| {
            row.fold(&newer);
            row
        });
        prop_assert_eq!(columns, folded.map(|draft| DecisionColumns::new(&draft).unwrap()));
    }
}

#[test]
fn timestamp_out_of_range_is_refused_or_saturates() {
    for (at, bound) in [(Timestamp::MIN, i64::MIN), (Timestamp::MAX, i64::MAX)] {
        let error = to_nanos(at).unwrap_err().to_string();
        assert!(error.ends_with("it is not between 1678 and 2261"), "{error}");
        assert_eq!((to_nanos_saturating(at), to_nanos_opt(Some(at)).is_err()), (bound, true));
    }
    assert_eq!(to_nanos_opt(None).unwrap(), None);
}

#[test]
fn settlement_row_has_the_details_of_its_records_and_keeps_their_keys() {
    let record = DecisionDraft {
        steps: vec![crate::decide::Step {
            rule: crate::decide::Rule::Demand,
            before: 0,
            after: 0,
            reason: "empty".to_owned(),
        }],
        ..draft(1, 2, 2)
    };
    let settlement = Settlement {
        job: JobId::new("nightly").unwrap(),
        uid: JobUid::random(),
        revision: Revision::FIRST,
        expected_cursor: None,
        new_cursor: Some(at(2)),
        records: vec![record.clone()],
        firing: None,
    };
    let row = SettlementRow::new(settlement.clone(), |_| panic!("it has no firing")).unwrap();
    assert_eq!(row.decisions, [DecisionColumns::new(&record).unwrap()]);
    assert!(row.decisions[0].details.contains("\"because\":\"empty\""), "{}", row.decisions[0].details);
    assert_eq!((row.settlement.records[0].steps.len(), row.body), (0, None));
    let key = FoldKey { outcome: TickOutcome::Idle, explanation: "the queue is empty".into() };
    assert_eq!(row.settlement.records[0].fold_key(), Some(key));
    let late = Settlement { new_cursor: Some(Timestamp::MAX), ..settlement };
    assert!(SettlementRow::new(late, to_json).is_err());
}

#[test]
fn job_columns_leave_out_an_empty_list_of_tasks() {
    let job = StoredJob {
        id: JobId::new("nightly").unwrap(),
        uid: JobUid::random(),
        revision: Revision::FIRST,
        document: serde_json::value::to_raw_value(&1).unwrap(),
        created: at(1),
        changed: at(2),
        progress: Progress { settled: Some(at(3)), ..Progress::default() },
    };
    let columns = JobColumns::new(&job).unwrap();
    let seconds = |second: i64| second * 1_000_000_000;
    let expected = JobColumns {
        created: seconds(1),
        changed: seconds(2),
        settled: Some(seconds(3)),
        ..JobColumns::default()
    };
    assert_eq!(columns, expected);
}

#[test]
fn entry_row_is_born_with_its_first_tick_or_earlier_and_folds_only_into_its_own_job() {
    let (job, uid) = (JobId::new("nightly").unwrap(), JobUid::random());
    let entry = |draft| JournalEntry {
        record: DecisionRecord { id: DecisionId(1), job: job.clone(), uid, draft, firing: None },
        firing: None,
    };
    for (draft, born) in [(draft(1, 5, 2), 1), (DecisionDraft { observed: at(0), ..draft(1, 5, 2) }, 0)] {
        let row = ImportRow::new(entry(draft.clone())).unwrap();
        assert_eq!((row.born(), row.body.as_deref()), (born * 1_000_000_000, None));
        assert_eq!(row.decision, DecisionColumns::new(&draft).unwrap());
    }
    let idle = entry(draft(1, 5, 2));
    assert_eq!(idle.open_row(uid), idle.record.draft.fold_key());
    assert_eq!((idle.open_row(JobUid::random()), idle.is_open()), (None, false));
    let launched = entry(DecisionDraft { outcome: TickOutcome::Launched, ..draft(1, 5, 2) });
    assert_eq!(launched.open_row(uid), None);
    assert!(ImportRow::new(entry(DecisionDraft { observed: Timestamp::MAX, ..draft(1, 5, 2) })).is_err());
}
