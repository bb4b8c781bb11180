//! The complaints of users of other schedulers, one test each, through HTTP and the built program.
//!
//! Other files have those that they are about anyway: a sidecar's exit code (`aws/ends.rs`), and calls that are throttled or have no
//! answer (`aws/transient_faults.rs`).

use ecs_scheduler_core::{Clock as _, SystemClock};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::crash::process::Scheduler;
use crate::crash::site::{Site, until};
use crate::notify::receiver::{OK, Receiver};

#[cfg(feature = "aws")]
mod on_ecs;

/// How many jobs fail at once.
const MANY: u64 = 500;

/// Waits until a firing of the job has come to its end, and returns it.
async fn ended(scheduler: &Scheduler, job: &str) -> Value {
    let path = format!("/jobs/{job}/firings?state=finished");
    until("a firing ends", async || !scheduler.list(&path, "firings").await.is_empty()).await;
    scheduler.list(&path, "firings").await.remove(0)
}

/// Returns the value of a metric.
async fn metric(scheduler: &Scheduler, name: &str) -> u64 {
    let page = scheduler.text("/metrics").await;
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("ecs_scheduler_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

#[tokio::test]
async fn worker_that_handles_sigterm_and_exits_with_zero_is_stopped_and_no_success() {
    let site = Site::new();
    site.define("work", "trap 'exit 0' TERM; sleep 60 & wait");
    let scheduler = Scheduler::start(&site).await;
    let job = json!({"taskDefinition": "work", "schedule": "@yearly", "timeout": "1s"});
    scheduler.create("work", &job).await;
    scheduler.post("/jobs/work/firings", &json!({})).await;
    let firing = ended(&scheduler, "work").await;
    let task = &firing["tasks"][0];
    assert_eq!((&task["exitCode"], &task["outcome"]), (&json!(0), &json!("stopped")), "{task}");
    assert_eq!(task["diagnosis"]["code"], "timeout", "{task}");
    let counts =
        [metric(&scheduler, "tasks_succeeded_total").await, metric(&scheduler, "tasks_stopped_total").await];
    assert_eq!(counts, [0, 1]);
    scheduler.terminate().await;
}

#[tokio::test]
async fn five_hundred_jobs_that_fail_at_once_send_a_handful_of_messages_that_name_or_count_them_all() {
    let receiver = Receiver::start(OK).await;
    let mut site = Site::new();
    let mut config = receiver.config();
    config["notify"]["default"] = json!([{"to": "ops", "on": ["failing:1"]}]);
    site.configure(&config);
    let scheduler = Scheduler::start(&site).await;
    let at = SystemClock.now() + SignedDuration::from_secs(30);
    let schedule = format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"));
    for number in 0..MANY {
        let job = json!({"taskDefinition": "missing", "schedule": schedule});
        scheduler.create(&format!("job-{number}"), &job).await;
    }
    assert!(SystemClock.now() < at, "the jobs are written before they fail");
    let told = || -> u64 {
        let data = receiver.received().into_iter().map(|request| request.json()["data"].clone());
        data.map(|data| {
            let named = data["jobs"].as_array().map_or(1, Vec::len) as u64;
            named + data["more"].as_u64().unwrap_or_default()
        })
        .sum()
    };
    until("messages about all of them arrive", async || told() >= MANY).await;
    let messages = receiver.count();
    assert!(told() == MANY && messages <= 20, "{} jobs in {messages} messages", told());
    assert_eq!(scheduler.list("/jobs?state=failing&count=1000", "jobs").await.len() as u64, MANY);
    scheduler.terminate().await;
}
