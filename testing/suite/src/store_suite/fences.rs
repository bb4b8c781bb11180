//! Fences around the journal of a shared store.

use std::sync::Arc;

use super::StoreFixture;
use super::calls::{
    all_decisions, all_firings, at, create, decisions, draft, fire, firing, moved, read, settlement, shared,
    stored_firing,
};
use ecs_scheduler_core::decide::TickOutcome;
use ecs_scheduler_core::firing::FiringState;
use ecs_scheduler_core::job::Progress;
use ecs_scheduler_core::store::{
    Advance, Fence, Journal, Settled, Settlement, Shard, ShardView, SharedStore, StoreError,
};

/// The register of the samples' owner.
const OWNER: &str = "fleet/shard/07";

/// Makes this owner own the shard, and returns the fence.
async fn take_ownership(store: &dyn SharedStore, owner: &str) -> Fence {
    let version = store.get_register(OWNER).await.expect("it is read").map(|register| register.version);
    let version = store.put_register(OWNER, owner, version, None).await.expect("nobody else writes");
    Fence { register: OWNER.to_owned(), version }
}

fn view(store: &Arc<dyn SharedStore>, fence: &Fence) -> ShardView {
    ShardView::new(Arc::clone(store), Shard::new(7).expect("7 is below 16"), fence.clone())
}

/// Invalid variants of a valid fence: older, newer, of a missing register.
fn broken(fence: &Fence) -> Vec<Fence> {
    let version = |version| Fence { version, ..fence.clone() };
    let missing = |register: &str| Fence { register: register.to_owned(), version: fence.version };
    vec![version(fence.version - 1), version(fence.version + 1), missing("fleet/shard/08"), missing("")]
}

/// Under a valid fence, outcomes, firings and advances are recorded as without one.
pub async fn a_valid_fence_allows_journal_writes(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let job = create(&*store, "nightly").await;
    let view = view(&store, &take_ownership(&*store, "a").await);
    let firing = firing(&job, 2);
    let drafts = vec![draft(TickOutcome::Missed, 1), draft(TickOutcome::Pending, 2)];
    let batch = vec![Settlement { firing: Some(firing.clone()), ..settlement(&job, drafts) }];
    let settled = view.settle(batch.clone()).await.expect("the fence holds");
    assert!(matches!(&settled[..], [Settled::Recorded(ids)] if ids.len() == 2), "{settled:?}");
    assert_eq!(view.settle(batch).await.expect("the fence holds"), [Settled::Stale]);
    let to = moved(&firing, FiringState::Launching, &[]);
    let advance = Advance { from: FiringState::Planned, to, outcome: None };
    view.advance(advance.clone()).await.expect("the fence holds");
    let again = view.advance(advance).await.expect_err("it has another state");
    assert!(matches!(again, StoreError::Conflict(_)), "{again:?}");
    assert_eq!(decisions(&*store, "nightly").await.len(), 2);
    assert_eq!(stored_firing(&*store, &firing.id).await.state, FiringState::Launching);
    assert_eq!(read(&*store, "nightly").await.progress.settled, Some(at(2)));
}

/// A settlement under an invalid fence fails as a whole and writes nothing.
pub async fn an_invalid_fence_rejects_settlements(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    let jobs = [create(&*store, "one").await, create(&*store, "two").await];
    take_ownership(&*store, "a").await;
    let fence = take_ownership(&*store, "b").await;
    for broken in broken(&fence) {
        let settle = |job| Settlement {
            firing: Some(firing(job, 1)),
            ..settlement(job, vec![draft(TickOutcome::Pending, 1)])
        };
        let answer = view(&store, &broken).settle(jobs.iter().map(settle).collect()).await;
        let error = answer.expect_err("the fence does not hold");
        assert!(matches!(error, StoreError::Fenced(_)) && !error.is_transient(), "{broken:?}: {error:?}");
    }
    assert!(store.decisions(&all_decisions()).await.expect("decisions are read").is_empty());
    assert!(store.firings(&all_firings()).await.expect("firings are read").is_empty());
    assert_eq!(read(&*store, "one").await.progress, Progress::default());
}

/// An advance under an invalid fence fails with `Fenced`, before any other error, and changes nothing.
pub async fn an_invalid_fence_rejects_advances(subject: &dyn StoreFixture) {
    let store = shared(subject).await;
    create(&*store, "nightly").await;
    let firing = fire(&*store, "nightly", 1).await;
    let before = read(&*store, "nightly").await.progress;
    take_ownership(&*store, "a").await;
    let fence = take_ownership(&*store, "b").await;
    for broken in broken(&fence) {
        for from in [FiringState::Planned, FiringState::Launched] {
            let to = moved(&firing, FiringState::Launching, &["t-1"]);
            let advance = Advance { from, to, outcome: Some(TickOutcome::Launched) };
            let error = view(&store, &broken).advance(advance).await.expect_err("the fence does not hold");
            assert!(matches!(error, StoreError::Fenced(_)), "{broken:?} from {from:?}: {error:?}");
        }
    }
    assert_eq!(stored_firing(&*store, &firing.id).await, firing);
    assert_eq!(decisions(&*store, "nightly").await[0].draft.outcome, TickOutcome::Pending);
    assert_eq!(read(&*store, "nightly").await.progress, before);
}

/// Once a new owner's register is written, no write of the old owner becomes visible, even if it was in progress.
pub async fn no_write_of_an_old_owner_appears_after_failover(subject: &dyn StoreFixture) {
    const WRITERS: i64 = 4;
    let store = shared(subject).await;
    for number in 0..WRITERS {
        create(&*store, &format!("job-{number}")).await;
    }
    let old = view(&store, &take_ownership(&*store, "a").await);
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(settle_until_fenced(Arc::clone(&store), old.clone(), number)))
        .collect();
    while total(&*store).await < 8 {
        tokio::task::yield_now().await;
    }
    take_ownership(&*store, "b").await;
    let at_takeover = total(&*store).await;
    for writer in writers {
        writer.await.expect("no writer panics");
    }
    assert_eq!(total(&*store).await, at_takeover);
}

/// Counts the settled ticks of all jobs.
async fn total(store: &dyn SharedStore) -> u64 {
    let decisions = store.decisions(&all_decisions()).await.expect("decisions are read");
    decisions.iter().map(|record| record.draft.span.count).sum()
}

/// Settles one tick of a job after the other, until the store answers `Fenced`.
async fn settle_until_fenced(store: Arc<dyn SharedStore>, view: ShardView, number: i64) {
    let name = format!("job-{number}");
    for tick in 1..500 {
        let job = read(&*store, &name).await;
        let batch = vec![settlement(&job, vec![draft(TickOutcome::Missed, tick)])];
        match view.settle(batch).await {
            Ok(settled) => assert!(matches!(&settled[..], [Settled::Recorded(_)]), "{settled:?}"),
            Err(StoreError::Fenced(_)) => return,
            Err(error) => panic!("the store fails: {error:?}"),
        }
        tokio::task::yield_now().await;
    }
    panic!("the old owner settled 500 ticks and was never fenced");
}
