//! Budgets: jobs share limits, get what is left in the order in which they wait, and never pass a limit.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ecs_scheduler_core::backfill::{self, BackfillRequest};
use ecs_scheduler_core::{
    Budget, BudgetLimit, BudgetUse, FiringState, JobId, Origin, Rule, Store, TickOutcome, Timestamp,
};
use ecs_scheduler_testing::{ChaosStore, EngineRun, StoreFaults};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::support::{Stage, asking_for};
use crate::hanging_store::{Call, Effect, HangingStore};

/// Makes a budget of the jobs with the label `team: a`.
pub(crate) fn budget(name: &str, max_tasks: Option<u32>, launches_per_hour: Option<u32>) -> Budget {
    let selector = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
    let mut budget = Budget::new(name, selector);
    budget.max_tasks = max_tasks.and_then(NonZeroU32::new);
    budget.launches_per_hour = launches_per_hour.and_then(NonZeroU32::new);
    budget
}

pub(super) fn stage_with(budgets: &[Budget]) -> Stage {
    let mut stage = Stage::at("2026-01-01T09:59:50Z");
    stage.world.options.budgets = budgets.into();
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(60));
    stage
}

/// Stores a job of team a.
pub(super) async fn add(stage: &Stage, id: &str, schedule: &str, tasks: u32, more: &Value) {
    let mut job = json!({
        "taskDefinition": id, "schedule": schedule, "taskCount": tasks, "maxCount": 50, "labels": {"team": "a"},
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    stage.world.create(id, &job).await.unwrap();
}

pub(super) async fn boot(stage: &Stage) -> EngineRun {
    stage.world.boot(StoreFaults::default(), 0).await.unwrap()
}

/// The use of a budget: tasks at once, and launches in the last hour.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) tasks: u64,
    launches: u64,
    pub(super) waiting: usize,
    waiting_since: Option<Timestamp>,
}

impl From<&BudgetUse> for Used {
    fn from(used: &BudgetUse) -> Self {
        let of = |limit| used.used(limit);
        let (tasks, launches) = (of(BudgetLimit::MaxTasks), of(BudgetLimit::LaunchesPerHour));
        Self { tasks, launches, waiting: used.waiting, waiting_since: used.waiting_since }
    }
}

pub(super) async fn uses(life: &EngineRun) -> Used {
    Used::from(&life.engine.budgets().await.unwrap()[0])
}

/// Returns the version of the register of budgets; 0 if there is none.
pub(super) async fn register_version(stage: &Stage) -> u64 {
    stage.world.store.get_register("budgets").await.unwrap().map_or(0, |register| register.version)
}

pub(super) fn most_alive(stage: &Stage) -> usize {
    stage.launcher.most_alive.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn jobs_get_what_their_budget_leaves_and_the_step_says_so() {
    let stage = stage_with(&[budget("shared", Some(3), None)]);
    add(&stage, "first", "0 0 *", 2, &json!({})).await;
    add(&stage, "second", "10 0 *", 5, &json!({})).await;
    add(&stage, "third", "20 0 *", 1, &json!({})).await;
    add(&stage, "free", "20 0 *", 7, &json!({"labels": {"team": "b"}})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:30Z").await;
    let second = stage.decisions("second").await.remove(0).draft;
    let step = second.steps.last().unwrap();
    assert_eq!((second.outcome, second.launch), (TickOutcome::Launched, 1));
    assert_eq!((step.rule, step.before, step.after), (Rule::Budget, 5, 1));
    assert_eq!(step.reason, "budget \"shared\" leaves 1 of maxTasks 3");
    let third = stage.decisions("third").await.remove(0).draft;
    assert_eq!((third.outcome, third.launch), (TickOutcome::Budget, 0));
    assert!(
        third.explanation.ends_with("budget \"shared\" is used up: maxTasks 3 → 0"),
        "{}",
        third.explanation
    );
    assert_eq!(stage.outcomes("free").await, [(TickOutcome::Launched, 1)]);
    let used = uses(&life).await;
    assert_eq!((used.tasks, used.launches, used.waiting), (3, 3, 1));
    assert_eq!(used.waiting_since, Some("2026-01-01T10:00:20Z".parse().unwrap()));
    let firings = stage.firings("second").await;
    assert_eq!(firings[0].budgets, ["shared"]);
    stage.until("2026-01-01T10:02:00Z").await;
    assert_eq!(uses(&life).await.tasks, 0, "ended tasks are free");
    assert_eq!(Used::from(&life.engine.last_budgets()[0]).tasks, 0);
}

#[tokio::test(start_paused = true)]
async fn a_round_of_many_jobs_costs_few_writes_and_never_passes_the_limit() {
    let stage = stage_with(&[budget("shared", Some(7), None)]);
    for number in 0..100 {
        add(&stage, &format!("job-{number}"), "0 0 *", 2, &json!({})).await;
    }
    let life = boot(&stage).await;
    stage.until("2026-01-01T09:59:59Z").await;
    let before = register_version(&stage).await;
    stage.until("2026-01-01T10:00:20Z").await;
    assert!(register_version(&stage).await - before <= 3, "requests share turns");
    assert_eq!((most_alive(&stage), uses(&life).await.tasks), (7, 7));
    let firings = stage.world.firings().await;
    let mut sizes: Vec<u32> = firings.iter().map(|firing| firing.requested).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2, 2], "the last one gets the rest");
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_no_register_is_read_or_written() {
    let stage = stage_with(&[]);
    add(&stage, "job", "0 0 *", 2, &json!({})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:20Z").await;
    assert_eq!((register_version(&stage).await, life.engine.budgets().await.unwrap().len()), (0, 0));
    let stage = stage_with(&[budget("shared", Some(7), None)]);
    add(&stage, "job", "0 0 *", 2, &json!({"labels": {}})).await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:00:20Z").await;
    assert_eq!(register_version(&stage).await, 0, "no job has the budget");
    assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn launches_of_any_hour_stay_within_the_limit() {
    let stage = stage_with(&[budget("hourly", None, Some(5))]);
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(5));
    add(&stage, "job", "30 *", 1, &json!({"overlap": "allow"})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T11:00:00Z").await;
    assert_eq!(uses(&life).await.launches, 5);
    let explanation = stage.decisions("job").await.pop().unwrap().draft.explanation;
    assert!(explanation.contains("budget \"hourly\" is used up: launchesPerHour 5"), "{explanation}");
    life.crash().await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T13:00:00Z").await;
    let times: Vec<Timestamp> = stage.firings("job").await.iter().map(|firing| firing.observed).collect();
    for window in times.windows(6) {
        assert!(window[5].duration_since(window[0]) >= SignedDuration::from_hours(1), "{window:?}");
    }
    let gap = times[5].duration_since(times[4]);
    assert!(gap < SignedDuration::from_mins(66), "room comes back: {gap}");
    assert!(times.len() >= 13, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn launches_that_do_not_happen_are_not_counted() {
    let stage = stage_with(&[budget("hourly", None, Some(5))]);
    add(&stage, "job", "0 0 *", 4, &json!({})).await;
    let refuse = super::support::Script::Refuse { all_but: 1, retryable: false };
    stage.launcher.script.lock().push_back(refuse);
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:20Z").await;
    assert_eq!((uses(&life).await.launches, uses(&life).await.tasks), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_asks_seldom_gets_its_turn_beside_one_that_asks_often() {
    let stage = stage_with(&[budget("shared", Some(2), None)]);
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(45));
    for number in 0..4 {
        add(&stage, &format!("often-{number}"), &format!("{}/20 *", number * 5), 2, &json!({})).await;
    }
    add(&stage, "seldom", "17 */10", 2, &json!({})).await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T13:00:00Z").await;
    let launched = stage.firings("seldom").await;
    assert!(launched.len() >= 6, "at the third time at the latest: {}", launched.len());
    assert!(launched.iter().any(|firing| firing.requested == 2), "room for both of its tasks is kept");
    for number in 0..4 {
        let often = stage.firings(&format!("often-{number}")).await.len();
        assert!(often > 20, "often-{number}: {often}");
    }
    assert_eq!(most_alive(&stage), 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_no_longer_asks_leaves_the_queue() {
    let stage = stage_with(&[budget("shared", Some(1), None)]);
    add(&stage, "holds", "0 0 *", 1, &json!({})).await;
    add(&stage, "gone", "5 *", 1, &json!({})).await;
    add(&stage, "later", "0 10 *", 1, &json!({})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:10Z").await;
    assert_eq!(uses(&life).await.waiting, 1);
    stage.world.store.remove(&JobId::new("gone").unwrap(), None).await.unwrap();
    life.engine.nudge(&JobId::new("gone").unwrap());
    stage.until("2026-01-01T10:04:00Z").await;
    assert_eq!(uses(&life).await.waiting, 0);
    stage.until("2026-01-01T10:10:10Z").await;
    assert_eq!(stage.outcomes("later").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_firing_by_hand_counts_and_answers_when_nothing_is_left() {
    let stage = stage_with(&[budget("shared", Some(3), None)]);
    add(&stage, "job", "0 0 3", 2, &json!({"overlap": "allow"})).await;
    let life = boot(&stage).await;
    let id = JobId::new("job").unwrap();
    let fire =
        async |tasks: u32| life.engine.fire_now(&id, asking_for(NonZeroU32::new(tasks))).await.unwrap().draft;
    assert_eq!((fire(2).await.launch, fire(2).await.launch), (2, 1));
    let empty = fire(1).await;
    assert_eq!((empty.outcome, empty.launch), (TickOutcome::Budget, 0));
    assert!(empty.explanation.contains("is used up"), "{}", empty.explanation);
    assert_eq!(uses(&life).await.waiting, 0, "a person does not wait");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_what_is_left_and_reserves_nothing() {
    let stage = stage_with(&[budget("shared", Some(3), None)]);
    add(&stage, "job", "0 0 3", 5, &json!({})).await;
    let life = boot(&stage).await;
    let id = JobId::new("job").unwrap();
    let stored = stage.world.store.get(std::slice::from_ref(&id)).await.unwrap().remove(0);
    let context = ecs_scheduler_core::JobContext {
        registry: &stage.world.registry,
        max_tasks: NonZeroU32::new(50).unwrap(),
        strictness: ecs_scheduler_core::schedule::Strictness::Lenient,
        launcher: None,
        channels: None,
    };
    let job = stored.parse(&context).unwrap();
    let draft = life.engine.evaluate(&job, Some(&stored), Default::default()).await;
    assert_eq!((draft.outcome, draft.launch), (TickOutcome::Launched, 3));
    assert_eq!((uses(&life).await.tasks, register_version(&stage).await), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_until_its_budget_has_room_for_all_of_its_tasks() {
    for tasks in [1, 3] {
        let stage = stage_with(&[budget("shared", Some(tasks), None)]);
        let retry = json!({"succeedsBy": "main", "retry": {"task": {"attempts": 1, "backoff": "30s"}}});
        *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(1))];
        add(&stage, "fails", "0 0 *", tasks, &retry).await;
        add(&stage, "other", "10 1 *", 1, &json!({})).await;
        let _life = boot(&stage).await;
        stage.until("2026-01-01T10:02:05Z").await;
        assert_eq!(stage.states("fails").await, [FiringState::Launched], "it stays open for its retry");
        assert_eq!(
            stage.outcomes("fails").await,
            [(TickOutcome::Launched, 1)],
            "a retry that waits is no decision"
        );
        stage.until("2026-01-01T10:02:30Z").await;
        let firings = stage.firings("fails").await;
        let found: Vec<(Origin, u32)> =
            firings.iter().map(|firing| (firing.origin, firing.requested)).collect();
        assert_eq!(found, [(Origin::Tick, tasks), (Origin::Retry, tasks)]);
        assert_eq!(most_alive(&stage), tasks as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replacement_takes_the_place_of_the_tasks_that_it_stops() {
    let stage = stage_with(&[budget("shared", Some(3), None)]);
    *stage.launcher.run_for.lock() = None;
    add(&stage, "job", "0", 3, &json!({"overlap": "replace"})).await;
    add(&stage, "other", "30", 1, &json!({})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:03:20Z").await;
    assert_eq!(stage.outcomes("job").await, vec![(TickOutcome::Launched, 1); 4]);
    assert_eq!((most_alive(&stage), uses(&life).await.tasks), (3, 3));
    assert!(stage.firings("other").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replacement_stops_nothing_when_not_all_of_its_tasks_fit() {
    let stage = stage_with(&[budget("hourly", None, Some(5))]);
    *stage.launcher.run_for.lock() = None;
    add(&stage, "job", "0", 3, &json!({"overlap": "replace"})).await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:01:20Z").await;
    let held = stage.decisions("job").await.remove(1).draft;
    assert_eq!((held.outcome, held.launch), (TickOutcome::Budget, 0));
    assert!(
        held.explanation.contains("a replacement starts all of its tasks or none"),
        "{}",
        held.explanation
    );
    assert!(stage.launcher.stops.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_backfill_that_is_larger_than_a_limit_says_so_and_keeps_no_room_from_others() {
    let stage = stage_with(&[budget("shared", Some(3), None)]);
    add(&stage, "large", "0 30 *", 4, &json!({})).await;
    add(&stage, "other", "30", 1, &json!({})).await;
    let life = boot(&stage).await;
    let moment = |text: &str| text.parse::<Timestamp>().unwrap();
    let request = BackfillRequest::new(moment("2026-01-01T00:00:00Z"), moment("2026-01-01T02:00:00Z"));
    let large = JobId::new("large").unwrap();
    life.engine.start_backfill(&large, request).await.unwrap();
    stage.until("2026-01-01T10:05:20Z").await;
    let others = stage.outcomes("other").await;
    assert_eq!(others, vec![(TickOutcome::Launched, 1); 5]);
    let stored = stage.world.store.get(&[large]).await.unwrap().remove(0);
    let backfill = backfill::read(&*stage.world.store, &stored.uid).await.unwrap().unwrap();
    let waiting = backfill.waiting.expect("it cannot start");
    let reason = "budget \"shared\" never has room for 4 tasks together: maxTasks 3";
    assert!(waiting.reason.contains(reason), "{}", waiting.reason);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_removed_or_suspended_or_whose_backfill_is_stopped_keeps_no_room() {
    for way in 0..3 {
        let stage = stage_with(&[budget("shared", Some(3), None)]);
        add(&stage, "busy", "0 0 *", 3, &json!({})).await;
        let schedule = if way == 2 { "0 30 *" } else { "10 0,30 *" };
        add(&stage, "waits", schedule, 2, &json!({})).await;
        add(&stage, "other", "30", 2, &json!({})).await;
        let life = boot(&stage).await;
        let waits = JobId::new("waits").unwrap();
        stage.until("2026-01-01T10:00:05Z").await;
        if way == 2 {
            let moment = |text: &str| text.parse::<Timestamp>().unwrap();
            let request =
                BackfillRequest::new(moment("2026-01-01T00:00:00Z"), moment("2026-01-01T02:00:00Z"));
            life.engine.start_backfill(&waits, request).await.unwrap();
        }
        stage.until("2026-01-01T10:00:20Z").await;
        assert_eq!(uses(&life).await.waiting, 1, "way {way}");
        let suspended = json!({
            "taskDefinition": "waits", "schedule": schedule, "taskCount": 2, "labels": {"team": "a"}, "suspended": true,
        });
        match way {
            0 => stage.world.store.remove(&waits, None).await.unwrap(),
            1 => drop(stage.world.edit("waits", &suspended).await.unwrap()),
            _ => drop(life.engine.stop_backfill(&waits).await.unwrap()),
        }
        life.engine.nudge(&waits);
        stage.until("2026-01-01T10:01:40Z").await;
        assert_eq!(uses(&life).await.waiting, 0, "way {way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_of_two_budgets_takes_what_both_leave() {
    let all = {
        let mut all = Budget::new("all", BTreeMap::new());
        all.max_tasks = NonZeroU32::new(5);
        all
    };
    let stage = stage_with(&[all, budget("shared", Some(3), None)]);
    add(&stage, "one", "0 0 *", 4, &json!({})).await;
    add(&stage, "free", "10 0 *", 4, &json!({"labels": {}})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:20Z").await;
    assert_eq!((stage.firings("one").await[0].requested, stage.firings("free").await[0].requested), (3, 2));
    let used: Vec<u64> =
        life.engine.budgets().await.unwrap().iter().map(|used| Used::from(used).tasks).collect();
    assert_eq!(used, [5, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_and_a_removed_job_stop_no_tasks_and_count_after_a_restart() {
    let mut stage = stage_with(&[budget("shared", Some(5), None)]);
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(600));
    add(&stage, "gone", "0 0 *", 3, &json!({})).await;
    add(&stage, "job", "0 *", 1, &json!({"overlap": "allow"})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:30Z").await;
    stage.world.store.remove(&JobId::new("gone").unwrap(), None).await.unwrap();
    life.crash().await;
    stage.world.options.budgets = Arc::from([budget("shared", Some(2), None)]);
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:05:30Z").await;
    assert_eq!((uses(&life).await.tasks, stage.launcher.running()), (4, 4));
    assert!(stage.launcher.stops.lock().is_empty());
    assert_eq!(stage.outcomes("job").await.pop().unwrap().0, TickOutcome::Budget);
}

/// Runs three jobs under a limit of three, with a crash at a write, and checks that nothing leaks.
async fn crash_at(write: u64, after_effect: bool) -> bool {
    let stage = stage_with(&[budget("shared", Some(3), Some(40))]);
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(7));
    for (id, second) in [("a", 0), ("b", 3), ("c", 5)] {
        add(&stage, id, &format!("{second}/15 0 *"), 2, &json!({"overlap": "allow"})).await;
    }
    let store = ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 1);
    let life = stage.world.boot_with(store.die_at_write(write, after_effect)).await;
    stage.until("2026-01-01T10:00:40Z").await;
    let died = life.as_ref().is_ok_and(|life| life.store.is_dead());
    if let Ok(life) = life {
        life.crash().await;
    }
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:01:40Z").await;
    let used = uses(&life).await;
    let started = stage.world.firings().await.iter().map(|firing| u64::from(firing.started())).sum::<u64>();
    assert_eq!(used.tasks, 0, "write {write}, {after_effect}: {used:?}");
    assert!(used.launches >= started && used.launches <= started + 2, "{used:?}, {started} started");
    assert!(most_alive(&stage) <= 3, "write {write}, {after_effect}");
    assert!(started > 0);
    died
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_write_neither_leaks_nor_passes_the_limit() {
    for after_effect in [false, true] {
        let mut writes = 1;
        while crash_at(writes, after_effect).await {
            writes += 1;
        }
        assert!(writes > 12, "{writes} writes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_cannot_be_written_leaves_the_tick_open() {
    for effect in [Effect::Never, Effect::AtOnce, Effect::After(Duration::from_secs(45))] {
        let mut stage = stage_with(&[budget("shared", Some(1), None)]);
        let store = Arc::new(HangingStore::default());
        stage.world.store = Arc::clone(&store) as Arc<dyn Store>;
        add(&stage, "job", "0 0 *", 2, &json!({})).await;
        add(&stage, "free", "0 0 *", 1, &json!({"labels": {}})).await;
        store.hang(Call::PutBudgets, None, 2, effect);
        let life = boot(&stage).await;
        stage.until("2026-01-01T10:00:10Z").await;
        assert_eq!(stage.outcomes("free").await, [(TickOutcome::Launched, 1)]);
        assert!(stage.outcomes("job").await.is_empty());
        stage.until("2026-01-01T10:00:30.4Z").await;
        let uid = stage.world.store.get(&[JobId::new("job").unwrap()]).await.unwrap()[0].uid;
        let retrying = life.engine.retrying(&uid).expect("the tick is tried again");
        assert_eq!(retrying.outcome, TickOutcome::LiveUnknown);
        stage.until("2026-01-01T10:03:00Z").await;
        assert_eq!(stage.outcomes("job").await, [(TickOutcome::Launched, 1)], "{effect:?}");
        stage.until("2026-01-01T10:06:00Z").await;
        assert_eq!((stage.firings("job").await[0].requested, uses(&life).await.tasks), (1, 0), "{effect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_becomes_durable_late_counts_from_its_reservation_on() {
    let stage = stage_with(&[budget("shared", Some(2), None)]);
    add(&stage, "a", "0 0 *", 2, &json!({})).await;
    add(&stage, "b", "0/5 0 *", 2, &json!({})).await;
    let store = ChaosStore::new(Arc::clone(&stage.world.store), StoreFaults::default(), 1);
    let life = stage.world.boot_with(store.with_late_settlements(1)).await.unwrap();
    stage.until("2026-01-01T10:00:50Z").await;
    assert_eq!((most_alive(&stage), uses(&life).await.tasks), (2, 2));
    stage.until("2026-01-01T10:03:00Z").await;
    assert_eq!((most_alive(&stage), uses(&life).await.tasks), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_never_becomes_durable_frees_its_reservation_after_a_minute() {
    let mut stage = stage_with(&[budget("shared", Some(2), Some(10))]);
    let store = Arc::new(HangingStore::default());
    stage.world.store = Arc::clone(&store) as Arc<dyn Store>;
    add(&stage, "a", "0 0 *", 2, &json!({})).await;
    add(&stage, "b", "45 *", 2, &json!({})).await;
    store.hang(Call::Settle, Some("a"), 1, Effect::Never);
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:20Z").await;
    let a = JobId::new("a").unwrap();
    stage.world.store.remove(&a, None).await.unwrap();
    life.engine.nudge(&a);
    stage.until("2026-01-01T10:00:50Z").await;
    assert_eq!((uses(&life).await.tasks, stage.launcher.running()), (2, 0), "it may still become durable");
    assert_eq!(stage.outcomes("b").await, [(TickOutcome::Budget, 1)]);
    stage.until("2026-01-01T10:02:30Z").await;
    assert_eq!(stage.outcomes("b").await.pop(), Some((TickOutcome::Launched, 1)));
    assert_eq!((uses(&life).await.tasks, uses(&life).await.launches), (2, 2), "launches are given back, too");
}
