//! A scheduler that is killed again and again: nothing starts twice, no exit code is lost.
//!
//! The scheduler is this test binary, started again for one hidden test that launches until it is killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_local::{LocalLauncher, LocalOptions};
use ecs_scheduler_core::Launcher as _;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::fixture::{Bench, ended, request, state, until};

/// Tells the hidden scheduler where its folders are.
const ROOT: &str = "LOCAL_LAUNCHER_CRASH_ROOT";

/// How many launches the schedulers make between them.
const LAUNCHES: usize = 150;

/// How many lives it takes at least before they are left to finish.
const LIVES: usize = 50;

/// What each task does: it notes that it ran, then ends with a code of its own.
const WORK: &str = "echo \"$ECSS_FIRING_ID\" >> \"$NOTES\"; sleep 0.02; exit $CODE";

fn key(number: usize) -> String {
    format!("launch {number}")
}

fn code(number: usize) -> i32 {
    i32::try_from(number % 50).unwrap() + 1
}

fn numbered(number: usize) -> ecs_scheduler_core::LaunchRequest {
    let mut request = request("work", &key(number));
    Arc::make_mut(&mut request.task).overrides = vec![ecs_scheduler_core::Override {
        container_name: "main".to_owned(),
        environment: [("CODE".to_owned(), code(number).to_string())].into(),
        command: None,
        resources: serde_json::Map::new(),
    }];
    request
}

/// Not a test of its own: the scheduler that the test below kills. Without the variable there is nothing to do.
#[tokio::test]
async fn a_scheduler_to_be_killed() {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else { return };
    let launcher = open(&root).await;
    println!("\nopen");
    for number in 0..LAUNCHES {
        // Every life repeats every call, as an engine does that never heard an answer.
        launcher.launch(&numbered(number)).await.unwrap();
        println!("\nlaunched {number}");
    }
    println!("\ndone");
    std::future::pending::<()>().await;
}

async fn open(root: &Path) -> LocalLauncher {
    let mut options = LocalOptions::new(root.join("definitions"), root.join("data"));
    options.max_tasks = LAUNCHES;
    LocalLauncher::open(options).await.unwrap()
}

/// A scheduler in a process of its own.
struct Scheduler {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Scheduler {
    fn start(root: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::a_scheduler_to_be_killed", "--nocapture"])
            .env(ROOT, root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads until it says this.
    async fn says(&mut self, wanted: &str) {
        while self.lines.next_line().await.unwrap().expect("the scheduler lives until it is killed") != wanted
        {
        }
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn schedulers_killed_at_any_moment_start_every_task_once_and_lose_no_exit_code() {
    let bench = Bench::new();
    let root = bench.root.path();
    let notes = root.join("notes");
    bench.define(&serde_json::json!({
        "family": "work",
        "containerDefinitions": [{
            "name": "main",
            "command": ["sh", "-c", WORK],
            "environment": [{"name": "NOTES", "value": notes}],
        }],
    }));
    for life in 0..LIVES {
        let mut scheduler = Scheduler::start(root);
        // Later in each life, at an odd moment between two launches.
        scheduler.says(&format!("launched {}", life * LAUNCHES / LIVES)).await;
        let odd = Duration::from_micros(u64::try_from(life * 7919 % 4000).unwrap());
        tokio::time::timeout(odd, std::future::pending::<()>()).await.unwrap_err();
        scheduler.kill().await;
    }
    let mut last = Scheduler::start(root);
    last.says("done").await;
    last.kill().await;

    let launcher = open(root).await;
    for number in 0..LAUNCHES {
        let report = launcher.launch(&numbered(number)).await.unwrap();
        let state = ended(&launcher, &report.started[0].task_id).await;
        assert_eq!(state.exit_code, Some(code(number)), "launch {number}: {state:?}");
    }
    let mut ran: BTreeMap<String, usize> = BTreeMap::new();
    for line in std::fs::read_to_string(&notes).unwrap().lines() {
        *ran.entry(line.to_owned()).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> =
        (0..LAUNCHES).map(|number| (numbered(number).firing.to_string(), 1)).collect();
    assert_eq!(ran, expected, "each launch ran exactly once");
}

#[tokio::test]
async fn a_task_whose_shell_was_killed_while_nobody_watched_has_no_exit_code_and_is_not_started_again() {
    let bench = Bench::new();
    bench.define_shell("long", "echo $PPID; echo $$; exec sleep 100");
    let launcher = bench.open().await;
    let request = request("long", "a");
    let id = launcher.launch(&request).await.unwrap().started.remove(0).task_id;
    let log = launcher.log_path(&id, "main").unwrap();
    let pids: Vec<i32> = until(async || {
        let text = std::fs::read_to_string(&log).ok()?;
        (text.lines().count() == 2).then(|| text.lines().map(|pid| pid.parse().unwrap()).collect())
    })
    .await;
    drop(launcher);
    // Nobody watches from the moment that another launcher could own the folder.
    let watched = bench.root.path().join("data/lock");
    until(async || std::fs::File::open(&watched).unwrap().try_lock().ok()).await;
    for pid in pids {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    let launcher = bench.open().await;
    let ended = ended(&launcher, &id).await;
    assert_eq!((ended.exit_code, ended.succeeded()), (None, false));
    assert_eq!(
        ended.reason.as_deref(),
        Some("essential container \"main\" ended without leaving an exit code")
    );
    assert_eq!(launcher.launch(&request).await.unwrap().started[0].task_id, id);
    assert_eq!(state(&launcher, &id).await, ended);
}

#[tokio::test]
async fn a_stop_that_a_crash_interrupts_is_finished_by_the_next_scheduler() {
    let bench = Bench::new();
    bench.define(&serde_json::json!({
        "family": "stubborn",
        "containerDefinitions": [{
            "name": "main",
            "command": ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"],
            "stopTimeout": 1,
        }],
    }));
    let launcher = bench.open().await;
    let id = launcher.launch(&request("stubborn", "a")).await.unwrap().started.remove(0).task_id;
    let log = launcher.log_path(&id, "main").unwrap();
    until(async || std::fs::read_to_string(&log).ok().filter(|text| text == "ready\n")).await;
    launcher.stop(&id, "enough").await.unwrap();
    drop(launcher);
    let launcher = bench.open().await;
    let ended = ended(&launcher, &id).await;
    assert_eq!((ended.exit_code, ended.stop_code.as_deref()), (Some(137), Some("UserInitiated")));
    assert_eq!(ended.reason.as_deref(), Some("enough"));
}

#[tokio::test]
async fn one_launcher_at_a_time_owns_a_folder() {
    let bench = Bench::new();
    bench.define_shell("work", "exit $CODE");
    let mut scheduler = Scheduler::start(bench.root.path());
    scheduler.says("open").await;
    let error = LocalLauncher::open(bench.options()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("another scheduler (process ") && text.contains("uses it; stop it"), "{text}");
    scheduler.kill().await;
    LocalLauncher::open(bench.options()).await.unwrap();
}
