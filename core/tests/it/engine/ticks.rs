//! Ticks, outcomes and firings without failures.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{
    BuildContext, Clock as _, ConfigError, DecisionRecord, EvalContext, EvalOverrides, Evaluation, FaultKind,
    FireError, FireRequest, FiringState, JobId, Override, TickOutcome, Trigger, TriggerError,
    TriggerRegistry, TriggerType, async_trait,
};
use ecs_scheduler_testing::{EngineRun, StoreFaults};
use serde_json::json;
use tokio::task::JoinHandle;

use super::retry::Flaky;
use super::support::{Stage, asking_for};

fn every_minute() -> serde_json::Value {
    json!({"taskDefinition": "job", "schedule": "0 *", "taskCount": 1})
}

fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn due_tick_launches_and_its_task_is_followed_to_its_end() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:00.5Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Launched]);
    stage.until("2026-01-01T10:01:10Z").await;
    let firing = stage.firings("job").await.remove(0);
    assert_eq!(firing.state, FiringState::Finished);
    assert_eq!(firing.tasks[0].exit_code, Some(0));
    assert_eq!(firing.explanation, "due, taskCount → 1");
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert!(life.engine.stop(Duration::from_secs(10)).await);
    let stored = stage.world.store.get(&[id("job")]).await.unwrap().remove(0);
    assert_eq!(stored.progress.last_run, Some("2026-01-01T10:01:00Z".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn running_tasks_are_topped_up_and_never_doubled() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    *stage.launcher.run_for.lock() = None;
    let job = json!({"taskDefinition": "job", "schedule": "0 *", "taskCount": 3});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:03:30Z").await;
    assert_eq!(stage.launcher.running(), 3);
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1), (TickOutcome::Satisfied, 2)]);
}

#[tokio::test(start_paused = true)]
async fn more_tasks_than_one_call_allows_are_launched_in_batches() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let job = json!({"taskDefinition": "job", "schedule": "0 *", "taskCount": 25});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:01Z").await;
    let counts: Vec<u32> = stage.launcher.requests.lock().iter().map(|request| request.count.get()).collect();
    assert_eq!(counts, [10, 10, 5]);
    let tokens: std::collections::HashSet<_> =
        stage.launcher.requests.lock().iter().map(|request| request.token.clone()).collect();
    assert_eq!(tokens.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn suspended_job_records_its_ticks_and_a_resume_does_not_fire_them() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let mut job = every_minute();
    job["suspended"] = json!(true);
    stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:05:30Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Suspended, 5)]);
    stage.replace("job", &every_minute()).await;
    life.engine.nudge(&id("job"));
    stage.until("2026-01-01T10:06:30Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Suspended, 5), (TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn brake_stops_launches_of_all_jobs_and_survives_a_restart() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    life.engine.brake("incident".to_owned()).await.unwrap();
    stage.until("2026-01-01T10:02:30Z").await;
    life.crash().await;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:03:30Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Suspended, 3)]);
    assert_eq!(life.engine.status().brake.unwrap().reason, "incident");
    life.engine.release().await.unwrap();
    stage.until("2026-01-01T10:04:30Z").await;
    assert_eq!(stage.launcher.requests.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn firing_by_hand_does_not_change_the_schedule() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let request = asking_for(NonZeroU32::new(2));
    let record = life.engine.fire_now(&id("job"), request).await.unwrap();
    assert_eq!((record.draft.launch, record.draft.span.count), (2, 0));
    assert!(record.firing.is_some());
    stage.until("2026-01-01T10:01:30Z").await;
    assert_eq!(stage.states("job").await, [FiringState::Finished, FiringState::Finished]);
    let unknown = life.engine.fire_now(&id("other"), FireRequest::default()).await;
    assert_eq!(unknown.unwrap_err(), FireError::NotFound);
}

#[tokio::test(start_paused = true)]
async fn firing_by_hand_starts_the_number_that_was_asked_for_also_below_task_count() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let mut job = every_minute();
    (job["taskCount"], job["maxCount"]) = (json!(3), json!(5));
    stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let asked = life.engine.fire_now(&id("job"), asking_for(NonZeroU32::new(1))).await.unwrap();
    assert_eq!(asked.draft.launch, 1, "{}", asked.draft.explanation);
    stage.until("2026-01-01T10:00:50Z").await;
    let of_job = life.engine.fire_now(&id("job"), FireRequest::default()).await.unwrap();
    assert_eq!(of_job.draft.launch, 3, "{}", of_job.draft.explanation);
}

#[tokio::test(start_paused = true)]
async fn firing_by_hand_has_its_own_overrides_and_moment_and_leaves_the_job_as_it_is() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let mut job = every_minute();
    job["overrides"] = json!([{"containerName": "main", "environment": {"DAY": "today"}}]);
    stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:10Z").await;
    let last_run = async || stage.world.store.get(&[id("job")]).await.unwrap().remove(0).progress.last_run;
    let before = last_run().await;
    let mut main = Override::new("main");
    main.command = Some(vec!["rebuild".to_owned()]);
    let earlier = "2025-12-31T00:00:00Z".parse().unwrap();
    let mut request = FireRequest::default();
    (request.options.overrides, request.options.scheduled_at) = (Some(vec![main.clone()]), Some(earlier));
    let record = life.engine.fire_now(&id("job"), request).await.unwrap();
    assert_eq!(record.draft.span.first, "2026-01-01T10:01:10Z".parse().unwrap(), "it was decided now");
    stage.until("2026-01-01T10:02:30Z").await;
    let requests = stage.launcher.requests.lock().clone();
    let of_hand = requests.iter().find(|request| request.scheduled_at == earlier).expect("it was launched");
    assert_eq!(of_hand.task.overrides, [main]);
    let next = requests.last().unwrap();
    assert_eq!(next.scheduled_at, "2026-01-01T10:02:00Z".parse().unwrap());
    assert_eq!(next.task.overrides[0].environment["DAY"], "today");
    assert_eq!(before, Some("2026-01-01T10:01:00Z".parse().unwrap()));
    assert_eq!(last_run().await, Some(next.scheduled_at), "it never goes back");
}

#[tokio::test(start_paused = true)]
async fn firing_by_hand_for_a_past_moment_is_a_run_of_the_present() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &json!({"taskDefinition": "job", "schedule": "0 0 0"})).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let mut request = FireRequest::default();
    request.options.scheduled_at = Some("2025-12-31T00:00:00Z".parse().unwrap());
    life.engine.fire_now(&id("job"), request).await.unwrap();
    stage.until("2026-01-01T10:01:00Z").await;
    let progress = stage.world.store.get(&[id("job")]).await.unwrap().remove(0).progress;
    assert_eq!(progress.last_run, Some("2026-01-01T10:00:30Z".parse().unwrap()), "the job never ran before");
    assert_eq!(progress.last_run_tasks.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn ticks_launch_nothing_until_the_cooldown_is_over() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let mut job = every_minute();
    job["cooldown"] = json!("150s");
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:05:30Z").await;
    let expected = [
        (TickOutcome::Launched, 1),
        (TickOutcome::Cooldown, 2),
        (TickOutcome::Launched, 1),
        (TickOutcome::Cooldown, 1),
    ];
    assert_eq!(stage.outcomes("job").await, expected);
}

#[tokio::test(start_paused = true)]
async fn replacing_stops_the_old_tasks_before_it_starts_new_ones() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    *stage.launcher.run_for.lock() = None;
    let mut job = every_minute();
    job["overlap"] = json!("replace");
    job["maxCount"] = json!(1);
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:02:30Z").await;
    assert_eq!(stage.launcher.running(), 1);
    assert_eq!(stage.states("job").await, [FiringState::Finished, FiringState::Launched]);
    assert_eq!(stage.firings("job").await[0].tasks[0].exit_code, Some(143));
}

#[tokio::test(start_paused = true)]
async fn task_over_its_timeout_is_stopped() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    *stage.launcher.run_for.lock() = None;
    let job = json!({"taskDefinition": "job", "schedule": "0 0 *", "timeout": "90s"});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T11:01:00Z").await;
    assert_eq!(stage.launcher.running(), 1);
    stage.until("2026-01-01T11:01:40Z").await;
    assert_eq!((stage.launcher.running(), stage.states("job").await), (0, vec![FiringState::Finished]));
}

#[tokio::test(start_paused = true)]
async fn edit_takes_effect_at_once_and_does_not_change_running_tasks() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    *stage.launcher.run_for.lock() = None;
    stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:30Z").await;
    stage.replace("job", &json!({"taskDefinition": "job", "schedule": "45 *", "taskCount": 2})).await;
    life.engine.nudge(&id("job"));
    stage.until("2026-01-01T10:01:50Z").await;
    assert_eq!(stage.launcher.running(), 2);
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1), (TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn lost_nudge_is_repaired_by_the_next_comparison_with_the_store() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.world.create("job", &every_minute()).await.unwrap();
    stage.until("2026-01-01T10:12:30Z").await;
    let outcomes = stage.outcomes("job").await;
    assert_eq!(outcomes.last(), Some(&(TickOutcome::Launched, 1)), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn clock_stepped_back_never_fires_a_tick_again() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:02:30Z").await;
    stage.world.clock.step(jiff::SignedDuration::from_mins(-2));
    stage.until("2026-01-01T10:03:30Z").await;
    assert_eq!(stage.firings("job").await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn clock_stepped_forward_counts_as_downtime() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:30Z").await;
    stage.world.clock.step(jiff::SignedDuration::from_hours(2));
    stage.until("2026-01-01T12:02:15Z").await;
    let outcomes = stage.outcomes("job").await;
    let counted: u64 = outcomes.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 122, "{outcomes:?}");
    assert_eq!(outcomes[1].0, TickOutcome::Missed);
    assert_eq!(outcomes[2].0, TickOutcome::Coalesced);
}

/// Panics, hangs or fails, as its configuration says.
#[derive(Debug)]
struct Bad(String);

#[async_trait]
impl Trigger for Bad {
    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        match self.0.as_str() {
            "panic" => panic!("out of cheese"),
            "hang" => std::future::pending().await,
            _ => Err(TriggerError::new(
                ecs_scheduler_core::FaultKind::Denied,
                "could not read depth of queue \"q\"",
            )),
        }
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct BadConfig {
    how: String,
}

struct BadType;

impl TriggerType for BadType {
    const KIND: &'static str = "bad";
    const SUMMARY: &'static str = "goes wrong";
    type Config = BadConfig;

    fn build(&self, config: BadConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(Bad(config.how)))
    }
}

#[tokio::test(start_paused = true)]
async fn panicking_or_hanging_trigger_costs_one_evaluation() {
    let mut registry = TriggerRegistry::new();
    registry.add(BadType).unwrap();
    let stage = Stage::with("2026-01-01T10:00:30Z", registry);
    for how in ["panic", "hang", "fail"] {
        let mut job = every_minute();
        job["trigger"] = json!({"type": "bad", "how": how});
        stage.world.create(how, &job).await.unwrap();
    }
    stage.world.create("good", &every_minute()).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:03:45Z").await;
    for how in ["panic", "fail"] {
        assert_eq!(stage.outcomes(how).await, [(TickOutcome::SourceError, 3)], "{how}");
    }
    assert_eq!(
        stage.outcomes("hang").await,
        [(TickOutcome::SourceError, 2)],
        "the third tick is tried again"
    );
    assert_eq!(stage.firings("good").await.len(), 3);
    let explained = |how: &'static str| {
        let stage = &stage;
        async move { stage.decisions(how).await.remove(0).draft.explanation }
    };
    assert_eq!(explained("panic").await, "the trigger panicked: out of cheese");
    assert!(explained("hang").await.starts_with("the trigger did not answer within 30 s; tried "));
    assert_eq!(explained("fail").await, "could not read depth of queue \"q\"");
}

#[tokio::test(start_paused = true)]
async fn failing_trigger_asks_for_the_assumed_tasks() {
    let mut registry = TriggerRegistry::new();
    registry.add(BadType).unwrap();
    let stage = Stage::with("2026-01-01T10:00:30Z", registry);
    let mut job = every_minute();
    job["trigger"] = json!({"type": "bad", "how": "fail"});
    job["onError"] = json!({"assume": 2, "after": 3});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:03:30Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::SourceError, 2), (TickOutcome::Launched, 1)]);
    assert_eq!(stage.firings("job").await[0].requested, 2);
}

#[tokio::test(start_paused = true)]
async fn evaluation_assumes_tasks_as_soon_as_the_next_tick_would() {
    let mut registry = TriggerRegistry::new();
    registry.add(BadType).unwrap();
    let stage = Stage::with("2026-01-01T10:00:30Z", registry);
    let mut job = every_minute();
    job["trigger"] = json!({"type": "bad", "how": "fail"});
    job["onError"] = json!({"assume": 2, "after": 3});
    let stored = stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    let context = JobContext {
        registry: &stage.world.registry,
        max_tasks: NonZeroU32::new(50).unwrap(),
        strictness: Strictness::Lenient,
        launcher: None,
        channels: None,
    };
    let parsed = stored.parse(&context).unwrap();
    let ask = async || {
        let draft = life.engine.evaluate(&parsed, Some(&stored), EvalOverrides::default()).await;
        (draft.outcome, draft.launch)
    };
    stage.until("2026-01-01T10:01:30Z").await;
    assert_eq!(ask().await, (TickOutcome::SourceError, 0), "the second failure in a row");
    assert_eq!(ask().await, (TickOutcome::SourceError, 0), "an evaluation counts for itself only");
    stage.until("2026-01-01T10:02:30Z").await;
    assert_eq!(ask().await, (TickOutcome::Launched, 2), "the third");
}

/// Fires a job by hand ten times a second, until a moment.
async fn fire_until(stage: &Stage, life: &EngineRun, until: &str) {
    let until = until.parse().unwrap();
    while stage.world.clock.now() < until {
        life.engine.fire_now(&id("job"), FireRequest::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn firings_by_hand_delay_no_tick() {
    let stage = Stage::at("2026-01-01T10:00:00.2Z");
    let job = json!({"taskDefinition": "job", "schedule": "*", "overlap": "skip"});
    stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    fire_until(&stage, &life, "2026-01-01T10:00:20.5Z").await;
    let decisions = stage.decisions("job").await;
    let ticks: Vec<_> = decisions.iter().map(|row| &row.draft).filter(|draft| draft.span.count > 0).collect();
    assert_eq!(ticks.iter().map(|draft| draft.span.count).sum::<u64>(), 20);
    for draft in ticks {
        let late = draft.observed.duration_since(draft.span.last);
        assert_ne!(draft.outcome, TickOutcome::Coalesced, "{draft:?}");
        assert!(late.as_millis() < 200, "{late:#} late: {draft:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn firings_by_hand_do_not_hasten_a_tick_that_is_tried_again() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T10:00:00.5Z");
    let job = json!({"taskDefinition": "job", "schedule": "0 1", "trigger": {"type": "flaky"}, "overlap": "allow", "maxCount": 50});
    let stored = stage.world.create("job", &job).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Unavailable);
    stage.until("2026-01-01T10:01:20Z").await;
    let before = life.engine.retrying(&stored.uid).unwrap();
    fire_until(&stage, &life, "2026-01-01T10:01:22Z").await;
    assert_eq!(life.engine.retrying(&stored.uid).unwrap(), before, "the next try is at its own moment");
    flaky.works();
    stage.until("2026-01-01T10:02:10Z").await;
    assert_eq!(life.engine.retrying(&stored.uid), None);
}

#[tokio::test(start_paused = true)]
async fn firing_after_an_edit_that_the_engine_has_not_read_uses_the_edit() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    stage.world.create("job", &every_minute()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:01:10Z").await;
    stage.replace("job", &json!({"taskDefinition": "other", "schedule": "0 *"})).await;
    let fired = life.engine.fire_now(&id("job"), FireRequest::default()).await.unwrap();
    assert_eq!(fired.draft.launch, 1);
    assert_eq!(stage.firings("job").await[1].task.definition, "other");
}

/// A stage with room for one job in rounds. From 10:00:00 to 10:00:30 another job takes it, so that the tick of the job at 10:00:10 waits.
async fn stage_without_room() -> (Stage, EngineRun) {
    let mut stage = Stage::at("2026-01-01T09:59:50Z");
    (stage.world.options.rounds, stage.world.options.round_size) = (1, 1);
    for (job, schedule) in [("slow", "0 0 10"), ("job", "10 0 10")] {
        let job_document =
            json!({"taskDefinition": job, "schedule": schedule, "overlap": "allow", "maxCount": 50});
        stage.world.create(job, &job_document).await.unwrap();
    }
    *stage.launcher.uncounted.lock() = Some(id("slow"));
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T10:00:15Z").await;
    (stage, life)
}

/// Orders a firing of this many tasks by hand.
fn order(life: &EngineRun, tasks: u32) -> JoinHandle<DecisionRecord> {
    let engine = life.engine.clone();
    tokio::spawn(
        async move { engine.fire_now(&id("job"), asking_for(NonZeroU32::new(tasks))).await.unwrap() },
    )
}

#[tokio::test(start_paused = true)]
async fn firings_by_hand_overtake_neither_a_due_tick_nor_each_other() {
    let (stage, life) = stage_without_room().await;
    let first = order(&life, 2);
    stage.until("2026-01-01T10:00:20Z").await;
    let second = order(&life, 3);
    stage.until("2026-01-01T10:00:29Z").await;
    assert!(!first.is_finished() && !second.is_finished(), "the tick goes before them");
    stage.until("2026-01-01T10:00:31Z").await;
    assert_eq!((first.await.unwrap().draft.launch, second.await.unwrap().draft.launch), (2, 3));
    let decisions = stage.decisions("job").await;
    let launched: Vec<_> = decisions.iter().map(|row| (row.draft.span.count, row.draft.launch)).collect();
    assert_eq!(launched, [(1, 1), (0, 2), (0, 3)]);
}

#[tokio::test(start_paused = true)]
async fn firing_by_hand_behind_a_due_tick_is_fired_when_an_edit_takes_the_tick_away() {
    let (stage, life) = stage_without_room().await;
    let orders = [order(&life, 2), order(&life, 3)];
    stage.until("2026-01-01T10:00:16Z").await;
    // As a program does that knows nothing of this scheduler: the schedule of the due tick is gone.
    stage.replace("job", &json!({"taskDefinition": "job", "schedule": "@yearly", "overlap": "allow"})).await;
    life.engine.nudge(&id("job"));
    stage.until("2026-01-01T10:00:17Z").await;
    for (order, launch) in orders.into_iter().zip([2, 3]) {
        assert!(order.is_finished(), "nothing goes before it any more");
        assert_eq!(order.await.unwrap().draft.launch, launch);
    }
}

#[tokio::test(start_paused = true)]
async fn firing_by_hand_behind_a_due_tick_is_refused_when_the_job_is_removed() {
    let (stage, life) = stage_without_room().await;
    let engine = life.engine.clone();
    let order = tokio::spawn(async move { engine.fire_now(&id("job"), FireRequest::default()).await });
    stage.until("2026-01-01T10:00:16Z").await;
    stage.world.store.remove(&id("job"), None).await.unwrap();
    life.engine.nudge(&id("job"));
    stage.until("2026-01-01T10:00:17Z").await;
    assert_eq!(order.await.unwrap().unwrap_err(), FireError::NotFound);
}
