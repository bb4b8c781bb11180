//! Failures and crashes between the decision and the task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ecs_scheduler_core::{Advance, FaultKind, Firing, FiringState, JobId, TickOutcome};
use ecs_scheduler_testing::{ChaosStore, StoreFaults};
use serde_json::json;

use super::support::{CallFault, Script, Stage};

async fn staged(task_count: u32) -> Stage {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    let job = json!({"taskDefinition": "job", "schedule": "0 0 *", "taskCount": task_count});
    stage.world.create("job", &job).await.unwrap();
    stage
}

#[tokio::test(start_paused = true)]
async fn lost_answer_is_retried_with_the_same_token() {
    let stage = staged(2).await;
    stage.launcher.script.lock().extend([Script::LoseAnswer, Script::LoseAnswer]);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:03Z").await;
    let requests = stage.launcher.requests.lock().clone();
    assert_eq!(requests.len(), 3);
    assert!(requests.windows(2).all(|pair| pair[0] == pair[1]), "the same bytes each time");
    assert_eq!(stage.launcher.running(), 2);
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn refused_tasks_get_a_new_token_for_the_shortfall_only() {
    let stage = staged(5).await;
    stage.launcher.script.lock().push_back(Script::Refuse { all_but: 2, retryable: true });
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:02Z").await;
    let requests = stage.launcher.requests.lock().clone();
    assert_eq!(requests.iter().map(|request| request.count.get()).collect::<Vec<_>>(), [5, 3]);
    assert_ne!(requests[0].token, requests[1].token);
    let firing = stage.firings("job").await.remove(0);
    assert_eq!((firing.started(), firing.attempts[1].number), (5, 2));
    let counters = life.engine.counters();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((count(&counters.tasks_started), count(&counters.tasks_refused)), (5, 3));
    assert_eq!((count(&counters.launch_calls), count(&counters.launch_errors)), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn permanent_refusal_ends_the_firing_and_names_the_reason() {
    let stage = staged(2).await;
    stage.launcher.script.lock().push_back(Script::Refuse { all_but: 0, retryable: false });
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:30Z").await;
    let firing = stage.firings("job").await.remove(0);
    assert_eq!(
        (firing.state, firing.note.as_deref()),
        (FiringState::Refused, Some("refused: RESOURCE:MEMORY"))
    );
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::LaunchFailed, 1)]);
    assert_eq!(stage.launcher.requests.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn definition_that_was_withdrawn_is_replaced_by_the_newest_in_a_new_attempt() {
    let stage = staged(2).await;
    *stage.launcher.definition.lock() = Some("job:1".to_owned());
    stage
        .launcher
        .script
        .lock()
        .extend([Script::Withdraw { newest: "job:2", known: true }, Script::LoseAnswer]);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:03Z").await;
    let requests = stage.launcher.requests.lock().clone();
    let asked: Vec<_> =
        requests.iter().map(|one| (one.definition.as_str(), one.count.get(), one.attempt)).collect();
    assert_eq!(asked, [("job:1", 2, 1), ("job:2", 2, 1), ("job:2", 2, 1)]);
    assert_ne!(requests[0].token, requests[1].token, "the old token would be refused again");
    assert_eq!(requests[1], requests[2], "the new definition was durable before it was sent");
    let firing = stage.firings("job").await.remove(0);
    assert_eq!((firing.definition.as_str(), firing.started()), ("job:2", 2));
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn refused_call_stays_open_while_the_newest_definition_is_unknown() {
    let stage = staged(1).await;
    *stage.launcher.definition.lock() = Some("job:1".to_owned());
    stage.launcher.script.lock().push_back(Script::Withdraw { newest: "job:2", known: false });
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:00.1Z").await;
    *stage.launcher.population_fails.lock() = false;
    stage.until("2026-01-01T10:00:03Z").await;
    let requests = stage.launcher.requests.lock().clone();
    let asked: Vec<_> = requests.iter().map(|one| one.definition.as_str()).collect();
    assert_eq!(asked, ["job:1", "job:1", "job:2"]);
    assert_eq!(requests[0].token, requests[1].token);
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn refusal_stands_when_the_newest_definition_may_not_be_read() {
    let stage = staged(1).await;
    *stage.launcher.definition.lock() = Some("job:1".to_owned());
    *stage.launcher.population_kind.lock() = FaultKind::Denied;
    stage.launcher.script.lock().push_back(Script::Withdraw { newest: "job:2", known: false });
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:03Z").await;
    assert_eq!(stage.launcher.requests.lock().len(), 1);
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::LaunchFailed, 1)]);
}

#[tokio::test(start_paused = true)]
async fn launch_that_waits_for_capacity_keeps_its_definition() {
    let stage = staged(1).await;
    *stage.launcher.definition.lock() = Some("job:1".to_owned());
    let no_room = std::iter::repeat_n(Script::Refuse { all_but: 0, retryable: true }, 3);
    stage.launcher.script.lock().extend(no_room);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:00.1Z").await;
    *stage.launcher.definition.lock() = Some("job:2".to_owned());
    stage.until("2026-01-01T10:00:30Z").await;
    let requests = stage.launcher.requests.lock().clone();
    assert!(requests.iter().all(|request| request.definition == "job:1"), "{requests:#?}");
    assert_eq!((requests.len(), stage.outcomes("job").await), (4, vec![(TickOutcome::Launched, 1)]));
}

#[tokio::test(start_paused = true)]
async fn partial_launch_that_cannot_be_completed_is_partial() {
    let stage = staged(5).await;
    stage.launcher.script.lock().push_back(Script::Refuse { all_but: 2, retryable: false });
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:02Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Partial, 1)]);
    assert_eq!(stage.states("job").await, [FiringState::Launched]);
}

#[tokio::test(start_paused = true)]
async fn transient_failures_are_retried_until_the_firing_is_too_old() {
    let stage = staged(1).await;
    let failing = std::iter::repeat_n(Script::Fail { kind: FaultKind::Throttled }, 1_000);
    stage.launcher.script.lock().extend(failing);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:09:00Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Pending, 1)]);
    stage.until("2026-01-01T10:11:00Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::LaunchFailed, 1)]);
    let calls = stage.launcher.requests.lock().len();
    assert!((10..60).contains(&calls), "backed off to {calls} calls");
}

#[tokio::test(start_paused = true)]
async fn denied_launch_is_not_retried() {
    let stage = staged(1).await;
    stage.launcher.script.lock().push_back(Script::Fail { kind: FaultKind::Denied });
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:05:00Z").await;
    assert_eq!(stage.launcher.requests.lock().len(), 1);
    assert_eq!(stage.states("job").await, [FiringState::Refused]);
}

#[tokio::test(start_paused = true)]
async fn hanging_launcher_delays_its_own_job_only() {
    let stage = staged(1).await;
    let other = json!({"taskDefinition": "other", "schedule": "5 0 *", "taskCount": 1});
    stage.world.create("other", &other).await.unwrap();
    stage.launcher.script.lock().push_back(Script::Hang);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:06Z").await;
    assert_eq!(stage.outcomes("other").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Pending, 1)]);
    stage.until("2026-01-01T10:00:30Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn launch_without_answer_ends_unknown_and_is_never_repeated() {
    let stage = staged(1).await;
    stage.launcher.script.lock().push_back(Script::LoseAnswer);
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:00.1Z").await;
    life.crash().await;
    stage.until("2026-01-01T12:30:00Z").await; // The token lives for 50 minutes.
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T12:31:00Z").await;
    assert_eq!(stage.states("job").await[0], FiringState::Unknown);
    let old: Vec<_> = stage.launcher.requests.lock().iter().map(|request| request.scheduled_at).collect();
    assert_eq!(old.iter().filter(|at| **at == "2026-01-01T10:00:00Z".parse().unwrap()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn wait_for_quota_records_no_attempt_and_ends_with_the_engine() {
    let stage = staged(1).await;
    *stage.launcher.no_quota.lock() = true;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:40Z").await;
    let waiting = stage.firings("job").await.remove(0);
    assert_eq!((waiting.state, waiting.attempts.len()), (FiringState::Planned, 0));
    assert!(life.engine.stop(Duration::from_secs(1)).await, "it stops although the quota never comes");
    *stage.launcher.no_quota.lock() = false;
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:00Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(stage.launcher.requests.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn intent_that_becomes_durable_after_a_lost_settlement_is_launched() {
    let stage = staged(1).await;
    let store =
        ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 0).with_late_settlements(1);
    let _life = stage.world.boot_with(store).await.unwrap();
    stage.until("2026-01-01T10:00:10Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(stage.launcher.requests.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn settlement_that_the_store_leaves_out_of_its_answer_is_a_fault_and_is_launched_once() {
    let stage = staged(1).await;
    let store =
        ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 0).with_short_answers(1);
    let life = stage.world.boot_with(store).await.unwrap();
    stage.until("2026-01-01T10:00:10Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(stage.launcher.requests.lock().len(), 1);
    stage.until("2026-01-01T11:00:10Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1); 2], "the job is not lost");
    assert_eq!(life.engine.status().store_fault, None);
}

#[tokio::test(start_paused = true)]
async fn uncountable_tasks_prevent_launches() {
    let stage = staged(1).await;
    *stage.launcher.population_fails.lock() = true;
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:59:00Z").await;
    assert_eq!(stage.outcomes("job").await, []);
    stage.until("2026-01-01T11:00:01Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::LiveUnknown, 1)]);
    assert!(stage.launcher.requests.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn store_that_cannot_be_written_launches_nothing_and_recovers_by_itself() {
    let stage = staged(1).await;
    let broken = StoreFaults { before: 1.0, after: 0.0 };
    let life = stage.world.boot(broken, 0).await.unwrap();
    stage.until("2026-01-01T10:01:00Z").await;
    assert!(stage.launcher.requests.lock().is_empty());
    assert!(life.engine.status().store_fault.unwrap().contains("chaos"));
    life.crash().await;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:02:00Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(life.engine.status().store_fault, None);
}

#[tokio::test(start_paused = true)]
async fn firing_backs_off_while_the_store_does_not_answer() {
    let stage = staged(1).await;
    let store = ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 0);
    let life = stage.world.boot_with(store.die_at_write(2, false)).await.unwrap();
    stage.until("2026-01-01T10:00:01Z").await;
    life.crash().await;
    assert_eq!(stage.states("job").await, [FiringState::Planned]);
    let life = stage.world.boot(StoreFaults { before: 1.0, after: 0.0 }, 0).await.unwrap();
    stage.until("2026-01-01T10:05:00Z").await;
    let writes = life.store.writes();
    assert!((10..30).contains(&writes), "{writes} writes");
}

#[tokio::test(start_paused = true)]
async fn retried_firing_waits_for_a_dispatch_permit() {
    let mut stage = staged(1).await;
    stage.world.options.dispatch = 1;
    stage.world.create("other", &json!({"taskDefinition": "other", "schedule": "2 0 *"})).await.unwrap();
    let failing = std::iter::repeat_n(Script::Fail { kind: FaultKind::Throttled }, 4);
    stage.launcher.script.lock().extend(failing.chain([Script::Hang]));
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:06Z").await;
    let requests = stage.launcher.requests.lock().clone();
    let asked: Vec<_> = requests.iter().map(|request| request.job.as_str()).collect();
    assert_eq!(asked, ["job", "job", "job", "job", "other"], "the other job's call has the only place");
}

/// Kills the engine at each of its writes, before and after the write has its effect.
#[tokio::test(start_paused = true)]
async fn crash_at_any_write_loses_nothing_and_doubles_nothing() {
    for write in 1..=6 {
        for after_effect in [false, true] {
            let stage = staged(12).await;
            let store = ChaosStore::new(stage.world.store.clone(), StoreFaults::default(), 0);
            let life = stage.world.boot_with(store.die_at_write(write, after_effect)).await.unwrap();
            stage.until("2026-01-01T10:00:01Z").await;
            life.crash().await;
            let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
            stage.until("2026-01-01T10:02:00Z").await;
            let what = format!("write {write}, after its effect: {after_effect}");
            assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)], "{what}");
            assert_eq!(stage.launcher.tasks.lock().len(), 12, "{what}");
            assert_eq!(stage.states("job").await, [FiringState::Finished], "{what}");
            assert!(life.engine.stop(Duration::from_secs(5)).await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_the_store_neither_lose_nor_double_a_launch() {
    for seed in 0..40 {
        let stage = staged(12).await;
        let faults = StoreFaults { before: 0.3, after: 0.3 };
        let life = stage.world.boot(faults, seed).await.unwrap();
        stage.until("2026-01-01T10:30:00Z").await;
        assert_eq!(stage.launcher.tasks.lock().len(), 12, "seed {seed}");
        assert_eq!(stage.states("job").await, [FiringState::Finished], "seed {seed}");
        assert_eq!(life.engine.status().live_tasks, 0, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn firing_whose_settlement_had_no_answer_counts_while_its_tick_is_settled_again() {
    for seed in 0..20 {
        let stage = Stage::at("2026-01-01T09:59:58Z");
        let job = json!({
            "taskDefinition": "job", "schedule": "*/5", "overlap": "replace", "taskCount": 2, "maxCount": 2,
        });
        stage.world.create("job", &job).await.unwrap();
        *stage.launcher.run_for.lock() = None;
        // Its repetition starts the tasks, long after the next ticks.
        stage.launcher.script.lock().push_back(Script::Hang);
        let _life = stage.world.boot(StoreFaults { before: 0.0, after: 0.3 }, seed).await.unwrap();
        stage.until("2026-01-01T10:01:00Z").await;
        assert_eq!(stage.launcher.most_alive.load(Ordering::Relaxed), 2, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn job_whose_tasks_cannot_be_counted_delays_no_other_job() {
    let stage = staged(1).await;
    let other = json!({"taskDefinition": "other", "schedule": "0 0 *"});
    stage.world.create("other", &other).await.unwrap();
    *stage.launcher.uncounted.lock() = Some("other".parse().unwrap());
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:02Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(stage.outcomes("other").await, []);
    stage.until("2026-01-01T11:00:40Z").await;
    assert_eq!(stage.outcomes("other").await, [(TickOutcome::LiveUnknown, 1)]);
}

/// Ends the newest firing of the job in the store, as another process on the same store would.
async fn end_elsewhere(stage: &Stage, state: FiringState) {
    let firing = stage.firings("job").await.pop().unwrap();
    let (from, to) = (firing.state, Firing { state, ..firing });
    let outcome = (from == FiringState::Launching).then_some(TickOutcome::LaunchFailed);
    stage.world.store.advance(Advance { from, to, outcome }).await.unwrap();
}

async fn staged_each_minute() -> Stage {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    let job = json!({"taskDefinition": "job", "schedule": "0 *", "taskCount": 2});
    stage.world.create("job", &job).await.unwrap();
    stage
}

#[tokio::test(start_paused = true)]
async fn firing_that_another_writer_ended_during_its_launch_leaves_room_for_the_next_one() {
    for all_but in [0, 1] {
        let stage = staged_each_minute().await;
        stage.launcher.script.lock().push_back(Script::Refuse { all_but, retryable: true });
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T10:00:00.1Z").await;
        assert_eq!(stage.states("job").await, [FiringState::Launching]);
        end_elsewhere(&stage, FiringState::Refused).await;
        stage.until("2026-01-01T10:00:59Z").await;
        assert_eq!(stage.launcher.requests.lock().len(), 1, "{all_but} started: its launch is not retried");
        assert_eq!(life.engine.status().live_tasks, 0, "{all_but} started");
        stage.until("2026-01-01T10:01:02Z").await;
        let outcomes = [(TickOutcome::LaunchFailed, 1), (TickOutcome::Launched, 1)];
        assert_eq!(stage.outcomes("job").await, outcomes, "{all_but} started");
        assert_eq!(stage.launcher.running(), 2, "{all_but} started");
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_whose_firing_another_writer_ended_count_only_while_the_launcher_reports_them() {
    for pending in [Duration::ZERO, Duration::from_secs(3)] {
        let stage = staged_each_minute().await;
        *stage.launcher.pending_for.lock() = pending;
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T10:00:02.5Z").await;
        assert_eq!(stage.states("job").await, [FiringState::Launched]);
        end_elsewhere(&stage, FiringState::Finished).await;
        stage.until("2026-01-01T10:00:59Z").await;
        assert_eq!(life.engine.status().live_tasks, 0, "pending for {pending:?}");
        stage.until("2026-01-01T10:01:02Z").await;
        assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1); 2], "pending for {pending:?}");
        assert_eq!(stage.launcher.running(), 2, "pending for {pending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn launch_that_panics_is_repeated_with_the_same_token() {
    let stage = staged(2).await;
    stage.launcher.script.lock().push_back(Script::Panic);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:03Z").await;
    let requests = stage.launcher.requests.lock().clone();
    assert!(requests.len() == 2 && requests[0] == requests[1], "{requests:#?}");
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn observation_that_hangs_or_panics_is_repeated() {
    for fault in [CallFault::Hang, CallFault::Panic] {
        let stage = staged(1).await;
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T10:00:03Z").await;
        *stage.launcher.observe_fault.lock() = Some(fault);
        stage.until("2026-01-01T10:05:00Z").await;
        assert_eq!(stage.states("job").await, [FiringState::Finished], "{fault:?}");
        assert_eq!(life.engine.status().launcher_fault, None, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn request_to_stop_that_hangs_or_panics_is_repeated() {
    for fault in [CallFault::Hang, CallFault::Panic] {
        let stage = Stage::at("2026-01-01T09:59:50Z");
        let job = json!({"taskDefinition": "job", "schedule": "0 0 *", "timeout": "10s"});
        stage.world.create("job", &job).await.unwrap();
        *stage.launcher.run_for.lock() = None;
        *stage.launcher.stop_fault.lock() = Some(fault);
        let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T10:05:00Z").await;
        assert_eq!(stage.states("job").await, [FiringState::Finished], "{fault:?}");
        assert_eq!(stage.launcher.stops.lock().len(), 2, "{fault:?}");
    }
}

/// A world whose launcher refuses everything for a reason that may pass.
async fn refusing(job: &serde_json::Value) -> (Stage, ecs_scheduler_testing::EngineRun) {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    stage.world.create("job", job).await.unwrap();
    let refuse = Script::Refuse { all_but: 0, retryable: true };
    stage.launcher.script.lock().extend(std::iter::repeat_n(refuse, 100));
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:05Z").await;
    assert!(!stage.launcher.requests.lock().is_empty(), "it was tried");
    (stage, life)
}

#[tokio::test(start_paused = true)]
async fn refused_launch_of_a_removed_job_is_not_tried_again_and_counts_as_no_fault() {
    let (stage, life) = refusing(&json!({"taskDefinition": "job", "schedule": "0 0 *"})).await;
    let job = JobId::new("job").unwrap();
    stage.world.store.remove(&job, None).await.unwrap();
    life.engine.nudge(&job);
    stage.launcher.script.lock().clear();
    stage.until("2026-01-01T10:20:00Z").await;
    assert_eq!(stage.launcher.running(), 0);
    let firing = stage.firings("job").await.remove(0);
    assert_eq!((firing.state, firing.note.as_deref()), (FiringState::Refused, Some("the job was removed")));
    let status = life.engine.status();
    assert_eq!((status.failing, status.failing_tasks, status.launcher_fault), (0, 0, None));
}

#[tokio::test(start_paused = true)]
async fn refused_launch_of_a_suspended_job_is_not_tried_again_unless_it_was_fired_by_hand() {
    for by_hand in [false, true] {
        let schedule = if by_hand { "0 0 0" } else { "0 0 *" };
        let document = json!({"taskDefinition": "job", "schedule": schedule});
        let stage = Stage::at("2026-01-01T09:59:50Z");
        stage.world.create("job", &document).await.unwrap();
        let refuse = Script::Refuse { all_but: 0, retryable: true };
        stage.launcher.script.lock().extend(std::iter::repeat_n(refuse, 100));
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        let job = JobId::new("job").unwrap();
        if by_hand {
            life.engine.fire_now(&job, ecs_scheduler_core::FireRequest::default()).await.unwrap();
        }
        stage.until("2026-01-01T10:00:05Z").await;
        let mut suspended = document;
        suspended["suspended"] = json!(true);
        stage.world.edit("job", &suspended).await.unwrap();
        life.engine.nudge(&job);
        stage.launcher.script.lock().clear();
        stage.until("2026-01-01T10:20:00Z").await;
        let firing = stage.firings("job").await.remove(0);
        assert_eq!(firing.started(), u32::from(by_hand), "{by_hand}");
        assert_eq!(firing.note.as_deref(), (!by_hand).then_some("suspended"));
    }
}

#[tokio::test(start_paused = true)]
async fn launch_that_is_refused_until_its_deadline_says_why() {
    let job = json!({"taskDefinition": "job", "schedule": "0 0 *", "retry": {"launch": {"maxAge": "20s"}}});
    let (stage, _life) = refusing(&job).await;
    stage.until("2026-01-01T10:02:00Z").await;
    let firing = stage.firings("job").await.remove(0);
    let reason = "refused for all of retry.launch.maxAge: RESOURCE:MEMORY";
    assert_eq!((firing.state, firing.note.as_deref()), (FiringState::Refused, Some(reason)));
}
