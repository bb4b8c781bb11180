//! The product's own queue rule in the model of a lagging queue, beside the rules of others.

use ecs_scheduler_core::Mode;
use ecs_scheduler_core::testing::queue_model::{
    MOST_TASKS, Report, Rule, SCENARIOS, Scenario, Setting, run, run_product, summary,
};

/// Hours of each scenario; the benchmark `queue_rule` has more. What `oneShot` promises is exact; `drain` guesses, and
/// launches few tasks an hour, so that one in vain would be 2 % of two hours.
fn seeds(scenario: Scenario) -> std::ops::Range<u64> {
    if scenario.mode == Mode::Drain { 1..21 } else { 1..3 }
}

async fn product(scenario: Scenario, setting: Setting, restarts: u32) -> Report {
    let mut total = Report::default();
    for seed in seeds(scenario) {
        total = total.and(run_product(scenario, setting, seed, restarts).await);
    }
    assert_eq!(total.unserved, 0, "{} {setting:?}", scenario.name);
    assert!(total.most_busy <= MOST_TASKS, "{} tasks at once", total.most_busy);
    total
}

fn others(rule: Rule, setting: Setting) -> Vec<Report> {
    let total = |scenario| {
        let reports = seeds(scenario).map(|seed| run(rule, scenario, setting, seed));
        reports.fold(Report::default(), Report::and)
    };
    SCENARIOS.into_iter().map(total).collect()
}

async fn products(setting: Setting) -> Vec<Report> {
    let mut reports = Vec::new();
    for scenario in SCENARIOS {
        reports.push(product(scenario, setting, 0).await);
    }
    reports
}

#[tokio::test(start_paused = true)]
async fn with_a_settle_as_long_as_the_lag_next_to_nothing_is_launched_in_vain() {
    let setting = Setting { max_lag: 60, settle: 60, crashes: 0.0 };
    let (mean, worst, wait) = summary(&products(setting).await);
    // 0.15 and 0.8 %, and two standard errors of a share among the 350 to 550 tasks of 20 hours.
    assert!(mean <= 0.15 + 0.12 && worst <= 0.8 + 0.76, "{mean:.2} % on average, {worst:.2} % at worst");
    let (keda_mean, _, keda_wait) = summary(&others(Rule::KedaDefault, setting));
    assert!(keda_mean > 10.0, "the model punishes who trusts counts: {keda_mean:.1} %");
    assert!(wait <= 1.35 * keda_wait, "{wait:.1} s, and KEDA's default {keda_wait:.1} s");
}

#[tokio::test(start_paused = true)]
async fn with_counts_that_lag_little_a_short_settle_is_as_good() {
    let setting = Setting { max_lag: 10, settle: 10, crashes: 0.0 };
    let (mean, worst, _) = summary(&products(setting).await);
    // 0.05 and 0.2 %, and two standard errors.
    assert!(mean <= 0.05 + 0.06 && worst <= 0.2 + 0.40, "{mean:.2} % on average, {worst:.2} % at worst");
}

#[tokio::test(start_paused = true)]
async fn one_shot_launches_nothing_in_vain_though_tasks_crash() {
    for crashes in [0.0, 0.2] {
        for scenario in SCENARIOS.into_iter().filter(|scenario| scenario.mode == Mode::OneShot) {
            let report = product(scenario, Setting { max_lag: 60, settle: 60, crashes }, 0).await;
            assert_eq!(report.empty, 0, "{} with {crashes}", scenario.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn restarts_of_the_scheduler_launch_nothing_in_vain_either() {
    for scenario in SCENARIOS.into_iter().filter(|scenario| scenario.mode == Mode::OneShot) {
        let report = product(scenario, Setting { max_lag: 60, settle: 60, crashes: 0.05 }, 40).await;
        assert_eq!(report.empty, 0, "{}", scenario.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_settle_shorter_than_the_lag_launches_in_vain_and_still_serves_all() {
    let (mean, _, _) = summary(&products(Setting { max_lag: 60, settle: 10, crashes: 0.0 }).await);
    assert!((1.0..15.0).contains(&mean), "{mean:.1} %");
}
