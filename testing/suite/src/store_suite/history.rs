//! Reading decisions and firings.

use super::StoreFixture;
use super::calls::{
    advance, all_decisions, all_firings, count, create, decisions, draft, fire, name, record, stored_firing,
};
use ecs_scheduler_core::decide::{DecisionId, DecisionRecord, TickOutcome};
use ecs_scheduler_core::firing::{Firing, FiringId, FiringState};
use ecs_scheduler_core::store::{DecisionQuery, FiringQuery, Store};

/// Writes a history of two jobs, row by row in turns.
async fn write_history(store: &dyn Store) {
    for job in ["a", "b"] {
        create(store, job).await;
    }
    for tick in 0..30 {
        for job in ["a", "b"] {
            match tick % 3 {
                0 => drop(fire(store, job, tick).await),
                1 => drop(record(store, job, vec![draft(TickOutcome::Idle, tick)]).await),
                _ => drop(record(store, job, vec![draft(TickOutcome::Cooldown, tick)]).await),
            }
        }
    }
}

async fn page_decisions(store: &dyn Store, mut query: DecisionQuery) -> Vec<DecisionRecord> {
    let mut all = Vec::new();
    loop {
        let page = store.decisions(&query).await.expect("decisions are read");
        assert!(page.len() <= query.limit.get());
        let Some(last) = page.last() else { return all };
        query.before = Some(last.id);
        all.extend(page);
    }
}

async fn page_firings(store: &dyn Store, mut query: FiringQuery) -> Vec<Firing> {
    let mut all = Vec::new();
    loop {
        let page = store.firings(&query).await.expect("firings are read");
        assert!(page.len() <= query.limit.get());
        let Some(last) = page.last() else { return all };
        query.before = Some(last.id.clone());
        all.extend(page);
    }
}

/// Decisions are paged newest first, without a gap or a repetition.
pub async fn decisions_are_paged_newest_first(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    write_history(&*store).await;
    let all = page_decisions(&*store, DecisionQuery { limit: count(7), ..all_decisions() }).await;
    assert_eq!(all.len(), 60);
    assert!(all.is_sorted_by(|newer, older| newer.id > older.id));
    assert_eq!(all, store.decisions(&all_decisions()).await.expect("decisions are read"));
    let older = DecisionQuery { before: Some(DecisionId(0)), ..all_decisions() };
    assert!(store.decisions(&older).await.expect("decisions are read").is_empty());
}

/// Decisions of one job are paged newest first; any id can be the cursor, even another job's.
pub async fn decisions_of_one_job_are_paged_newest_first(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    write_history(&*store).await;
    let query = DecisionQuery { job: Some(name("a")), limit: count(7), ..all_decisions() };
    let of_a = page_decisions(&*store, query.clone()).await;
    assert_eq!(of_a.len(), 30);
    assert!(
        of_a.iter().all(|row| row.job == name("a")) && of_a.is_sorted_by(|newer, older| newer.id > older.id)
    );
    let of_b = decisions(&*store, "b").await;
    let before = DecisionQuery { before: Some(of_b[10].id), ..query.clone() };
    let page = store.decisions(&before).await.expect("decisions are read");
    let expected: Vec<_> = of_a.iter().filter(|row| row.id < of_b[10].id).take(7).cloned().collect();
    assert_eq!(page, expected);
    let nobody = DecisionQuery { job: Some(name("nobody")), ..query };
    assert!(store.decisions(&nobody).await.expect("decisions are read").is_empty());
}

/// Decisions are filtered by outcome, of one job or of all, page by page.
pub async fn decisions_are_filtered_by_outcome(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    write_history(&*store).await;
    for outcome in [TickOutcome::Pending, TickOutcome::Idle, TickOutcome::Cooldown, TickOutcome::Missed] {
        let each = if outcome == TickOutcome::Missed { 0 } else { 10 };
        for (job, expected) in [(None, 2 * each), (Some(name("b")), each)] {
            let query = DecisionQuery { job, outcome: Some(outcome), limit: count(3), ..all_decisions() };
            let found = page_decisions(&*store, query).await;
            assert_eq!(found.len(), expected, "{outcome}");
            assert!(found.iter().all(|row| row.draft.outcome == outcome));
            assert!(found.is_sorted_by(|newer, older| newer.id > older.id));
        }
    }
}

/// Firings are found by name, by job and by state.
pub async fn firings_are_found_by_name_job_and_state(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    write_history(&*store).await;
    let of_a = FiringQuery { job: Some(name("a")), ..all_firings() };
    let firings = store.firings(&of_a).await.expect("firings are read");
    assert!(firings.len() == 10 && firings.iter().all(|firing| firing.job == name("a")), "{firings:?}");
    let moved = advance(&*store, &firings[4], FiringState::Cancelled, &[]).await;
    assert_eq!(stored_firing(&*store, &moved.id).await, moved);
    for (state, in_all) in
        [(FiringState::Cancelled, 1), (FiringState::Planned, 19), (FiringState::Unknown, 0)]
    {
        let query = FiringQuery { state: Some(state), ..all_firings() };
        assert_eq!(store.firings(&query).await.expect("firings are read").len(), in_all, "{state:?}");
        let query = FiringQuery { id: Some(moved.id.clone()), ..query };
        let found = store.firings(&query).await.expect("firings are read").len();
        assert_eq!(found, usize::from(state == FiringState::Cancelled));
    }
    let of_b = FiringQuery { job: Some(name("b")), state: Some(FiringState::Cancelled), ..all_firings() };
    assert!(store.firings(&of_b).await.expect("firings are read").is_empty());
    let nobody = FiringQuery { id: Some(FiringId::from_text("nobody")), ..all_firings() };
    assert!(store.firings(&nobody).await.expect("firings are read").is_empty());
}

/// Firings are paged newest first; a missing firing as the cursor gives an empty page.
pub async fn firings_are_paged_newest_first(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    write_history(&*store).await;
    for (job, expected) in [(None, 20), (Some(name("a")), 10)] {
        for state in [None, Some(FiringState::Planned)] {
            let query = FiringQuery { job: job.clone(), state, limit: count(3), ..all_firings() };
            let all = page_firings(&*store, query).await;
            assert_eq!(all.len(), expected);
            assert!(all.is_sorted_by(|newer, older| newer.decision > older.decision));
        }
    }
    for job in [None, Some(name("a"))] {
        let all =
            store.firings(&FiringQuery { job: job.clone(), ..all_firings() }).await.expect("they are read");
        let last = all.len() - 1;
        // Decisions between two firings are cursors too, and the older one of two cursors counts.
        for (index, behind) in [(1, 0), (1, 1), (last - 1, 0), (last - 1, 1)] {
            let before_decision = Some(DecisionId(all[index].decision.0 + behind));
            let query = FiringQuery { job: job.clone(), before_decision, ..all_firings() };
            let expected = &all[if behind == 0 { index + 1 } else { index }..];
            for (before, expected) in
                [(None, expected), (Some(&all[0]), expected), (Some(&all[last - 1]), &all[last..])]
            {
                let query = FiringQuery { before: before.map(|firing| firing.id.clone()), ..query.clone() };
                assert_eq!(store.firings(&query).await.expect("firings are read"), expected);
            }
        }
    }
    let lost = FiringQuery { before: Some(FiringId::from_text("nobody")), ..all_firings() };
    assert!(store.firings(&lost).await.expect("firings are read").is_empty());
}

/// History outlives its job and is read by the job's name; the history of a new job of the same name follows it.
pub async fn history_outlives_its_job(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    let first = fire(&*store, "nightly", 2).await;
    store.remove(&job.id, None).await.expect("it is removed");
    assert_eq!(decisions(&*store, "nightly").await.len(), 2);
    advance(&*store, &first, FiringState::Cancelled, &[]).await;
    create(&*store, "nightly").await;
    assert_eq!(decisions(&*store, "nightly").await.len(), 2);
    let second = fire(&*store, "nightly", 3).await;
    let query = FiringQuery { job: Some(name("nightly")), ..all_firings() };
    let firings = store.firings(&query).await.expect("firings are read");
    assert_eq!([&firings[0].id, &firings[1].id], [&second.id, &first.id]);
    assert_eq!(decisions(&*store, "nightly").await.len(), 3);
}
