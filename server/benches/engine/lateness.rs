//! How late tasks are handed over when 100 of 100,000 jobs are due each second.

use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_core::{Clock, Store, SystemClock, Timestamp};

use crate::figure::{Figure, Goal, quantile};
use crate::instant::Instant;
use crate::jobs;
use crate::stopwatch::Stopwatch;

const JOBS: usize = 100_000;
/// Jobs that are due once a minute, spread over its seconds.
const MINUTELY: usize = 6_000;
const RUN_TIME: Duration = Duration::from_secs(20);
/// Time to read what is due soon, before anything is counted.
const SETTLE_TIME: Duration = Duration::from_secs(3);

pub(crate) async fn measure() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = jobs::open(&folder.path().join("lateness.db")).await?;
    jobs::fill(&*store, JOBS, schedule).await?;
    let store = Arc::new(Stopwatch::new(store));
    let launcher = Arc::new(Instant::default());
    let engine = jobs::engine(Arc::clone(&store) as _, Arc::clone(&launcher) as _).await?;
    tokio::time::sleep(SETTLE_TIME).await;
    launcher.take_late();
    store.take_late();
    let mut bare = tokio::time::timeout(RUN_TIME, bare_timers()).await.unwrap_or_else(|_| Vec::new());
    let mut late = launcher.take_late();
    let (mut asked, mut durable) = store.take_late();
    engine.stop(RUN_TIME).await;
    Store::close(&*store).await?;
    anyhow::ensure!(late.len() > 1_000 && bare.len() > 10, "too little happened to be measured");
    let bare = quantile(&mut bare, 0.99);
    for (name, value, goal) in [
        (
            "100 firings a second, 100,000 jobs: lateness, p99",
            quantile(&mut late, 0.99),
            Some(Goal::AtMost(25.0)),
        ),
        ("100 firings a second, 100,000 jobs: lateness, median", quantile(&mut late, 0.5), None),
        ("100 firings a second, 100,000 jobs: intents durable, median", quantile(&mut durable, 0.5), None),
        ("100 firings a second, 100,000 jobs: decided, median", quantile(&mut asked, 0.5), None),
    ] {
        Figure { name, value, unit: "ms", goal, beside: ("a bare timer on the same seconds, p99", bare) }
            .print();
    }
    Ok(())
}

fn schedule(number: usize) -> String {
    if number < MINUTELY {
        return (number % 60).to_string();
    }
    // Once a day, spread over its seconds.
    let second = number * 7_919 % 86_400;
    format!("{} {} {}", second % 60, second / 60 % 60, second / 3_600)
}

/// Sleeps until each full second, and returns how late it woke, in milliseconds.
async fn bare_timers() -> Vec<f64> {
    let seconds = RUN_TIME.as_secs() - 1;
    let mut late = Vec::new();
    for _ in 0..seconds {
        let now = SystemClock.now();
        let next = Timestamp::from_second(now.as_second() + 1).expect("the next second can be told");
        let left = Duration::try_from(next.duration_since(now)).expect("it is ahead");
        tokio::time::sleep(left).await;
        late.push(SystemClock.now().duration_since(next).as_secs_f64() * 1_000.0);
    }
    late
}
