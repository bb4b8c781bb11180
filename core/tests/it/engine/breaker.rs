//! The breaker of a job: after failed starts, single tasks take the place of launches.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{
    BreakerPhase, BreakerState, BuildContext, ConfigError, EvalContext, EvalOverrides, Evaluation, FaultKind,
    JobId, Notifier, Origin, Rule, SharedStore, StoredJob, TickOutcome, Trigger, TriggerError,
    TriggerRegistry, TriggerType, async_trait,
};
use ecs_scheduler_testing::member::join;
use ecs_scheduler_testing::{EngineRun, StoreFaults};
use serde_json::{Value, json};

use super::notify::Recorder;
use super::retry::NoConfig;
use super::support::{Script, Stage};
use crate::log::Log;

/// Tasks of this job start at each minute. Its breaker opens after the failures of two ticks.
fn job(more: &Value) -> Value {
    let mut job = json!({
        "taskDefinition": "job", "schedule": "0", "taskCount": 2, "breaker": {"failures": 4, "delay": "90s"},
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

async fn boot(stage: &Stage) -> EngineRun {
    stage.world.boot(StoreFaults::default(), 0).await.unwrap()
}

/// From now on, tasks fail to start five seconds after their launch.
fn break_starts(stage: &Stage) {
    *stage.launcher.fail_to_start.lock() = Some(Duration::from_secs(5));
}

fn mend_starts(stage: &Stage) {
    *stage.launcher.fail_to_start.lock() = None;
}

async fn stage_with(more: &Value) -> (Stage, EngineRun, StoredJob) {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let stored = stage.world.create("job", &job(more)).await.unwrap();
    break_starts(&stage);
    let life = boot(&stage).await;
    (stage, life, stored)
}

/// Returns the minute and the number of tasks of each launch.
async fn launches(stage: &Stage) -> Vec<(i8, u32)> {
    let firings = stage.firings("job").await;
    let minute = |at: jiff::Timestamp| at.to_zoned(jiff::tz::TimeZone::UTC).minute();
    firings.iter().map(|firing| (minute(firing.observed), firing.requested)).collect()
}

fn state(life: &EngineRun, stored: &StoredJob) -> BreakerState {
    life.engine.breaker(stored).expect("the breaker is known")
}

async fn stored(stage: &Stage) -> (StoredJob, Value) {
    let id = JobId::new("job").unwrap();
    let stored = stage.world.store.get(std::slice::from_ref(&id)).await.unwrap().remove(0);
    let document = serde_json::from_str(stored.document.get()).unwrap();
    (stored, document)
}

#[tokio::test(start_paused = true)]
async fn failed_starts_open_it_and_the_delay_of_canaries_grows_until_the_job_is_suspended() {
    let (log, _guard) = Log::listen();
    let (stage, life, created) = stage_with(&json!({})).await;
    stage.until("2026-01-01T10:01:30Z").await;
    let closed = state(&life, &created);
    assert_eq!((closed.state, closed.failures), (BreakerPhase::Closed, 2));
    stage.until("2026-01-01T10:02:30Z").await;
    let open = state(&life, &created);
    assert_eq!((open.state, open.failures), (BreakerPhase::Open, 4));
    assert_eq!(open.since, Some("2026-01-01T10:02:05Z".parse().unwrap()));
    assert_eq!(open.next_canary, Some("2026-01-01T10:03:35Z".parse().unwrap()));
    assert_eq!((life.engine.status().open_breakers, log.with("the breaker of a job opened").len()), (1, 1));
    stage.until("2026-01-01T10:53:30Z").await;
    let canaries = [(4, 1), (8, 1), (15, 1), (28, 1), (53, 1)];
    assert_eq!(launches(&stage).await, [[(1, 2), (2, 2)].as_slice(), &canaries].concat());
    let (suspended, document) = stored(&stage).await;
    assert_eq!((suspended.revision.0, &document["suspended"]), (2, &json!(true)), "{document}");
    let reason = document["suspension"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with(
            "the breaker is open since 2026-01-01T10:02:05Z, and all 5 canaries failed; 9 start"
        ),
        "{reason}"
    );
    assert!(
        reason.contains("the task failed to start") && document["suspension"]["actor"] == "breaker",
        "{reason}"
    );
    stage.until("2026-01-01T12:00:30Z").await;
    assert_eq!(launches(&stage).await.len(), 7, "it stays suspended");
    assert_eq!(stage.outcomes("job").await.last().unwrap().0, TickOutcome::Suspended);
    let lines = log.with("breaker");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].starts_with("WARN") && lines[0].contains("failures=4") && lines[0].contains("job=job"));
    assert!(lines[1].starts_with("WARN") && lines[1].contains("the breaker suspended a job"), "{lines:#?}");
    assert_eq!(life.engine.status().open_breakers, 0);
}

#[tokio::test(start_paused = true)]
async fn ticks_under_an_open_breaker_say_what_was_left_and_when_the_canary_comes() {
    let (stage, life, created) = stage_with(&json!({})).await;
    stage.until("2026-01-01T10:04:30Z").await;
    let decisions = stage.decisions("job").await;
    let (held, canary) = (&decisions[2].draft, &decisions[3].draft);
    assert_eq!((held.outcome, held.launch, canary.launch), (TickOutcome::Cooldown, 0, 1));
    let step = held.steps.last().unwrap();
    assert_eq!((step.rule, step.before, step.after), (Rule::Breaker, 2, 0));
    assert_eq!(
        step.reason,
        "the breaker is open since 2026-01-01T10:02:05Z, 4 start failures in a row, \
         canary 1 of 5 follows from 2026-01-01T10:03:35Z on"
    );
    let step = canary.steps.last().unwrap();
    assert_eq!((step.rule, step.before, step.after), (Rule::Breaker, 2, 1));
    assert_eq!(step.reason, "canary 1 of 5 while the breaker is open");
    stage.until("2026-01-01T10:06:30Z").await;
    let dry = life.engine.evaluate(&parse(&stage, &created), Some(&created), EvalOverrides::default()).await;
    assert_eq!((dry.launch, dry.steps.last().unwrap().rule), (0, Rule::Breaker), "a dry run sees it, too");
    stage.until("2026-01-01T10:07:30Z").await;
    assert_eq!(
        stage.outcomes("job").await.last(),
        Some(&(TickOutcome::Cooldown, 3)),
        "equal ticks share a row"
    );
}

fn parse(stage: &Stage, stored: &StoredJob) -> ecs_scheduler_core::Job {
    let context = ecs_scheduler_core::JobContext {
        registry: &stage.world.registry,
        max_tasks: stage.world.options.max_tasks,
        strictness: ecs_scheduler_core::schedule::Strictness::Lenient,
        launcher: None,
        channels: None,
    };
    stored.parse(&context).unwrap()
}

#[tokio::test(start_paused = true)]
async fn tasks_that_run_and_exit_with_an_error_do_not_open_it() {
    let (stage, life, created) = stage_with(&json!({"breaker": {"failures": 1}, "succeedsBy": "main"})).await;
    mend_starts(&stage);
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(1))];
    stage.until("2026-01-01T10:05:30Z").await;
    assert_eq!(launches(&stage).await, [(1, 2), (2, 2), (3, 2), (4, 2), (5, 2)]);
    assert_eq!(state(&life, &created).failures, 0);
    assert_eq!(life.engine.failing_tasks(&created.uid).unwrap().firings, 5);
}

#[tokio::test(start_paused = true)]
async fn canary_that_starts_closes_it_before_it_ends() {
    let (log, _guard) = Log::listen();
    let (stage, life, created) = stage_with(&json!({"taskCount": 4})).await;
    stage.until("2026-01-01T10:01:30Z").await;
    assert!(state(&life, &created).is_open());
    mend_starts(&stage);
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(3_600));
    stage.until("2026-01-01T10:03:10Z").await;
    let closed = state(&life, &created);
    assert_eq!((closed.state, closed.failures, closed.since), (BreakerPhase::Closed, 0, None));
    stage.until("2026-01-01T10:04:10Z").await;
    assert_eq!(launches(&stage).await, [(1, 4), (3, 1), (4, 3)], "beside the canary, which still runs");
    let lines = log.with("the breaker of a job closed");
    assert!(lines.len() == 1 && lines[0].starts_with("INFO"), "{lines:?}");
    assert_eq!((life.engine.status().open_breakers, log.with("breaker").len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn restart_at_any_moment_keeps_the_state_and_the_moments_of_canaries() {
    for crash_at in ["10:01:03", "10:02:03", "10:02:30", "10:04:02", "10:04:30", "10:07:59", "10:08:06"] {
        let (stage, life, created) = stage_with(&json!({})).await;
        stage.until(&format!("2026-01-01T{crash_at}Z")).await;
        life.crash().await;
        let life = boot(&stage).await;
        stage.until("2026-01-01T10:10:30Z").await;
        assert_eq!(launches(&stage).await, [(1, 2), (2, 2), (4, 1), (8, 1)], "{crash_at}");
        let state = state(&life, &created);
        assert_eq!((state.failures, state.canaries), (6, 2), "{crash_at}");
        assert_eq!(state.since, Some("2026-01-01T10:02:05Z".parse().unwrap()), "{crash_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_an_open_breaker_is_known_before_the_next_tick() {
    let (stage, life, created) = stage_with(&json!({})).await;
    stage.until("2026-01-01T10:04:30Z").await;
    life.crash().await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:04:31Z").await;
    assert_eq!((state(&life, &created).failures, life.engine.status().open_breakers), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn crash_before_the_suspension_suspends_at_the_next_tick() {
    let (stage, life, _) = stage_with(&json!({})).await;
    stage.until("2026-01-01T10:53:04Z").await;
    life.crash().await;
    // The last canary fails without a scheduler.
    stage.until("2026-01-01T10:53:30Z").await;
    assert_eq!(stored(&stage).await.1.get("suspended"), None);
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:55:30Z").await;
    assert_eq!(stored(&stage).await.1["suspended"], true);
    assert_eq!(launches(&stage).await.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn another_replica_continues_with_the_state_of_the_one_that_failed() {
    let stage = Stage::at("2026-01-01T10:00:30Z");
    let created = stage.world.create("job", &job(&json!({}))).await.unwrap();
    break_starts(&stage);
    let shared: Arc<dyn SharedStore> = Arc::clone(&stage.world.store).shared().unwrap();
    let first = join(&stage.world, &shared, "a", "a").await;
    stage.until("2026-01-01T10:04:30Z").await;
    assert!(first.replica.breaker(&created).unwrap().is_open());
    let second = join(&stage.world, &shared, "b", "b").await;
    first.kill();
    stage.until("2026-01-01T10:15:30Z").await;
    assert_eq!(launches(&stage).await, [(1, 2), (2, 2), (4, 1), (8, 1), (15, 1)]);
    assert_eq!(second.replica.breaker(&created).unwrap().canaries, 3);
    assert_eq!(second.replica.status().open_breakers, 1);
}

#[tokio::test(start_paused = true)]
async fn edit_of_the_job_closes_it() {
    let (stage, life, _) = stage_with(&json!({})).await;
    stage.until("2026-01-01T10:02:30Z").await;
    stage.world.edit("job", &job(&json!({"description": "mended"}))).await.unwrap();
    life.engine.nudge(&JobId::new("job").unwrap());
    stage.until("2026-01-01T10:04:30Z").await;
    assert_eq!(launches(&stage).await, [(1, 2), (2, 2), (3, 2), (4, 2)]);
    let edited = stored(&stage).await.0;
    assert_eq!(state(&life, &edited).since, Some("2026-01-01T10:04:05Z".parse().unwrap()), "it counts again");
}

#[tokio::test(start_paused = true)]
async fn failed_tasks_are_not_retried_while_it_is_open() {
    let retry = json!({"retry": {"task": {"attempts": 5, "backoff": "10s"}}, "taskCount": 4});
    let (stage, _life, _) = stage_with(&retry).await;
    stage.until("2026-01-01T10:01:50Z").await;
    let firings = stage.firings("job").await;
    assert_eq!(firings.len(), 1);
    let note = firings[0].retry.note.clone().unwrap();
    assert!(note.contains("the breaker is open since 2026-01-01T10:01:05Z"), "{note}");
    stage.until("2026-01-01T10:03:50Z").await;
    assert_eq!(launches(&stage).await, [(1, 4), (3, 1)], "a retry is no canary");
}

#[tokio::test(start_paused = true)]
async fn retries_that_fail_to_start_open_it() {
    let retry = json!({
        "schedule": "0 0", "taskCount": 1, "breaker": {"failures": 2},
        "retry": {"task": {"attempts": 5, "backoff": "10s"}},
    });
    let stage = Stage::at("2026-01-01T09:59:30Z");
    stage.world.create("job", &job(&retry)).await.unwrap();
    break_starts(&stage);
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:10:00Z").await;
    let firings = stage.firings("job").await;
    let origins: Vec<Origin> = firings.iter().map(|firing| firing.origin).collect();
    assert_eq!(origins, [Origin::Tick, Origin::Retry]);
    assert!(
        firings[1].retry.note.as_ref().unwrap().contains("the breaker is open"),
        "{:?}",
        firings[1].retry
    );
}

#[tokio::test(start_paused = true)]
async fn firing_by_hand_is_not_held_back_and_closes_it_when_its_tasks_start() {
    let (stage, life, created) = stage_with(&json!({})).await;
    stage.until("2026-01-01T10:02:30Z").await;
    let id = JobId::new("job").unwrap();
    life.engine.fire_now(&id, Default::default()).await.unwrap();
    stage.until("2026-01-01T10:02:50Z").await;
    let open = state(&life, &created);
    assert_eq!(
        (open.failures, open.canaries),
        (4, 0),
        "a firing by hand that fails to start changes nothing"
    );
    mend_starts(&stage);
    life.engine.fire_now(&id, Default::default()).await.unwrap();
    stage.until("2026-01-01T10:02:55Z").await;
    assert!(!state(&life, &created).is_open());
    stage.until("2026-01-01T10:03:30Z").await;
    assert_eq!(launches(&stage).await, [(1, 2), (2, 2), (2, 2), (2, 2), (3, 2)]);
}

#[tokio::test(start_paused = true)]
async fn start_timeout_counts_and_a_stop_by_hand_does_not() {
    let (stage, life, created) =
        stage_with(&json!({"startTimeout": "10s", "breaker": {"failures": 2}})).await;
    *stage.launcher.fail_to_start.lock() = Some(Duration::from_secs(3_600));
    stage.until("2026-01-01T10:01:30Z").await;
    let open = state(&life, &created);
    assert_eq!((open.is_open(), open.failures), (true, 2));
    assert!(open.reason.unwrap().contains("did not start within 10 s"));

    let (stage, life, created) = stage_with(&json!({"breaker": {"failures": 2}})).await;
    *stage.launcher.fail_to_start.lock() = Some(Duration::from_secs(3_600));
    stage.until("2026-01-01T10:01:10Z").await;
    for task in stage.firings("job").await.remove(0).tasks {
        ecs_scheduler_core::Launcher::stop(&*stage.launcher, &task.task_id, "an operator").await.unwrap();
    }
    stage.until("2026-01-01T10:01:30Z").await;
    assert_eq!(state(&life, &created).failures, 0);
}

#[tokio::test(start_paused = true)]
async fn notification_is_sent_for_tasks_that_stay_pending_for_ever() {
    let mut stage = Stage::at("2026-01-01T10:00:30Z");
    let recorder = Recorder::new(&stage.world.clock);
    stage.world.options.notifier = Some(Arc::clone(&recorder) as Arc<dyn Notifier>);
    let more = json!({
        "startTimeout": "20s", "breaker": {"failures": 2, "delay": "10s"},
        "notify": [{"to": "ops", "on": ["suspended"]}],
    });
    stage.world.create("job", &job(&more)).await.unwrap();
    *stage.launcher.pending_for.lock() = Duration::from_secs(86_400);
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:30:00Z").await;
    let told = recorder.delivered();
    assert_eq!(told.len(), 1, "{told:?}");
    let text = &told[0].2.jobs[0].text;
    assert!(text.contains("all 5 canaries failed") && text.contains("did not start within 20 s"), "{text}");
    assert_eq!((stored(&stage).await.1["suspended"].clone(), stage.launcher.running()), (true.into(), 0));
}

#[tokio::test(start_paused = true)]
async fn launches_that_are_refused_for_good_count_and_those_that_may_pass_do_not() {
    let refuse = |retryable| Script::Refuse { all_but: 0, retryable };
    let denied = || Script::Fail { kind: FaultKind::Denied };
    for (script, minutes) in [
        (vec![refuse(false), denied(), refuse(false)], vec![1, 2]),
        (vec![refuse(true); 500], vec![1, 2, 3, 4, 5]),
        (vec![Script::Fail { kind: FaultKind::Unavailable }; 500], vec![1, 2, 3, 4, 5]),
    ] {
        let more = json!({"breaker": {"failures": 2, "delay": "1h"}, "retry": {"launch": {"maxAge": "30s"}}});
        let (stage, _life, _) = stage_with(&more).await;
        stage.launcher.script.lock().extend(script.clone());
        stage.until("2026-01-01T10:05:50Z").await;
        let fired: Vec<i8> = launches(&stage).await.into_iter().map(|(minute, _)| minute).collect();
        assert_eq!(fired, minutes, "{:?}", script[0]);
    }
}

/// Demands 500 tasks at each tick.
#[derive(Debug, Clone)]
struct Backlog;

impl TriggerType for Backlog {
    const KIND: &'static str = "backlog";
    const SUMMARY: &'static str = "demands 500 tasks";
    type Config = NoConfig;

    fn build(&self, _: NoConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Trigger for Backlog {
    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        Ok(Evaluation::tasks(500, "500 messages"))
    }
}

#[tokio::test(start_paused = true)]
async fn demand_of_500_tasks_gets_one_canary() {
    let mut registry = TriggerRegistry::new();
    registry.add(Backlog).unwrap();
    let stage = Stage::with("2026-01-01T10:00:30Z", registry);
    let more =
        json!({"trigger": {"type": "backlog"}, "maxCount": 20, "breaker": {"failures": 20, "delay": "1m"}});
    stage.world.create("job", &job(&more)).await.unwrap();
    break_starts(&stage);
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:03:30Z").await;
    assert_eq!(launches(&stage).await, [(1, 20), (3, 1)]);
    let canary = stage.decisions("job").await.pop().unwrap().draft;
    assert_eq!(
        canary.explanation,
        "500 messages → 500; at most maxCount 20 → 20; canary 1 of 5 while the breaker is open → 1"
    );
}

#[tokio::test(start_paused = true)]
async fn canary_starts_beside_tasks_that_may_overlap() {
    let (stage, life, created) = stage_with(&json!({"overlap": "allow"})).await;
    mend_starts(&stage);
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(3_600));
    stage.until("2026-01-01T10:01:30Z").await;
    break_starts(&stage);
    stage.until("2026-01-01T10:05:30Z").await;
    assert_eq!(launches(&stage).await, [(1, 2), (2, 2), (3, 2), (5, 1)]);
    assert_eq!((state(&life, &created).canaries, stage.launcher.running()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn canary_of_a_job_that_replaces_tasks_waits_for_their_end() {
    let (stage, _life, _) = stage_with(&json!({"overlap": "replace"})).await;
    stage.until("2026-01-01T10:03:50Z").await;
    stage.launcher.start_unrecorded("job", "works");
    *stage.launcher.run_for.lock() = None;
    stage.until("2026-01-01T10:05:30Z").await;
    assert_eq!((launches(&stage).await, stage.launcher.running()), (vec![(1, 2), (2, 2)], 1));
    let held = stage.decisions("job").await.pop().unwrap().draft;
    assert!(held.explanation.contains("waits for the end of the running tasks"), "{}", held.explanation);
    stage.launcher.finish("works");
    stage.until("2026-01-01T10:06:30Z").await;
    assert_eq!(launches(&stage).await, [(1, 2), (2, 2), (6, 1)]);
}
