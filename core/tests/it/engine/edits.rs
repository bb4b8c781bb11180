//! Edits around a tick: every tick has its outcome and none is lost, also while the scheduler is down.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::job::EARLIER_SCHEDULES;
use ecs_scheduler_core::schedule::{Schedule, ScheduleSpec};
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, Evaluation, JobId, MemoryStore, Revision, TickOutcome, Timestamp,
    Trigger, TriggerError, TriggerRegistry, TriggerType, async_trait,
};
use ecs_scheduler_testing::edit_property::check_life_of_edits;
use ecs_scheduler_testing::{EngineRun, StoreFaults};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::Stage;

fn hourly() -> Value {
    json!({"taskDefinition": "job", "schedule": "0 0", "overlap": "allow", "maxCount": 50})
}

fn with(mut document: Value, field: &str, value: Value) -> Value {
    document[field] = value;
    document
}

async fn boot(stage: &Stage) -> EngineRun {
    stage.world.boot(StoreFaults::default(), 0).await.unwrap()
}

fn id() -> JobId {
    JobId::new("job").unwrap()
}

/// A scheduler crashes one second before a tick, the job is edited a second and a half after it, and another one starts.
async fn edited_while_nobody_looks(edited: &Value) -> Stage {
    replaced_while_nobody_looks(&hourly(), edited).await
}

/// The same, with another original.
async fn replaced_while_nobody_looks(original: &Value, edited: &Value) -> Stage {
    let mut registry = TriggerRegistry::new();
    registry.add(OwnTicks { schedule: None }).unwrap();
    let stage = Stage::with("2026-01-01T10:30:00Z", registry);
    stage.world.create("job", original).await.unwrap();
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:59:59Z").await;
    life.crash().await;
    stage.until("2026-01-01T11:00:01.6Z").await;
    stage.world.edit("job", edited).await.unwrap();
    stage.until("2026-01-01T11:00:07Z").await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T11:00:08Z").await;
    life.engine.stop(Duration::from_secs(5)).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn crash_and_an_edit_of_the_description_lose_no_tick() {
    let stage = edited_while_nobody_looks(&with(hourly(), "description", json!("new"))).await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(stage.decisions("job").await[0].draft.span.first, "2026-01-01T11:00:00Z".parse().unwrap());
}

#[tokio::test(start_paused = true)]
async fn crash_and_an_edit_of_the_schedule_lose_no_tick_of_the_old_one() {
    let stage = edited_while_nobody_looks(&with(hourly(), "schedule", json!("0 0 */12"))).await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    let life = boot(&stage).await;
    stage.until("2026-01-01T13:00:00Z").await;
    let ticks: Vec<Timestamp> =
        stage.decisions("job").await.iter().map(|decision| decision.draft.span.last).collect();
    let expected = ["2026-01-01T11:00:00Z", "2026-01-01T12:00:00Z"].map(|tick| tick.parse().unwrap());
    assert_eq!(ticks, expected, "the old schedule up to the edit, the new one after it");
    drop(life);
}

#[tokio::test(start_paused = true)]
async fn crash_and_a_suspension_launch_nothing_and_record_the_tick() {
    let stage = edited_while_nobody_looks(&with(hourly(), "suspended", json!(true))).await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Suspended, 1)]);
}

#[tokio::test(start_paused = true)]
async fn tick_in_a_suspension_is_not_fired_after_a_downtime() {
    let stage = Stage::at("2026-01-01T10:30:00Z");
    stage.world.create("job", &with(hourly(), "suspended", json!(true))).await.unwrap();
    stage.until("2026-01-01T11:10:00Z").await;
    stage.world.edit("job", &hourly()).await.unwrap();
    stage.until("2026-01-01T11:20:00Z").await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T12:00:01Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Suspended, 1), (TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn ticks_of_a_trigger_survive_a_crash_and_an_edit() {
    // The schedule of a stored document that was written before its trigger brought the ticks.
    let stage = edited_while_nobody_looks(&json!({"taskDefinition": "other", "schedule": "@yearly"})).await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert_eq!(stage.firings("job").await[0].task.definition, "other", "a tick uses the newest document");
}

/// A trigger that brings ticks and knows no others, as `cron` does.
#[derive(Debug, Clone)]
struct OwnTicks {
    schedule: Option<Schedule>,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct OwnTicksConfig {
    schedule: String,
}

impl TriggerType for OwnTicks {
    const KIND: &'static str = "ownTicks";
    const SUMMARY: &'static str = "brings ticks and knows no others";
    type Config = OwnTicksConfig;

    fn build(&self, config: OwnTicksConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        let schedule = Schedule::parse(&ScheduleSpec::written(&[config.schedule])).unwrap();
        Ok(Arc::new(Self { schedule: Some(schedule) }))
    }
}

#[async_trait]
impl Trigger for OwnTicks {
    fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }

    async fn evaluate(&self, cx: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let tick = cx.tick.nominal;
        let before = tick - SignedDuration::from_nanos(1);
        let is_own = self.schedule.as_ref().unwrap().last_in(before, tick) == Some(tick);
        Ok(if is_own { Evaluation::floor("its tick") } else { Evaluation::idle("not its tick") })
    }
}

fn own_ticks(schedule: &str) -> Value {
    json!({"taskDefinition": "job", "trigger": {"type": "ownTicks", "schedule": schedule}})
}

#[tokio::test(start_paused = true)]
async fn tick_of_a_trigger_with_own_ticks_is_not_judged_by_the_ticks_of_a_later_version() {
    for original in [own_ticks("0 0"), hourly()] {
        let stage = replaced_while_nobody_looks(&original, &own_ticks("0 30 5")).await;
        assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)], "{original}");
    }
}

#[tokio::test(start_paused = true)]
async fn edit_does_not_move_a_tick_that_waits_for_its_jitter() {
    let stage = Stage::at("2026-01-01T10:59:30Z");
    let jittered = with(hourly(), "jitter", json!("10m"));
    for job in ["job", "control"] {
        stage.world.create(job, &jittered).await.unwrap();
    }
    let life = boot(&stage).await;
    for minute in 0..10 {
        stage.until(&format!("2026-01-01T11:0{minute}:01Z")).await;
        stage
            .world
            .edit("job", &with(jittered.clone(), "description", json!(format!("v{minute}"))))
            .await
            .unwrap();
        life.engine.nudge(&id());
    }
    stage.until("2026-01-01T11:10:01Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    let control = Stage::at("2026-01-01T10:59:30Z");
    control.world.create("job", &jittered).await.unwrap();
    let _life = boot(&control).await;
    control.until("2026-01-01T11:10:01Z").await;
    let moments = [&stage, &control].map(async |stage| stage.decisions("job").await[0].draft.observed);
    let [edited, left_alone] = moments;
    assert_eq!(edited.await, left_alone.await, "it keeps its moment");
}

#[tokio::test(start_paused = true)]
async fn jitter_longer_than_the_interval_launches_every_tick() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let job =
        json!({"taskDefinition": "job", "schedule": "0", "jitter": "5m", "overlap": "allow", "maxCount": 50});
    stage.world.create("job", &job).await.unwrap();
    let _life = boot(&stage).await;
    stage.until("2026-01-01T13:00:59Z").await;
    let outcomes = stage.outcomes("job").await;
    assert!(outcomes.len() >= 179, "{}", outcomes.len());
    assert!(outcomes.iter().all(|outcome| *outcome == (TickOutcome::Launched, 1)), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn edit_that_changes_nothing_makes_no_version() {
    let stage = Stage::at("2026-01-01T10:59:30Z");
    stage.world.create("job", &hourly()).await.unwrap();
    assert_eq!(stage.world.edit("job", &hourly()).await.unwrap().revision, Revision(1));
    stage.until("2026-01-01T11:00:30Z").await;
    assert_eq!(stage.world.edit("job", &hourly()).await.unwrap().revision, Revision(1));
}

#[tokio::test(start_paused = true)]
async fn earlier_schedules_are_left_out_when_their_ticks_are_settled() {
    let stage = edited_while_nobody_looks(&with(hourly(), "description", json!("new"))).await;
    let stored = stage.world.store.get(&[id()]).await.unwrap().remove(0);
    assert!(stored.document.get().contains(EARLIER_SCHEDULES));
    let stored = stage.world.edit("job", &with(hourly(), "description", json!("newer"))).await.unwrap();
    assert!(!stored.document.get().contains(EARLIER_SCHEDULES), "{}", stored.document.get());
}

#[tokio::test(start_paused = true)]
async fn kills_and_edits_and_faults_at_any_moment_leave_every_tick_one_outcome() {
    for seed in 0..150 {
        check_life_of_edits(Arc::new(MemoryStore::default()), false, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn kills_of_replicas_and_edits_and_faults_at_any_moment_leave_every_tick_one_outcome() {
    for seed in 0..4 {
        check_life_of_edits(Arc::new(MemoryStore::default()), true, seed).await;
    }
}
