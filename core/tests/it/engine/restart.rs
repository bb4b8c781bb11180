//! A call whose answer was lost, and a restart after a short or a long time: no launch is doubled, and the outcome is known
//! or shown.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{
    Clock, EngineOptions, Firing, FiringState, Launcher, MemoryStore, Timestamp, TriggerRegistry,
};
use ecs_scheduler_testing::{ChaosLauncher, ChaosPlan, SimClock, Simulation, StoreFaults};
use jiff::SignedDuration;
use serde_json::json;

/// How long the launcher remembers a token, and how long it can look up a call.
const TOKEN_LIFE: Duration = Duration::from_mins(50);
const SEARCH_LIFE: Duration = Duration::from_mins(58);

/// The final state of the firing, and the number of tasks that were really started.
struct Aftermath {
    firing: Firing,
    started: usize,
    doubled: usize,
}

/// Crashes an engine in the middle of its first launch and boots another so many minutes later.
async fn restarted_after(minutes: i64, seed: u64) -> Aftermath {
    let tick: Timestamp = "2026-01-01T10:00:00Z".parse().unwrap();
    let clock = Arc::new(SimClock::at("2026-01-01T09:59:50Z".parse().unwrap()));
    let launcher = Arc::new(ChaosLauncher::new(Arc::clone(&clock) as Arc<dyn Clock>, seed));
    let plan = ChaosPlan { token_life: TOKEN_LIFE, search_life: SEARCH_LIFE, ..ChaosPlan::default() };
    launcher.faults(ChaosPlan { hang: 1.0, ..plan.clone() });
    let world = Simulation {
        clock: Arc::clone(&clock),
        store: Arc::new(MemoryStore::default()),
        launcher: Arc::clone(&launcher) as Arc<dyn Launcher>,
        registry: Arc::new(TriggerRegistry::new()),
        options: EngineOptions::default(),
    };
    let job =
        json!({"taskDefinition": "job", "schedule": "0 0 10", "taskCount": 3, "catchUp": {"policy": "none"}});
    world.create("job", &job).await.unwrap();
    let life = world.boot(StoreFaults::default(), seed).await.unwrap();
    clock.sleep_until("2026-01-01T10:00:01Z".parse().unwrap()).await;
    life.crash().await;
    launcher.faults(plan);
    clock.sleep_until(tick.saturating_add(SignedDuration::from_mins(minutes)).unwrap()).await;
    let _life = world.boot(StoreFaults::default(), seed).await.unwrap();
    clock.sleep_until(clock.now().saturating_add(SignedDuration::from_mins(5)).unwrap()).await;
    let firing = world.firings().await.into_iter().find(|firing| firing.nominal == tick).unwrap();
    let started = launcher.starts().iter().filter(|start| start.firing == firing.id).count();
    Aftermath { firing, started, doubled: launcher.duplicate_launches().len() }
}

#[tokio::test(start_paused = true)]
async fn restart_while_the_token_is_valid_launches_exactly_once() {
    for minutes in [1, 49] {
        for seed in 0..8 {
            let after = restarted_after(minutes, seed).await;
            assert_eq!((after.started, after.doubled), (3, 0), "{minutes} minutes, seed {seed}");
            assert_eq!(after.firing.state, FiringState::Finished, "{minutes} minutes, seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn restart_after_the_token_adopts_found_tasks_and_launches_nothing() {
    let mut adopted = 0;
    for seed in 0..8 {
        let after = restarted_after(51, seed).await;
        assert_eq!(after.doubled, 0);
        match after.started {
            0 => assert_eq!(after.firing.state, FiringState::Refused, "seed {seed}"),
            started => {
                adopted += 1;
                assert_eq!((started, after.firing.state), (3, FiringState::Finished), "seed {seed}");
                assert_eq!(after.firing.started(), 3);
            }
        }
    }
    assert!((1..8).contains(&adopted), "both cases are seen: {adopted}");
}

#[tokio::test(start_paused = true)]
async fn restart_after_the_launcher_forgot_the_call_ends_the_firing_as_unknown() {
    for minutes in [61, 25 * 60] {
        for seed in 0..8 {
            let after = restarted_after(minutes, seed).await;
            assert_eq!(after.firing.state, FiringState::Unknown, "{minutes} minutes, seed {seed}");
            assert_eq!(after.doubled, 0);
            assert!(after.started == 0 || after.started == 3);
            assert!(after.firing.note.unwrap().contains("may have been forgotten"));
        }
    }
}
