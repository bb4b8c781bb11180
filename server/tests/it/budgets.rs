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
    configure(&mut site, "budgets:\n  data: {maxVcpu: 0, dollarsPerDay: x}\n");
    let (is_fine, text) = run(&site, &["config", "check"]).await;
    assert!(
        !is_fine && text.contains("budgets.data.maxVcpu") && text.contains("budgets.data.dollarsPerDay"),
        "{text}"
    );
    configure(&mut site, "budgets:\n  data: {selector: {team: a}, maxTasks: 2}\n");
    let (is_fine, text) = run(&site, &["config", "check"]).await;
    assert!(is_fine && text.contains("\"maxTasks\":2"), "{text}");
}

#[tokio::test]
async fn real_tasks_stay_within_vcpu_and_dollars_and_others_say_why_they_do_not_start() {
    let mut site = Site::new();
    configure(
        &mut site,
        "budgets:\n  cpu: {selector: {team: a}, maxVcpu: 0.5}\n  bill:\n    selector: {team: b}\n    dollarsPerDay: 0.02\n    \
         price: {vcpuHour: 0.04, gbHour: 0}\n",
    );
    site.define("unsized", "true");
    let end = site.path("end");
    site.define("work", &format!("while [ ! -e {} ]; do sleep 0.1; done", end.display()));
    let file = site.path("definitions/work.json");
    let mut definition: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    definition["cpu"] = json!("256");
    definition["memory"] = json!("512");
    std::fs::write(&file, definition.to_string()).unwrap();
    let scheduler = Scheduler::start(&site).await;
    let job = |definition: &str, team: &str, timeout: &str| json!({"taskDefinition": definition, "schedule": "0 0 3", "taskCount": 5, "timeout": timeout, "labels": {"team": team}});
    scheduler.create("sized", &job("work", "a", "1h")).await;
    scheduler.create("unsized", &job("unsized", "a", "1h")).await;
    scheduler.create("paid", &job("work", "b", "45m")).await;
    let fire = async |id: &str| -> Value {
        let (_, text) = scheduler.try_post(&format!("/jobs/{id}/firings"), &json!({})).await;
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(fire("sized").await["requested"], 2);
    let refused = fire("unsized").await;
    assert_eq!(refused["outcome"], "budget", "{refused}");
    let why = refused["explanation"].as_str().unwrap();
    assert!(
        why.contains("budget \"cpu\" cannot count the task towards maxVcpu: its CPU is not known"),
        "{why}"
    );
    // A quarter of a vCPU for an hour at most, with the time before it starts and until it has stopped: a cent.
    assert_eq!(fire("paid").await["requested"], 2);
    let used = scheduler.get("/budgets").await;
    let limit = |name: &str| {
        let budget =
            used["budgets"].as_array().unwrap().iter().find(|budget| budget["name"] == name).unwrap();
        budget["limits"][0].clone()
    };
    assert_eq!(limit("cpu"), json!({"name": "maxVcpu", "limit": 0.5, "used": 0.5, "left": 0}));
    assert_eq!(limit("bill"), json!({"name": "dollarsPerDay", "limit": 0.02, "used": 0.02, "left": 0}));
    let (is_fine, table) = run(&site, &["budgets"]).await;
    assert!(is_fine && table.contains("dollarsPerDay") && table.contains("maxVcpu"), "{table}");
    scheduler.kill().await;
    let scheduler = Scheduler::start(&site).await;
    let first_limits = async || -> Vec<Value> {
        let used = scheduler.get("/budgets").await;
        used["budgets"].as_array().unwrap().iter().map(|budget| budget["limits"][0].clone()).collect()
    };
    until("the restarted scheduler counts the running tasks", async || {
        first_limits().await.iter().all(|limit| limit["left"] == 0)
    })
    .await;
    std::fs::write(end, "").unwrap();
    until("ended tasks are free", async || first_limits().await[1]["used"] == 0).await;
    until("they have cost at least a minute each, and less than they might have", async || {
        let used = first_limits().await[0]["used"].as_f64().unwrap();
        (0.000_33..0.01).contains(&used)
    })
    .await;
    scheduler.kill().await;
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
