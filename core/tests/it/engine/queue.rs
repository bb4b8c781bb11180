//! Jobs in the modes `oneShot` and `drain`, in the engine.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::job::JobContext;
use ecs_scheduler_core::schedule::Strictness;
use ecs_scheduler_core::{
    BuildContext, ConfigError, EvalContext, EvalOverrides, Evaluation, QueueReading, Rule, TickOutcome,
    Trigger, TriggerError, TriggerRegistry, TriggerType, async_trait,
};
use ecs_scheduler_testing::StoreFaults;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::support::Stage;

/// Counts that are reported at each evaluation in turn; the last ones stay.
#[derive(Debug, Clone)]
struct Counts(Arc<Mutex<Vec<u32>>>);

#[derive(Debug, Deserialize, JsonSchema)]
struct NoConfig {}

impl TriggerType for Counts {
    const KIND: &'static str = "queue";
    const SUMMARY: &'static str = "reports scripted counts";
    type Config = NoConfig;

    fn build(&self, _: NoConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Trigger for Counts {
    fn reports_queue_depth(&self) -> bool {
        true
    }

    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        let mut counts = self.0.lock();
        let visible = if counts.len() > 1 { counts.remove(0) } else { counts[0] };
        Ok(counted(visible))
    }
}

fn counted(visible: u32) -> Evaluation {
    Evaluation::tasks(visible, "visible").with_queue_reading(QueueReading::new(
        visible.into(),
        0,
        Duration::from_secs(30),
        NonZeroU32::MIN,
    ))
}

fn stage(counts: &[u32]) -> Stage {
    let mut registry = TriggerRegistry::new();
    registry.add(Counts(Arc::new(Mutex::new(counts.to_vec())))).unwrap();
    Stage::with("2027-01-01T00:00:00Z", registry)
}

fn job(fields: &Value) -> Value {
    let mut job = json!({
        "taskDefinition": "work", "schedule": "0,30", "trigger": {"type": "queue"}, "mode": "oneShot",
    });
    job.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    job
}

#[tokio::test(start_paused = true)]
async fn stale_counts_launch_nothing_for_completed_messages() {
    let stage = stage(&[3, 3, 4, 1]);
    stage.world.create("work", &job(&json!({"settle": "60s"}))).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 1).await.unwrap();
    stage.until("2027-01-01T00:02:10Z").await;
    let launches: Vec<(TickOutcome, u32)> = stage
        .decisions("work")
        .await
        .into_iter()
        .map(|record| (record.draft.outcome, record.draft.launch))
        .collect();
    assert_eq!(
        launches,
        [
            (TickOutcome::Launched, 3),
            (TickOutcome::Satisfied, 0),
            (TickOutcome::Launched, 1),
            (TickOutcome::Satisfied, 0)
        ],
        "three are done after five seconds, one arrives"
    );
    life.engine.stop(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn tasks_that_were_stopped_do_not_show_that_the_queue_is_empty() {
    let stage = stage(&[500]);
    *stage.launcher.run_for.lock() = None;
    *stage.launcher.stopping.lock() = (Duration::ZERO, 0);
    let fields = json!({"mode": "drain", "settle": "60s", "maxCount": 5, "timeout": "40s"});
    stage.world.create("work", &job(&fields)).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 1).await.unwrap();
    stage.until("2027-01-01T00:01:40Z").await;
    let launches: Vec<u32> =
        stage.decisions("work").await.into_iter().map(|record| record.draft.launch).collect();
    assert_eq!(launches, [5, 0, 5], "five are stopped after 40 s, and the next tick starts five");
    life.engine.stop(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn too_short_settle_is_reported() {
    let stage = stage(&[3, 3, 0]);
    stage.world.create("work", &job(&json!({"settle": "10s", "cooldown": "5m"}))).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 1).await.unwrap();
    stage.until("2027-01-01T00:01:40Z").await;
    let decisions = stage.decisions("work").await;
    let seen = decisions.last().unwrap().draft.observations.last().unwrap();
    assert_eq!((seen.name.as_str(), seen.unit.as_str()), ("convergence", "seconds"));
    assert!((seen.value - 25.0).abs() < 0.5, "the task ended 25 s before the count that showed its messages");
    life.engine.stop(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn too_long_settle_is_reported() {
    // One message every other minute; it is done before the next look, which shows that.
    let counts: Vec<u32> = [1, 0, 0, 0].repeat(30);
    let stage = stage(&counts);
    stage.world.create("work", &job(&json!({}))).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 1).await.unwrap();
    stage.until("2027-01-01T00:10:10Z").await;
    let early = stage.decisions("work").await;
    assert!(early.iter().all(|record| record.draft.observations.is_empty()), "five times are too few");
    stage.until("2027-01-01T00:50:40Z").await;
    let decisions = stage.decisions("work").await;
    let newest = &decisions.iter().rev().find(|record| record.draft.launch > 0).unwrap().draft;
    let seen = newest.observations.last().unwrap();
    assert_eq!((seen.name.as_str(), seen.unit.as_str()), ("convergence", "seconds"));
    assert!(seen.value > 20.0 && seen.value < 30.0, "the look after the end came {} s later", seen.value);
    assert!(newest.explanation.contains("(settle could be shorter: counts took"), "{}", newest.explanation);
    life.engine.stop(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn decisions_of_the_queue_modes_name_the_tasks_that_they_count_once() {
    for (mode, explanation) in [
        (
            "oneShot",
            "oneShot: 9 known to be left ÷ 1 per task, less 5 pending or running, at most 9 visible ÷ 1 (task task-0 running \
             since 2027-01-01T00:00:30Z, task task-1 running since 2027-01-01T00:00:30Z, task task-2 running since \
             2027-01-01T00:00:30Z, 2 more) → 4; at most maxCount 5, less 5 pending or running → 0",
        ),
        (
            "drain",
            "drain: 9 visible and 0 in flight ÷ 1 per task, less 5 pending or running, at most 9 visible ÷ 1 less 0 not yet at \
             work (task task-0 running since 2027-01-01T00:00:30Z, task task-1 running since 2027-01-01T00:00:30Z, task \
             task-2 running since 2027-01-01T00:00:30Z, 2 more) → 4; at most maxCount 5, less 5 pending or running → 0",
        ),
    ] {
        let stage = stage(&[9]);
        *stage.launcher.run_for.lock() = None;
        stage.world.create("work", &job(&json!({"mode": mode, "maxCount": 5}))).await.unwrap();
        let life = stage.world.boot(StoreFaults::default(), 1).await.unwrap();
        stage.until("2027-01-01T00:02:10Z").await;
        let decisions = stage.decisions("work").await;
        let capped = decisions.last().unwrap();
        assert_eq!(
            (capped.draft.outcome, capped.draft.span.count),
            (TickOutcome::Capped, 3),
            "they share a row"
        );
        assert_eq!(capped.draft.explanation, format!("visible → 9; {explanation}"));
        let steps: usize = capped.draft.steps.iter().map(|step| step.reason.matches("task-0").count()).sum();
        assert_eq!(steps, 1);
        life.engine.stop(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn cap_names_the_tasks_where_only_arrivals_are_counted() {
    // Four of five tasks find the queue empty; ten messages arrive at once.
    let stage = stage(&[5, 0, 10]);
    *stage.launcher.run_for.lock() = None;
    let fields = json!({"mode": "drain", "maxCount": 5, "settle": "60s"});
    stage.world.create("work", &job(&fields)).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 1).await.unwrap();
    stage.until("2027-01-01T00:00:40Z").await;
    for task in ["task-1", "task-2", "task-3", "task-4"] {
        stage.launcher.finish(task);
    }
    stage.until("2027-01-01T00:01:40Z").await;
    let decisions = stage.decisions("work").await;
    let capped = &decisions.last().unwrap().draft;
    let cap = capped.steps.iter().find(|step| step.rule == Rule::Cap).unwrap();
    let named =
        "at most maxCount 5, less 1 pending or running (task task-0 running since 2027-01-01T00:00:30Z)";
    assert_eq!((cap.reason.as_str(), capped.launch), (named, 4));
    assert!(capped.steps.iter().all(|step| step.rule == Rule::Cap || !step.reason.contains("task-")));
    life.engine.stop(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn dry_run_of_given_counts_returns_the_decision_and_records_nothing() {
    let stage = stage(&[0]);
    let stored = stage.world.create("work", &job(&json!({}))).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 1).await.unwrap();
    let context = JobContext {
        registry: &stage.world.registry,
        max_tasks: NonZeroU32::new(50).unwrap(),
        strictness: Strictness::Lenient,
        launcher: None,
        channels: None,
    };
    let parsed = stored.parse(&context).unwrap();
    let ask = async |visible| {
        let given = EvalOverrides { evaluation: Some(counted(visible)), busy: Some(2) };
        life.engine.evaluate(&parsed, Some(&stored), given).await
    };
    let draft = ask(500).await;
    assert_eq!((draft.outcome, draft.launch, draft.busy), (TickOutcome::Launched, 48, Some(2)));
    assert!(draft.steps.iter().any(|step| step.rule == Rule::Mode));
    assert!(!draft.explanation.contains("(task "), "a number that is given stands for no tasks");
    let draft = ask(5).await;
    assert_eq!((draft.outcome, draft.launch), (TickOutcome::Launched, 3), "the five hundred are forgotten");
    assert!(stage.launcher.requests.lock().is_empty());
    life.engine.stop(Duration::from_secs(60)).await;
}
