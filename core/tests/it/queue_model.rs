//! The scheduler's own queue rule in the model of a lagging queue, compared with other rules.

use ecs_scheduler_core::Mode;
use ecs_scheduler_testing::queue_model::{
    MAX_TASKS, ModelRule, QueueSetting, REFERENCE, Report, SCENARIOS, Scenario, run, run_scheduler,
    run_with_default_settle, summary,
};

/// Hours per scenario; the benchmark `queue_rule` runs more. `oneShot` is exact; `drain` estimates, and launches so few tasks
/// an hour that a single empty run would be 2 % of two hours.
fn seeds(scenario: Scenario) -> std::ops::Range<u64> {
    if scenario.mode == Mode::Drain { 1..21 } else { 1..3 }
}

/// Counts with a lag of up to a minute, and a job with a matching `settle`.
const MINUTE: QueueSetting = QueueSetting { max_lag: 60, settle: 60, crashes: 0.0 };

async fn product(scenario: Scenario, setting: QueueSetting, restarts: u32) -> Report {
    let mut total = Report::default();
    for seed in seeds(scenario) {
        total = total.merge(run_scheduler(scenario, setting, seed, restarts).await);
    }
    assert_eq!(total.unserved, 0, "{} {setting:?}", scenario.name);
    assert!(total.most_busy <= MAX_TASKS, "{} tasks at once", total.most_busy);
    total
}

fn others(rule: ModelRule, setting: QueueSetting) -> Vec<Report> {
    let total = |scenario| {
        let reports = seeds(scenario).map(|seed| run(rule, scenario, setting, seed));
        reports.fold(Report::default(), Report::merge)
    };
    SCENARIOS.into_iter().map(total).collect()
}

async fn products(setting: QueueSetting) -> Vec<Report> {
    let mut reports = Vec::new();
    for scenario in SCENARIOS {
        reports.push(product(scenario, setting, 0).await);
    }
    reports
}

#[tokio::test(start_paused = true)]
async fn a_settle_as_long_as_the_lag_makes_almost_no_empty_runs() {
    let setting = QueueSetting { max_lag: 60, settle: 60, crashes: 0.0 };
    let (mean, worst, wait) = summary(&products(setting).await);
    // 0.15 and 0.8 %, and two standard errors of a share among the 350 to 550 tasks of 20 hours.
    assert!(mean <= 0.15 + 0.12 && worst <= 0.8 + 0.76, "{mean:.2} % on average, {worst:.2} % at worst");
    let (keda_mean, _, keda_wait) = summary(&others(ModelRule::KedaDefault, setting));
    assert!(keda_mean > 10.0, "scaling on counts makes empty runs in this model: {keda_mean:.1} %");
    assert!(wait <= 1.35 * keda_wait, "{wait:.1} s, and KEDA's default {keda_wait:.1} s");
}

#[tokio::test(start_paused = true)]
async fn a_short_settle_is_as_good_with_a_short_lag() {
    let setting = QueueSetting { max_lag: 10, settle: 10, crashes: 0.0 };
    let (mean, worst, _) = summary(&products(setting).await);
    // 0.05 and 0.2 %, and two standard errors.
    assert!(mean <= 0.05 + 0.06 && worst <= 0.2 + 0.40, "{mean:.2} % on average, {worst:.2} % at worst");
}

#[tokio::test(start_paused = true)]
async fn a_one_shot_job_with_default_settle_starts_one_task_per_message() {
    let by_default = run_with_default_settle(REFERENCE, MINUTE, 1).await;
    let Report { messages, unserved, launched, empty, .. } = by_default;
    assert_eq!((messages, unserved, launched, empty), (94, 0, 94, 0));
    assert!(by_default.mean_wait() <= 90.0, "{:.0} s", by_default.mean_wait());
    assert_eq!(by_default, run_scheduler(REFERENCE, MINUTE, 1, 0).await, "the default is 60 s");
    let short = run_scheduler(REFERENCE, QueueSetting { settle: 10, ..MINUTE }, 1, 0).await;
    assert!(short.empty_percent() > 30.0, "with 10 s: {:.0} %", short.empty_percent());
}

#[tokio::test(start_paused = true)]
async fn other_rules_make_empty_runs_with_the_reference_scenario() {
    for (rule, least) in
        [(ModelRule::KedaDefault, 10.0), (ModelRule::KedaAccurate, 10.0), (ModelRule::KedaEager, 40.0)]
    {
        let report = run(rule, REFERENCE, MINUTE, 1);
        assert!(report.empty_percent() > least, "{}: {:.0} %", rule.name(), report.empty_percent());
    }
    let total = Scenario { mode: Mode::Total, ..REFERENCE };
    let report = run_with_default_settle(total, MINUTE, 1).await;
    assert!(report.empty_percent() > 10.0, "total: {:.0} %", report.empty_percent());
    assert_eq!(
        report,
        run_scheduler(total, QueueSetting { settle: 3_600, ..MINUTE }, 1, 0).await,
        "total ignores settle"
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_job_has_a_default_settle_of_a_minute() {
    for scenario in SCENARIOS.into_iter().filter(|scenario| scenario.mode == Mode::Drain) {
        let (by_default, minute) =
            (run_with_default_settle(scenario, MINUTE, 1).await, run_scheduler(scenario, MINUTE, 1, 0).await);
        assert_eq!(by_default, minute, "{}", scenario.name);
    }
}

#[tokio::test(start_paused = true)]
async fn one_shot_makes_no_empty_runs_although_tasks_crash() {
    for crashes in [0.0, 0.2] {
        for scenario in SCENARIOS.into_iter().filter(|scenario| scenario.mode == Mode::OneShot) {
            let report = product(scenario, QueueSetting { max_lag: 60, settle: 60, crashes }, 0).await;
            assert_eq!(report.empty, 0, "{} with {crashes}", scenario.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn restarts_of_the_scheduler_make_no_empty_runs() {
    for scenario in SCENARIOS.into_iter().filter(|scenario| scenario.mode == Mode::OneShot) {
        let report = product(scenario, QueueSetting { max_lag: 60, settle: 60, crashes: 0.05 }, 40).await;
        assert_eq!(report.empty, 0, "{}", scenario.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_settle_shorter_than_the_lag_makes_empty_runs_but_serves_every_message() {
    let (mean, _, _) = summary(&products(QueueSetting { max_lag: 60, settle: 10, crashes: 0.0 }).await);
    assert!((1.0..15.0).contains(&mean), "{mean:.1} %");
}
