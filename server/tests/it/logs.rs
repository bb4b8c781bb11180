//! The output of local tasks, read by the API and by the command line.

use std::process::{Output, Stdio};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::crash::process::{PROGRAM, Scheduler};
use crate::crash::site::{DEADLINE, Site, until};
use crate::harness::Server;

/// A scheduler with local tasks.
struct Stage {
    site: Site,
    scheduler: Scheduler,
}

impl Stage {
    /// Starts a scheduler with one job of this name, which runs these containers when it is fired.
    async fn new(job: &str, containers: Value) -> Self {
        let site = Site::new();
        let definition = json!({"family": job, "containerDefinitions": containers});
        let file = site.path("definitions").join(job).with_extension("json");
        std::fs::write(file, definition.to_string()).unwrap();
        let scheduler = Scheduler::start(&site).await;
        let document = json!({"id": job, "taskDefinition": job, "schedule": "@yearly"});
        let (status, body) = scheduler.try_post("/jobs", &document).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        Self { site, scheduler }
    }

    /// Fires the job, and returns the path of its firing.
    async fn fire(&self, job: &str) -> String {
        let (status, body) = self.scheduler.try_post(&format!("/jobs/{job}/firings"), &json!({})).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let firing: Value = serde_json::from_str(&body).unwrap();
        format!("/firings/{}", firing["id"].as_str().unwrap())
    }

    /// Waits until a firing is in this state, and returns the path of the output of its task.
    async fn output_of(&self, firing: &str, state: &str) -> String {
        let is_there = async || self.scheduler.get(firing).await["state"] == state;
        until(&format!("the firing is {state}"), is_there).await;
        let task = self.scheduler.get(firing).await["tasks"][0]["taskId"].take();
        format!("{firing}/tasks/{}/logs", task.as_str().unwrap().rsplit('/').next().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        let server = format!("http://127.0.0.1:{}", self.site.port);
        command.args(["jobs", "--server", &server]).args(arguments).current_dir(self.site.root());
        command.kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        tokio::time::timeout(DEADLINE, self.command(arguments).output()).await.unwrap().unwrap()
    }
}

fn shell(name: &str, line: &str, more: Value) -> Value {
    let mut container = json!({"name": name, "command": ["sh", "-c", line]});
    for (field, value) in more.as_object().unwrap() {
        container[field] = value.clone();
    }
    container
}

fn texts(page: &Value) -> Vec<&str> {
    page["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect()
}

fn printed(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[tokio::test]
async fn output_of_a_local_task_is_read_by_the_api_and_the_command_line() {
    let side = json!({"essential": false});
    let waits = json!({"dependsOn": [{"containerName": "side", "condition": "COMPLETE"}]});
    let containers = json!([
        shell("main", "echo one; printf '\\033[31mtwo\\n' >&2; printf three", waits),
        shell("side", "echo aside", side),
    ]);
    let stage = Stage::new("talk", containers).await;
    let path = stage.output_of(&stage.fire("talk").await, "finished").await;
    let get = async |query: &str| stage.scheduler.get(&format!("{path}{query}")).await;

    let all = get("").await;
    assert_eq!(all["lines"][0], json!({"container": "main", "text": "one"}));
    assert_eq!(texts(&all), ["one", "\u{fffd}[31mtwo", "three", "aside"]);
    assert_eq!((all.get("next"), all.get("gap")), (None, None));
    assert_eq!(texts(&get("?container=side").await), ["aside"]);
    assert_eq!(texts(&get("?tail=1").await), ["three", "aside"]);
    let by_name = stage.scheduler.get(&path).await;
    assert_eq!(by_name, all);

    let (out, err, code) = printed(&stage.run(&["logs", "talk"]).await);
    assert_eq!(
        (out.as_str(), err.as_str(), code),
        ("main | one\nmain | \u{fffd}[31mtwo\nmain | three\nside | aside\n", "", Some(0))
    );
    let (out, ..) = printed(&stage.run(&["logs", "talk", "--container", "main", "--tail", "1"]).await);
    assert_eq!(out, "three\n");
    let (out, ..) = printed(&stage.run(&["logs", "talk", "--container", "side", "--json"]).await);
    assert_eq!(out, "{\"container\":\"side\",\"text\":\"aside\"}\n");
    let (out, _, code) = printed(&stage.run(&["logs", "talk", "--container", "main", "--follow"]).await);
    assert_eq!((out.as_str(), code), ("one\n\u{fffd}[31mtwo\nthree\n", Some(0)), "the task has ended");
    let (_, err, code) = printed(&stage.run(&["logs", "talk", "--container", "mian"]).await);
    assert!(
        code == Some(5) && err.contains("container \"mian\"") && err.contains("it started: main, side"),
        "{err}"
    );
    let (_, err, code) = printed(&stage.run(&["logs", "talk", "--task", "2"]).await);
    assert!(code == Some(1) && err.contains("has 1 tasks, and no task 2"), "{err}");
}

#[tokio::test]
async fn stream_of_an_ended_task_has_its_lines_and_an_end_and_continues_behind_an_event() {
    let stage = Stage::new("talk", json!([shell("main", "echo one", json!({}))])).await;
    let path = stage.output_of(&stage.fire("talk").await, "finished").await;
    let stream = stage.scheduler.text(&format!("{path}?follow=true")).await;
    let id = stream.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    assert_eq!(
        stream,
        format!(
            "event: lines\ndata: {{\"lines\":[{{\"container\":\"main\",\"text\":\"one\"}}]}}\nid: {id}\n\n\
             event: end\ndata: {{\"because\":\"the task has ended\"}}\nid: {id}\n\n"
        )
    );
    let rest = stage.scheduler.text(&format!("{path}?follow=true&after={id}")).await;
    assert!(rest.starts_with("event: end\n"), "{rest}");
    let missing = stage.scheduler.text(&format!("{path}?follow=true&container=mian")).await;
    assert!(missing.starts_with("event: problem\n"), "{missing}");
    assert!(missing.contains("\"type\":\"/problems/not-found\""), "{missing}");
}

#[tokio::test]
async fn command_line_follows_a_running_task_until_it_ends() {
    let flag = tempfile::tempdir().unwrap();
    let gate = flag.path().join("gate");
    let line = format!("echo begin; while [ ! -e {} ]; do sleep 0.05; done; echo end", gate.display());
    let stage = Stage::new("waits", json!([shell("main", &line, json!({}))])).await;
    let path = stage.output_of(&stage.fire("waits").await, "launched").await;
    let mut child = stage.command(&["logs", "waits", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let following = async {
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("begin"));
        assert_eq!(texts(&stage.scheduler.get(&path).await), ["begin"]);
        std::fs::write(&gate, "").unwrap();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("end"));
        assert_eq!(lines.next_line().await.unwrap(), None);
        assert!(child.wait().await.unwrap().success());
    };
    tokio::time::timeout(DEADLINE, following).await.unwrap();
}

#[tokio::test]
async fn long_output_has_pages_that_join_without_a_gap() {
    let stage = Stage::new("long", json!([shell("main", "seq 1 25000", json!({}))])).await;
    let path = stage.output_of(&stage.fire("long").await, "finished").await;
    let (mut numbers, mut pages, mut next) = (Vec::new(), 0, json!(path));
    while let Some(path) = next.as_str() {
        let page = stage.scheduler.get(path).await;
        numbers.extend(texts(&page).iter().map(|text| text.parse::<u32>().unwrap()));
        pages += 1;
        next = page["next"].clone();
    }
    assert!(numbers.iter().copied().eq(1..=25_000) && pages == 3, "{pages}");
    let (out, ..) = printed(&stage.run(&["logs", "long"]).await);
    assert_eq!(out.lines().count(), 25_000);
}

#[tokio::test]
async fn invalid_requests_for_output_are_refused() {
    let stage = Stage::new("talk", json!([shell("main", "echo one", json!({}))])).await;
    let firing = stage.fire("talk").await;
    let path = stage.output_of(&firing, "finished").await;
    for (query, pointer) in [
        ("tail=0", "?tail"),
        ("tail=10001", "?tail"),
        ("tail=x", "?tail"),
        ("since=yesterday", "?since"),
        ("after=%0A", "?after"),
        ("after=17", "?after"),
        ("after=main%3Dx", "?after"),
        ("after=main%3D1&tail=5", "?tail"),
        ("follow=maybe", "?follow"),
        ("lines=5", "?lines"),
    ] {
        let problem = stage.scheduler.get(&format!("{path}?{query}")).await;
        assert_eq!((&problem["status"], &problem["errors"][0]["pointer"]), (&json!(400), &json!(pointer)));
    }
    let since = stage.scheduler.get(&format!("{path}?since=2026-01-01T00:00:00Z")).await;
    assert_eq!(
        (&since["status"], &since["errors"][0]["pointer"]),
        (&json!(400), &json!("?since")),
        "{since}"
    );
    assert!(since["detail"].as_str().unwrap().contains("logs of local tasks have no times"), "{since}");
    let foreign = stage.scheduler.get(&format!("{path}?after=main%3D1")).await;
    assert!(foreign["status"] == 400 && foreign["detail"].as_str().unwrap().contains("no position in a log"));
    for path in ["/firings/none/tasks/none/logs".to_owned(), format!("{firing}/tasks/none/logs")] {
        assert_eq!(stage.scheduler.get(&path).await["status"], 404);
    }
}

#[tokio::test]
async fn output_of_a_task_whose_files_are_gone_is_not_found_with_the_reason() {
    let stage = Stage::new("talk", json!([shell("main", "echo one", json!({}))])).await;
    let path = stage.output_of(&stage.fire("talk").await, "finished").await;
    let tasks = stage.site.path("data").join("local").join("tasks");
    let task = std::fs::read_dir(&tasks).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(task.join("main.log")).unwrap();
    let problem = stage.scheduler.get(&path).await;
    assert_eq!(problem["status"], 404, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("its logs were removed"), "{problem}");
    std::fs::remove_dir_all(&task).unwrap();
    assert_eq!(stage.scheduler.get(&path).await["status"], 404);
}

#[tokio::test(start_paused = true)]
async fn launcher_without_logs_says_so() {
    let server = Server::start().await;
    let document = json!({"id": "plain", "taskDefinition": "plain", "schedule": "0 0 0"});
    server.json("POST", "/jobs", &document).await;
    let fired = server.call("POST", "/jobs/plain/firings", &[], "").await;
    let path = fired.header("location").to_owned();
    let launched = async {
        loop {
            let firing = server.get(&path).await.json();
            if let Some(task) = firing["tasks"][0]["taskId"].as_str() {
                return task.rsplit('/').next().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let task = launched.await;
    let problem = server.get(&format!("{path}/tasks/{task}/logs")).await;
    assert_eq!(problem.status, 404, "{}", problem.text());
    assert!(problem.text().contains("does not read logs"), "{}", problem.text());
}
