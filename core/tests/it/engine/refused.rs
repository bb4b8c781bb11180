//! Records that a store refuses for good, and hostile texts of triggers and launchers.

use std::sync::Arc;

use ecs_scheduler_core::text::{MAX_LINE, refusal};
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, FaultKind, FiringState, Observation, TickOutcome,
    Timestamp, Trigger, TriggerError, TriggerRegistry, TriggerType, async_trait,
};
use ecs_scheduler_testing::{ChaosStore, EngineRun, StoreFaults};
use serde_json::{Value, json};

use super::retry::NoConfig;
use super::support::{Script, Stage};
use crate::log::Log;

const NOT_STORED: &str = "the details are not recorded, because the store refused them";

fn every_minute(definition: &str) -> Value {
    json!({"taskDefinition": definition, "schedule": "0 *"})
}

fn suspended(reason: &str) -> Value {
    let suspension = json!({"reason": reason});
    json!({"taskDefinition": "job", "schedule": "0 *", "suspended": true, "suspension": suspension})
}

/// Starts an engine whose store refuses this text.
async fn boot_refusing(stage: &Stage, text: &'static str) -> EngineRun {
    let store = ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 0).refusing(text);
    stage.world.boot_with(store).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn tick_whose_details_the_store_refuses_is_recorded_without_them_and_delays_no_other_job() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    stage.world.create("culprit", &suspended("poison")).await.unwrap();
    for number in 0..20 {
        stage.world.create(&format!("job-{number}"), &every_minute("job")).await.unwrap();
    }
    let life = boot_refusing(&stage, "poison").await;
    stage.until("2026-01-01T10:00:05Z").await;
    for number in 0..20 {
        assert_eq!(stage.outcomes(&format!("job-{number}")).await, [(TickOutcome::Launched, 1)]);
    }
    let culprit = stage.decisions("culprit").await.remove(0).draft;
    assert_eq!((culprit.outcome, culprit.explanation.as_str()), (TickOutcome::Suspended, NOT_STORED));
    stage.until("2026-01-01T10:01:00.5Z").await;
    assert_eq!(stage.outcomes("job-7").await.len(), 2, "the culprit is settled alone from now on");
    assert_eq!(stage.outcomes("culprit").await, [(TickOutcome::Suspended, 2)]);
    assert_eq!(life.engine.status().store_fault, None);
    stage.replace("culprit", &suspended("moving")).await;
    life.engine.nudge(&"culprit".parse().unwrap());
    stage.until("2026-01-01T10:02:05Z").await;
    assert_eq!(stage.decisions("culprit").await[1].draft.explanation, "suspended: moving");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_the_store_refuses_altogether_delay_no_other_job() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    for number in 0..20 {
        stage.world.create(&format!("bad-{number}"), &every_minute("poison")).await.unwrap();
    }
    for number in 0..5 {
        stage.world.create(&format!("good-{number}"), &every_minute("job")).await.unwrap();
    }
    let life = boot_refusing(&stage, "poison").await;
    stage.until("2026-01-01T10:00:10Z").await;
    for number in 0..5 {
        assert_eq!(stage.outcomes(&format!("good-{number}")).await, [(TickOutcome::Launched, 1)]);
    }
    stage.until("2026-01-01T10:01:00.5Z").await;
    assert_eq!(stage.outcomes("good-3").await, [(TickOutcome::Launched, 1); 2]);
    assert_eq!(stage.outcomes("bad-3").await, []);
    let status = life.engine.status();
    assert_eq!((status.store_fault, status.failing), (None, 20));
    let bad = stage.world.store.get(&["bad-3".parse().unwrap()]).await.unwrap().remove(0);
    let failing = life.engine.failing(&bad.uid).unwrap();
    assert_eq!((failing.outcome, failing.ticks), (TickOutcome::Unknown, 2));
    assert!(failing.reason.starts_with("the store refuses to record the outcome of a tick: "), "{failing:?}");
    assert!(failing.since < "2026-01-01T10:00:05Z".parse().unwrap(), "{failing:?}");
    stage.replace("bad-3", &every_minute("job")).await;
    life.engine.nudge(&"bad-3".parse().unwrap());
    stage.until("2026-01-01T10:01:30Z").await;
    assert_eq!((life.engine.failing(&bad.uid), life.engine.status().failing), (None, 19));
}

#[tokio::test(start_paused = true)]
async fn store_that_refuses_everything_gets_few_writes_and_recovers() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    for number in 0..200 {
        stage.world.create(&format!("job-{number}"), &every_minute("job")).await.unwrap();
    }
    let life = boot_refusing(&stage, "job-").await;
    stage.until("2026-01-01T10:00:30Z").await;
    let writes = life.store.writes();
    assert!((30..2_500).contains(&writes), "{writes} writes in 30 s");
    assert!(life.engine.status().store_fault.is_some());
    life.crash().await;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:50Z").await;
    assert_eq!(stage.outcomes("job-199").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(life.engine.status().store_fault, None);
}

#[tokio::test(start_paused = true)]
async fn answers_of_the_launcher_that_the_store_refuses_are_recorded_without_details() {
    let stage = Stage::at("2026-01-01T09:59:50Z");
    stage
        .world
        .create("job", &json!({"taskDefinition": "job", "schedule": "0 0 *", "taskCount": 3}))
        .await
        .unwrap();
    let refuse = |all_but, retryable| Script::Refuse { all_but, retryable };
    stage.launcher.script.lock().extend([refuse(1, true), refuse(0, true)]);
    let life = boot_refusing(&stage, "RESOURCE:MEMORY").await;
    stage.until("2026-01-01T10:00:05Z").await;
    let requests = stage.launcher.requests.lock().clone();
    let asked: Vec<_> = requests.iter().map(|one| (one.count.get(), one.attempt)).collect();
    assert_eq!(asked, [(3, 1), (2, 2), (2, 3)], "the numbers of attempts go on");
    let firing = stage.firings("job").await.remove(0);
    assert_eq!((firing.state, firing.started()), (FiringState::Launched, 3));
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    stage.launcher.script.lock().push_back(refuse(0, false));
    stage.until("2026-01-01T11:00:05Z").await;
    let firing = stage.firings("job").await.remove(1);
    assert_eq!((firing.state, firing.note.as_deref()), (FiringState::Refused, Some(NOT_STORED)));
    assert_eq!(life.engine.status().store_fault, None);
}

#[tokio::test(start_paused = true)]
async fn firing_that_the_store_refuses_altogether_is_retried_slowly_and_delays_no_other_job() {
    let mut stage = Stage::at("2026-01-01T09:59:50Z");
    stage.world.options.dispatch = 1;
    stage.world.create("job", &json!({"taskDefinition": "job", "schedule": "0 0 *"})).await.unwrap();
    stage.world.create("other", &json!({"taskDefinition": "other", "schedule": "2 *"})).await.unwrap();
    let (log, _guard) = Log::listen();
    let life = boot_refusing(&stage, "task-0").await;
    stage.until("2026-01-01T10:10:10Z").await;
    assert_eq!(log.with("the store refuses a firing").len(), 1);
    assert_eq!(log.with("the store refuses the records of a job").len(), 1);
    let job = stage.world.store.get(&["job".parse().unwrap()]).await.unwrap().remove(0);
    let failing = life.engine.failing(&job.uid).unwrap();
    assert_eq!((failing.outcome, life.engine.status().failing), (TickOutcome::Unknown, 1));
    assert!(failing.reason.starts_with("the store refuses to record the state of a firing: "), "{failing:?}");
    assert_eq!(stage.states("job").await, [FiringState::Launching]);
    assert_eq!(stage.outcomes("other").await, [(TickOutcome::Launched, 1); 11]);
    assert_eq!(life.engine.status().store_fault, None, "the store works");
    life.crash().await;
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:10:30Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(stage.launcher.requests.lock().iter().filter(|one| one.job.as_str() == "job").count(), 2);
}

/// A source whose texts no store and no terminal likes.
#[derive(Debug, Clone, Copy)]
struct Hostile {
    fails: bool,
}

const HOSTILE: &str = "red\u{0}\n\u{1b}[31m";

#[async_trait]
impl Trigger for Hostile {
    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        if self.fails {
            return Err(TriggerError::new(FaultKind::Denied, HOSTILE).with_source("x".repeat(100_000)));
        }
        let observation = Observation::new(HOSTILE, HOSTILE, 1.0, HOSTILE, Timestamp::UNIX_EPOCH);
        let reason = format!("{HOSTILE}{}", "x".repeat(100_000));
        Ok((0..2_000).fold(Evaluation::tasks(1, reason), |evaluation, _| {
            evaluation.with_observation(observation.clone())
        }))
    }
}

impl TriggerType for Hostile {
    const KIND: &'static str = "hostile";
    const SUMMARY: &'static str = "answers with control characters and long texts";
    type Config = NoConfig;

    fn build(&self, _: NoConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(*self))
    }
}

async fn hostile_stage(fails: bool) -> Stage {
    let mut registry = TriggerRegistry::new();
    registry.add(Hostile { fails }).unwrap();
    let stage = Stage::with("2026-01-01T09:59:50Z", registry);
    let job = json!({"taskDefinition": "job", "schedule": "0 *", "trigger": {"type": "hostile"}});
    stage.world.create("job", &job).await.unwrap();
    stage
}

#[tokio::test(start_paused = true)]
async fn hostile_texts_of_a_trigger_and_a_launcher_are_recorded_as_bounded_lines() {
    let stage = hostile_stage(false).await;
    let containers = [(HOSTILE.to_owned(), Some(0)), ("log".to_owned(), Some(0))];
    stage.launcher.containers.lock().extend(containers);
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:30Z").await;
    let draft = stage.decisions("job").await.remove(0).draft;
    let reason = &draft.steps[0].reason;
    assert!(reason.starts_with("red\u{fffd} \u{fffd}[31mxx"), "{reason}");
    assert_eq!((reason.chars().count(), draft.observations.len()), (MAX_LINE, 1_000));
    let firing = stage.firings("job").await.remove(0);
    assert_eq!(firing.tasks[0].containers[0].name, "red\u{fffd} \u{fffd}[31m");
    let texts = [&draft.explanation, &draft.observations[9].name, &draft.observations[9].unit];
    for text in texts.into_iter().chain([&draft.observations[9].subject, &firing.explanation]) {
        assert_eq!((refusal(text), text.contains('\n')), (None, false), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn hostile_error_of_a_trigger_is_recorded_as_a_bounded_line() {
    let stage = hostile_stage(true).await;
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:30Z").await;
    let explanation = stage.decisions("job").await.remove(0).draft.explanation;
    assert!(explanation.starts_with("red\u{fffd} \u{fffd}[31m: xx"), "{explanation}");
    assert_eq!(explanation.chars().count(), MAX_LINE);
}
