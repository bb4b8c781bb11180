//! Performance goals of the scheduler on AWS, measured on the real program beside the quotas that bound it.
//!
//! `cargo bench -p ecs-scheduler --bench aws` takes a little more than four minutes of real time: 10,000 single-task jobs
//! due in one second on a fake ECS that enforces the published quota of RunTask. Each figure is one line of JSON, as those
//! of the other bench are; `doc/benchmarks.md` shows and explains a run.

#[expect(dead_code, reason = "the other bench has goals of another kind")]
#[path = "../engine/figure.rs"]
mod figure;
mod program;

use std::time::Duration;

use anyhow::Context as _;
use ecs_scheduler_core::{Clock, SystemClock, Timestamp};
use ecs_scheduler_fake_aws::{Fake, FakeOptions, Service};
use serde_json::json;
use tokio::time::Instant;

use figure::{Figure, Goal, quantile};
use program::Program;

const JOBS: u32 = 10_000;
/// Calls that ECS takes at once, and then in a second.
const QUOTA_BURST: f64 = 100.0;
const QUOTA_RATE: f64 = 40.0;
/// How long ahead of the burst the program is started.
const LEAD_SECONDS: i64 = 10;
/// How often the API is asked meanwhile.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);
/// More than the burst can take.
const BURST_TIMEOUT: Duration = Duration::from_secs(400);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let fake = Fake::start(FakeOptions::default()).await?;
    fake.ecs().create_cluster("bench");
    let containers = json!([{"name": "main", "image": "busybox", "memory": 64}]);
    let registered = fake.ecs().register(&json!({"family": "work", "containerDefinitions": containers}));
    registered.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    fake.configure(|settings| settings.quotas.enforced = true);
    let folder = tempfile::tempdir()?;
    let due = Timestamp::from_second(SystemClock.now().as_second() + LEAD_SECONDS)?;
    let program = Program::start(folder.path(), &fake.url(), JOBS, due).await?;
    let left = Duration::try_from(due.duration_since(SystemClock.now())).unwrap_or_default();
    tokio::time::sleep(left).await;
    let mut answers = tokio::time::timeout(BURST_TIMEOUT, ask_until_all_are_started(&program, &fake))
        .await
        .context("the burst does not end")??;
    program.stop().await?;
    print_figures(&fake, due, &mut answers);
    Ok(())
}

/// Asks for one job after the other, and returns how long each answer took, in milliseconds.
async fn ask_until_all_are_started(program: &Program, fake: &Fake) -> anyhow::Result<Vec<f64>> {
    let mut answers = Vec::new();
    let mut pace = tokio::time::interval(REQUEST_INTERVAL);
    for number in (0..JOBS).cycle() {
        pace.tick().await;
        let calls = fake.calls(Service::Ecs, "RunTask");
        if calls.calls - calls.failed >= u64::from(JOBS) {
            break;
        }
        let asked = Instant::now();
        program.get(number).await?;
        answers.push(asked.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(answers)
}

fn print_figures(fake: &Fake, due: Timestamp, answers: &mut [f64]) {
    let launches = fake.launches();
    let bound = (f64::from(JOBS) - QUOTA_BURST) / QUOTA_RATE;
    let last = launches.last().map_or(f64::NAN, |last| last.created_at.duration_since(due).as_secs_f64());
    let calls = fake.calls(Service::Ecs, "RunTask");
    let beside = ("(10,000 - 100) / 40 a second, ECS's published quota", bound);
    Figure {
        name: "10,000 jobs due at once on ECS: the last is accepted",
        value: last,
        unit: "s",
        goal: Some(Goal::AtMost(bound * 1.02)),
        beside,
    }
    .print();
    #[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
    let (throttled, all) = (calls.throttled as f64, calls.calls as f64);
    Figure {
        name: "the same: calls of RunTask that were throttled",
        value: throttled / all * 100.0,
        unit: "%",
        goal: Some(Goal::AtMost(0.1)),
        beside: ("calls", all),
    }
    .print();
    Figure {
        name: "the same: GET /jobs/{id} meanwhile, 99 % within",
        value: quantile(answers, 0.99),
        unit: "ms",
        goal: Some(Goal::AtMost(20.0)),
        beside: ("the median", quantile(answers, 0.5)),
    }
    .print();
}
