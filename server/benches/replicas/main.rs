//! Throughput of one, two and four replicas on one store, as processes of their own: how many firings a second they hand over,
//! and what they ask of the store, at rest and for each firing.
//!
//! `cargo bench -p ecs-scheduler --bench replicas` measures all of it, `… -- postgresql-1000` one part: `throughput`,
//! `postgresql` and `dynamodb`, each with several numbers of jobs. Each figure is one line of JSON. The launcher costs
//! nothing: ECS itself takes 40 calls a second unless more is agreed with AWS, which every replica keeps to.
//! `doc/replicas.md` shows a run.

mod bench_store;
mod fleet;
#[path = "../engine/instant.rs"]
#[expect(dead_code, reason = "other figures need more of it")]
mod instant;
mod member;
#[path = "../../../backends/postgres/tests/it/server.rs"]
mod server;

use std::time::Duration;

use ecs_scheduler_core::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use bench_store::{BenchStore, BenchTables};
use fleet::Fleet;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many replicas there are.
const FLEET_SIZES: [usize; 3] = [1, 2, 4];
/// How long firings and calls are counted.
const WINDOW: Duration = Duration::from_secs(15);
/// How long a fleet is at work before.
const WARM_UP: Duration = Duration::from_secs(8);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--bench")).collect();
    ecs_scheduler::allocator::use_small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let [role, name, store] = &*arguments
        && role == member::ROLE
    {
        return runtime.block_on(member::serve(name, &BenchStore::parse(store)?));
    }
    let wanted =
        |part: &str| arguments.is_empty() || arguments.iter().any(|word| part.contains(word.as_str()));
    runtime.block_on(async {
        if wanted("throughput") {
            throughput().await?;
        }
        for jobs in [1_000, 10_000, 100_000] {
            if wanted(&format!("postgresql-{jobs}")) {
                calls(jobs, &BenchStore::in_new_schema).await?;
            }
        }
        for jobs in [1_000, 4_000] {
            if wanted(&format!("dynamodb-{jobs}")) {
                let tables = BenchTables::start().await;
                calls(jobs, &|| tables.fresh_table()).await?;
            }
        }
        Ok(())
    })
}

/// 100,000 jobs of which more are due each second than can be fired.
async fn throughput() -> anyhow::Result<()> {
    let store = BenchStore::in_new_schema();
    let jobs = 100_000;
    store.fill(jobs, |number| json!({"schedule": format!("{},{}", number % 30, number % 30 + 30)})).await?;
    for replicas in FLEET_SIZES {
        let fleet = Fleet::start(replicas, &store).await?;
        let (fired, _) = count(&fleet, &store).await?;
        fleet.stop().await?;
        println!(
            "{}",
            json!({"figure": "firings handed over a second", "jobs": jobs, "replicas": replicas,
                "due a second": jobs / 30, "fired a second": rounded(fired)})
        );
    }
    Ok(())
}

/// Jobs of which nothing is due, then jobs of which some fifteen are due each second.
async fn calls(jobs: usize, fresh: &dyn Fn() -> BenchStore) -> anyhow::Result<()> {
    let (resting, working) = (fresh(), fresh());
    resting.fill(jobs, |_| json!({"schedule": "@yearly"})).await?;
    // The more jobs, the more seldom each is due.
    let period = jobs * 60 / 1_000;
    let staggered = |number| {
        let start = Timestamp::from_second(i64::try_from(number % period).expect("it is small"));
        let start = start.expect("it is in 1970").to_string();
        json!({"schedule": format!("rate({period} seconds)"), "scheduleStart": start})
    };
    working.fill(jobs, staggered).await?;
    for replicas in FLEET_SIZES {
        let fleet = Fleet::start(replicas, &resting).await?;
        let (_, at_rest) = count(&fleet, &resting).await?;
        fleet.stop().await?;
        let fleet = Fleet::start(replicas, &working).await?;
        let (fired, at_work) = count(&fleet, &working).await?;
        fleet.stop().await?;
        println!(
            "{}",
            json!({"figure": "calls to the store", "store": working.name(), "jobs": jobs, "replicas": replicas,
                "at rest a second": rounded(at_rest), "fired a second": rounded(fired),
                "beside for each firing": rounded((at_work - at_rest) / fired)})
        );
    }
    Ok(())
}

/// Returns how many firings were handed over a second, and how many calls the store answered.
async fn count(fleet: &Fleet, store: &BenchStore) -> anyhow::Result<(f64, f64)> {
    fleet.until_shared().await?;
    tokio::time::sleep(WARM_UP).await;
    let began = Instant::now();
    let before = (fleet.counts().await?, store.transactions().await?);
    tokio::time::sleep(WINDOW).await;
    let after = (fleet.counts().await?, store.transactions().await?);
    let seconds = began.elapsed().as_secs_f64();
    let fired = after.0.fired - before.0.fired;
    let calls = match (before.1, after.1) {
        (Some(before), Some(after)) => after - before,
        _ => after.0.calls - before.0.calls,
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of a minute")]
    Ok((fired as f64 / seconds, calls as f64 / seconds))
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
