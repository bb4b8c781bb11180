//! One run of a store, repeated with a fault at each of its calls: acknowledged changes are durable, and no change is partial.

use ecs_scheduler_core::{
    FiringState, ListFrom, Registers as _, Revision, Store, StoreError, StoredJob, TickOutcome,
};

use crate::backend::{Fault, MemoryBackend};
use crate::sample::{FIRST, SECOND, advance, create, fire, firings, get, name, replace, settlement};

/// The changes of a run that were acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    created: bool,
    replaced: bool,
    fired: bool,
    launching: bool,
    launched: bool,
    settled: bool,
    registered: bool,
    other: bool,
    other_removed: bool,
    /// A removal was attempted, so the job may not exist any more.
    removing: bool,
}

async fn run_once(backend: &MemoryBackend) -> Acknowledged {
    let mut done = Acknowledged::default();
    let Ok(store) = backend.try_open().await else { return done };
    let store = &store as &dyn Store;
    let created = create(store, "a").await;
    done.created = created.is_ok();
    done.other = create(store, "b").await.is_ok();
    if let Ok(job) = created {
        edit_and_fire(store, &job, &mut done).await;
    }
    done.registered = store.put_register("brake", "on", None, None).await.is_ok();
    done.removing = true;
    done.other_removed = store.remove(&name("b"), None).await.is_ok();
    for _ in 0..8 {
        // Enough segments for a snapshot and further segments.
        let _ = store.put_register("noise", "", None, None).await;
    }
    // The next segment resolves an uncertain write of the last one.
    let _ = store.close().await;
    done
}

async fn edit_and_fire(store: &dyn Store, job: &StoredJob, done: &mut Acknowledged) {
    if let Ok(planned) = fire(store, job, 10).await {
        done.fired = true;
        if let Ok(launching) = advance(store, &planned, FiringState::Launching, &[]).await {
            done.launching = true;
            done.launched = advance(store, &launching, FiringState::Launched, &["t1"]).await.is_ok();
        }
    }
    if let Ok(mut jobs) = store.get(&[name("a")]).await
        && let Some(job) = jobs.pop()
    {
        let settlement = settlement(&job, TickOutcome::Idle, 20);
        done.settled = store.settle(vec![settlement]).await.is_ok();
    }
    done.replaced = replace(store, "a").await.is_ok();
}

/// Opens the store without faults, and compares it with the acknowledged changes.
async fn verify(backend: &MemoryBackend, done: &Acknowledged, case: &str) {
    backend.clear_faults();
    let store = backend.try_open().await.unwrap_or_else(|error| panic!("{case}: {error}"));
    let store = &store as &dyn Store;
    let job = get(store, "a").await;
    assert!(job.is_some() || !done.created, "{case}: the job is there");
    if let Some(job) = &job {
        let text = job.document.get();
        assert!(text == SECOND || (text == FIRST && !done.replaced), "{case}: {text}");
        assert!(job.revision == Revision(2) || !done.replaced, "{case}: {:?}", job.revision);
        settlement_is_complete(store, job, done, case).await;
    }
    let other = get(store, "b").await;
    assert!(other.is_some() || !done.other || done.removing, "{case}: the other job is there");
    assert!(other.is_none() || !done.other_removed, "{case}: the other job is removed");
    let register = store.get_register("brake").await.unwrap();
    assert!(register.is_some() || !done.registered, "{case}: the register is written");
    for id in ["a", "b"] {
        let stored = get(store, id).await.map(|job| job.document.get().to_owned());
        assert_eq!(stored, backend.document(id), "{case}: job and document are the same");
    }
    create(store, "later").await.unwrap_or_else(|error| panic!("{case}: the store goes on: {error}"));
    let list = store.list(ListFrom::Skip(0), std::num::NonZeroUsize::MAX).await.unwrap();
    assert_eq!(list.jobs.last().unwrap().id, name("later"), "{case}");
}

/// Asserts that a settlement is stored completely or not at all.
async fn settlement_is_complete(store: &dyn Store, job: &StoredJob, done: &Acknowledged, case: &str) {
    let firing = firings(store).await.pop();
    assert!(firing.is_some() || !done.fired, "{case}: the firing is there");
    let decisions = store.decisions(&Default::default()).await.unwrap();
    let settled = decisions.iter().any(|decision| decision.draft.outcome == TickOutcome::Idle);
    assert!(settled || !done.settled, "{case}: the outcome is there");
    assert_eq!(job.progress.last_firing, firing.as_ref().map(|firing| firing.id.clone()), "{case}");
    let Some(firing) = firing else { return };
    assert!(decisions.iter().any(|decision| decision.firing == Some(firing.id.clone())), "{case}");
    let reached = match (done.launching, done.launched) {
        (_, true) => vec![FiringState::Launched],
        (true, false) => vec![FiringState::Launching, FiringState::Launched],
        (false, false) => vec![FiringState::Planned, FiringState::Launching, FiringState::Launched],
    };
    assert!(reached.contains(&firing.state), "{case}: {:?}", firing.state);
    let tasks = firing.tasks.len();
    assert_eq!(job.progress.last_run_tasks.len(), tasks, "{case}: tasks are recorded in the job");
}

async fn calls_of_one_run() -> u64 {
    let backend = MemoryBackend::default();
    let done = run_once(&backend).await;
    verify(&backend, &done, "no fault").await;
    assert!(done.replaced && done.launched && done.settled && done.registered && done.other_removed);
    let calls = backend.inner().calls;
    assert!(calls > 20, "a run has many calls: {calls}");
    calls
}

async fn inject_at_each_call(fault: Fault) {
    for call in 1..=calls_of_one_run().await {
        let backend = MemoryBackend::default();
        backend.inject_at(call, fault);
        let done = run_once(&backend).await;
        verify(&backend, &done, &format!("{fault:?} at call {call}, {done:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_loses_nothing() {
    inject_at_each_call(Fault::Fail).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_loses_nothing() {
    inject_at_each_call(Fault::LoseAnswer).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_a_call_loses_nothing() {
    inject_at_each_call(Fault::StopBefore).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_a_call_loses_nothing() {
    inject_at_each_call(Fault::StopAfter).await;
}

#[tokio::test(start_paused = true)]
async fn a_segment_whose_answer_was_lost_is_found_and_acknowledged() {
    let backend = MemoryBackend::default();
    let store = backend.try_open().await.unwrap();
    let call = backend.inner().calls + 1;
    backend.inject_at(call, Fault::LoseAnswer);
    assert_eq!(store.put_register("brake", "on", None, None).await.unwrap(), 1);
    let answer = store.put_register("brake", "off", None, None).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
}
