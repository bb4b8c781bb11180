//! A store of which some calls never answer, answer late, or panic: the clock goes on, and nothing is lost or launched twice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ecs_scheduler_core::{Engine, FireError, FireRequest, FiringState, JobId, Store, TaskPhase, TickOutcome};
use ecs_scheduler_testing::StoreFaults;
use jiff::SignedDuration;
use serde_json::json;

use super::support::{CallFault, Stage};
use crate::hanging_store::{Call, Effect, HangingStore};

/// The deadline of a call to the store, and of one that the scheduler loop waits for.
const DEADLINE: Duration = Duration::from_secs(30);
const LOOP_DEADLINE: Duration = Duration::from_secs(5);

fn id(job: &str) -> JobId {
    JobId::new(job).unwrap()
}

/// Makes a world with the job `hangs` at each full hour, and `other` every five seconds.
async fn staged() -> (Stage, Arc<HangingStore>) {
    let mut stage = Stage::at("2026-01-01T09:59:50Z");
    let store = Arc::new(HangingStore::default());
    stage.world.store = Arc::clone(&store) as Arc<dyn Store>;
    let hangs = json!({"taskDefinition": "hangs", "schedule": "0 0 *", "overlap": "allow", "maxCount": 9});
    let other = json!({"taskDefinition": "other", "schedule": "2/5 *", "overlap": "allow", "maxCount": 50});
    stage.world.create("hangs", &hangs).await.unwrap();
    stage.world.create("other", &other).await.unwrap();
    (stage, store)
}

impl Stage {
    /// Returns the greatest lateness of a launch of the job `other`, and how many there were.
    async fn lateness_of_other(&self) -> (SignedDuration, usize) {
        let firings = self.firings("other").await;
        let late = firings.iter().map(|firing| firing.observed.duration_since(firing.nominal)).max();
        (late.unwrap(), firings.len())
    }

    fn launches_of(&self, job: &str) -> usize {
        self.launcher.requests.lock().iter().filter(|request| request.job == id(job)).count()
    }

    /// Checks that the tick of the job `hangs` launched one task.
    async fn assert_launched_once(&self, what: &str) {
        assert_eq!(self.outcomes("hangs").await, [(TickOutcome::Launched, 1)], "{what}");
        assert_eq!(self.states("hangs").await, [FiringState::Finished], "{what}");
        assert_eq!(self.launches_of("hangs"), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn settlement_that_never_answers_delays_no_other_job_and_is_repeated() {
    for effect in [Effect::Never, Effect::AtOnce, Effect::After(Duration::from_secs(45))] {
        let (stage, store) = staged().await;
        store.hang(Call::Settle, Some("hangs"), 1, effect);
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T10:00:20Z").await;
        assert_eq!(*store.hung.lock(), [Call::Settle]);
        assert_eq!(stage.lateness_of_other().await, (SignedDuration::ZERO, 6), "{effect:?}");
        stage.until("2026-01-01T10:01:30Z").await;
        stage.assert_launched_once(&format!("{effect:?}")).await;
        assert_eq!(life.engine.status().store_fault, None);
    }
}

#[tokio::test(start_paused = true)]
async fn settlements_that_never_answer_are_repeated_until_one_does() {
    let (stage, store) = staged().await;
    store.hang(Call::Settle, Some("hangs"), usize::MAX, Effect::Never);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:10:00Z").await;
    assert_eq!(stage.outcomes("hangs").await, [], "its tick stays open");
    let tries = store.hung.lock().len();
    assert!((19..=21).contains(&tries), "{tries} tries");
    assert_eq!(stage.lateness_of_other().await.0, SignedDuration::ZERO);
    store.recover();
    stage.until("2026-01-01T10:11:00Z").await;
    stage.assert_launched_once("after the store has recovered").await;
}

#[tokio::test(start_paused = true)]
async fn firing_by_hand_whose_settlement_hangs_is_answered_and_launched_at_most_once() {
    let late = Effect::After(Duration::from_secs(45));
    for (effect, launches) in [(Effect::Never, 0), (Effect::AtOnce, 1), (late, 1)] {
        let (stage, store) = staged().await;
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T10:00:06Z").await;
        store.hang(Call::Settle, Some("hangs"), 1, effect);
        let (hangs, began) = (id("hangs"), tokio::time::Instant::now());
        let other = async {
            let fired = life.engine.fire_now(&id("other"), FireRequest::default()).await;
            (fired.unwrap().draft.launch, began.elapsed())
        };
        let (hanging, other) = tokio::join!(life.engine.fire_now(&hangs, FireRequest::default()), other);
        assert_eq!(other, (1, Duration::ZERO), "{effect:?}");
        assert_eq!((hanging.unwrap_err(), began.elapsed()), (FireError::Unconfirmed, DEADLINE));
        stage.until("2026-01-01T10:02:00Z").await;
        assert_eq!(stage.launches_of("hangs"), 1 + launches, "{effect:?}: its tick, and by hand");
    }
}

#[tokio::test(start_paused = true)]
async fn read_of_the_scheduler_loop_that_never_answers_delays_ticks_by_its_deadline_only() {
    for call in [Call::Get, Call::List, Call::OpenFirings] {
        let (mut stage, store) = staged().await;
        stage.world.options.rescan = Duration::from_secs(20);
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T09:59:56Z").await;
        store.hang(call, None, 1, Effect::Never);
        if call == Call::OpenFirings {
            store.hang(Call::Settle, Some("hangs"), 1, Effect::AtOnce);
        }
        stage.world.create("new", &json!({"taskDefinition": "new", "schedule": "30 *"})).await.unwrap();
        life.engine.nudge(&id("new"));
        stage.until("2026-01-01T10:03:00Z").await;
        assert!(store.hung.lock().contains(&call), "{call:?}");
        let (late, launches) = stage.lateness_of_other().await;
        let allowed = SignedDuration::try_from(LOOP_DEADLINE).unwrap();
        assert!(late <= allowed && launches >= 36, "{call:?}: {launches} launches, late by {late:?}");
        stage.assert_launched_once(&format!("{call:?}")).await;
        assert_eq!(stage.outcomes("new").await, [(TickOutcome::Launched, 1); 3], "{call:?}");
        let fired = life.engine.fire_now(&id("new"), FireRequest::default()).await.unwrap();
        assert_eq!(fired.draft.launch, 1, "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn reads_of_the_scheduler_loop_that_never_answer_are_made_seldom() {
    let (stage, store) = staged().await;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    store.hang(Call::Get, Some("new"), usize::MAX, Effect::Never);
    stage.world.create("new", &json!({"taskDefinition": "new", "schedule": "30 *"})).await.unwrap();
    let began = tokio::time::Instant::now();
    let fired = life.engine.fire_now(&id("new"), FireRequest::default()).await;
    assert_eq!((fired.unwrap_err(), began.elapsed()), (FireError::Store, LOOP_DEADLINE));
    let fired = life.engine.fire_now(&id("new"), FireRequest::default()).await;
    assert_eq!((fired.unwrap_err(), began.elapsed()), (FireError::Store, LOOP_DEADLINE), "at once");
    stage.until("2026-01-01T10:10:00Z").await;
    let reads = store.hung.lock().len();
    assert!((18..=24).contains(&reads), "{reads} reads in ten minutes");
    store.recover();
    stage.until("2026-01-01T10:11:00Z").await;
    assert_eq!(life.engine.fire_now(&id("new"), FireRequest::default()).await.unwrap().draft.launch, 1);
}

#[tokio::test(start_paused = true)]
async fn firings_whose_moves_never_answer_leave_dispatch_to_others_and_launch_once() {
    let late = Effect::After(Duration::from_secs(45));
    for (calls, effect) in
        [(1, Effect::Never), (3, Effect::Never), (1, Effect::AtOnce), (3, Effect::AtOnce), (1, late)]
    {
        let (mut stage, store) = staged().await;
        stage.world.options.dispatch = 1;
        store.hang(Call::Advance, Some("hangs"), calls, effect);
        let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T10:00:20Z").await;
        let states = stage.states("other").await;
        assert_eq!(states[..4], [FiringState::Finished; 4], "{effect:?}");
        stage.until("2026-01-01T10:02:30Z").await;
        stage.assert_launched_once(&format!("{effect:?}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_call_whose_write_was_late_is_not_sent_when_the_brake_is_on_by_then() {
    let (stage, store) = staged().await;
    store.hang(Call::Advance, Some("hangs"), 1, Effect::AtOnce);
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:10Z").await;
    assert_eq!(stage.states("hangs").await, [FiringState::Launching], "the call is recorded");
    life.engine.brake("incident".to_owned()).await.unwrap();
    stage.until("2026-01-01T10:02:00Z").await;
    assert_eq!(stage.launches_of("hangs"), 0);
    assert_eq!(stage.outcomes("hangs").await, [(TickOutcome::LaunchFailed, 1)]);
}

#[tokio::test(start_paused = true)]
async fn search_with_an_old_answer_resumes_no_firing_that_has_ended_meanwhile() {
    // Firings of `other` that ended before the answer began before the search, or after it.
    for before in [Duration::ZERO, Duration::from_secs(6)] {
        let (stage, store) = staged().await;
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T09:59:55Z").await;
        store.hang(Call::Settle, Some("hangs"), 1, Effect::AtOnce);
        store.hang(Call::OpenFirings, None, 1, Effect::Slow(before, Duration::from_secs(10)));
        stage.until("2026-01-01T10:01:30Z").await;
        assert_eq!(*store.hung.lock(), [Call::Settle, Call::OpenFirings]);
        stage.assert_launched_once(&format!("{before:?}")).await;
        let firings = stage.world.firings().await;
        let tasks = firings.iter().flat_map(|firing| &firing.tasks);
        let ended = tasks.filter(|task| task.phase == TaskPhase::Stopped).count() as u64;
        let counted = life.engine.counters().tasks_succeeded.load(Ordering::Relaxed);
        assert_eq!(counted, ended, "{before:?}: each task ends once");
    }
}

#[tokio::test(start_paused = true)]
async fn search_that_panics_is_repeated() {
    let (stage, store) = staged().await;
    let engine = Engine {
        options: stage.world.options.clone(),
        store: Arc::clone(&store) as Arc<dyn Store>,
        launcher: Arc::clone(&stage.world.launcher),
        registry: Arc::clone(&stage.world.registry),
        clock: store.clock(&stage.world.clock),
    };
    let _engine = engine.start().await.unwrap();
    store.hang(Call::Settle, Some("hangs"), 1, Effect::AtOnce);
    store.hang(Call::OpenFirings, None, 1, Effect::ClockPanic);
    stage.until("2026-01-01T10:01:30Z").await;
    assert_eq!(*store.hung.lock(), [Call::Settle, Call::OpenFirings]);
    stage.assert_launched_once("after the panic").await;
}

#[tokio::test(start_paused = true)]
async fn call_to_the_store_that_panics_fails_and_is_repeated() {
    for call in [Call::Get, Call::List, Call::Settle, Call::Advance, Call::OpenFirings] {
        let (mut stage, store) = staged().await;
        stage.world.options.rescan = Duration::from_secs(20);
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T09:59:56Z").await;
        let job = matches!(call, Call::Settle | Call::Advance).then_some("hangs");
        store.hang(call, job, 1, Effect::Panic);
        if call == Call::OpenFirings {
            store.hang(Call::Settle, Some("hangs"), 1, Effect::AtOnce);
        }
        life.engine.nudge(&id("hangs"));
        stage.until("2026-01-01T10:01:30Z").await;
        assert!(store.hung.lock().contains(&call), "{call:?}");
        assert_eq!(stage.lateness_of_other().await, (SignedDuration::ZERO, 20), "{call:?}");
        stage.assert_launched_once(&format!("{call:?}")).await;
        assert_eq!(life.engine.status().store_fault, None, "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn firing_by_hand_that_becomes_durable_after_all_searches_is_launched_at_the_next_comparison() {
    let (mut stage, store) = staged().await;
    stage.world.options.rescan = Duration::from_mins(5);
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:06Z").await;
    // A search follows the deadline of the settlement for a minute.
    store.hang(Call::Settle, Some("hangs"), 1, Effect::After(Duration::from_secs(150)));
    let fired = life.engine.fire_now(&id("hangs"), FireRequest::default()).await;
    assert_eq!(fired.unwrap_err(), FireError::Unconfirmed);
    stage.until("2026-01-01T10:04:45Z").await;
    assert_eq!(stage.states("hangs").await, [FiringState::Finished, FiringState::Planned]);
    stage.until("2026-01-01T10:05:15Z").await;
    assert_eq!(stage.launches_of("hangs"), 2, "its tick, and by hand");
    assert_eq!(stage.states("hangs").await, [FiringState::Finished; 2]);
}

#[tokio::test(start_paused = true)]
async fn outdated_settlements_of_many_jobs_are_looked_up_sixteen_at_a_time() {
    const JOBS: usize = 32;
    let mut stage = Stage::at("2026-01-01T09:59:50Z");
    let store = Arc::new(HangingStore::default());
    stage.world.store = Arc::clone(&store) as Arc<dyn Store>;
    let mut document = json!({"taskDefinition": "job", "schedule": "0 0 *"});
    for number in 0..JOBS {
        stage.world.create(&format!("job-{number}"), &document).await.unwrap();
    }
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T09:59:55Z").await;
    document["description"] = json!("edited without a nudge");
    for number in 0..JOBS {
        stage.replace(&format!("job-{number}"), &document).await;
    }
    store.hang(Call::Firings, None, JOBS, Effect::Slow(Duration::ZERO, Duration::from_secs(1)));
    stage.until("2026-01-01T10:00:00.5Z").await;
    assert_eq!(*store.hung.lock(), [Call::Firings; 16]);
    stage.until("2026-01-01T10:00:05Z").await;
    assert_eq!(store.hung.lock().len(), JOBS);
    let launched = stage.launcher.requests.lock().len();
    assert_eq!(launched, JOBS, "the lookups delay a tick by two seconds, not by one for each job");
}

#[tokio::test(start_paused = true)]
async fn stop_that_hangs_does_not_delay_the_ends_of_other_tasks() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    let slow = json!({"taskDefinition": "slow", "schedule": "0 0 *", "taskCount": 3, "timeout": "20s"});
    stage.world.create("slow", &slow).await.unwrap();
    *stage.launcher.run_for.lock() = None;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:10Z").await;
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(1));
    let quick = json!({"taskDefinition": "quick", "schedule": "0/5 *", "overlap": "skip"});
    stage.world.create("quick", &quick).await.unwrap();
    life.engine.nudge(&id("quick"));
    *stage.launcher.stop_fault.lock() = Some(CallFault::Hang);
    stage.until("2026-01-01T10:01:02Z").await;
    let skipped = stage.outcomes("quick").await;
    assert!(skipped.iter().all(|(outcome, _)| *outcome == TickOutcome::Launched), "{skipped:?}");
    assert!(skipped.len() >= 9, "{skipped:?}");
}
