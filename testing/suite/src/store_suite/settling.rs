//! Settlements and folding.

use super::StoreFixture;
use super::calls::{
    all_decisions, all_firings, assert_same, at, create, decisions, draft, edit, fire, firing, moved, name,
    read, record, settle, settlement, stored_firing,
};
use ecs_scheduler_core::decide::{DecisionDraft, DecisionRecord, TickOutcome};
use ecs_scheduler_core::firing::{Answer, Attempt, Firing, FiringState};
use ecs_scheduler_core::job::{Progress, StoredJob};
use ecs_scheduler_core::store::{Advance, Settled, Settlement};
use ecs_scheduler_core::{LaunchToken, Observation};

/// A settlement records its outcomes and the settled tick, and answers with the ids of the rows.
pub async fn a_settlement_records_its_outcomes_and_the_settled_tick(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    let drafts =
        vec![draft(TickOutcome::Missed, 1), draft(TickOutcome::Coalesced, 2), draft(TickOutcome::Idle, 3)];
    let ids = record(&*store, "nightly", drafts.clone()).await;
    assert!(ids.is_sorted_by(|a, b| a < b) && ids[0].0 > 0, "{ids:?}");
    let expected: Vec<DecisionRecord> = std::iter::zip(ids, drafts)
        .rev()
        .map(|(id, draft)| DecisionRecord { id, job: job.id.clone(), uid: job.uid, draft, firing: None })
        .collect();
    assert_eq!(decisions(&*store, "nightly").await, expected);
    let progress = read(&*store, "nightly").await.progress;
    assert_eq!(progress, Progress { settled: Some(at(3)), ..Progress::default() });
}

/// A settlement of a missing or recreated job is stale.
pub async fn a_settlement_of_a_missing_or_recreated_job_is_stale(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let old = create(&*store, "nightly").await;
    store.remove(&old.id, None).await.expect("it is removed");
    let late = settlement(&old, vec![draft(TickOutcome::Idle, 1)]);
    assert_eq!(settle(&*store, late.clone()).await, Settled::Stale);
    create(&*store, "nightly").await;
    assert_eq!(settle(&*store, late).await, Settled::Stale);
    assert!(store.decisions(&all_decisions()).await.expect("decisions are read").is_empty());
    assert_eq!(read(&*store, "nightly").await.progress, Progress::default());
}

/// A settlement that expects another tick than the store has is stale and writes nothing.
pub async fn a_settlement_that_expects_another_tick_is_stale_and_writes_nothing(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let before = create(&*store, "nightly").await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    let stored = read(&*store, "nightly").await;
    for expected in [None, Some(at(2))] {
        let late = Settlement {
            expected_cursor: expected,
            firing: Some(firing(&before, 2)),
            ..settlement(&before, vec![draft(TickOutcome::Pending, 2)])
        };
        assert_eq!(settle(&*store, late).await, Settled::Stale);
    }
    assert_eq!(decisions(&*store, "nightly").await.len(), 1);
    assert!(store.firings(&all_firings()).await.expect("firings are read").is_empty());
    assert_eq!(read(&*store, "nightly").await.progress, stored.progress);
}

/// A settlement of another job version is stale and writes nothing, with a firing or without.
pub async fn a_settlement_of_another_version_of_the_job_is_stale_and_writes_nothing(
    subject: &dyn StoreFixture,
) {
    let store = subject.open().await;
    let before = create(&*store, "nightly").await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    let stored = edit(&*store, "nightly").await;
    let older = StoredJob { progress: stored.progress.clone(), ..before };
    let newer = StoredJob { revision: stored.revision.next(), ..older.clone() };
    for other in [older, newer] {
        let idle = settlement(&other, vec![draft(TickOutcome::Idle, 2)]);
        let fires = settlement(&other, vec![draft(TickOutcome::Missed, 2), draft(TickOutcome::Pending, 3)]);
        let fires = Settlement { firing: Some(firing(&other, 3)), ..fires };
        for one in [idle, fires] {
            assert_eq!(settle(&*store, one).await, Settled::Stale, "{:?} is not stored", other.revision);
        }
    }
    let rows = decisions(&*store, "nightly").await;
    assert_eq!((rows.len(), rows[0].draft.span.count), (1, 1), "nothing was appended or folded");
    assert!(store.firings(&all_firings()).await.expect("firings are read").is_empty());
    assert_same(&read(&*store, "nightly").await, &stored);
}

/// A settlement of the version that an edit made is recorded, and folds into the row before the edit.
pub async fn a_settlement_of_the_version_that_an_edit_made_is_recorded(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let first = record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    edit(&*store, "nightly").await;
    assert_eq!(record(&*store, "nightly", vec![draft(TickOutcome::Idle, 2)]).await, first);
    edit(&*store, "nightly").await;
    let fired = fire(&*store, "nightly", 3).await;
    assert_eq!(store.open_firings().await.expect("firings are read"), [fired]);
    assert_eq!(read(&*store, "nightly").await.progress.settled, Some(at(3)));
}

/// A manual firing of the version before an edit is stale; of the new version it is recorded.
pub async fn a_manual_firing_of_another_version_of_the_job_is_stale(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let before = create(&*store, "nightly").await;
    let after = edit(&*store, "nightly").await;
    let manual = |job: &StoredJob| {
        let mut without_tick = draft(TickOutcome::Pending, 50);
        without_tick.span.count = 0;
        let firing = Some(firing(job, 50));
        Settlement { new_cursor: None, firing, ..settlement(job, vec![without_tick]) }
    };
    assert_eq!(settle(&*store, manual(&before)).await, Settled::Stale);
    assert!(decisions(&*store, "nightly").await.is_empty());
    assert_eq!(read(&*store, "nightly").await.progress, Progress::default());
    assert!(matches!(settle(&*store, manual(&after)).await, Settled::Recorded(_)));
    assert_eq!(store.open_firings().await.expect("firings are read").len(), 1);
}

/// A stale settlement does not affect the others of its batch.
pub async fn a_stale_settlement_does_not_affect_the_others(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let mut batch = Vec::new();
    for id in ["a", "b", "c", "d"] {
        batch.push(settlement(&create(&*store, id).await, vec![draft(TickOutcome::Idle, 1)]));
    }
    edit(&*store, "a").await;
    store.remove(&name("b"), None).await.expect("it is removed");
    let settled = store.settle(batch).await.expect("the store settles");
    assert!(
        matches!(&settled[..], [Settled::Stale, Settled::Stale, Settled::Recorded(_), Settled::Recorded(_)]),
        "{settled:?}"
    );
    assert_eq!(read(&*store, "c").await.progress.settled, Some(at(1)));
    assert!(store.settle(Vec::new()).await.expect("nothing is settled").is_empty());
}

/// A batch of a thousand jobs, half of which fire, settles each.
pub async fn a_batch_of_a_thousand_jobs_settles_each(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let mut batch = Vec::new();
    for number in 0..1000 {
        let job = create(&*store, &format!("job-{number}")).await;
        let fires = number % 2 == 0;
        let outcome = if fires { TickOutcome::Pending } else { TickOutcome::Idle };
        let settlement = settlement(&job, vec![draft(outcome, 1)]);
        batch.push(Settlement { firing: fires.then(|| firing(&job, 1)), ..settlement });
    }
    let names: Vec<_> = batch.iter().map(|settlement| settlement.job.clone()).collect();
    let settled = store.settle(batch).await.expect("the store settles");
    let mut ids = Vec::new();
    for one in settled {
        let Settled::Recorded(rows) = one else { panic!("none is stale") };
        ids.extend(rows);
    }
    assert!(ids.len() == 1000 && ids.is_sorted_by(|a, b| a < b), "rows have the order of the batch");
    let jobs = store.get(&names).await.expect("jobs are read");
    assert!(jobs.iter().all(|job| job.progress.settled == Some(at(1))));
    assert_eq!(jobs.iter().filter(|job| job.progress.last_firing.is_some()).count(), 500);
    assert_eq!(store.open_firings().await.expect("firings are read").len(), 500);
}

/// Settlements of one job in one batch follow each other: the second sees what the first did.
pub async fn settlements_of_one_job_in_one_batch_follow_each_other(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    let first = settlement(&job, vec![draft(TickOutcome::Idle, 1)]);
    let second =
        Settlement { expected_cursor: Some(at(1)), ..settlement(&job, vec![draft(TickOutcome::Idle, 2)]) };
    let late = settlement(&job, vec![draft(TickOutcome::Idle, 3)]);
    let settled = store.settle(vec![first, second, late]).await.expect("the store settles");
    let [Settled::Recorded(first), Settled::Recorded(second), Settled::Stale] = &settled[..] else {
        panic!("the third is stale: {settled:?}");
    };
    assert_eq!(first, second, "the second folds into the row of the first");
    assert_eq!(read(&*store, "nightly").await.progress.settled, Some(at(2)));
}

/// Equal idle outcomes fold into one row, which keeps its id and first tick, sums the counts, and takes the newest values.
pub async fn equal_idle_outcomes_fold_into_one_row(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let first = record(&*store, "nightly", vec![draft(TickOutcome::Satisfied, 1)]).await;
    let mut second = draft(TickOutcome::Satisfied, 3);
    second.span.first = at(2);
    second.span.count = 2;
    second.busy = Some(9);
    let ids = record(&*store, "nightly", vec![second, draft(TickOutcome::Satisfied, 4)]).await;
    assert_eq!(ids, [first[0], first[0]]);
    let rows = decisions(&*store, "nightly").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let mut expected = draft(TickOutcome::Satisfied, 4);
    expected.span.first = at(1);
    expected.span.count = 4;
    assert_eq!((rows[0].id, &rows[0].draft), (first[0], &expected));
    assert_eq!(read(&*store, "nightly").await.progress.settled, Some(at(4)));
}

/// Different outcomes do not fold, nor do equal ones with another between them.
pub async fn different_outcomes_do_not_fold(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    create(&*store, "other").await;
    for (tick, outcome) in
        [TickOutcome::Idle, TickOutcome::Cooldown, TickOutcome::Idle].into_iter().enumerate()
    {
        record(&*store, "nightly", vec![draft(outcome, tick as i64)]).await;
        record(&*store, "other", vec![draft(TickOutcome::Idle, tick as i64)]).await;
    }
    let outcomes: Vec<_> = decisions(&*store, "nightly").await.iter().map(|row| row.draft.outcome).collect();
    assert_eq!(outcomes, [TickOutcome::Idle, TickOutcome::Cooldown, TickOutcome::Idle]);
    assert_eq!(decisions(&*store, "other").await.len(), 1, "another job's rows are not between its own");
}

/// Equal outcomes with different explanations do not fold: each row explains its own ticks.
pub async fn outcomes_with_different_explanations_do_not_fold(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let reason = |why: &str, tick| DecisionDraft {
        explanation: why.to_owned(),
        ..draft(TickOutcome::SourceError, tick)
    };
    record(&*store, "nightly", vec![reason("no datapoint", 1), reason("no datapoint", 2)]).await;
    record(&*store, "nightly", vec![reason("connection \"refused\"", 3)]).await;
    record(&*store, "nightly", vec![reason("connection \"refused\"", 4), reason("no datapoint", 5)]).await;
    let rows = decisions(&*store, "nightly").await;
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.draft.explanation.as_str(), row.draft.span.first, row.draft.span.count))
        .collect();
    let expected =
        [("no datapoint", at(5), 1), ("connection \"refused\"", at(3), 2), ("no datapoint", at(1), 2)];
    assert_eq!(seen, expected);
}

/// Texts with any character and of any length are stored and read back, and later ticks are settled as before.
pub async fn texts_with_any_character_and_of_any_length_are_stored(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let texts =
        ["\u{0}", "denied\u{0} by\n\u{1b}[2J \\u0000 \u{202e}\u{ffff}", "\\u0000", &"x".repeat(30_000)];
    for (tick, text) in (0..).step_by(10).zip(texts.map(str::to_owned)) {
        let mut hostile = draft(TickOutcome::SourceError, tick);
        hostile.explanation.clone_from(&text);
        hostile.steps[0].reason.clone_from(&text);
        hostile.observations = vec![Observation::new(&*text, &*text, 1.5, &*text, at(tick))];
        record(&*store, "nightly", vec![hostile.clone()]).await;
        assert_eq!(decisions(&*store, "nightly").await[0].draft, hostile);
        record(
            &*store,
            "nightly",
            vec![DecisionDraft { span: draft(TickOutcome::Idle, tick + 1).span, ..hostile }],
        )
        .await;
        let job = read(&*store, "nightly").await;
        let fires = Firing { explanation: text.clone(), ..firing(&job, tick + 2) };
        let pending = DecisionDraft { explanation: text.clone(), ..draft(TickOutcome::Pending, tick + 2) };
        let settlement = Settlement { firing: Some(fires.clone()), ..settlement(&job, vec![pending]) };
        assert!(matches!(settle(&*store, settlement).await, Settled::Recorded(_)));
        let mut to = moved(&stored_firing(&*store, &fires.id).await, FiringState::Launching, &["t1"]);
        to.note = Some(text.clone());
        (to.tasks[0].reason, to.tasks[0].host_id) = (Some(text.clone()), Some(text.clone()));
        let sent = Attempt {
            batch: 0,
            number: 1,
            count: 1,
            token: LaunchToken::derive("suite", &job.uid, &fires.id, 0, 1),
            sent_at: at(tick),
            answer: Some(Answer::Failed(text.clone())),
        };
        to.attempts.push(sent);
        let advance = Advance { from: FiringState::Planned, to: to.clone(), outcome: None };
        store.advance(advance).await.expect("the firing is stored");
        assert_eq!(stored_firing(&*store, &fires.id).await, to);
        let run = read(&*store, "nightly").await.progress;
        assert_eq!(run.last_run_tasks[0].host_id.as_deref(), Some(&*text));
        record(&*store, "nightly", vec![draft(TickOutcome::Idle, tick + 3)]).await;
        assert_eq!(read(&*store, "nightly").await.progress.settled, Some(at(tick + 3)));
    }
}

/// A settlement may move the settled tick back, and later settlements are recorded.
pub async fn a_settlement_can_move_the_settled_tick_back(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let ahead = fire(&*store, "nightly", 900).await;
    let mut without_tick = draft(TickOutcome::Missed, 5);
    without_tick.span.count = 0;
    let back = Settlement {
        new_cursor: Some(at(5)),
        ..settlement(&read(&*store, "nightly").await, vec![without_tick])
    };
    assert!(matches!(settle(&*store, back).await, Settled::Recorded(_)));
    assert_eq!(read(&*store, "nightly").await.progress.settled, Some(at(5)));
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 6)]).await;
    let again = Settlement {
        firing: Some(ahead),
        ..settlement(&read(&*store, "nightly").await, vec![draft(TickOutcome::Pending, 900)])
    };
    assert_eq!(
        settle(&*store, again).await,
        Settled::Stale,
        "a tick that was launched is not launched again"
    );
    assert_eq!(read(&*store, "nightly").await.progress.settled, Some(at(6)));
}

/// A row with a firing never folds, whatever its outcome.
pub async fn a_row_with_a_firing_never_folds(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    let job = read(&*store, "nightly").await;
    let with = settlement(&job, vec![draft(TickOutcome::Idle, 2), draft(TickOutcome::Idle, 3)]);
    let Settled::Recorded(ids) = settle(&*store, Settlement { firing: Some(firing(&job, 3)), ..with }).await
    else {
        panic!("the settlement is not stale");
    };
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 4)]).await;
    let rows = decisions(&*store, "nightly").await;
    let seen: Vec<_> = rows.iter().map(|row| (row.draft.span.count, row.firing.is_some())).collect();
    assert_eq!(seen, [(1, false), (1, true), (2, false)]);
    assert_eq!([rows[2].id, rows[1].id], ids[..]);
}

/// A manual firing that launches nothing belongs to no tick, so it does not fold.
pub async fn a_manual_firing_never_folds(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let mut manual = draft(TickOutcome::Satisfied, 2);
    manual.span.count = 0;
    for decision in
        [draft(TickOutcome::Satisfied, 1), manual.clone(), manual, draft(TickOutcome::Satisfied, 3)]
    {
        record(&*store, "nightly", vec![decision]).await;
    }
    let rows = decisions(&*store, "nightly").await;
    let counts: Vec<_> = rows.iter().map(|row| row.draft.span.count).collect();
    assert_eq!(counts, [1, 0, 0, 1]);
}

/// Outcomes of a launch do not fold, even without a firing.
pub async fn outcomes_of_a_launch_do_not_fold(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let unfolded: Vec<_> = TickOutcome::ALL.into_iter().filter(|outcome| !outcome.folds()).collect();
    for (tick, outcome) in unfolded.iter().enumerate() {
        let tick = tick as i64 * 2;
        record(&*store, "nightly", vec![draft(*outcome, tick), draft(*outcome, tick + 1)]).await;
    }
    assert_eq!(decisions(&*store, "nightly").await.len(), unfolded.len() * 2);
}

/// Outcomes of a recreated job do not fold into those of the previous job of the same name.
pub async fn a_recreated_job_does_not_fold_into_its_namesake(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let old = create(&*store, "nightly").await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    store.remove(&old.id, None).await.expect("it is removed");
    let new = create(&*store, "nightly").await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 2)]).await;
    let uids: Vec<_> = decisions(&*store, "nightly").await.iter().map(|row| row.uid).collect();
    assert_eq!(uids, [new.uid, old.uid]);
}

/// A settlement whose firing exists already is stale and writes nothing.
pub async fn a_firing_that_exists_is_stale(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let fired = fire(&*store, "nightly", 1).await;
    let job = read(&*store, "nightly").await;
    let again = settlement(&job, vec![draft(TickOutcome::Idle, 2), draft(TickOutcome::Pending, 3)]);
    let again = Settlement { firing: Some(fired), ..again };
    assert_eq!(settle(&*store, again).await, Settled::Stale);
    assert_eq!(decisions(&*store, "nightly").await.len(), 1);
    assert_eq!(read(&*store, "nightly").await.progress, job.progress);
}

/// A manual firing does not change the settled tick.
pub async fn a_manual_firing_keeps_the_settled_tick(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    for settled in [None, Some(at(1))] {
        let job = read(&*store, "nightly").await;
        let manual = firing(&job, settled.map_or(50, |_| 51));
        let mut without_tick = draft(TickOutcome::Pending, 50);
        without_tick.span.count = 0;
        let fired =
            Settlement { new_cursor: settled, firing: Some(manual), ..settlement(&job, vec![without_tick]) };
        assert!(matches!(settle(&*store, fired).await, Settled::Recorded(_)));
        assert_eq!(read(&*store, "nightly").await.progress.settled, settled);
        if settled.is_none() {
            record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
        }
    }
    let firings = store.firings(&all_firings()).await.expect("firings are read");
    assert!(firings.len() == 2 && firings.iter().all(|firing| firing.job == name("nightly")), "{firings:?}");
}
