//! Races between many callers.

use futures::future::join_all;
use serde_json::value::RawValue;

use super::StoreFixture;
use super::calls::{
    at, create, decisions, document, draft, fire, moved, new_job, read, settlement, stored_firing,
};
use ecs_scheduler_core::decide::TickOutcome;
use ecs_scheduler_core::firing::FiringState;
use ecs_scheduler_core::job::{Revision, StoredJob};
use ecs_scheduler_core::store::{Advance, Settled, StoreError};

/// The number of concurrent callers.
const RACERS: usize = 32;

/// Starts a task for each racer and waits for all of them.
async fn race<T, F>(racer: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..RACERS).map(|number| tokio::spawn(racer(number))).collect();
    join_all(tasks).await.into_iter().map(|done| done.expect("no racer panics")).collect()
}

/// Asserts that one caller won, and that the others failed with an error that `lost` accepts; returns the winner's number.
fn one_winner<T>(results: &[Result<T, StoreError>], lost: impl Fn(&StoreError) -> bool) -> usize {
    let winners: Vec<usize> = (0..results.len()).filter(|number| results[*number].is_ok()).collect();
    assert_eq!(winners.len(), 1, "exactly one wins");
    assert!(
        results.iter().filter_map(|result| result.as_ref().err()).all(lost),
        "the others fail as expected"
    );
    winners[0]
}

/// Exactly one of many creations of a name wins.
pub async fn one_of_many_creations_of_a_name_wins(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let results = race(|number| {
        let store = store.clone();
        async move { store.create(new_job("contested", number as i64)).await }
    })
    .await;
    let winner = one_winner(&results, |error| matches!(error, StoreError::Exists(_)));
    assert_eq!(read(&*store, "contested").await.created, at(winner as i64));
}

/// Exactly one of many replacements of a revision wins.
pub async fn one_of_many_replacements_of_a_revision_wins(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let job = create(&*store, "contested").await;
    let results = race(|number| {
        let (store, id) = (store.clone(), job.id.clone());
        async move { store.replace(&id, Revision(1), numbered(number), at(1)).await }
    })
    .await;
    let winner = one_winner(&results, |error| matches!(error, StoreError::Conflict(_)));
    let stored = read(&*store, "contested").await;
    assert_eq!((stored.revision, stored.document.get()), (Revision(2), numbered(winner).get()));
}

/// A numbered document; an object, as documents of jobs are.
fn numbered(number: usize) -> Box<RawValue> {
    document(&format!(r#"{{"taskCount":{number}}}"#))
}

/// Exactly one of many settlements of a tick wins.
pub async fn one_of_many_settlements_of_a_tick_wins(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let job = create(&*store, "contested").await;
    let results = race(|_| {
        let (store, mine) = (store.clone(), settlement(&job, vec![draft(TickOutcome::Idle, 1)]));
        async move { store.settle(vec![mine]).await.expect("the store settles").remove(0) }
    })
    .await;
    assert_eq!(results.iter().filter(|settled| **settled != Settled::Stale).count(), 1);
    let rows = decisions(&*store, "contested").await;
    assert_eq!((rows.len(), rows[0].draft.span.count), (1, 1));
}

/// After an edit no caller records a tick by the version before, however many edit and settle at once; one caller
/// records it by the new version.
pub async fn after_an_edit_settlements_of_the_old_version_are_stale(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let before = create(&*store, "contested").await;
    let results = race(|number| {
        let (store, before) = (store.clone(), before.clone());
        async move {
            let edited = store.replace(&before.id, before.revision, numbered(number), at(1)).await;
            let records = || vec![draft(TickOutcome::Missed, 1)];
            let after = StoredJob { revision: before.revision.next(), ..before.clone() };
            let batch = vec![settlement(&before, records()), settlement(&after, records())];
            let settled = store.settle(batch).await.expect("the store settles");
            edited.map(|_| settled.clone()).map_err(|error| (error, settled))
        }
    })
    .await;
    let settled = results.iter().map(|result| match result {
        Ok(settled) | Err((StoreError::Conflict(_), settled)) => settled,
        Err((error, _)) => panic!("an edit fails: {error}"),
    });
    let (before, after): (Vec<_>, Vec<_>) = settled.map(|settled| (&settled[0], &settled[1])).unzip();
    assert!(before.into_iter().all(|settled| *settled == Settled::Stale), "each is stale");
    assert_eq!(after.into_iter().filter(|settled| **settled != Settled::Stale).count(), 1);
    assert_eq!(decisions(&*store, "contested").await.len(), 1);
}

/// Exactly one of many advances of a firing wins.
pub async fn one_of_many_advances_of_a_firing_wins(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "contested").await;
    let firing = fire(&*store, "contested", 1).await;
    let results = race(|number| {
        let store = store.clone();
        let mut to = moved(&firing, FiringState::Launching, &[]);
        to.note = Some(number.to_string());
        async move { store.advance(Advance { from: FiringState::Planned, to, outcome: None }).await }
    })
    .await;
    let winner = one_winner(&results, |error| matches!(error, StoreError::Conflict(_)));
    assert_eq!(stored_firing(&*store, &firing.id).await.note, Some(winner.to_string()));
}

/// Exactly one of many writes of a register's version wins.
pub async fn one_of_many_writes_of_a_register_wins(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    for expected in [None, Some(1)] {
        let results = race(|number| {
            let store = store.clone();
            async move { store.put_register("contested", &number.to_string(), expected, None).await }
        })
        .await;
        let winner = one_winner(&results, |error| matches!(error, StoreError::Conflict(_)));
        let stored = store.get_register("contested").await.expect("it is read").expect("it was written");
        assert_eq!((stored.value, stored.version), (winner.to_string(), expected.unwrap_or(0) + 1));
    }
}
