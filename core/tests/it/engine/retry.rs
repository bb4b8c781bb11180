//! Ticks whose source or running tasks cannot be read for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ecs_scheduler_core::{
    BuildContext, Clock as _, ConfigError, EvalContext, Evaluation, FaultKind, JobId, TickOutcome, Trigger,
    TriggerError, TriggerRegistry, TriggerType, async_trait,
};
use ecs_scheduler_testing::StoreFaults;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::support::Stage;

/// A source that fails until it is repaired.
#[derive(Debug, Default, Clone)]
pub(super) struct Flaky {
    fault: Arc<Mutex<Option<FaultKind>>>,
    asked: Arc<AtomicU32>,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
pub(super) struct NoConfig {}

impl TriggerType for Flaky {
    const KIND: &'static str = "flaky";
    const SUMMARY: &'static str = "fails until the test ends its fault";
    type Config = NoConfig;

    fn build(&self, _: NoConfig, _: &BuildContext<'_>) -> Result<Arc<dyn Trigger>, ConfigError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Trigger for Flaky {
    async fn evaluate(&self, _: &EvalContext<'_>) -> Result<Evaluation, TriggerError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tracing::info!("a trigger is evaluated");
        match *self.fault.lock() {
            None => Ok(Evaluation::floor("readable")),
            Some(kind) => Err(TriggerError::new(kind, "could not read the source")),
        }
    }
}

impl Flaky {
    pub(super) fn fails(&self, kind: FaultKind) {
        *self.fault.lock() = Some(kind);
    }

    pub(super) fn works(&self) {
        *self.fault.lock() = None;
    }

    pub(super) fn stage(&self, now: &str) -> Stage {
        let mut registry = TriggerRegistry::new();
        registry.add(self.clone()).unwrap();
        Stage::with(now, registry)
    }
}

fn nightly() -> Value {
    json!({"taskDefinition": "job", "schedule": "0 0 3", "trigger": {"type": "flaky"}})
}

#[tokio::test(start_paused = true)]
async fn nightly_tick_whose_source_fails_for_a_while_launches_when_it_can_be_read() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T02:59:00Z");
    let stored = stage.world.create("job", &nightly()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Unavailable);
    stage.until("2026-01-01T03:00:12Z").await;
    assert!(stage.decisions("job").await.is_empty(), "the tick is not over");
    let retrying = life.engine.retrying(&stored.uid).unwrap();
    assert_eq!(retrying.tick, "2026-01-01T03:00:00Z".parse().unwrap());
    assert_eq!(
        (retrying.outcome, retrying.reason.as_str()),
        (TickOutcome::SourceError, "could not read the source")
    );
    assert!((4..=5).contains(&retrying.tries) && retrying.next_try > stage.world.clock.now());
    assert_eq!(life.engine.status().retrying, 1);
    flaky.works();
    stage.until("2026-01-01T03:01:00Z").await;
    let decisions = stage.decisions("job").await;
    assert_eq!((decisions.len(), decisions[0].draft.outcome), (1, TickOutcome::Launched));
    assert_eq!(decisions[0].draft.tries, flaky.asked.load(Ordering::Relaxed));
    assert!(decisions[0].draft.tries > 4);
    assert_eq!((life.engine.retrying(&stored.uid), life.engine.status().retrying), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn tick_whose_running_tasks_cannot_be_counted_for_a_while_launches_later() {
    let stage = Stage::at("2026-01-01T02:59:00Z");
    stage.world.create("job", &json!({"taskDefinition": "job", "schedule": "0 0 3"})).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    *stage.launcher.population_fails.lock() = true;
    stage.until("2026-01-01T03:10:00Z").await;
    assert!(stage.decisions("job").await.is_empty());
    *stage.launcher.population_fails.lock() = false;
    stage.until("2026-01-01T03:11:00Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn tick_that_a_later_one_replaces_ends_with_its_tries_and_the_reason() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T02:59:30Z");
    let job = json!({"taskDefinition": "job", "schedule": "0 *", "trigger": {"type": "flaky"}});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Throttled);
    stage.until("2026-01-01T03:02:30Z").await;
    flaky.works();
    stage.until("2026-01-01T03:03:30Z").await;
    let decisions = stage.decisions("job").await;
    // The third tick was tried again until the source could be read.
    let outcomes = stage.outcomes("job").await;
    assert_eq!(outcomes[outcomes.len() - 2..], [(TickOutcome::Launched, 1), (TickOutcome::Launched, 1)]);
    let failed =
        decisions.iter().map(|row| &row.draft).filter(|draft| draft.outcome == TickOutcome::SourceError);
    let mut ticks = 0;
    for row in failed {
        ticks += row.span.count;
        let words =
            format!("could not read the source; tried {} times until a later tick replaced it", row.tries);
        assert_eq!(row.explanation, words, "ticks share a row only with as many tries");
        assert!(row.tries > 1, "{row:?}");
    }
    assert_eq!(ticks, 2);
}

#[tokio::test(start_paused = true)]
async fn tick_ends_when_its_window_has_passed_and_other_late_ones_are_coalesced() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T02:59:30Z");
    let mut job = nightly();
    job["catchUp"] = json!({"window": "10m"});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Unavailable);
    stage.until("2026-01-01T03:10:01Z").await;
    let decisions = stage.decisions("job").await;
    assert_eq!(decisions.len(), 1);
    assert_eq!(decisions[0].draft.outcome, TickOutcome::SourceError);
    assert!(decisions[0].draft.explanation.ends_with("until its catch-up window had passed"));
    let asked = flaky.asked.load(Ordering::Relaxed);
    assert!((20..=40).contains(&asked), "every half a minute at the end: {asked}");
    stage.until("2026-01-01T05:00:00Z").await;
    assert_eq!(flaky.asked.load(Ordering::Relaxed), asked, "nothing is asked any more");
}

#[tokio::test(start_paused = true)]
async fn tick_without_catch_up_is_retried_for_a_minute() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T02:59:30Z");
    let mut job = nightly();
    job["catchUp"] = json!({"policy": "none"});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Unavailable);
    stage.until("2026-01-01T03:00:59Z").await;
    assert!(stage.decisions("job").await.is_empty());
    stage.until("2026-01-01T03:01:01Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::SourceError, 1)]);
}

#[tokio::test(start_paused = true)]
async fn policy_all_launches_every_missed_tick_after_an_outage_of_the_launcher() {
    let stage = Stage::at("2026-01-01T02:59:30Z");
    let job = json!({"taskDefinition": "job", "schedule": "0 *", "catchUp": {"policy": "all"}, "overlap": "allow",
        "maxCount": 50});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    *stage.launcher.population_fails.lock() = true;
    stage.until("2026-01-01T03:04:30Z").await;
    assert!(stage.decisions("job").await.is_empty());
    *stage.launcher.population_fails.lock() = false;
    stage.until("2026-01-01T03:05:30Z").await;
    assert_eq!(stage.outcomes("job").await, vec![(TickOutcome::Launched, 1); 6]);
}

#[tokio::test(start_paused = true)]
async fn permanent_fault_ends_the_tick_at_once() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T02:59:30Z");
    stage.world.create("job", &nightly()).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    for kind in [FaultKind::Denied, FaultKind::NotFound, FaultKind::Config, FaultKind::Bug] {
        flaky.fails(kind);
        let before = flaky.asked.load(Ordering::Relaxed);
        let now = stage.world.clock.now();
        stage
            .world
            .clock
            .sleep_until(now.saturating_add(jiff::SignedDuration::from_hours(24)).unwrap())
            .await;
        assert_eq!(flaky.asked.load(Ordering::Relaxed), before + 1, "{kind:?}");
    }
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::SourceError, 4)]);
}

#[tokio::test(start_paused = true)]
async fn assumption_after_failures_counts_ticks_and_not_tries() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T02:59:30Z");
    let job = json!({"taskDefinition": "job", "schedule": "0 *", "trigger": {"type": "flaky"},
        "onError": {"assume": 2, "after": 3}});
    stage.world.create("job", &job).await.unwrap();
    let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Unavailable);
    stage.until("2026-01-01T03:02:30Z").await;
    let outcomes = [TickOutcome::SourceError, TickOutcome::SourceError, TickOutcome::Launched];
    assert_eq!(stage.outcomes("job").await, outcomes.map(|outcome| (outcome, 1)), "rows by number of tries");
    let firing = stage.firings("job").await.remove(0);
    assert!(firing.explanation.contains("assuming 2 after 3 failures in a row"), "{}", firing.explanation);
}

#[tokio::test(start_paused = true)]
async fn suspension_during_the_tries_ends_them() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T02:59:30Z");
    let stored = stage.world.create("job", &nightly()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Unavailable);
    stage.until("2026-01-01T03:00:10Z").await;
    let mut job = nightly();
    job["suspended"] = json!(true);
    stage.world.edit("job", &job).await.unwrap();
    life.engine.nudge(&JobId::new("job").unwrap());
    stage.until("2026-01-01T03:00:11Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Suspended, 1)]);
    assert_eq!(life.engine.retrying(&stored.uid), None);
}

#[tokio::test(start_paused = true)]
async fn restart_during_the_tries_loses_nothing() {
    let flaky = Flaky::default();
    let stage = flaky.stage("2026-01-01T02:59:30Z");
    stage.world.create("job", &nightly()).await.unwrap();
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    flaky.fails(FaultKind::Unavailable);
    stage.until("2026-01-01T03:05:00Z").await;
    life.crash().await;
    flaky.works();
    stage.until("2026-01-01T03:20:00Z").await;
    let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
    stage.until("2026-01-01T03:20:01Z").await;
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
    assert!(life.engine.stop(Duration::from_secs(5)).await);
}

#[tokio::test(start_paused = true)]
async fn tick_that_was_tried_before_a_restart_and_is_replaced_after_it_ends_with_its_tries_and_the_reason() {
    for is_stopped in [false, true] {
        let flaky = Flaky::default();
        let stage = flaky.stage("2026-01-01T02:59:30Z");
        let job = json!({"taskDefinition": "job", "schedule": "0 *", "trigger": {"type": "flaky"}});
        let stored = stage.world.create("job", &job).await.unwrap();
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        flaky.fails(FaultKind::Unavailable);
        stage.until("2026-01-01T03:00:50Z").await;
        let tries = life.engine.retrying(&stored.uid).expect("the tick is tried again").tries;
        assert!(tries > 3, "{tries}");
        if is_stopped {
            assert!(life.engine.stop(Duration::from_secs(5)).await);
        } else {
            life.crash().await;
        }
        flaky.works();
        stage.until("2026-01-01T03:02:10Z").await;
        let life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T03:02:20Z").await;
        let decisions = stage.decisions("job").await;
        let outcomes: Vec<_> =
            decisions.iter().map(|row| (row.draft.outcome, row.draft.span.count)).collect();
        assert_eq!(
            outcomes,
            [(TickOutcome::SourceError, 1), (TickOutcome::Coalesced, 1), (TickOutcome::Launched, 1)],
            "the tick at 03:01 was never tried"
        );
        let first = &decisions[0].draft;
        assert_eq!(first.tries, tries);
        assert!(first.explanation.starts_with("could not read the source; tried "), "{}", first.explanation);
        // The register still has the tick, which is settled by now.
        stage.until("2026-01-01T03:02:25Z").await;
        life.crash().await;
        stage.until("2026-01-01T03:04:10Z").await;
        let _life = stage.world.boot(StoreFaults::default(), 0).await.unwrap();
        stage.until("2026-01-01T03:04:20Z").await;
        let newest: Vec<_> = stage.outcomes("job").await.split_off(3);
        assert_eq!(newest, [(TickOutcome::Coalesced, 1), (TickOutcome::Launched, 1)]);
    }
}
