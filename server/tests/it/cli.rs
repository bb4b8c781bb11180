//! The real program: its commands, exit codes and signals.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use insta::assert_snapshot;
use serde_json::Value;
use tempfile::TempDir;

/// Runs the program with these arguments and environment, and nothing else in the environment.
fn program(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecs-scheduler"));
    command.args(arguments).current_dir(folder).env_clear().envs(environment.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A demo that runs as a process of its own, and is killed at the end unless it was stopped before.
struct Demo {
    process: Child,
    server: String,
    folder: TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_ecs-scheduler"))
            .args(["demo", "--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let greeting = lines.find(|line| line.as_ref().unwrap().contains("running at http://"));
        let greeting = greeting.unwrap().unwrap();
        let address = greeting.split("http://").nth(1).unwrap().split(',').next().unwrap();
        Self { process, server: format!("http://{address}"), folder }
    }

    fn jobs(&self, arguments: &[&str]) -> Output {
        let arguments = [&["jobs"], arguments].concat();
        program(self.folder.path(), &arguments, &[("ECSS_SERVER", &self.server)])
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.jobs(&[arguments, &["--json"]].concat());
        serde_json::from_str(&out(&output)).unwrap_or_else(|error| panic!("{error}: {}", err(&output)))
    }

    /// Asks to stop, and returns the exit code.
    fn stop(mut self) -> Option<i32> {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_demo_fires_real_processes_and_the_commands_work_on_it() {
    let demo = Demo::start();
    let list = out(&demo.jobs(&["list"]));
    for job in ["heartbeat", "disk-report", "office-hours", "two-rhythms"] {
        assert!(list.contains(job), "{list}");
    }

    let fired = demo.jobs(&["fire", "disk-report", "--idempotency-key", "once"]);
    assert!(out(&fired).starts_with("fired disk-report: 1 task ("), "{}{}", out(&fired), err(&fired));
    assert_eq!(out(&demo.jobs(&["fire", "disk-report", "--idempotency-key", "once"])), out(&fired));
    let ended = (0..2_000).map(|_| demo.json(&["history", "disk-report"])).find(|history| {
        history["firings"].as_array().unwrap().iter().any(|firing| firing["state"] == "finished")
    });
    let ended = ended.expect("a report of the disk ends within 2,000 requests");
    assert_eq!(ended["firings"][0]["tasks"][0]["exitCode"], 0, "{ended:#}");
    assert!(out(&demo.jobs(&["explain", "disk-report"])).contains("fired by hand"));

    assert_eq!(out(&demo.jobs(&["suspend", "heartbeat", "--reason", "lunch"])), "suspended heartbeat\n");
    assert_eq!(demo.json(&["get", "heartbeat"])["suspended"], true);
    assert_eq!(out(&demo.jobs(&["resume", "heartbeat"])), "resumed heartbeat\n");

    let file = demo.folder.path().join("job.json");
    std::fs::write(&file, r#"{"id": "mine", "taskDefinition": "heartbeat", "schedule": "0 0 2"}"#).unwrap();
    assert_eq!(out(&demo.jobs(&["create", "job.json"])), "created mine\n");
    let again = demo.jobs(&["create", "job.json"]);
    assert_eq!(
        (again.status.code(), err(&again).as_str()),
        (Some(5), "error: POST /jobs: 409 Job mine already exists.\n")
    );
    std::fs::write(&file, r#"{"schedule": "0 0 3", "timezone": "Europe/Berlin"}"#).unwrap();
    assert_eq!(out(&demo.jobs(&["edit", "mine", "job.json"])), "changed mine\n");
    let next = out(&demo.jobs(&["next", "mine", "--count", "1"]));
    assert!(next.contains("T03:00:00+0"), "{next}");
    assert_eq!(out(&demo.jobs(&["delete", "mine"])), "deleted mine\n");
    assert_eq!(demo.jobs(&["get", "mine"]).status.code(), Some(5));

    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path(), &["jobs", "list", "--server", "http://127.0.0.1:1"], &[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).starts_with("error: could not reach http://127.0.0.1:1; is it running?"));
}

// What can be set, and what is missing, depends on the build.
#[cfg(feature = "aws")]
#[test]
fn a_configuration_that_is_refused_ends_with_its_own_code() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("ECSS_ECS_CLUSTER", "c"), ("ECSS_LISTEN", "0.0.0.0:80")];
    let output = program(folder.path(), &[], &environment);
    assert_eq!(output.status.code(), Some(3));
    assert_snapshot!(err(&output));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made before all is well");
}

// What can be set, and what is missing, depends on the build.
#[cfg(feature = "aws")]
#[test]
fn config_check_shows_what_holds_and_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("settings.yaml"), "maxTasks: 7\nlauncher: local\n").unwrap();
    let environment = [("ECSS_CONFIG_FILE", "settings.yaml"), ("ECSS_NAME", "on-{HOST}"), ("HOST", "box")];
    let output = program(folder.path(), &["config", "check", "--listen", "127.0.0.1:81"], &environment);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_snapshot!(out(&output));
}

#[test]
fn schedules_are_explained_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["schedule", "next", "0 30 2", "--timezone", "Europe/Berlin", "--count", "2"];
    let arguments = [&arguments[..], &["--after", "2027-03-27T12:00:00Z"]].concat();
    assert_snapshot!(out(&program(folder.path(), &arguments, &[])));
    assert_eq!(program(folder.path(), &["schedule", "next", "61"], &[]).status.code(), Some(1));
}

#[test]
fn question_marks_of_a_schedule_show_what_the_job_would_get() {
    let folder = tempfile::tempdir().unwrap();
    let next = |id: &[&str]| {
        let arguments = [&["schedule", "next", "? ? 4", "--count", "1", "--json"][..], id].concat();
        let answer: serde_json::Value =
            serde_json::from_str(&out(&program(folder.path(), &arguments, &[]))).unwrap();
        answer["schedule"][0].as_str().unwrap().to_owned()
    };
    let (unnamed, named) = (next(&[]), next(&["--id", "nightly"]));
    assert!(!unnamed.contains('?') && named.ends_with(" 4"), "{unnamed}, {named}");
    assert_ne!(unnamed, named);
}

#[test]
fn an_import_lists_what_it_cannot_read_and_prints_json_also_when_no_job_results() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("chart.yaml"), "kind: {{ .Values.kind }}").unwrap();
    std::fs::write(folder.path().join("web.yaml"), "kind: ScaledObject\nmetadata: {name: web}").unwrap();
    let arguments = ["import", "keda", "--json", "missing.yaml", "chart.yaml", "web.yaml"];
    let output = program(folder.path(), &arguments, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let answer: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let sources: Vec<&str> =
        answer["objects"].as_array().unwrap().iter().map(|one| one["source"].as_str().unwrap()).collect();
    assert_eq!(sources, ["file missing.yaml", "file chart.yaml", "ScaledObject web"]);
    let said = &answer["objects"][1]["remarks"][0]["text"];
    assert!(said.as_str().unwrap().contains("helm template"), "{answer:#}");
}

#[test]
fn a_decision_is_made_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let job = r#"{"taskDefinition": "orders", "schedule": "0 0 2", "maxCount": 10}"#;
    std::fs::write(folder.path().join("job.json"), job).unwrap();
    let decide = |given: &[&str]| program(folder.path(), &[&["evaluate", "job.json"], given].concat(), &[]);
    let output = decide(&["--given", "demand=12", "--given", "busy=4", "--json"]);
    let answer: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((answer["demand"].clone(), answer["launch"].clone()), (12.into(), 6.into()), "{answer:#}");
    assert!(out(&decide(&[])).contains("due, taskCount → 1"));
    let refused = decide(&["--max-tasks", "5"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("maxCount: Must be between 1 and 5."), "{}", err(&refused));
    assert_eq!(decide(&["--given", "weather=3"]).status.code(), Some(2));
}

#[cfg(feature = "aws")]
#[test]
fn a_decision_can_be_made_about_given_counts_of_a_queue() {
    let folder = tempfile::tempdir().unwrap();
    let job = r#"{"taskDefinition": "orders", "schedule": "rate(30 seconds)", "maxCount": 10, "mode": "oneShot",
        "trigger": {"type": "sqs", "queueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/orders",
                    "messagesPerTask": 10}}"#;
    std::fs::write(folder.path().join("job.json"), job).unwrap();
    let decide = |given: &[&str]| {
        let output = program(folder.path(), &[&["evaluate", "job.json", "--json"], given].concat(), &[]);
        serde_json::from_str::<Value>(&out(&output)).unwrap()
    };
    let answer = decide(&["--given", "visible=45,inFlight=10", "--given", "busy=2"]);
    assert_eq!(answer["launch"], 4, "six for 55 messages, and two are there: {answer:#}");
    assert!(answer["explanation"].as_str().unwrap().contains("oneShot: 55 known to be left"), "{answer:#}");
    assert_eq!(decide(&["--given", "inFlight=10"])["outcome"], "idle");
}

#[test]
fn the_openapi_document_and_completions_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let document: Value = serde_json::from_str(&out(&program(folder.path(), &["openapi"], &[]))).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(out(&program(folder.path(), &["completions", "bash"], &[])).contains("complete -F"));
}

// The pages describe the whole build.
#[cfg(feature = "aws")]
#[test]
fn the_generated_pages_are_those_of_this_code() {
    let folder = tempfile::tempdir().unwrap();
    for page in ["configuration", "cli"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../doc/{page}.md"));
        let written = std::fs::read_to_string(file).unwrap();
        let generated = out(&program(folder.path(), &["reference", page], &[]));
        assert!(written == generated, "doc/{page}.md is not what the code says; run `make docs`");
    }
}
