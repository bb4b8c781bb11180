//! Importing the contents of another store.

use std::num::NonZeroUsize;

use super::StoreFixture;
use super::calls::{
    advance, all_decisions, all_firings, assert_same, at, create, decisions, document, draft, fire, firing,
    moved, name, read, record, settle, settlement, stored_firing,
};
use super::durability::reopen;
use ecs_scheduler_core::decide::{DecisionId, DecisionRecord, TickOutcome};
use ecs_scheduler_core::firing::{Firing, FiringState};
use ecs_scheduler_core::job::StoredJob;
use ecs_scheduler_core::memory::MemoryStore;
use ecs_scheduler_core::store::{
    Advance, DecisionQuery, FiringQuery, ImportBatch, JobStore, Journal, JournalEntry, ListFrom, MAX_PAGE,
    Settled, Settlement, Store, StoreError,
};

/// Makes another store with a history: replaced and removed jobs, folded outcomes, firings in many states.
async fn other_store() -> MemoryStore {
    let other = MemoryStore::default();
    for (index, id) in ["zeta", "gone", "alpha"].into_iter().enumerate() {
        let created = create(&other, id).await;
        let text = format!(r#"{{"taskCount": {index}, "description": "Grüße\t✓"}}"#);
        let replaced = other.replace(&created.id, created.revision, document(&text), at(5)).await;
        replaced.expect("the revision is this");
    }
    for tick in 10..13 {
        record(&other, "zeta", vec![draft(TickOutcome::Idle, tick)]).await;
    }
    let ended = fire(&other, "gone", 20).await;
    let ended = advance(&other, &ended, FiringState::Launching, &["t0"]).await;
    advance(&other, &ended, FiringState::Finished, &["t0"]).await;
    other.remove(&name("gone"), None).await.expect("it is removed");
    let launched = fire(&other, "alpha", 21).await;
    let launched = advance(&other, &launched, FiringState::Launching, &[]).await;
    let to = moved(&launched, FiringState::Launched, &["t1", "t2"]);
    let advance = Advance { from: launched.state, to, outcome: Some(TickOutcome::Partial) };
    other.advance(advance).await.expect("the move is a legal one");
    fire(&other, "zeta", 22).await;
    record(&other, "alpha", vec![draft(TickOutcome::Cooldown, 23)]).await;
    record(&other, "zeta", vec![draft(TickOutcome::Idle, 24)]).await;
    other
}

async fn jobs(store: &dyn Store) -> Vec<StoredJob> {
    store.list(ListFrom::Skip(0), MAX_PAGE).await.expect("jobs are listed").jobs
}

/// Reads the journal, oldest first.
async fn history(store: &dyn Store) -> Vec<JournalEntry> {
    let mut entries = Vec::new();
    for record in store.decisions(&all_decisions()).await.expect("decisions are read").into_iter().rev() {
        let firing = match &record.firing {
            None => None,
            Some(id) => Some(stored_firing(store, id).await),
        };
        entries.push(JournalEntry { record, firing });
    }
    entries
}

/// Imports everything, with invalid decision ids, because the import must ignore them.
async fn import_all(store: &dyn Store, other: &dyn Store) {
    store.import(ImportBatch::Jobs(jobs(other).await)).await.expect("jobs are imported");
    let with_invalid_id = |entry: JournalEntry| JournalEntry {
        record: DecisionRecord { id: DecisionId(7), ..entry.record },
        firing: entry.firing.map(|firing| Firing { decision: DecisionId(7), ..firing }),
    };
    let entries = history(other).await.into_iter().map(with_invalid_id).collect();
    store.import(ImportBatch::History(entries)).await.expect("the history is imported");
}

/// Makes an entry comparable: each store assigns its own decision ids.
fn without_id(entry: JournalEntry) -> JournalEntry {
    let id = DecisionId::default();
    JournalEntry {
        record: DecisionRecord { id, ..entry.record },
        firing: entry.firing.map(|firing| Firing { decision: id, ..firing }),
    }
}

async fn assert_equal_stores(left: &dyn Store, right: &dyn Store) {
    let (jobs_left, jobs_right) = (jobs(left).await, jobs(right).await);
    assert_eq!(jobs_left.len(), jobs_right.len());
    for (left, right) in jobs_left.iter().zip(&jobs_right) {
        assert_same(left, right);
    }
    let entries = history(left).await;
    assert!(entries.iter().is_sorted_by_key(|entry| entry.record.id));
    let ids_agree =
        |entry: &JournalEntry| entry.firing.as_ref().is_none_or(|firing| firing.decision == entry.record.id);
    assert!(entries.iter().all(ids_agree), "{entries:#?}");
    let plain = |entries: Vec<JournalEntry>| entries.into_iter().map(without_id).collect::<Vec<_>>();
    assert_eq!(plain(entries), plain(history(right).await));
}

/// Imported data is read back unchanged, except for decision ids.
pub async fn imported_data_is_read_back_unchanged(subject: &dyn StoreFixture) {
    let (store, other) = (subject.open().await, other_store().await);
    import_all(&*store, &other).await;
    assert_equal_stores(&*store, &other).await;
    assert_eq!(read(&*store, "alpha").await.progress.last_run_tasks.len(), 2, "progress comes with the job");
    let open = store.open_firings().await.expect("firings are read");
    let states: Vec<_> = open.iter().map(|firing| (firing.job.as_str(), firing.state)).collect();
    assert_eq!(states, [("alpha", FiringState::Launched), ("zeta", FiringState::Planned)]);
    assert_eq!(decisions(&*store, "gone").await.len(), 1, "the history of what was removed is there");
    let idle = DecisionQuery { outcome: Some(TickOutcome::Idle), ..all_decisions() };
    assert_eq!(store.decisions(&idle).await.expect("decisions are read").len(), 2);
    let launched = FiringQuery { state: Some(FiringState::Launched), ..all_firings() };
    assert_eq!(store.firings(&launched).await.expect("firings are read").len(), 1);
}

/// Imported data is appended to existing data.
pub async fn imported_jobs_and_entries_are_appended(subject: &dyn StoreFixture) {
    let (store, other) = (subject.open().await, other_store().await);
    create(&*store, "own").await;
    record(&*store, "own", vec![draft(TickOutcome::Missed, 1)]).await;
    import_all(&*store, &other).await;
    let names: Vec<_> = jobs(&*store).await.into_iter().map(|job| job.id).collect();
    assert_eq!(names, ["own", "zeta", "alpha"].map(name));
    create(&*store, "last").await;
    assert_eq!(jobs(&*store).await[3].id, name("last"));
    let mut entries = history(&*store).await;
    assert_eq!(entries.remove(0).record.job, name("own"));
    assert_eq!(entries.len(), history(&other).await.len());
}

/// A job whose name is taken, and a firing that is known, are refused; what is there stays as it is.
pub async fn importing_existing_jobs_or_firings_fails(subject: &dyn StoreFixture) {
    let (store, other) = (subject.open().await, other_store().await);
    let own = create(&*store, "alpha").await;
    let error = store.import(ImportBatch::Jobs(jobs(&other).await)).await.expect_err("the name is taken");
    assert!(matches!(&error, StoreError::Exists(id) if id.as_str() == "alpha"), "{error:?}");
    assert_same(&read(&*store, "alpha").await, &own);
    let entries = history(&other).await;
    store.import(ImportBatch::History(entries.clone())).await.expect("the history is imported");
    let before = history(&*store).await;
    let again: Vec<_> = entries.into_iter().filter(|entry| entry.firing.is_some()).collect();
    let error = store.import(ImportBatch::History(again)).await.expect_err("the firings are known");
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert_eq!(history(&*store).await, before);
}

/// Imported data is used like any other: ids grow, outcomes fold, firings advance.
pub async fn imported_data_is_settled_and_advanced_as_usual(subject: &dyn StoreFixture) {
    let (store, other) = (subject.open().await, other_store().await);
    import_all(&*store, &other).await;
    go_on(&*store).await;
}

/// The same after a restart in between.
pub async fn imported_data_survives_a_restart(subject: &dyn StoreFixture) {
    let (store, other) = (subject.open().await, other_store().await);
    import_all(&*store, &other).await;
    let store = reopen(subject, store).await;
    assert_equal_stores(&*store, &other).await;
    go_on(&*store).await;
}

async fn go_on(store: &dyn Store) {
    let newest = history(store).await.pop().expect("there is a history").record;
    assert_eq!((newest.job.as_str(), newest.draft.outcome), ("zeta", TickOutcome::Idle));
    let folded = record(store, "zeta", vec![draft(TickOutcome::Idle, 30)]).await;
    assert_eq!(folded, [newest.id], "it folds into the newest entry of its job");
    let later = record(store, "alpha", vec![draft(TickOutcome::Idle, 31)]).await;
    assert!(later[0] > newest.id, "{later:?} after {:?}", newest.id);
    let open = store.open_firings().await.expect("firings are read");
    let planned = open.iter().find(|firing| firing.job == name("zeta")).expect("one of zeta is planned");
    let planned = advance(store, planned, FiringState::Launching, &[]).await;
    advance(store, &planned, FiringState::Launched, &["t9"]).await;
    assert_eq!(read(store, "zeta").await.progress.last_run, Some(at(22)));
    let job = read(store, "zeta").await;
    let known = Settlement {
        firing: Some(firing(&job, 22)),
        ..settlement(&job, vec![draft(TickOutcome::Pending, 40)])
    };
    assert_eq!(settle(store, known).await, Settled::Stale, "a firing that was taken over is known");
    store.remove(&job.id, Some(job.revision)).await.expect("its revision came with it");
    let kept = decisions(store, "zeta").await;
    assert!(kept.len() == 3 && kept[0].draft.span.count == 2, "{kept:#?}");
    create(store, "zeta").await;
    let fresh = record(store, "zeta", vec![draft(TickOutcome::Idle, 50)]).await;
    assert!(fresh[0] > later[0], "it does not fold into its namesake");
}

/// A batch of the maximum size is imported in order.
pub async fn a_full_batch_is_imported_in_order(subject: &dyn StoreFixture) {
    let (store, other) = (subject.open().await, MemoryStore::default());
    let mut batch = Vec::new();
    for number in (0..MAX_PAGE.get()).rev() {
        let job = create(&other, &format!("job-{number}")).await;
        let fires = number % 2 == 0;
        let outcome = if fires { TickOutcome::Launched } else { TickOutcome::Idle };
        let settlement = settlement(&job, vec![draft(outcome, 1)]);
        batch.push(Settlement { firing: fires.then(|| firing(&job, 1)), ..settlement });
    }
    other.settle(batch).await.expect("the store settles");
    import_all(&*store, &other).await;
    assert_equal_stores(&*store, &other).await;
    let list = store.list(ListFrom::Skip(0), NonZeroUsize::MIN).await.expect("jobs are listed");
    assert_eq!(list.total, MAX_PAGE.get() as u64);
}
