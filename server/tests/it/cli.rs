//! The real program: its commands, exit codes and signals.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
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
            .env("ECSS_LISTEN", "127.0.0.1:1")
            .env("ECSS_LAUNCHER", "nothing")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let greeting = lines.find(|line| line.as_ref().unwrap().contains("running at http://"));
        let greeting = greeting.unwrap().unwrap();
        let address = greeting.split("http://").nth(1).unwrap().split(',').next().unwrap();
        Self { process, server: format!("http://{address}"), folder }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        program(self.folder.path(), arguments, &[("ECSS_SERVER", &self.server)])
    }

    fn jobs(&self, arguments: &[&str]) -> Output {
        self.run(&[&["jobs"], arguments].concat())
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
    assert!(out(&fired).starts_with("fired disk-report: 1 task "), "{}{}", out(&fired), err(&fired));
    assert_eq!(out(&demo.jobs(&["fire", "disk-report", "--idempotency-key", "once"])), out(&fired));
    let ended = (0..2_000).map(|_| demo.json(&["history", "disk-report"])).find(|history| {
        history["firings"].as_array().unwrap().iter().any(|firing| firing["state"] == "finished")
    });
    let ended = ended.expect("a report of the disk ends within 2,000 requests");
    assert_eq!(ended["firings"][0]["tasks"][0]["exitCode"], 0, "{ended:#}");
    for (outcome, expected) in [("succeeded", 1), ("failed", 0)] {
        let found = demo.json(&["history", "disk-report", "--outcome", outcome, "--limit", "1"]);
        assert_eq!(found["firings"].as_array().unwrap().len(), expected, "{outcome}: {found:#}");
    }
    for command in ["history", "explain"] {
        let found = |label: &str| {
            let list = demo.json(&[command, "disk-report", "--label", label]);
            list["decisions"].as_array().or(list["firings"].as_array()).unwrap().len()
        };
        assert_eq!(found("team"), 0, "{command}: the job has no such label yet");
        let labels = demo.folder.path().join("labels.json");
        std::fs::write(&labels, r#"{"labels": {"team": "data"}}"#).unwrap();
        let edited = demo.jobs(&["edit", "disk-report", labels.to_str().unwrap()]);
        assert!(edited.status.success(), "{}", err(&edited));
        assert!(found("team=data") > 0 && found("team=web") == 0, "{command}");
        std::fs::write(&labels, r#"{"labels": null}"#).unwrap();
        assert!(demo.jobs(&["edit", "disk-report", labels.to_str().unwrap()]).status.success());
    }
    let unknown = demo.jobs(&["history", "disk-report", "--outcome", "fine"]);
    assert!(err(&unknown).contains("one of succeeded, failed, stopped"), "{}", err(&unknown));
    assert_eq!(out(&demo.jobs(&["list", "--state", "failing"])), "no jobs in state failing\n");
    assert!(out(&demo.jobs(&["list", "--state", "ok"])).contains("disk-report"));
    let searched = out(&demo.jobs(&["list", "--search", "report", "--sort", "-id"]));
    assert!(searched.contains("disk-report") && !searched.contains("heartbeat"), "{searched}");
    assert_eq!(out(&demo.jobs(&["list", "--label", "nobody"])), "no jobs pass the filters\n");
    assert!(out(&demo.jobs(&["explain", "disk-report"])).contains("fired by hand"));

    assert_eq!(out(&demo.jobs(&["suspend", "heartbeat", "--reason", "lunch"])), "suspended heartbeat\n");
    assert_eq!(demo.json(&["get", "heartbeat"])["suspended"], true);
    assert_eq!(out(&demo.jobs(&["resume", "heartbeat"])), "resumed heartbeat\n");

    let file = demo.folder.path().join("job.json");
    std::fs::write(&file, r#"{"id": "mine", "taskDefinition": "heartbeat", "schedule": "0 0 2"}"#).unwrap();
    let dry = out(&demo.jobs(&["create", "job.json", "--dry-run"]));
    assert!(dry.starts_with("would create mine\n") && dry.contains("launched, 1 to launch"), "{dry}");
    assert_eq!(out(&demo.jobs(&["create", "job.json"])), "created mine\n");
    let again = demo.jobs(&["create", "job.json"]);
    assert_eq!(
        (again.status.code(), err(&again).as_str()),
        (Some(5), "error: POST /jobs: 409 Job mine already exists.\n")
    );
    std::fs::write(&file, r#"{"schedule": "0 0 3", "timezone": "Europe/Berlin"}"#).unwrap();
    let dry = demo.json(&["edit", "mine", "job.json", "--dry-run"]);
    assert_eq!(
        (&dry["effect"], &dry["diff"][0]["pointer"]),
        (&"change".into(), &"/schedule".into()),
        "{dry:#}"
    );
    assert_eq!(out(&demo.jobs(&["edit", "mine", "job.json"])), "changed mine\n");
    let next = out(&demo.jobs(&["next", "mine", "--count", "1"]));
    assert!(next.contains("T03:00:00+0"), "{next}");
    assert_eq!(demo.jobs(&["create", "job.json", "--validate", "azure"]).status.code(), Some(2));
    assert_eq!(out(&demo.jobs(&["delete", "mine"])), "deleted mine\n");
    assert_eq!(demo.jobs(&["get", "mine"]).status.code(), Some(5));

    let log = std::fs::read_to_string(demo.folder.path().join("log")).unwrap();
    let remark = "the demo reads no settings, so ECSS_LISTEN has no effect; use --listen";
    assert!(log.contains(remark) && !log.contains("ECSS_DATA_DIR"), "{log}");
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn a_backfill_fires_real_processes_for_past_ticks_and_is_shown_and_stopped() {
    let demo = Demo::start();
    let job = r#"{"id": "past", "taskDefinition": "disk-report", "schedule": "0 0 *", "succeedsBy": "main"}"#;
    std::fs::write(demo.folder.path().join("past.json"), job).unwrap();
    assert!(out(&demo.jobs(&["create", "past.json"])).starts_with("created past\n"));
    let range = ["backfill", "past", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T03:00:00Z"];
    let missing = demo.jobs(&["backfill", "past", "--status"]);
    assert_eq!(missing.status.code(), Some(5), "{}", err(&missing));
    let dry = out(&demo.jobs(&[&range[..], &["--dry-run"]].concat()));
    assert!(dry.contains("3 ticks, 3 tasks; nothing was started"), "{dry}");
    let started = demo.jobs(&[&range[..], &["--reason", "wrong input", "--actor", "ada"]].concat());
    let text = out(&started);
    assert!(
        text.contains("running, 0 of 3 ticks done") && text.contains("by ada: wrong input"),
        "{text}{}",
        err(&started)
    );
    let ended = (0..6_000)
        .map(|_| demo.json(&["backfill", "past", "--status"]))
        .find(|view| view["state"] == "finished");
    let ended = ended.expect("three reports of the disk end within 6,000 requests");
    assert_eq!(ended["done"]["succeeded"], 3, "{ended:#}");
    let history = out(&demo.jobs(&["history", "past"]));
    assert_eq!(history.matches("backfill").count(), 3, "{history}");
    assert!(history.contains("2026-01-01T02:00:00Z"), "{history}");
    assert!(
        out(&demo.jobs(&["backfill", "past", "--stop"]))
            .contains("finished, 3 of 3 ticks done (3 succeeded)")
    );
    for arguments in [&["backfill", "past"][..], &["backfill", "past", "--status", "--stop"]] {
        assert_eq!(demo.jobs(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let late =
        demo.jobs(&["backfill", "past", "--from", "2026-01-01T00:00:00Z", "--to", "9999-01-01T00:00:00Z"]);
    assert!(late.status.code() == Some(5) && err(&late).contains("Later than now"), "{}", err(&late));
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn a_job_that_launched_nothing_when_fired_ends_with_code_5_and_the_reason() {
    let demo = Demo::start();
    let on = demo.run(&["brake", "on", "--reason", "runaway queue"]);
    assert!(out(&on).starts_with("the brake is on since "), "{}", err(&on));
    let held = demo.jobs(&["fire", "disk-report"]);
    assert_eq!(
        (held.status.code(), err(&held).as_str(), out(&held).as_str()),
        (
            Some(5),
            "error: job disk-report launched nothing: the brake is on: runaway queue (outcome suspended)\n",
            ""
        )
    );
    let held = demo.jobs(&["fire", "disk-report", "--json"]);
    let answer: Value = serde_json::from_str(&out(&held)).unwrap();
    assert_eq!((held.status.code(), &answer["outcome"]), (Some(5), &"suspended".into()));
    assert_eq!(out(&demo.run(&["brake", "off"])), "the brake is off\n");

    // No tick of it is due, so that the task fired by hand is the only one.
    let yearly = r#"{"id": "yearly", "taskDefinition": "heartbeat", "schedule": "@yearly"}"#;
    std::fs::write(demo.folder.path().join("yearly.json"), yearly).unwrap();
    assert_eq!(demo.jobs(&["create", "yearly.json"]).status.code(), Some(0));
    let absent = r#"{"id": "absent", "taskDefinition": "absent", "schedule": "@yearly"}"#;
    std::fs::write(demo.folder.path().join("absent.json"), absent).unwrap();
    let created = out(&demo.jobs(&["create", "absent.json"]));
    assert!(created.starts_with("created absent\nwarning: no task definition \"absent\" in "), "{created}");
    let missing = demo.jobs(&["fire", "absent", "--wait"]);
    assert_eq!(missing.status.code(), Some(5), "{}{}", out(&missing), err(&missing));
    assert!(err(&missing).starts_with("error: job absent launched nothing: "), "{}", err(&missing));
    let started = demo.jobs(&["fire", "yearly", "--wait"]);
    assert!(
        out(&started).starts_with("fired yearly: 1 task started ("),
        "{}{}",
        out(&started),
        err(&started)
    );

    assert!(out(&demo.run(&["decisions"])).contains("disk-report"));
    assert!(out(&demo.run(&["stats"])).starts_with("no call to AWS since "));
    assert!(out(&demo.run(&["replicas"])).starts_with("one scheduler: "));
}

#[test]
fn jobs_that_an_import_printed_can_be_examined_evaluated_and_created() {
    let demo = Demo::start();
    let folder = demo.folder.path();
    let scaled = |name: &str| {
        format!(
            "kind: ScaledJob\nmetadata: {{name: {name}}}\nspec: {{triggers: [{{type: cron, metadata: {{timezone: UTC, \
             start: 0 8 * * *, end: 0 18 * * *, desiredReplicas: '1'}}}}]}}\n"
        )
    };
    std::fs::write(folder.join("keda.yaml"), format!("{}---\n{}", scaled("early"), scaled("late"))).unwrap();
    let imported = program(folder, &["import", "keda", "keda.yaml"], &[]);
    std::fs::write(folder.join("jobs.json"), out(&imported)).unwrap();

    let evaluated = program(folder, &["evaluate", "jobs.json", "--given", "demand=3", "--json"], &[]);
    let answers: Value = serde_json::from_str(&out(&evaluated)).unwrap();
    let launches: Vec<&Value> = answers.as_array().unwrap().iter().map(|answer| &answer["launch"]).collect();
    assert_eq!(launches, [3, 3]);
    let shown = out(&program(folder, &["evaluate", "jobs.json", "--given", "demand=3"], &[]));
    assert!(shown.contains("jobs.json early\n") && shown.contains("jobs.json late\n"), "{shown}");

    let local = [("ECSS_LAUNCHER", "local"), ("ECSS_DATA_DIR", "elsewhere")];
    let examined = out(&program(folder, &["doctor", "jobs.json"], &local));
    assert!(examined.contains("2 valid jobs"), "{examined}");
    assert!(examined.contains("job early") && examined.contains("job late"), "{examined}");

    // The server has no such task definitions, and warns of that.
    let created = |output: &Output| -> Vec<String> {
        out(output).lines().filter(|line| !line.starts_with("warning: ")).map(str::to_owned).collect()
    };
    assert_eq!(created(&demo.jobs(&["create", "jobs.json"])), ["created early", "created late"]);
    std::fs::write(folder.join("more.json"), out(&imported).replace("\"late\"", "\"later\"")).unwrap();
    let again = demo.jobs(&["create", "more.json"]);
    assert_eq!(
        (again.status.code(), created(&again), err(&again).as_str()),
        (
            Some(5),
            vec!["created later".to_owned()],
            "error: more.json early: POST /jobs: 409 Job early already exists.\n"
        ),
        "one that is refused does not stop the others"
    );
}

#[test]
fn text_of_an_imported_file_does_not_act_on_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = "kind: ScaledJob\nmetadata: {name: \"\\e]0;title\\a\\r\\nok\\u202e\"}\nspec: {sneaky\\e: 1}\n";
    std::fs::write(folder.path().join("keda.yaml"), file).unwrap();
    let table = program(folder.path(), &["import", "keda", "keda.yaml"], &[]);
    let json = program(folder.path(), &["import", "keda", "--json", "keda.yaml"], &[]);
    for text in [err(&table), out(&json), err(&json)] {
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(acts), "{text:?}");
    }
    assert!(err(&table).contains(r"ScaledJob \u{1b}]0;title\u{7}\u{d}\u{a}ok\u{202e}"), "{}", err(&table));
    let answer: Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(answer["objects"][0]["source"], "ScaledJob \u{1b}]0;title\u{7}\r\nok\u{202e}");
}

#[test]
fn an_unreachable_server_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path(), &["jobs", "list", "--server", "http://127.0.0.1:1"], &[]);
    assert_eq!(output.status.code(), Some(4));
    assert!(err(&output).starts_with("error: could not reach http://127.0.0.1:1; is it running?"));
}

#[test]
fn a_server_or_an_idempotency_key_that_none_can_have_is_a_wrong_command_line() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, why) in [
        (&["jobs", "list", "--server", "http://a b"][..], "http://a b"),
        (&["brake", "--server", "http://"], "http://"),
        (&["doctor", "--server", "https://localhost"], "http:// only"),
        (&["jobs", "fire", "x", "--idempotency-key", "a\u{1b}b"], "printable characters"),
        (&["jobs", "fire", "x", "--idempotency-key", "a b"], "printable characters"),
        (&["jobs", "fire", "x", "--idempotency-key", ""], "printable characters"),
    ] {
        let output = program(folder.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(why), "{arguments:?}: {}", err(&output));
        assert!(!err(&output).contains("is it running"), "{}", err(&output));
    }
}

// The available and missing settings depend on the build.
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

#[test]
fn the_configured_number_of_tasks_bounds_a_job_in_doctor_and_evaluate_alike() {
    let folder = tempfile::tempdir().unwrap();
    let job = r#"{"id": "many", "taskDefinition": "t", "schedule": "rate(1 minute)", "maxCount": 40}"#;
    std::fs::write(folder.path().join("job.json"), job).unwrap();
    for arguments in [&["doctor", "job.json"][..], &["evaluate", "job.json", "--given", "demand=1"]] {
        let environment = [("ECSS_LAUNCHER", "local"), ("ECSS_STORE", "memory"), ("ECSS_MAX_TASKS", "20")];
        let output = program(folder.path(), arguments, &environment);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = out(&output) + &err(&output);
        assert!(said.contains("/maxCount: Must be between 1 and 20."), "{said}");
    }
}

#[test]
fn a_setting_that_is_not_utf_8_is_refused_by_config_check_and_serve_alike() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["config", "check"][..], &["serve"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ecs-scheduler"));
        command.args(arguments).current_dir(folder.path()).env_clear().env("ECSS_LAUNCHER", "local");
        command.env("ECSS_DATA_DIR", OsStr::from_bytes(b"x/\xff")).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(err(&output), "error: ECSS_DATA_DIR is not UTF-8\n");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made before all is well");
}

#[test]
fn a_path_that_leads_to_another_kind_of_object_is_refused_by_config_check_and_serve_alike() {
    let folder = tempfile::tempdir().unwrap();
    #[cfg(feature = "elasticsearch")]
    let index = [("ECSS_ELASTICSEARCH_INDEX", "jobs"), ("ECSS_ELASTICSEARCH_HOSTS", "https://127.0.0.1:1")];
    for (name, path, others, remedy) in [
        ("ECSS_LOG_FOLDER", "/etc/passwd", &[][..], "name a folder"),
        ("ECSS_DATA_DIR", "/etc/passwd", &[], "name a folder"),
        ("ECSS_DATA_DIR", "/etc/passwd/data", &[], "name a folder"),
        ("ECSS_SQLITE_FILE", "/tmp", &[], "name a file"),
        ("ECSS_SQLITE_FILE", "/etc/passwd/jobs.db", &[], "name a file"),
        ("ECSS_LOCAL_TASK_DEFINITIONS", "/etc/passwd", &[], "name a folder"),
        ("ECSS_CONFIG_FILE", "/nope", &[], "No such file"),
        #[cfg(feature = "elasticsearch")]
        ("ECSS_ELASTICSEARCH_CA_FILE", "/nope", &index[..], "name a PEM file"),
    ] {
        let environment = [&[("ECSS_LAUNCHER", "local"), (name, path)], others].concat();
        let messages: Vec<String> = [&["config", "check"][..], &["serve", "--listen", "127.0.0.1:0"]]
            .iter()
            .map(|arguments| {
                let output = program(folder.path(), arguments, &environment);
                assert_eq!(output.status.code(), Some(3), "{name}={path}: {}", err(&output));
                err(&output)
            })
            .collect();
        assert_eq!(messages[0], messages[1]);
        let [line] = *messages[0].lines().collect::<Vec<_>>() else { panic!("{messages:?}") };
        let is_named = line.contains(name) || name == "ECSS_CONFIG_FILE";
        assert!(is_named && line.contains(path) && line.contains(remedy), "{line}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made before all is well");
}

#[cfg(feature = "aws")]
#[test]
fn a_setting_of_a_launcher_that_is_not_chosen_gives_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let set = [("ECSS_LAUNCHER", "local"), ("ECSS_ECS_EVENTS_QUEUE", "events")];
    let warning = "ECSS_ECS_EVENTS_QUEUE has no effect: it is a setting of the launcher \"ecs\", and the launcher is \"local\"";
    let output = program(folder.path(), &["config", "check"], &set);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).ends_with(&format!("warning: {warning}\n")), "{}", out(&output));
    let output = program(folder.path(), &["config", "check", "--json"], &set);
    assert_eq!(serde_json::from_str::<Value>(&out(&output)).unwrap()["warnings"][0], warning);
    // The port is taken, so the server stops after its warnings.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = program(folder.path(), &["serve", "--listen", &address], &set);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("ECSS_ECS_EVENTS_QUEUE has no effect"), "{}", err(&output));
}

#[test]
fn second_scheduler_says_at_once_what_it_waits_for() {
    let demo = Demo::start();
    let mut second = Command::new(env!("CARGO_BIN_EXE_ecs-scheduler"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env_clear()
        .envs([("ECSS_LAUNCHER", "local"), ("ECSS_STORE", "memory")])
        .current_dir(demo.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("data folder ") && first.contains("waiting up to 5 s"), "{first}");
    second.kill().unwrap();
    second.wait().unwrap();
}

#[test]
fn doctor_and_iam_policy_work_beside_a_scheduler_with_the_local_launcher() {
    let demo = Demo::start();
    let environment = [("ECSS_LAUNCHER", "local"), ("AWS_REGION", "eu-west-1")];
    let output = program(demo.folder.path(), &["doctor"], &environment);
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()), "{}", out(&output));
    for told in
        ["4 valid jobs", "launcher local: its files and task definitions are not checked", "no problem found"]
    {
        assert!(out(&output).contains(told), "{}", out(&output));
    }
    let output = program(demo.folder.path(), &["iam-policy"], &environment);
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()), "{}", out(&output));
}

#[test]
fn doctor_shows_the_warnings_about_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let job =
        r#"{"id": "many", "taskDefinition": "t", "schedule": "@daily", "taskCount": 10, "maxCount": 4}"#;
    std::fs::write(folder.path().join("job.json"), job).unwrap();
    let environment = [("ECSS_LAUNCHER", "local"), ("ECSS_STORE", "memory")];
    let output = program(folder.path(), &["doctor", "job.json"], &environment);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(
        err(&output),
        "warning: job many: taskCount 10 is greater than maxCount 4: at most 4 tasks of the job run at once\n"
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "the folder of the launcher is not made"
    );
}

#[test]
fn doctor_has_the_warnings_about_a_job_in_its_json() {
    let folder = tempfile::tempdir().unwrap();
    let job =
        r#"{"id": "many", "taskDefinition": "t", "schedule": "@daily", "taskCount": 10, "maxCount": 4}"#;
    std::fs::write(folder.path().join("job.json"), job).unwrap();
    let environment = [("ECSS_LAUNCHER", "local"), ("ECSS_STORE", "memory")];
    let output = program(folder.path(), &["doctor", "--json", "job.json"], &environment);
    let printed: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let text = "taskCount 10 is greater than maxCount 4: at most 4 tasks of the job run at once";
    assert_eq!(printed["warnings"], serde_json::json!([{"job": "many", "warning": text}]));
    assert_eq!(err(&output), "", "not twice");
}

#[cfg(target_os = "linux")]
#[test]
fn place_within_a_file_system_of_the_kernel_is_refused_by_config_check_and_serve_alike() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("ECSS_SQLITE_FILE", "/proc/nope/x.db"), ("ECSS_LOG_FOLDER", "/sys/nope/logs")] {
        let environment = [(name, value), ("ECSS_LAUNCHER", "local")];
        for command in [&["config", "check"][..], &["serve"]] {
            let output = program(folder.path(), command, &environment);
            assert_eq!(output.status.code(), Some(3), "{name} {command:?}: {}", err(&output));
            assert!(err(&output).contains(&format!("{name} is \"{value}\"")), "{}", err(&output));
        }
    }
}

#[test]
fn file_that_cannot_be_made_in_the_folder_of_a_setting_is_refused_by_config_check_and_serve_alike() {
    for (name, wrong, remedy) in [
        ("ECSS_LOG_FOLDER", "app.log", "it is a folder"),
        ("ECSS_LOG_FOLDER", "app.log.1", "it is a folder"),
        ("ECSS_DATA_DIR", "local", "is not a folder"),
        ("ECSS_DATA_DIR", "scheduler.db", "it is a folder"),
        ("ECSS_DATA_DIR", "task-definitions", "it is not a folder"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        if remedy == "it is a folder" {
            std::fs::create_dir(inside.join(wrong)).unwrap();
        } else {
            std::fs::write(inside.join(wrong), "").unwrap();
        }
        let environment = [("ECSS_LAUNCHER", "local"), (name, inside.to_str().unwrap())];
        for arguments in [&["config", "check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let output = program(folder.path(), arguments, &environment);
            assert_eq!(output.status.code(), Some(3), "{name}/{wrong}: {}", err(&output));
            let said = err(&output);
            let [line] = *said.lines().collect::<Vec<_>>() else { panic!("{said}") };
            assert!(
                line.starts_with("error: ECSS_") && line.contains(wrong) && line.contains(remedy),
                "{line}"
            );
        }
        assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 1, "nothing is made before all is well");
    }
}

#[test]
fn path_that_only_a_command_meets_ends_it_with_the_code_of_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("file"), "").unwrap();
    let local = ("ECSS_LAUNCHER", "local");
    for (arguments, environment, said) in [
        // The folder of the dump is a file, or missing.
        (
            &["export", "file/dump"][..],
            [local, ("ECSS_SQLITE_FILE", "jobs.db")],
            "check that its folder is writable",
        ),
        (
            &["export", "nowhere/dump"],
            [local, ("ECSS_SQLITE_FILE", "jobs.db")],
            "check that its folder is writable",
        ),
        (
            &["backup", "file/copy"],
            [local, ("ECSS_SQLITE_FILE", "jobs.db")],
            "check that its folder is writable",
        ),
        (
            &["demo", "--listen", "127.0.0.1:0", "--data-dir", "file"],
            [local, ("A", "b")],
            "\"file/task-definitions\"",
        ),
    ] {
        let output = program(folder.path(), arguments, &environment);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{arguments:?}: {}", err(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is made");
}

// The available and missing settings depend on the build.
#[cfg(feature = "aws")]
#[test]
fn config_check_shows_effective_values_and_their_sources() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("settings.yaml"), "maxTasks: 7\nlauncher: local\n").unwrap();
    let environment = [("ECSS_CONFIG_FILE", "settings.yaml"), ("ECSS_NAME", "on-{HOST}"), ("HOST", "box")];
    let output = program(folder.path(), &["config", "check", "--listen", "127.0.0.1:81"], &environment);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_snapshot!(out(&output));
}

#[test]
fn a_server_setting_that_is_no_url_is_refused_by_every_command_that_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("ECSS_LAUNCHER", "local"), ("ECSS_SERVER", "x y")];
    for arguments in [&["jobs", "list"][..], &["health"], &["config", "check"], &["serve"]] {
        let output = program(folder.path(), arguments, &environment);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        assert_eq!(err(&output), "error: ECSS_SERVER is \"x y\"; this build speaks http:// only\n");
    }
    let output = program(folder.path(), &["jobs", "list", "--server", "http://127.0.0.1:1"], &environment);
    assert_eq!(output.status.code(), Some(4), "the flag replaces the setting");
}

#[cfg(all(feature = "aws", feature = "postgres"))]
#[test]
fn names_and_urls_that_no_store_has_are_refused_by_config_check_and_serve_alike() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = [
        ("ECSS_POSTGRES_URL", "postgress://db/jobs"),
        ("ECSS_POSTGRES_URL", "postgres://db:port/jobs"),
        ("ECSS_DYNAMODB_TABLE", "my jobs"),
        ("ECSS_S3_BUCKET", "s3://jobs"),
    ];
    for (name, value) in wrong {
        let environment = [("ECSS_LAUNCHER", "local"), (name, value)];
        let messages: Vec<String> = [&["config", "check"][..], &["serve"]]
            .iter()
            .map(|arguments| {
                let output = program(folder.path(), arguments, &environment);
                assert_eq!(output.status.code(), Some(3), "{name}={value}: {}", err(&output));
                err(&output)
            })
            .collect();
        assert!(messages[0].contains(name) && messages[0] == messages[1], "{messages:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made before all is well");
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
fn preview_resolves_question_marks_like_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let next = |id: &[&str]| {
        let arguments = [&["schedule", "next", "? ? 4", "--count", "1", "--json"][..], id].concat();
        let answer: serde_json::Value =
            serde_json::from_str(&out(&program(folder.path(), &arguments, &[]))).unwrap();
        let text = answer["warnings"].to_string();
        assert_eq!(
            text.contains("job named \\\"preview\\\"") && text.contains("`--id`"),
            id.is_empty(),
            "{text}"
        );
        answer["schedule"][0].as_str().unwrap().to_owned()
    };
    let (unnamed, named) = (next(&[]), next(&["--id", "nightly"]));
    assert!(!unnamed.contains('?') && named.ends_with(" 4"), "{unnamed}, {named}");
    assert_ne!(unnamed, named);
    let plain = out(&program(folder.path(), &["schedule", "next", "0 0 4"], &[]));
    assert!(!plain.contains("preview"), "{plain}");
}

#[test]
fn a_line_with_a_question_mark_gives_the_remedy_for_the_line_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let next = |line: &str| {
        let output = program(folder.path(), &["schedule", "next", line, "--count", "1"], &[]);
        out(&output) + &err(&output)
    };
    assert!(next("0 9 ? * MON-FRI").contains("write `cron(0 9 * * MON-FRI)`"), "{}", next("0 9 ? * MON-FRI"));
    assert!(next("0 9 ? * 1-5").contains("write `cron(0 9 * * 1-5)`"), "{}", next("0 9 ? * 1-5"));
    assert!(!next("0 0 ? * * MON").contains("write `"), "{}", next("0 0 ? * * MON"));
}

#[test]
fn a_backup_has_a_file_and_a_restore_says_what_it_found_in_place_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path(), &["backup", "-", "--from", "sqlite:none.db"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("standard output; name a file"), "{}", err(&output));
    for (backup, why) in [
        ("/dev/null", "it is not a file"),
        ("/tmp", "it is a folder"),
        ("nowhere.db", "there is no such file"),
    ] {
        let output = program(folder.path(), &["restore", backup, "--to", "sqlite:new.db"], &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(why), "{backup}: {}", err(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn import_lists_unreadable_files_and_prints_json_also_without_jobs() {
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
    let warnings = err(&output);
    for file in ["missing.yaml: No such file", "chart.yaml: a template"] {
        assert!(warnings.contains(&format!("warning: file {file}")), "{warnings}");
    }
    assert!(!warnings.contains("warning: ScaledObject"), "that is in the answer: {warnings}");
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
    let at_hand = program(folder.path(), &["evaluate", "job.json"], &[("ECSS_MAX_TASKS", "5")]);
    assert!(err(&at_hand).contains("maxCount: Must be between 1 and 5."), "{}", err(&at_hand));
    let suspended = r#"{"taskDefinition": "orders", "schedule": "0 0 2", "suspended": true}"#;
    std::fs::write(folder.path().join("job.json"), suspended).unwrap();
    assert!(out(&decide(&["--given", "demand=12"])).contains("  suspended\n"));
}

#[cfg(feature = "aws")]
#[test]
fn a_job_with_launch_options_is_checked_and_decided_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let job = |subnets: &str| {
        let job = format!(
            r#"{{"taskDefinition": "resize", "schedule": "rate(30 seconds)", "maxCount": 10,
                "launch": {{"launchType": "FARGATE", "network": {{"subnets": {subnets}}}}}}}"#
        );
        std::fs::write(folder.path().join("job.json"), job).unwrap();
    };
    let decide = |environment: &[(&str, &str)]| {
        program(folder.path(), &["evaluate", "job.json", "--given", "demand=12"], environment)
    };
    job(r#"["subnet-0123456789abcdef0"]"#);
    for settings in [&[][..], &[("ECSS_ECS_CLUSTER", "main")], &[("ECSS_LAUNCHER", "local")]] {
        let output = decide(settings);
        assert!(out(&output).contains("launched, 10 to launch"), "{settings:?}: {}", err(&output));
    }
    job("[]");
    let refused = decide(&[("ECSS_ECS_CLUSTER", "main")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("/job/launch/network/subnets"), "{}", err(&refused));
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
