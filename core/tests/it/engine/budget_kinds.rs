//! Budgets of each kind: what tasks take of them by their size, and that no limit is ever passed.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use ecs_scheduler_core::backfill::BackfillRequest;
use ecs_scheduler_core::{
    Budget, BudgetLimit, Clock as _, ComputePrice, EngineHandle, Firing, JobId, Rule, TaskSize, TickOutcome,
    Timestamp,
};
use ecs_scheduler_testing::StoreFaults;
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::budget::{add, boot, budget, most_alive, register_version, stage_with, uses};
use super::support::Stage;

/// Makes a budget of the jobs of team a with one limit, in its smallest unit. A vCPU costs a dollar an hour.
fn limited(limit: BudgetLimit, most: u64) -> Budget {
    let mut budget = budget("shared", None, None);
    budget.price = Some(ComputePrice { vcpu_hour: 1_000_000, gib_hour: 0 });
    let (count, amount) = (u32::try_from(most).ok().and_then(NonZeroU32::new), NonZeroU64::new(most));
    match limit {
        BudgetLimit::MaxTasks => budget.max_tasks = count,
        BudgetLimit::LaunchesPerHour => budget.launches_per_hour = count,
        BudgetLimit::MaxVcpu => budget.max_cpu = amount,
        BudgetLimit::MaxMemory => budget.max_memory = amount,
        BudgetLimit::DollarsPerDay => budget.max_daily_price = amount,
        _ => unreachable!("another kind"),
    }
    budget
}

fn measure(stage: &Stage, id: &str, cpu: Option<u32>, memory: Option<u32>) {
    stage.launcher.sizes.lock().insert(id.to_owned(), TaskSize::new(cpu, memory));
}

async fn used(engine: &EngineHandle, limit: BudgetLimit) -> u64 {
    engine.budgets().await.unwrap()[0].used(limit)
}

fn id(name: &str) -> JobId {
    JobId::new(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn tasks_take_their_vcpu_and_memory_and_the_step_says_what_is_left() {
    for (limit, most, unit) in [(BudgetLimit::MaxVcpu, "1", "0.5"), (BudgetLimit::MaxMemory, "1024", "512")] {
        let stage = stage_with(&[limited(limit, 1_024)]);
        for (name, size) in [("small", 256), ("large", 512), ("last", 256)] {
            measure(&stage, name, Some(size), Some(size));
        }
        add(&stage, "small", "0 0 *", 2, &json!({})).await;
        add(&stage, "large", "10 0 *", 3, &json!({})).await;
        add(&stage, "last", "20 0 *", 1, &json!({})).await;
        let life = boot(&stage).await;
        stage.until("2026-01-01T10:00:30Z").await;
        let large = stage.decisions("large").await.remove(0).draft;
        let (step, name) = (large.steps.last().unwrap(), limit.as_str());
        let left = if limit == BudgetLimit::MaxVcpu { "0.5" } else { "512" };
        assert_eq!((step.rule, step.before, step.after), (Rule::Budget, 3, 1));
        assert_eq!(
            step.reason,
            format!("budget \"shared\" leaves {left} of {name} {most} for tasks of {unit}")
        );
        let last = stage.decisions("last").await.remove(0).draft;
        assert_eq!((last.outcome, last.launch), (TickOutcome::Budget, 0));
        let too_little = format!("has too little left for a task of {}: {name} {most}", limit.shown(256));
        assert!(last.explanation.contains(&too_little), "{}", last.explanation);
        assert_eq!(stage.firings("large").await[0].size, TaskSize::new(Some(512), Some(512)));
        assert_eq!(used(&life.engine, limit).await, 1_024);
        stage.until("2026-01-01T10:02:00Z").await;
        assert_eq!(used(&life.engine, limit).await, 0, "ended tasks are free");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_of_unknown_size_is_not_launched_and_the_step_names_the_remedy() {
    let cases = [
        (
            BudgetLimit::MaxVcpu,
            (None, Some(512)),
            "maxVcpu: its CPU is not known: give the task definition a cpu",
        ),
        (BudgetLimit::MaxMemory, (Some(256), None), "maxMemory: its memory is not known"),
        (BudgetLimit::DollarsPerDay, (Some(256), None), "dollarsPerDay: its memory is not known"),
    ];
    for (limit, (cpu, memory), reason) in cases {
        let stage = stage_with(&[limited(limit, 1_000_000_000)]);
        measure(&stage, "job", cpu, memory);
        add(&stage, "job", "0 0 *", 1, &json!({})).await;
        let life = boot(&stage).await;
        stage.until("2026-01-01T10:00:30Z").await;
        let draft = stage.decisions("job").await.remove(0).draft;
        assert_eq!((draft.outcome, draft.launch), (TickOutcome::Budget, 0));
        assert!(draft.explanation.contains(reason), "{}", draft.explanation);
        assert_eq!(uses(&life).await.waiting, 0, "no room is kept for it");
    }
    let mut without_price = limited(BudgetLimit::DollarsPerDay, 1_000_000_000);
    without_price.price = None;
    let stage = stage_with(&[without_price]);
    measure(&stage, "job", Some(256), Some(512));
    add(&stage, "job", "0 0 *", 1, &json!({})).await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:00:30Z").await;
    let explanation = stage.decisions("job").await.remove(0).draft.explanation;
    assert!(explanation.contains("give the budget a price"), "{explanation}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_larger_than_a_limit_keeps_no_room_from_others() {
    let stage = stage_with(&[limited(BudgetLimit::MaxVcpu, 1_024)]);
    measure(&stage, "large", Some(2_048), Some(512));
    measure(&stage, "other", Some(1_024), Some(512));
    add(&stage, "large", "0 *", 1, &json!({})).await;
    add(&stage, "other", "30 *", 1, &json!({})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:05:20Z").await;
    assert_eq!(stage.outcomes("other").await, vec![(TickOutcome::Launched, 1); 5]);
    let explanation = stage.decisions("large").await.remove(0).draft.explanation;
    assert!(explanation.contains("never has room for a task of 2: maxVcpu 1"), "{explanation}");
    assert_eq!(uses(&life).await.waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_day_costs_what_tasks_have_run_and_the_longest_time_that_they_may_run_on() {
    // A task may cost 20 minutes: its timeout, ten minutes before it starts, and five to stop. It costs one.
    let stage = stage_with(&[limited(BudgetLimit::DollarsPerDay, 500_000)]);
    measure(&stage, "job", Some(1_024), Some(512));
    add(&stage, "job", "0 */10", 1, &json!({"overlap": "allow", "timeout": "5m"})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:30Z").await;
    assert_eq!(used(&life.engine, BudgetLimit::DollarsPerDay).await, 333_334);
    stage.until("2026-01-01T10:02:00Z").await;
    let one = used(&life.engine, BudgetLimit::DollarsPerDay).await;
    assert!((16_667..=20_000).contains(&one), "a minute, or when its end was seen: {one}");
    stage.until("2026-01-01T10:45:00Z").await;
    let before = used(&life.engine, BudgetLimit::DollarsPerDay).await;
    life.crash().await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:46:00Z").await;
    assert_eq!(used(&life.engine, BudgetLimit::DollarsPerDay).await, before, "a restart forgets nothing");
    stage.until("2026-01-02T09:00:00Z").await;
    let launched = stage.firings("job").await.len();
    assert!((9..=10).contains(&launched), "{launched} tasks, and one that may cost more");
    let explanation = stage.decisions("job").await.pop().unwrap().draft.explanation;
    assert!(
        explanation.contains("has too little left for a task of 0.333334: dollarsPerDay 0.5"),
        "{explanation}"
    );
    stage.until("2026-01-02T12:30:00Z").await;
    assert!(stage.firings("job").await.len() > launched, "room comes back after 24 to 26 hours");
}

#[tokio::test(start_paused = true)]
async fn a_launch_that_waits_longer_than_an_hour_counts_from_its_start_on() {
    let stage = stage_with(&[budget("hourly", None, Some(1))]);
    add(&stage, "late", "0 0 10", 1, &json!({"retry": {"launch": {"maxAge": "3h"}}})).await;
    add(&stage, "other", "0 12 11", 1, &json!({})).await;
    add(&stage, "later", "0 20 12", 1, &json!({})).await;
    *stage.launcher.no_quota.lock() = true;
    let life = boot(&stage).await;
    stage.until("2026-01-01T11:05:00Z").await;
    assert_eq!(used(&life.engine, BudgetLimit::LaunchesPerHour).await, 1, "it may still be launched");
    life.crash().await;
    *stage.launcher.no_quota.lock() = false;
    let life = boot(&stage).await;
    stage.until("2026-01-01T11:15:00Z").await;
    assert_eq!(stage.firings("late").await[0].started(), 1);
    assert_eq!(stage.outcomes("other").await, [(TickOutcome::Budget, 1)]);
    assert_eq!(used(&life.engine, BudgetLimit::LaunchesPerHour).await, 1);
    stage.until("2026-01-01T12:20:30Z").await;
    assert_eq!(stage.outcomes("later").await, [(TickOutcome::Launched, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_backfill_that_waits_asks_as_soon_as_its_budget_has_room() {
    let stage = stage_with(&[budget("shared", Some(1), None)]);
    *stage.launcher.run_for.lock() = Some(Duration::from_secs(200));
    add(&stage, "busy", "0 0 *", 1, &json!({})).await;
    add(&stage, "past", "0 30 *", 1, &json!({})).await;
    let life = boot(&stage).await;
    stage.until("2026-01-01T10:00:10Z").await;
    let moment = |text: &str| text.parse::<Timestamp>().unwrap();
    let request = BackfillRequest::new(moment("2026-01-01T00:00:00Z"), moment("2026-01-01T01:00:00Z"));
    life.engine.start_backfill(&id("past"), request).await.unwrap();
    stage.until("2026-01-01T10:05:00Z").await;
    let ended = stage.firings("busy").await[0].tasks[0].stopped_at.unwrap();
    let waited = stage.firings("past").await[0].observed.duration_since(ended);
    assert!(waited < SignedDuration::from_secs(3), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_waits_does_not_ask_at_every_poll() {
    let stage = stage_with(&[budget("shared", Some(1), None)]);
    let retry = json!({"succeedsBy": "main", "retry": {"task": {"attempts": 1, "backoff": "10s"}}});
    *stage.launcher.containers.lock() = vec![("main".to_owned(), Some(1))];
    add(&stage, "fails", "0 0 *", 1, &retry).await;
    add(&stage, "other", "5 1 *", 1, &json!({})).await;
    let _life = boot(&stage).await;
    stage.until("2026-01-01T10:01:20Z").await;
    let before = register_version(&stage).await;
    stage.until("2026-01-01T10:02:00Z").await;
    assert!(register_version(&stage).await - before <= 2, "each request of a job that waits is a write");
    stage.until("2026-01-01T10:02:10Z").await;
    assert_eq!(stage.firings("fails").await.len(), 2, "it starts when the other task has ended");
}

/// Returns the most that was used at one moment, and the price of all tasks, from what the journal says.
fn truth(firings: &[Firing], limit: BudgetLimit, now: Timestamp) -> u64 {
    let mut changes: Vec<(Timestamp, i64)> = Vec::new();
    let (mut launches, mut price) = (0, 0);
    for firing in firings {
        let (cpu, memory) = (firing.size.cpu.unwrap_or(0), firing.size.memory.unwrap_or(0));
        let sizes = [(BudgetLimit::MaxVcpu, cpu), (BudgetLimit::MaxMemory, memory)];
        let amount = sizes.iter().find(|(kind, _)| *kind == limit).map_or(1, |(_, size)| i64::from(*size));
        for task in &firing.tasks {
            let (start, end) = (task.started_at.unwrap_or(firing.observed), task.stopped_at.unwrap_or(now));
            changes.extend([(start, amount), (end, -amount)]);
            launches += 1;
            let seconds = u64::try_from(end.duration_since(start).as_secs()).unwrap().max(60);
            price += u64::from(cpu) * 1_000_000 / 1_024 * seconds / 3_600;
        }
    }
    // At one moment, ends come first.
    changes.sort_unstable();
    let mut sum = 0;
    let most = changes.iter().map(|(_, change)| {
        sum += change;
        sum
    });
    let most = u64::try_from(most.max().unwrap_or(0)).unwrap();
    let past = [(BudgetLimit::LaunchesPerHour, launches), (BudgetLimit::DollarsPerDay, price)];
    past.into_iter().find(|(kind, _)| *kind == limit).map_or(most, |(_, amount)| amount)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_passes_a_limit_of_any_kind_and_no_job_starves(
        kind in 0_usize..5, seed in any::<u64>(), room in 1_u64..6, wanted in 1_u32..5, jobs in 2_u32..7,
        seconds in 4_u64..40, before in 0.0..0.2_f64, after in 0.0..0.2_f64, crash_at in 60_u64..600,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let limit = BudgetLimit::ALL[kind];
            // A task of 768 CPU units may cost a quarter of a dollar, and costs some cents.
            let units = [
                (BudgetLimit::MaxVcpu, 768),
                (BudgetLimit::MaxMemory, 768),
                (BudgetLimit::DollarsPerDay, 250_000),
            ];
            let most = room * units.into_iter().find(|(kind, _)| *kind == limit).map_or(1, |(_, unit)| unit);
            let stage = stage_with(&[limited(limit, most)]);
            *stage.launcher.run_for.lock() = Some(Duration::from_secs(seconds));
            for number in 0..jobs {
                let (name, schedule) = (format!("job-{number}"), format!("{}/{} *", number % 7, 5 + 5 * number));
                let size = 256 * (1 + number % 3);
                measure(&stage, &name, Some(size), Some(size));
                add(&stage, &name, &schedule, wanted, &json!({"overlap": "allow", "timeout": "5m"})).await;
            }
            let life = stage.world.boot(StoreFaults { before, after }, seed).await;
            tokio::time::sleep(Duration::from_secs(crash_at)).await;
            if let Ok(life) = life {
                life.crash().await;
            }
            let life = boot(&stage).await;
            tokio::time::sleep(Duration::from_secs(900)).await;
            let (now, firings) = (stage.world.clock.now(), stage.world.firings().await);
            let most_used = truth(&firings, limit, now);
            assert!(most_used <= most, "{}: {most_used} of {most}", limit.as_str());
            assert!(used(&life.engine, limit).await <= most);
            assert!(firings.iter().any(|firing| firing.started() > 0));
            // Launches and dollars are used up within the time of their limit.
            let is_at_once = !matches!(limit, BudgetLimit::LaunchesPerHour | BudgetLimit::DollarsPerDay);
            for number in (0..jobs).filter(|_| is_at_once) {
                let firings = stage.firings(&format!("job-{number}")).await;
                let last = firings.last().map(|firing| now.duration_since(firing.observed));
                assert!(last.is_some_and(|last| last < SignedDuration::from_mins(10)), "job-{number}: {last:?}");
            }
            if limit == BudgetLimit::MaxTasks {
                assert!(most_alive(&stage) as u64 <= most, "{} of {most}", most_alive(&stage));
            }
        });
    }
}
