//! Pruning, health checks, closing.

use std::sync::Arc;

use super::StoreFixture;
use super::calls::{
    advance, all_decisions, all_firings, at, count, create, decisions, document, draft, fire, moved, name,
    new_job, read, record,
};
use ecs_scheduler_core::HistoryRule;
use ecs_scheduler_core::decide::{DecisionRecord, TickOutcome};
use ecs_scheduler_core::firing::FiringState;
use ecs_scheduler_core::job::Revision;
use ecs_scheduler_core::store::{Advance, ListFrom, NewJob, PrunedJobs, Retention, Store, StoreError};

async fn prune(store: &dyn Store, before: i64, batch: usize) -> usize {
    store.prune(by_age(before, batch)).await.expect("the store prunes")
}

/// Retention by age alone, with the present moment as the limit.
pub(super) fn by_age(before: i64, batch: usize) -> Retention {
    Retention { before: at(before), keep: 0, now: at(before), batch, jobs: PrunedJobs::All }
}

/// Pruning removes old history, and keeps recent rows and those of open firings.
pub async fn pruning_removes_old_history_and_keeps_open_firings(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    for job in ["done", "busy", "idle", "gone"] {
        create(&*store, job).await;
    }
    let cancel = async |tick| {
        let firing = fire(&*store, "done", tick).await;
        advance(&*store, &firing, FiringState::Cancelled, &[]).await;
    };
    cancel(1).await;
    let open = fire(&*store, "busy", 1).await;
    record(&*store, "idle", vec![draft(TickOutcome::Idle, 1)]).await;
    record(&*store, "gone", vec![draft(TickOutcome::Idle, 1)]).await;
    store.remove(&name("gone"), None).await.expect("it is removed");
    cancel(2).await;
    cancel(100).await;
    record(&*store, "idle", vec![draft(TickOutcome::Idle, 100)]).await;
    assert_eq!(prune(&*store, 50, 1000).await, 3);
    assert_eq!(prune(&*store, 50, 1000).await, 0);
    assert_eq!(decisions(&*store, "done").await.len(), 1);
    assert_eq!(decisions(&*store, "busy").await[0].firing, Some(open.id.clone()));
    assert_eq!(decisions(&*store, "idle").await[0].draft.span.count, 2, "its last tick is young");
    assert!(decisions(&*store, "gone").await.is_empty());
    assert_eq!(store.firings(&all_firings()).await.expect("firings are read").len(), 2);
    assert_eq!(store.open_firings().await.expect("firings are read"), std::slice::from_ref(&open));
    advance(&*store, &open, FiringState::Expired, &[]).await;
    assert_eq!(prune(&*store, 50, 1000).await, 1, "it is finished now");
}

/// Pruning removes at most one batch per call, and everything over several calls.
pub async fn pruning_removes_at_most_a_batch(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    for job in ["a", "b"] {
        create(&*store, job).await;
        for tick in 0..10 {
            record(&*store, job, vec![draft(TickOutcome::Launched, tick)]).await;
        }
    }
    for expected in [8, 8, 4, 0] {
        assert_eq!(prune(&*store, 1000, 8).await, expected);
    }
    assert!(store.decisions(&all_decisions()).await.expect("decisions are read").is_empty());
}

/// Pruning keeps the newest decisions of a job, whatever their age, and none of a removed job.
pub async fn pruning_keeps_the_newest_decisions_of_each_job(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    for job in ["often", "seldom", "gone"] {
        create(&*store, job).await;
    }
    for tick in 0..8 {
        record(&*store, "often", vec![draft(TickOutcome::Launched, tick)]).await;
    }
    for job in ["seldom", "gone"] {
        record(&*store, job, vec![draft(TickOutcome::Launched, 1)]).await;
        record(&*store, job, vec![draft(TickOutcome::Capped, 2)]).await;
    }
    store.remove(&name("gone"), None).await.expect("it is removed");
    let retention = Retention { keep: 3, ..by_age(1000, 4) };
    let mut removed = Vec::new();
    while removed.last() != Some(&0) {
        removed.push(store.prune(retention.clone()).await.expect("the store prunes"));
    }
    assert_eq!(removed.iter().sum::<usize>(), 5 + 2, "{removed:?}");
    let mut kept = Vec::new();
    for job in ["often", "seldom", "gone"] {
        kept.push(decisions(&*store, job).await.iter().map(|row| row.draft.span.last).collect::<Vec<_>>());
    }
    assert_eq!(kept, [vec![at(7), at(6), at(5)], vec![at(2), at(1)], vec![]]);
    record(&*store, "often", vec![draft(TickOutcome::Launched, 9)]).await;
    assert_eq!(store.prune(retention).await.expect("the store prunes"), 1, "a newer one takes its place");
}

/// Prunes until nothing is left to remove, and returns the number of removed rows.
async fn prune_all(store: &dyn Store, retention: &Retention) -> usize {
    let mut removed = 0;
    loop {
        match store.prune(retention.clone()).await.expect("the store prunes") {
            0 => return removed,
            rows => removed += rows,
        }
    }
}

/// The ticks of a job's rows, newest first.
async fn ticks(store: &dyn Store, job: &str) -> Vec<i64> {
    let since_epoch = |row: &DecisionRecord| row.draft.span.last.duration_since(at(0)).as_secs();
    decisions(store, job).await.iter().map(since_epoch).collect()
}

/// A job with a rule of its own is left out when the others are pruned, and is pruned alone by its rule: a job may keep more
/// than the others, or less.
pub async fn pruning_follows_the_rule_of_each_job(subject: &dyn StoreFixture) {
    const DAY: i64 = 86_400;
    let store = subject.open().await;
    let rules = [
        ("longer", r#"{"taskDefinition": "job", "history": {"days": 9}}"#),
        ("shorter", r#"{"taskDefinition": "job", "history": {"days": 2, "keep": 1}}"#),
        ("plain", r#"{"taskDefinition": "job"}"#),
        ("gone", r#"{"taskDefinition": "job"}"#),
    ];
    for (job, text) in rules {
        let new = NewJob { document: document(text), ..new_job(job, 0) };
        store.create(new).await.expect("the name is free");
    }
    for day in 0..10 {
        for (job, _) in rules {
            record(&*store, job, vec![draft(TickOutcome::Launched, day * DAY)]).await;
        }
    }
    store.remove(&name("gone"), None).await.expect("it is removed");
    let ruled = ["longer", "shorter"].map(name);
    let jobs = PrunedJobs::AllBut(Arc::new(ruled.into_iter().collect()));
    let now = 10 * DAY - 1;
    let retention = Retention { before: at(now - 5 * DAY), keep: 2, now: at(now), batch: 3, jobs };
    assert_eq!(prune_all(&*store, &retention).await, 5 + 5, "of plain and gone");
    let days = |ticks: Vec<i64>| ticks.iter().map(|tick| tick / DAY).collect::<Vec<_>>();
    assert_eq!(days(ticks(&*store, "plain").await), [9, 8, 7, 6, 5]);
    assert_eq!(days(ticks(&*store, "gone").await), [9, 8, 7, 6, 5]);
    assert_eq!(ticks(&*store, "longer").await.len() + ticks(&*store, "shorter").await.len(), 20);
    for (job, text) in rules {
        let Some(rule) = HistoryRule::of_document(text) else { continue };
        prune_all(&*store, &retention.of_job(name(job), rule)).await;
    }
    assert_eq!(days(ticks(&*store, "longer").await), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(days(ticks(&*store, "shorter").await), [9, 8]);
    let later = Retention { before: at(100 * DAY), now: at(100 * DAY), ..retention };
    let newest = HistoryRule { keep: Some(4), days: Some(2) };
    assert_eq!(prune_all(&*store, &later.of_job(name("longer"), newest)).await, 5);
    assert_eq!(days(ticks(&*store, "longer").await), [9, 8, 7, 6], "the newest stay whatever their age");
    let missing = later.of_job(name("nobody"), newest);
    assert_eq!(prune_all(&*store, &missing).await, 0);
}

/// Pruning one job keeps its open firing, and removes no register.
pub async fn pruning_one_job_keeps_open_firings_and_registers(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "busy").await;
    record(&*store, "busy", vec![draft(TickOutcome::Launched, 1)]).await;
    let open = fire(&*store, "busy", 2).await;
    for tick in 3..6 {
        record(&*store, "busy", vec![draft(TickOutcome::Launched, tick)]).await;
    }
    store.put_register("past", "value", None, Some(at(10))).await.expect("it is new");
    let rule = HistoryRule { keep: Some(1), days: Some(1) };
    let retention = by_age(10 * 86_400, 100).of_job(name("busy"), rule);
    prune_all(&*store, &retention).await;
    let left = decisions(&*store, "busy").await;
    assert_eq!(store.open_firings().await.expect("firings are read"), std::slice::from_ref(&open));
    assert_eq!(left[0].draft.span.last, at(5), "the newest stays");
    assert!(left.iter().all(|row| row.draft.span.last != at(1)), "the oldest is removed");
    assert!(store.get_register("past").await.expect("it is read").is_some());
    advance(&*store, &open, FiringState::Expired, &[]).await;
    prune_all(&*store, &retention).await;
    assert_eq!(decisions(&*store, "busy").await.len(), 1, "the firing is finished now");
}

/// Decisions made while the clock was ahead do not protect later ones.
pub async fn pruning_continues_past_decisions_of_the_future(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    for job in ["ahead", "later"] {
        create(&*store, job).await;
    }
    record(&*store, "ahead", vec![draft(TickOutcome::Launched, 1_000_000)]).await;
    record(&*store, "later", vec![draft(TickOutcome::Launched, 1)]).await;
    record(&*store, "later", vec![draft(TickOutcome::Launched, 90)]).await;
    let retention = Retention { now: at(100), keep: 1, ..by_age(50, 1000) };
    assert_eq!(store.prune(retention).await.expect("the store prunes"), 1);
    assert_eq!(decisions(&*store, "later").await.len(), 1);
}

/// Pruning removes expired registers only.
pub async fn pruning_removes_expired_registers(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    for (name, expires) in [("forever", None), ("past", Some(at(10))), ("future", Some(at(90)))] {
        store.put_register(name, "value", None, expires).await.expect("it is new");
    }
    let long_ago = Retention { before: at(-1_000_000), ..by_age(50, 1000) };
    assert_eq!(store.prune(long_ago).await.expect("the store prunes"), 1, "history may be kept for longer");
    assert_eq!(store.get_register("past").await.expect("it is read"), None);
    for name in ["forever", "future"] {
        assert!(store.get_register(name).await.expect("it is read").is_some(), "{name}");
    }
    assert_eq!(store.put_register("past", "again", None, None).await.expect("it is new"), 1);
}

/// After pruning, outcomes are recorded as before, even if the row to fold into was pruned.
pub async fn after_pruning_outcomes_are_recorded_as_before(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let old = record(&*store, "nightly", vec![draft(TickOutcome::Idle, 1)]).await;
    assert_eq!(prune(&*store, 50, 1000).await, 1);
    let new = record(&*store, "nightly", vec![draft(TickOutcome::Idle, 60)]).await;
    assert!(new[0] > old[0], "an id is never given twice");
    let rows = decisions(&*store, "nightly").await;
    assert_eq!((rows.len(), rows[0].id, rows[0].draft.span.count), (1, new[0], 1));
    assert_eq!(read(&*store, "nightly").await.progress.settled, Some(at(60)));
}

/// The health check of a working store succeeds and changes nothing.
pub async fn a_health_check_succeeds_and_changes_nothing(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    for _ in 0..3 {
        store.health_check().await.expect("the store is healthy");
    }
    let list = store.list(ListFrom::Skip(0), count(10)).await.expect("jobs are listed");
    assert_eq!((list.total, list.jobs[0].revision), (1, Revision(1)));
    assert!(!store.kind().is_empty());
}

/// A closed store fails every call with a fault.
pub async fn a_closed_store_rejects_every_call(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    let firing = fire(&*store, "nightly", 1).await;
    store.close().await.expect("the store closes");
    let to = moved(&firing, FiringState::Launching, &[]);
    let limit = count(1);
    let results = [
        store.create(new_job("late", 0)).await.map(drop),
        store.replace(&job.id, job.revision, job.document.clone(), at(1)).await.map(drop),
        store.remove(&job.id, None).await,
        store.get(std::slice::from_ref(&job.id)).await.map(drop),
        store.list(ListFrom::Skip(0), limit).await.map(drop),
        store.settle(vec![super::calls::settlement(&job, vec![draft(TickOutcome::Idle, 1)])]).await.map(drop),
        store.advance(Advance { from: firing.state, to, outcome: None }).await,
        store.open_firings().await.map(drop),
        store.decisions(&all_decisions()).await.map(drop),
        store.firings(&all_firings()).await.map(drop),
        store.get_register("brake").await.map(drop),
        store.put_register("brake", "on", None, None).await.map(drop),
        store.health_check().await,
        store.prune(by_age(1, 1)).await.map(drop),
    ];
    for (index, result) in results.iter().enumerate() {
        assert!(matches!(result, Err(StoreError::Fault { .. })), "call {index}: {result:?}");
    }
}
