//! Firings and their state transitions.

use super::StoreFixture;
use super::calls::{
    advance, all_decisions, at, create, decisions, draft, fire, moved, read, record, stored_firing,
};
use ecs_scheduler_core::decide::{DecisionDraft, TickOutcome};
use ecs_scheduler_core::firing::{Firing, FiringState};
use ecs_scheduler_core::job::Progress;
use ecs_scheduler_core::store::{Advance, DecisionQuery, StoreError};

/// A new firing is recorded in the job's progress and has its decision's id.
pub async fn a_new_firing_is_recorded_in_the_progress(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let fired = fire(&*store, "nightly", 1).await;
    let progress = read(&*store, "nightly").await.progress;
    let expected = Progress {
        settled: Some(at(1)),
        last_firing: Some(fired.id.clone()),
        last_fired: Some(fired.observed),
        ..Progress::default()
    };
    assert_eq!(progress, expected);
    assert_eq!(stored_firing(&*store, &fired.id).await, fired);
    let rows = decisions(&*store, "nightly").await;
    assert_eq!((rows[0].id, rows[0].firing.as_ref()), (fired.decision, Some(&fired.id)));
    record(&*store, "nightly", vec![draft(TickOutcome::Idle, 2)]).await;
    let progress = read(&*store, "nightly").await.progress;
    assert_eq!(progress, Progress { settled: Some(at(2)), ..expected });
}

/// Brings a new firing into a state by allowed transitions.
async fn bring(
    store: &dyn ecs_scheduler_core::store::Store,
    job: &str,
    tick: i64,
    state: FiringState,
) -> Firing {
    let mut firing = fire(store, job, tick).await;
    let path: &[FiringState] = match state {
        FiringState::Planned => &[],
        FiringState::Launching => &[FiringState::Launching],
        FiringState::Expired | FiringState::Cancelled => &[state],
        FiringState::Launched | FiringState::Finished | FiringState::Refused | FiringState::Unknown => {
            &[FiringState::Launching, state]
        }
    };
    for to in path {
        firing = advance(store, &firing, *to, &[]).await;
    }
    firing
}

/// A firing makes only allowed transitions: every pair of states is tried.
pub async fn a_firing_makes_only_allowed_transitions(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let pairs = FiringState::ALL.into_iter().flat_map(|from| FiringState::ALL.map(|to| (from, to)));
    for (tick, (from, to)) in pairs.enumerate() {
        let firing = bring(&*store, "nightly", tick as i64, from).await;
        let next = Firing { note: Some("moved".to_owned()), ..moved(&firing, to, &[]) };
        let result = store.advance(Advance { from, to: next.clone(), outcome: None }).await;
        let stored = stored_firing(&*store, &firing.id).await;
        if from.can_transition_to(to) {
            assert!(result.is_ok(), "{from:?} to {to:?}: {result:?}");
            assert_eq!(stored, next);
        } else {
            assert!(matches!(result, Err(StoreError::Conflict(_))), "{from:?} to {to:?}: {result:?}");
            assert_eq!(stored, firing);
        }
    }
}

/// A transition from another state than the stored one is a conflict and changes nothing.
pub async fn a_forbidden_transition_is_a_conflict(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let firing = fire(&*store, "nightly", 1).await;
    let to = moved(&firing, FiringState::Launched, &["t1"]);
    let late = Advance { from: FiringState::Launching, to, outcome: Some(TickOutcome::Launched) };
    let error = store.advance(late).await.expect_err("the firing is planned only");
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert_eq!(stored_firing(&*store, &firing.id).await, firing);
    assert_eq!(decisions(&*store, "nightly").await[0].draft.outcome, TickOutcome::Pending);
    assert_eq!(read(&*store, "nightly").await.progress.last_run, None);
}

/// An advance of a missing firing fails with `NotFound`.
pub async fn an_advance_of_a_missing_firing_is_not_found(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let job = create(&*store, "nightly").await;
    let firing = super::calls::firing(&job, 1);
    let to = moved(&firing, FiringState::Launching, &[]);
    let error =
        store.advance(Advance { from: firing.state, to, outcome: None }).await.expect_err("it is missing");
    assert!(matches!(error, StoreError::NotFound(_)), "{error:?}");
}

/// The tasks that a firing has started are recorded in the job's progress, those of later batches too.
pub async fn started_tasks_are_recorded_in_the_progress(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let firing = fire(&*store, "nightly", 1).await;
    let firing = advance(&*store, &firing, FiringState::Launching, &[]).await;
    assert_eq!(read(&*store, "nightly").await.progress.last_run, None);
    let firing = advance(&*store, &firing, FiringState::Launching, &["t1"]).await;
    let firing = advance(&*store, &firing, FiringState::Launched, &["t1", "t2"]).await;
    advance(&*store, &firing, FiringState::Finished, &["t1", "t2"]).await;
    let progress = read(&*store, "nightly").await.progress;
    assert_eq!((progress.last_run, progress.settled), (Some(at(1)), Some(at(1))));
    let tasks: Vec<_> =
        progress.last_run_tasks.iter().map(|task| (task.task_id.as_str(), task.host_id.as_deref())).collect();
    assert_eq!(tasks, [("t1", Some("host of t1")), ("t2", Some("host of t2"))]);
}

/// Late tasks of an older firing do not replace those of a newer one.
pub async fn an_older_run_does_not_replace_a_newer_one(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let old = fire(&*store, "nightly", 1).await;
    let new = fire(&*store, "nightly", 2).await;
    for (firing, task) in [(&new, "new"), (&old, "old")] {
        let firing = advance(&*store, firing, FiringState::Launching, &[]).await;
        advance(&*store, &firing, FiringState::Launched, &[task]).await;
    }
    let progress = read(&*store, "nightly").await.progress;
    assert_eq!((progress.last_run, progress.last_firing), (Some(at(2)), Some(new.id)));
    assert_eq!(progress.last_run_tasks[0].task_id.as_str(), "new");
}

/// Tasks of a removed job are not recorded in a new job of the same name.
pub async fn started_tasks_of_a_recreated_job_are_not_recorded(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    let old = create(&*store, "nightly").await;
    let mut firings = [fire(&*store, "nightly", 1).await, fire(&*store, "nightly", 2).await];
    store.remove(&old.id, None).await.expect("it is removed");
    for firing in &mut firings {
        *firing = advance(&*store, firing, FiringState::Launching, &[]).await;
    }
    advance(&*store, &firings[0], FiringState::Launched, &["t1"]).await;
    create(&*store, "nightly").await;
    advance(&*store, &firings[1], FiringState::Launched, &["t2"]).await;
    assert_eq!(read(&*store, "nightly").await.progress, Progress::default());
    assert_eq!(stored_firing(&*store, &firings[1].id).await.state, FiringState::Launched);
}

/// The final outcome replaces the decision's outcome, and a filter by outcome uses the new one.
pub async fn a_final_outcome_replaces_the_outcome_of_the_decision(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    create(&*store, "nightly").await;
    let firing = fire(&*store, "nightly", 1).await;
    let firing = advance(&*store, &firing, FiringState::Launching, &[]).await;
    let to = moved(&firing, FiringState::Launched, &["t1"]);
    let last = Advance { from: firing.state, to, outcome: Some(TickOutcome::Partial) };
    store.advance(last).await.expect("the move is a legal one");
    let rows = decisions(&*store, "nightly").await;
    let expected =
        DecisionDraft { outcome: TickOutcome::Partial, ..super::calls::draft(TickOutcome::Pending, 1) };
    assert_eq!(rows[0].draft, expected);
    for (outcome, found) in [(TickOutcome::Partial, 1), (TickOutcome::Pending, 0)] {
        for job in [None, Some(firing.job.clone())] {
            let query = DecisionQuery { job, outcome: Some(outcome), ..all_decisions() };
            assert_eq!(store.decisions(&query).await.expect("decisions are read").len(), found, "{outcome}");
        }
    }
}

/// Open firings are listed oldest first, and no others.
pub async fn open_firings_are_listed_oldest_first(subject: &dyn StoreFixture) {
    let store = subject.open().await;
    for job in ["a", "b"] {
        create(&*store, job).await;
    }
    let mut open = Vec::new();
    for (tick, state) in FiringState::ALL.into_iter().enumerate() {
        for job in ["a", "b"] {
            let firing = bring(&*store, job, tick as i64, state).await;
            if state.is_open() {
                open.push(firing);
            }
        }
    }
    assert_eq!(store.open_firings().await.expect("firings are read"), open);
}
