//! Budgets as users see them: over the API, on the command line, and with real tasks.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use axum::http::StatusCode;
use ecs_scheduler_core::Budget;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::crash::process::{PROGRAM, Scheduler};
use crate::crash::site::{Site, until};
use crate::harness::Server;

fn budget() -> Budget {
    let mut budget = Budget::new("data", BTreeMap::from([("team".to_owned(), "a".to_owned())]));
    budget.max_tasks = NonZeroU32::new(3);
    budget
}

#[tokio::test(start_paused = true)]
async fn api_shows_budgets_and_what_they_left_to_a_firing_by_hand() {
    let server = Server::with_budgets(&[budget()]).await;
    let view = |used: u32| {
        let limit = json!({"name": "maxTasks", "limit": 3, "used": used, "left": 3 - used});
        let waiting = json!({"jobs": 0});
        json!({"budgets": [{"name": "data", "selector": {"team": "a"}, "limits": [limit], "waiting": waiting}]})
    };
    assert_eq!(server.get("/budgets").await.json(), view(0));
    let job = json!({"id": "job", "taskDefinition": "job", "schedule": "0 0 3", "taskCount": 2, "overlap": "allow",
                     "labels": {"team": "a"}});
    assert_eq!(server.json("POST", "/jobs", job).await.status, StatusCode::CREATED);
    let fire = async || server.json("POST", "/jobs/job/firings", json!({})).await;
    assert_eq!(fire().await.status, StatusCode::CREATED);
    let evaluated = server.json("POST", "/jobs/job/evaluate", json!({})).await.json();
    assert_eq!((&evaluated["launch"], &evaluated["outcome"]), (&json!(1), &json!("launched")), "{evaluated}");
    let step = evaluated["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&step["rule"], &step["before"], &step["after"]),
        (&json!("budget"), &json!(2), &json!(1)),
        "{evaluated}"
    );
    assert_eq!(step["because"], "budget \"data\" leaves 1 of maxTasks 3");
    assert_eq!(fire().await.json()["requested"], 1);
    let none = fire().await;
    assert_eq!((none.status, &none.json()["outcome"]), (StatusCode::OK, &json!("budget")), "{}", none.text());
    assert_eq!(server.get("/budgets").await.json(), view(3));
    let decisions = server.get("/decisions?outcome=budget").await.json();
    assert_eq!(decisions["decisions"].as_array().unwrap().len(), 1);
    let metrics = server.get("/metrics").await.text();
    for line in [
        "ecs_scheduler_budget_limit{budget=\"data\",limit=\"maxTasks\"} 3\n",
        "ecs_scheduler_budget_use{budget=\"data\",limit=\"maxTasks\"} 3\n",
        "ecs_scheduler_budget_waiting_jobs{budget=\"data\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let restarted = server.restart().await;
    assert_eq!(
        restarted.get("/budgets").await.json(),
        json!({"budgets": []}),
        "they are in the configuration only"
    );
}

/// Runs the program with the files of a site; returns whether it succeeded, and what it printed.
async fn run(site: &Site, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(site.root());
    command.env("ECSS_DATA_DIR", site.path("data"));
    command.env("ECSS_SERVER", format!("http://127.0.0.1:{}", site.port));
    command.envs(site.environment.iter().map(|(name, value)| (name, value)));
    let output = command.output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn configure(site: &mut Site, text: &str) {
    let file = site.path("scheduler.yaml");
    std::fs::write(&file, text).unwrap();
    site.environment.retain(|(name, _)| *name != "ECSS_CONFIG_FILE");
    site.environment.push(("ECSS_CONFIG_FILE", file.to_str().unwrap().to_owned()));
}

#[tokio::test]
async fn configuration_is_checked_and_shown() {
    let mut site = Site::new();
    configure(&mut site, "budgets:\n  data:\n    maxTask: 2\n");
    let (is_fine, text) = run(&site, &["config", "check"]).await;
    assert!(!is_fine && text.contains("budgets.data") && text.contains("maxTask"), "{text}");
    configure(&mut site, "budgets:\n  data: {selector: {team: a}, maxTasks: 2}\n");
    let (is_fine, text) = run(&site, &["config", "check"]).await;
    assert!(is_fine && text.contains("\"maxTasks\":2"), "{text}");
}

#[tokio::test]
async fn real_tasks_of_two_jobs_stay_within_a_budget_over_a_kill() {
    let mut site = Site::new();
    configure(&mut site, "budgets:\n  data: {selector: {team: a}, maxTasks: 2}\n");
    let (running, counts) = (site.path("running"), site.path("counts"));
    std::fs::create_dir(&running).unwrap();
    let (running, most) = (running.display(), counts.display());
    site.define(
        "work",
        &format!("touch {running}/$$; ls {running} | wc -l >> {most}; sleep 0.3; rm {running}/$$"),
    );
    let job = json!({"taskDefinition": "work", "schedule": "*", "taskCount": 2, "labels": {"team": "a"}});
    let scheduler = Scheduler::start(&site).await;
    for id in ["one", "two"] {
        scheduler.create(id, &job).await;
    }
    site.wait_for_starts(6).await;
    scheduler.kill().await;
    let scheduler = Scheduler::start(&site).await;
    for id in ["one", "two"] {
        let launched = format!("/jobs/{id}/firings?limit=1000");
        until("both jobs get their turns", async || scheduler.list(&launched, "firings").await.len() >= 3)
            .await;
    }
    until("a job finds nothing left", async || {
        !scheduler.list("/decisions?outcome=budget", "decisions").await.is_empty()
    })
    .await;
    let (is_fine, table) = run(&site, &["budgets"]).await;
    assert!(is_fine && table.contains("team=a") && table.contains("maxTasks"), "{table}");
    let (_, answer) = run(&site, &["budgets", "--json"]).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["budgets"][0]["limits"][0]["limit"], 2);
    scheduler.quiesce().await;
    let counts = std::fs::read_to_string(&counts).unwrap();
    let counts: Vec<u32> = counts.lines().map(|line| line.trim().parse().unwrap()).collect();
    assert!(counts.iter().all(|count| *count <= 2), "{counts:?}");
    let used = scheduler.get("/budgets").await;
    assert_eq!(used["budgets"][0]["limits"][0]["used"], 0, "{used}");
}
