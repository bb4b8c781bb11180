//! The real program on a store that an older version has filled.

use std::process::Command;

use ecs_scheduler_core::{NewJob, Timestamp};
use ecs_scheduler_testing::sample;
use serde_json::{Value, json};

use crate::crash::audit::{open, open_read_only};
use crate::crash::process::{PROGRAM, Scheduler};
use crate::crash::site::{Site, until};

const WARNING: &str = "stored jobs may fire on other days than before";

/// Fills the store as a version does that has no register of the rule.
async fn fill(site: &Site, jobs: &[(&str, Value)]) {
    std::fs::create_dir(site.path("data")).unwrap();
    let store = open(site).await;
    let at: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    for (id, job) in jobs {
        let mut document = json!({"taskDefinition": "short"});
        document.as_object_mut().unwrap().extend(job.as_object().unwrap().clone());
        let new = sample::new_job(id, &document.to_string());
        store.create(NewJob { at, ..new }).await.unwrap();
    }
    store.close().await.unwrap();
}

/// Returns the lines of the log with the warning, and waits until there are this many.
async fn warnings(site: &Site, count: usize) -> Vec<String> {
    let lines = || site.log().lines().filter(|line| line.contains(WARNING)).map(str::to_owned).collect();
    until("the log has the warning", async || Vec::<String>::len(&lines()) >= count).await;
    lines()
}

/// Waits until the store has recorded that no such job is left.
async fn wait_for_empty_register(site: &Site) {
    until("the register tells that no job is left", async || {
        let store = open_read_only(site).await;
        let register = store.get_register("crontab-rule").await.unwrap();
        store.close().await.unwrap();
        register.is_some_and(|register| register.value.contains(r#""remaining":false"#))
    })
    .await;
}

/// Returns whether `doctor` finds no problem, and the lines of its output about days of jobs.
fn doctor(site: &Site) -> (bool, Vec<String>) {
    let output = Command::new(PROGRAM)
        .arg("doctor")
        .env("ECSS_DATA_DIR", site.path("data"))
        .envs(site.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(site.root())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines = printed.lines().filter(|line| line.contains("days of its schedule"));
    (output.status.success(), lines.map(str::to_owned).collect())
}

#[tokio::test]
async fn jobs_that_an_older_version_stored_with_numbers_of_weekdays_are_named_until_they_are_edited() {
    let site = Site::new();
    site.define("short", "true");
    let window = json!({"type": "window", "start": "0 9 * * 7", "duration": "8h"});
    fill(
        &site,
        &[
            ("numbers", json!({"schedule": "cron(0 9 * * 1-5)"})),
            ("names", json!({"schedule": "cron(0 9 * * MON-FRI)"})),
            ("opened", json!({"schedule": "@hourly", "trigger": window})),
            ("six", json!({"schedule": "cron(0 9 ? * 2-6 *)"})),
        ],
    )
    .await;

    let (healthy, found) = doctor(&site);
    assert!(!healthy && found.len() == 2, "{found:?}");
    assert!(found[0].contains("job numbers") && found[1].contains("job opened"), "{found:?}");
    let days =
        "weekday `1-5` is Monday to Friday, and was Sunday to Thursday, if an older version stored the job";
    assert!(found[0].contains("PROBLEM") && found[0].contains(days), "{}", found[0]);

    let scheduler = Scheduler::start(&site).await;
    let told = warnings(&site, 1).await;
    assert!(told[0].contains("numbers, opened") && told[0].contains("WARN"), "{told:?}");
    assert!(!told[0].contains("names,") && !told[0].contains("six"), "{told:?}");
    // This version writes another job with numbers, and the user edits one of the old jobs.
    scheduler.create("new", &json!({"taskDefinition": "short", "schedule": "cron(0 9 * * 1-5)"})).await;
    scheduler.put("/jobs/numbers", &json!({"description": "Monday to Friday is right"})).await;
    scheduler.terminate().await;

    let (healthy, found) = doctor(&site);
    assert!(!healthy && found.len() == 1 && found[0].contains("job opened"), "{found:?}");
    let scheduler = Scheduler::start(&site).await;
    let told = warnings(&site, 2).await;
    assert!(told.len() == 2 && told[1].contains("opened"), "{told:?}");
    assert!(!told[1].contains("numbers") && !told[1].contains("new"), "{told:?}");
    let named = json!({"trigger": {"type": "window", "start": "0 9 * * SUN", "duration": "8h"}});
    scheduler.put("/jobs/opened", &named).await;
    scheduler.terminate().await;

    assert_eq!(doctor(&site), (true, vec![]));
    let scheduler = Scheduler::start(&site).await;
    wait_for_empty_register(&site).await;
    scheduler.terminate().await;
    assert_eq!(site.log().matches(WARNING).count(), 2, "{}", site.log());
}

#[tokio::test]
async fn jobs_that_this_version_stored_with_numbers_of_weekdays_are_not_reported() {
    let site = Site::new();
    site.define("short", "true");
    let scheduler = Scheduler::start(&site).await;
    wait_for_empty_register(&site).await;
    scheduler.create("new", &json!({"taskDefinition": "short", "schedule": "cron(0 9 * * 1-5)"})).await;
    scheduler.terminate().await;
    assert_eq!(doctor(&site), (true, vec![]));
}
