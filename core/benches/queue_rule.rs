//! Compares the scheduler's queue rule with other rules, in the model of a lagging queue, over many seeds.
//!
//! `cargo bench -p ecs-scheduler-core --bench queue_rule -- [SEEDS]` prints one JSON line per rule, setting and
//! scenario, then the tables of `doc/modes.md`. The last table, of the reference, has one run of each rule, because only the age
//! of the task list is random in it.

use ecs_scheduler_core::Mode;
use ecs_scheduler_testing::queue_model::{
    ModelRule, QueueSetting, REFERENCE, Report, SCENARIOS, Scenario, run, run_scheduler,
    run_with_default_settle, summary,
};
use serde_json::json;

/// The default number of simulated hours per combination.
const SEEDS: u64 = 25;

/// Lag of the counts, the job's `settle`, share of tasks that crash.
const SETTINGS: [(u32, u32, f64); 6] =
    [(60, 60, 0.0), (60, 60, 0.05), (60, 60, 0.2), (10, 10, 0.0), (10, 10, 0.2), (60, 10, 0.0)];

fn main() {
    // `cargo test` passes `--list` or `--test`, `cargo bench` its own flag.
    let trial = std::env::args().any(|argument| argument == "--list" || argument == "--test");
    let requested = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let seeds = if trial { 1 } else { requested.unwrap_or(SEEDS) };
    let settings = SETTINGS.map(|(max_lag, settle, crashes)| QueueSetting { max_lag, settle, crashes });
    let table: Vec<(QueueSetting, Vec<Row>)> =
        settings.into_iter().map(|setting| (setting, rows(setting, seeds))).collect();
    println!(
        "\nEmpty runs in percent, mean / worst of the scenarios, and mean wait in seconds; {seeds} seeds.\n"
    );
    println!("| counts lag up to | `settle` | tasks that crash | {} |", names().join(" | "));
    println!("|---|---|---|{}", "---|".repeat(names().len()));
    for (setting, rows) in &table {
        let cells: Vec<String> = rows.iter().map(|row| cell(&row.reports)).collect();
        let QueueSetting { max_lag, settle, crashes } = setting;
        println!("| {max_lag} s | {settle} s | {:.0} % | {} |", crashes * 100.0, cells.join(" | "));
    }
    println!(
        "\nCounts that lag up to 60 s, `settle` 60 s, no crashes: empty runs in percent, mean wait in seconds.\n"
    );
    println!("| scenario | {} |\n|---|{}", names().join(" | "), "---|".repeat(names().len()));
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        let one = |row: &Row| {
            let report = row.reports[index];
            format!("{:.1} %, {:.0} s", report.empty_percent(), report.mean_wait())
        };
        let cells: Vec<String> = table[0].1.iter().map(one).collect();
        println!("| {} | {} |", scenario.name, cells.join(" | "));
    }
    let shots: Vec<Report> = table[2].1[0]
        .reports
        .iter()
        .zip(SCENARIOS)
        .filter(|(_, scenario)| scenario.mode == Mode::OneShot)
        .map(|(report, _)| *report)
        .collect();
    let (_, worst, _) = summary(&shots);
    println!("\noneShot with 20 % crashes: {worst:.2} % empty runs at worst.");
    reference();
}

/// Prints the results of all modes and rules in the reference scenario, where counts are always a minute old.
fn reference() {
    const MINUTE: QueueSetting = QueueSetting { max_lag: 60, settle: 60, crashes: 0.0 };
    let own = |scenario, setting| simulate(run_scheduler(scenario, setting, 1, 0));
    let total = Scenario { mode: Mode::Total, ..REFERENCE };
    let mut rows = vec![
        ("`oneShot`, default", simulate(run_with_default_settle(REFERENCE, MINUTE, 1))),
        ("`oneShot`, `settle` 10 s", own(REFERENCE, QueueSetting { settle: 10, ..MINUTE })),
        ("`total`", own(total, MINUTE)),
    ];
    rows.extend(ModelRule::ALL.map(|rule| (rule.name(), run(rule, REFERENCE, MINUTE, 1))));
    println!("\n{}: counts always 60 s old, tasks start after 25 s.\n", REFERENCE.name);
    println!("| rule | messages | tasks | empty runs | mean wait |\n|---|---|---|---|---|");
    for (name, report) in rows {
        let Report { messages, launched, .. } = report;
        let (empty, wait) = (report.empty_percent(), report.mean_wait());
        println!("| {name} | {messages} | {launched} | {empty:.0} % | {wait:.0} s |");
    }
}

/// One rule in one setting.
struct Row {
    reports: Vec<Report>,
}

fn names() -> Vec<&'static str> {
    std::iter::once("ECS Scheduler").chain(ModelRule::ALL.map(ModelRule::name)).collect()
}

fn rows(setting: QueueSetting, seeds: u64) -> Vec<Row> {
    let own =
        SCENARIOS.map(|scenario| total(seeds, |seed| simulate(run_scheduler(scenario, setting, seed, 0))));
    let mut rows = vec![Row { reports: own.to_vec() }];
    for rule in ModelRule::ALL {
        let reports = SCENARIOS.map(|scenario| total(seeds, |seed| run(rule, scenario, setting, seed)));
        rows.push(Row { reports: reports.to_vec() });
    }
    for (name, row) in names().iter().zip(&rows) {
        for (scenario, report) in SCENARIOS.iter().zip(&row.reports) {
            let line = json!({
                "rule": name, "scenario": scenario.name, "maxLag": setting.max_lag, "settle": setting.settle,
                "crashes": setting.crashes, "emptyPercent": report.empty_percent(),
                "meanWait": report.mean_wait(), "report": report,
            });
            println!("{line}");
        }
    }
    rows
}

fn total(seeds: u64, run: impl Fn(u64) -> Report) -> Report {
    (1..=seeds).map(run).fold(Report::default(), Report::merge)
}

/// Runs one simulation in virtual time.
fn simulate(work: impl Future<Output = Report>) -> Report {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_time()
        .start_paused(true)
        .build()
        .expect("building this runtime cannot fail")
        .block_on(work)
}

fn cell(reports: &[Report]) -> String {
    let (mean, worst, wait) = summary(reports);
    let unserved: u32 = reports.iter().map(|report| report.unserved).sum();
    let note = if unserved == 0 { String::new() } else { format!(", {unserved} unserved") };
    format!("{mean:.1} / {worst:.1} %, {wait:.0} s{note}")
}
