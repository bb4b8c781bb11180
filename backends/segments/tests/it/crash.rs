//! A life of a store, with a fault at each of its calls in turn: what was acknowledged is there afterwards, and nothing half.

use ecs_scheduler_core::{
    FiringState, ListFrom, Outcome, Registers as _, Revision, Store, StoreError, StoredJob,
};

use crate::backend::{Fault, Place};
use crate::sample::{FIRST, SECOND, advance, create, fire, firings, get, name, replace, settlement};

/// What a life did, as far as it was acknowledged.
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
    /// A removal was tried, so the job may be gone.
    removing: bool,
}

async fn live(place: &Place) -> Acknowledged {
    let mut done = Acknowledged::default();
    let Ok(store) = place.try_open().await else { return done };
    let store = &store as &dyn Store;
    let created = create(store, "a").await;
    done.created = created.is_ok();
    done.other = create(store, "b").await.is_ok();
    if let Ok(job) = created {
        life_of(store, &job, &mut done).await;
    }
    done.registered = store.write("brake", "on", None, None).await.is_ok();
    done.removing = true;
    done.other_removed = store.remove(&name("b"), None).await.is_ok();
    for _ in 0..8 {
        // Enough segments for a snapshot and what comes behind it.
        let _ = store.write("noise", "", None, None).await;
    }
    // A failure of the last segment's is settled by the next one.
    let _ = store.close().await;
    done
}

async fn life_of(store: &dyn Store, job: &StoredJob, done: &mut Acknowledged) {
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
        let settlement = settlement(&job, Outcome::Idle, 20);
        done.settled = store.settle(vec![settlement]).await.is_ok();
    }
    done.replaced = replace(store, "a").await.is_ok();
}

/// Opens the store after everything works again, and compares.
async fn verify(place: &Place, done: &Acknowledged, case: &str) {
    place.heal();
    let store = place.try_open().await.unwrap_or_else(|error| panic!("{case}: {error}"));
    let store = &store as &dyn Store;
    let job = get(store, "a").await;
    assert!(job.is_some() || !done.created, "{case}: the job is there");
    if let Some(job) = &job {
        let text = job.document.get();
        assert!(text == SECOND || (text == FIRST && !done.replaced), "{case}: {text}");
        assert!(job.revision == Revision(2) || !done.replaced, "{case}: {:?}", job.revision);
        whole(store, job, done, case).await;
    }
    let other = get(store, "b").await;
    assert!(other.is_some() || !done.other || done.removing, "{case}: the other job is there");
    assert!(other.is_none() || !done.other_removed, "{case}: the other job is removed");
    let register = store.read("brake").await.unwrap();
    assert!(register.is_some() || !done.registered, "{case}: the register is written");
    for id in ["a", "b"] {
        let stored = get(store, id).await.map(|job| job.document.get().to_owned());
        assert_eq!(stored, place.document(id), "{case}: job and document are the same");
    }
    create(store, "later").await.unwrap_or_else(|error| panic!("{case}: the store goes on: {error}"));
    let list = store.list(ListFrom::Skip(0), std::num::NonZeroUsize::MAX).await.unwrap();
    assert_eq!(list.jobs.last().unwrap().id, name("later"), "{case}");
}

/// A settlement is there with all that belongs to it, or not at all.
async fn whole(store: &dyn Store, job: &StoredJob, done: &Acknowledged, case: &str) {
    let firing = firings(store).await.pop();
    assert!(firing.is_some() || !done.fired, "{case}: the firing is there");
    let decisions = store.decisions(&Default::default()).await.unwrap();
    let settled = decisions.iter().any(|decision| decision.draft.outcome == Outcome::Idle);
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
    assert_eq!(job.progress.last_run_tasks.len(), tasks, "{case}: tasks are noted in the job");
}

async fn calls_of_a_life() -> u64 {
    let place = Place::default();
    let done = live(&place).await;
    verify(&place, &done, "nothing goes wrong").await;
    assert!(done.replaced && done.launched && done.settled && done.registered && done.other_removed);
    let calls = place.inner().calls;
    assert!(calls > 20, "a life has many calls: {calls}");
    calls
}

async fn each_call(fault: Fault) {
    for call in 1..=calls_of_a_life().await {
        let place = Place::default();
        place.plan(call, fault);
        let done = live(&place).await;
        verify(&place, &done, &format!("{fault:?} at call {call}, {done:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_loses_nothing() {
    each_call(Fault::Fail).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_loses_nothing() {
    each_call(Fault::Lose).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_before_a_call_loses_nothing() {
    each_call(Fault::StopBefore).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_after_a_call_loses_nothing() {
    each_call(Fault::StopAfter).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_a_segment_is_found_out_and_acknowledged() {
    let place = Place::default();
    let store = place.try_open().await.unwrap();
    let call = place.inner().calls + 1;
    place.plan(call, Fault::Lose);
    assert_eq!(store.write("brake", "on", None, None).await.unwrap(), 1);
    let answer = store.write("brake", "off", None, None).await;
    assert!(matches!(answer, Err(StoreError::Conflict(_))), "{answer:?}");
}
