//! Schedulers that are killed repeatedly: no task starts twice, and no exit code is lost.
//!
//! The scheduler is this test binary, started for one hidden test that launches tasks until it is killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ecs_scheduler_backend_local::{LocalLauncher, LocalOptions};
use ecs_scheduler_core::Launcher as _;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::fixture::{Fixture, ended, request, state, until};

/// The variable that gives the hidden scheduler its folder.
const ROOT_VARIABLE: &str = "LOCAL_LAUNCHER_CRASH_ROOT";

/// Number of launches of all schedulers together.
const LAUNCHES: usize = 150;

/// Number of schedulers that are killed before one may finish.
const KILLS: usize = 50;

/// The command of each task: it records that it ran, then exits with a code of its own.
const WORK: &str = "echo \"$ECSS_FIRING_ID\" >> \"$NOTES\"; sleep 0.02; exit $CODE";

fn key(number: usize) -> String {
    format!("launch {number}")
}

fn code(number: usize) -> i32 {
    i32::try_from(number % 50).unwrap() + 1
}

fn numbered(number: usize) -> ecs_scheduler_core::LaunchRequest {
    let mut request = request("work", &key(number));
    Arc::make_mut(&mut request.task).overrides = vec![{
        let mut change = ecs_scheduler_core::Override::new("main");
        change.environment = [("CODE".to_owned(), code(number).to_string())].into();
        change
    }];
    request
}

/// Runs the scheduler that the test below kills; does nothing without the variable.
#[tokio::test]
async fn scheduler_to_be_killed() {
    let Some(root) = std::env::var_os(ROOT_VARIABLE).map(PathBuf::from) else { return };
    let launcher = open(&root).await;
    println!("\nopen");
    for number in 0..LAUNCHES {
        // Every scheduler repeats every call, as an engine does that never received an answer.
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

/// A scheduler in a child process.
struct SchedulerProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl SchedulerProcess {
    fn start(root: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::scheduler_to_be_killed", "--nocapture"])
            .env(ROOT_VARIABLE, root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads its output up to this line.
    async fn wait_for_line(&mut self, wanted: &str) {
        while self.lines.next_line().await.unwrap().expect("the scheduler lives until it is killed") != wanted
        {
        }
    }

    /// Kills the process as `kill -9` does, and waits until it has exited.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn schedulers_killed_at_any_time_start_every_task_once_and_lose_no_exit_code() {
    let fixture = Fixture::new();
    let root = fixture.root.path();
    let notes = root.join("notes");
    fixture.define(&serde_json::json!({
        "family": "work",
        "containerDefinitions": [{
            "name": "main",
            "command": ["sh", "-c", WORK],
            "environment": [{"name": "NOTES", "value": notes}],
        }],
    }));
    for run in 0..KILLS {
        let mut scheduler = SchedulerProcess::start(root);
        // Each scheduler is killed later than the previous one, at an arbitrary time between two launches.
        scheduler.wait_for_line(&format!("launched {}", run * LAUNCHES / KILLS)).await;
        let delay = Duration::from_micros(u64::try_from(run * 7919 % 4000).unwrap());
        tokio::time::timeout(delay, std::future::pending::<()>()).await.unwrap_err();
        scheduler.kill().await;
    }
    let mut last = SchedulerProcess::start(root);
    last.wait_for_line("done").await;
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
async fn task_whose_shell_was_killed_without_a_launcher_has_no_exit_code_and_is_not_restarted() {
    let fixture = Fixture::new();
    fixture.define_shell("long", "echo $PPID; echo $$; exec sleep 100");
    let launcher = fixture.open().await;
    let request = request("long", "a");
    let id = launcher.launch(&request).await.unwrap().started.remove(0).task_id;
    let log = launcher.log_path(&id, "main").unwrap();
    let pids: Vec<i32> = until(async || {
        let text = std::fs::read_to_string(&log).ok()?;
        (text.lines().count() == 2).then(|| text.lines().map(|pid| pid.parse().unwrap()).collect())
    })
    .await;
    drop(launcher);
    // No launcher is left once another one could lock the folder.
    let lock_file = fixture.root.path().join("data/lock");
    until(async || std::fs::File::open(&lock_file).unwrap().try_lock().ok()).await;
    for pid in pids {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    let launcher = fixture.open().await;
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
async fn stop_interrupted_by_a_crash_is_completed_by_the_next_scheduler() {
    let fixture = Fixture::new();
    fixture.define(&serde_json::json!({
        "family": "stubborn",
        "containerDefinitions": [{
            "name": "main",
            "command": ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"],
            "stopTimeout": 1,
        }],
    }));
    let launcher = fixture.open().await;
    let id = launcher.launch(&request("stubborn", "a")).await.unwrap().started.remove(0).task_id;
    let log = launcher.log_path(&id, "main").unwrap();
    until(async || std::fs::read_to_string(&log).ok().filter(|text| text == "ready\n")).await;
    launcher.stop(&id, "enough").await.unwrap();
    drop(launcher);
    let launcher = fixture.open().await;
    let ended = ended(&launcher, &id).await;
    assert_eq!((ended.exit_code, ended.stop_code.as_deref()), (Some(137), Some("UserInitiated")));
    assert_eq!(ended.reason.as_deref(), Some("enough"));
}

#[tokio::test]
async fn second_launcher_on_a_folder_is_refused() {
    let fixture = Fixture::new();
    fixture.define_shell("work", "exit $CODE");
    let mut scheduler = SchedulerProcess::start(fixture.root.path());
    scheduler.wait_for_line("open").await;
    let error = LocalLauncher::open(fixture.options()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("another scheduler (process ") && text.contains("uses it; stop it"), "{text}");
    scheduler.kill().await;
    LocalLauncher::open(fixture.options()).await.unwrap();
}
