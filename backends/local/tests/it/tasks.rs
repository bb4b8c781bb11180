//! Tasks from their launch to their end.

use std::sync::Arc;

use ecs_scheduler_core::{Launcher as _, Override, TaskEnd, TaskPhase};
use serde_json::json;

use crate::fixture::{Fixture, ended, log, only_task, request, state, until};

#[tokio::test]
async fn task_reports_the_exit_code_of_its_command() {
    let fixture = Fixture::new();
    fixture.define_shell("fails", "echo out; echo err >&2; exit 3");
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("fails", "a")).await.unwrap());
    let state = ended(&launcher, &id).await;
    assert_eq!(state.exit_code, Some(3));
    assert_eq!(state.stop_code.as_deref(), Some("EssentialContainerExited"));
    assert_eq!(state.reason.as_deref(), Some("essential container \"main\" exited with code 3"));
    assert!(state.started_at.unwrap() <= state.stopped_at.unwrap());
    assert_eq!(log(&launcher, &id, "main"), "out\nerr\n");
}

#[tokio::test]
async fn missing_command_fails_to_start_with_the_reason() {
    let fixture = Fixture::new();
    fixture.define(&json!({
        "family": "typo",
        "containerDefinitions": [{"name": "main", "command": ["no-such-program"]}],
    }));
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("typo", "a")).await.unwrap());
    let state = ended(&launcher, &id).await;
    assert_eq!((state.exit_code, state.stop_code.as_deref()), (None, Some("TaskFailedToStart")));
    let reason = state.reason.unwrap();
    assert!(reason.starts_with(
        "container \"main\" could not start: command \"no-such-program\" was not found in PATH"
    ));
}

#[tokio::test]
async fn command_ended_by_a_signal_reports_128_plus_the_signal() {
    let fixture = Fixture::new();
    fixture.define_shell("killed", "kill -KILL $$");
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("killed", "a")).await.unwrap());
    assert_eq!(ended(&launcher, &id).await.exit_code, Some(137));
}

/// Tells whether a process exists and is not a zombie.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn command_does_not_outlive_its_killed_shell() {
    let fixture = Fixture::new();
    fixture.define_shell("orphan", "sleep 600 & echo $$ $!; kill -KILL $PPID; wait");
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("orphan", "a")).await.unwrap());
    assert_eq!(ended(&launcher, &id).await.exit_code, Some(137));
    let log = log(&launcher, &id, "main");
    let pids: Vec<&str> = log.split_whitespace().collect();
    assert_eq!(pids.len(), 2, "{log}");
    until(async || (!pids.iter().any(|pid| is_running(pid))).then_some(())).await;
}

#[tokio::test]
async fn command_whose_shell_was_killed_without_a_launcher_ends_at_the_next_start() {
    let fixture = Fixture::new();
    let go = fixture.root.path().join("go");
    let line =
        format!("echo $$; until [ -e {} ]; do sleep 0.01; done; kill -KILL $PPID; sleep 600", go.display());
    fixture.define_shell("orphan", &line);
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("orphan", "a")).await.unwrap());
    let pid = until(async || Some(log(&launcher, &id, "main")).filter(|log| log.ends_with('\n'))).await;
    drop(launcher);
    std::fs::write(go, "").unwrap();
    let shell = until(async || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).ok()?;
        let group = stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.to_owned();
        (!is_running(&group)).then_some(group)
    })
    .await;
    assert!(is_running(pid.trim()), "the command outlives its shell {shell} while no launcher runs");
    let launcher = fixture.open().await;
    ended(&launcher, &id).await;
    until(async || (!is_running(pid.trim())).then_some(())).await;
}

#[tokio::test]
async fn stop_sends_sigterm_and_reports_the_commands_exit_code() {
    let fixture = Fixture::new();
    fixture.define_shell("polite", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("polite", "a")).await.unwrap());
    until(async || (log(&launcher, &id, "main") == "ready\n").then_some(())).await;
    assert_eq!(state(&launcher, &id).await.phase, TaskPhase::Running);
    launcher.stop(&id, "no longer wanted").await.unwrap();
    let state = ended(&launcher, &id).await;
    assert_eq!(state.exit_code, Some(7));
    assert_eq!(state.stop_code.as_deref(), Some("UserInitiated"));
    assert_eq!(state.reason.as_deref(), Some("no longer wanted"));
}

#[tokio::test]
async fn stopped_task_with_exit_code_0_counts_as_stopped() {
    let fixture = Fixture::new();
    fixture.define_shell("polite", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("polite", "a")).await.unwrap());
    until(async || (log(&launcher, &id, "main") == "ready\n").then_some(())).await;
    launcher.stop(&id, "replaced").await.unwrap();
    let state = ended(&launcher, &id).await;
    assert_eq!((state.exit_code, state.end()), (Some(0), Some(TaskEnd::Stopped)));
    drop(launcher);
    let launcher = fixture.open().await;
    assert_eq!(ended(&launcher, &id).await.end(), Some(TaskEnd::Stopped), "a restart recovers the same end");
}

#[tokio::test]
async fn failed_nonessential_container_does_not_fail_its_task() {
    let fixture = Fixture::new();
    let pair = |family: &str, main: &str| {
        json!({
            "family": family,
            "containerDefinitions": [
                {"name": "main", "command": ["sh", "-c", main],
                 "dependsOn": [{"containerName": "side", "condition": "COMPLETE"}]},
                {"name": "side", "essential": false, "command": ["sh", "-c", "exit 3"]},
            ],
        })
    };
    fixture.define(&pair("good", "exit 0"));
    fixture.define(&pair("bad", "exit 4"));
    let launcher = fixture.open().await;
    for (family, code, end) in [("good", 0, TaskEnd::Succeeded), ("bad", 4, TaskEnd::Failed)] {
        let id = only_task(&launcher.launch(&request(family, family)).await.unwrap());
        let state = ended(&launcher, &id).await;
        assert_eq!((state.exit_code, state.end()), (Some(code), Some(end)), "{family}");
        let ends: Vec<_> = state.containers.iter().map(|end| (&*end.name, end.exit_code)).collect();
        assert_eq!(ends, [("main", Some(code)), ("side", Some(3))], "every container reports its exit code");
    }
}

#[tokio::test]
async fn job_overrides_the_command_that_its_definition_lacks() {
    let fixture = Fixture::new();
    fixture
        .define(&json!({"family": "work", "containerDefinitions": [{"name": "main", "image": "busybox"}]}));
    let launcher = fixture.open().await;
    assert_eq!(launcher.check(), []);
    let mut request = request("work", "a");
    let refused = launcher.launch(&request).await.unwrap().refused;
    assert_eq!((refused[0].reason.as_str(), refused[0].retryable), ("InvalidParameterException", false));
    let detail = refused[0].detail.clone().unwrap();
    assert!(detail.starts_with("container \"main\" has no command"), "{detail}");
    let task = Arc::make_mut(&mut request.task);
    task.overrides =
        serde_json::from_value(json!([{"containerName": "main", "command": ["sh", "-c", "exit 5"]}]))
            .unwrap();
    task.options = json!({"launchType": "FARGATE"}).as_object().unwrap().clone();
    let id = only_task(&launcher.launch(&request).await.unwrap());
    assert_eq!(ended(&launcher, &id).await.exit_code, Some(5));
}

#[tokio::test]
async fn task_with_much_output_keeps_a_bounded_log_of_the_newest() {
    let fixture = Fixture::new();
    fixture.define_shell("loud", "head -c 30000000 /dev/zero; echo over");
    let mut options = fixture.options();
    options.log_cap = 1_000_000;
    let launcher = ecs_scheduler_backend_local::LocalLauncher::open(options).await.unwrap();
    let id = only_task(&launcher.launch(&request("loud", "a")).await.unwrap());
    let path = launcher.log_path(&id, "main").unwrap();
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let mut most = 0;
    until(async || {
        most = most.max(size(&path)).max(size(&path.with_extension("log.1")));
        (state(&launcher, &id).await.phase == TaskPhase::Stopped).then_some(())
    })
    .await;
    assert!(most <= 1_000_000, "{most} bytes while the task was running");
    // On a busy machine the log writer may finish after the task. The last part may just have become the previous one.
    until(async || {
        let parts =
            [path.with_extension("log.1"), path.clone()].map(|part| std::fs::read(part).unwrap_or_default());
        parts.concat().ends_with(b"over\n").then_some(())
    })
    .await;
}

#[tokio::test]
async fn daemon_is_killed_when_its_task_ends() {
    let fixture = Fixture::new();
    let pid = fixture.root.path().join("pid");
    let line = format!(
        "(setsid sh -c 'echo $$ > {pid}; exec sleep 600' < /dev/null > /dev/null 2>&1 &); until [ -s {pid} ]; do :; done",
        pid = pid.display()
    );
    fixture.define_shell("leaves", &line);
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("leaves", "a")).await.unwrap());
    assert_eq!(ended(&launcher, &id).await.exit_code, Some(0));
    let pid = std::fs::read_to_string(pid).unwrap();
    until(async || (!is_running(pid.trim())).then_some(())).await;
}

#[tokio::test]
async fn container_that_ignores_sigterm_is_killed_after_its_stop_timeout() {
    let fixture = Fixture::new();
    fixture.define(&json!({
        "family": "stubborn",
        "containerDefinitions": [{
            "name": "main",
            "command": ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"],
            "stopTimeout": 1,
        }],
    }));
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("stubborn", "a")).await.unwrap());
    until(async || (log(&launcher, &id, "main") == "ready\n").then_some(())).await;
    launcher.stop(&id, "enough").await.unwrap();
    assert_eq!(ended(&launcher, &id).await.exit_code, Some(137));
}

#[tokio::test]
async fn end_of_an_essential_container_stops_the_others_and_ignores_their_codes() {
    let fixture = Fixture::new();
    fixture.define(&json!({
        "family": "pair",
        "containerDefinitions": [
            {"name": "main", "command": ["true"], "dependsOn": [{"containerName": "side", "condition": "START"}]},
            {"name": "side", "command": ["sleep", "600"], "essential": false},
        ],
    }));
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("pair", "a")).await.unwrap());
    let state = ended(&launcher, &id).await;
    assert_eq!(
        (state.exit_code, state.reason.unwrap().as_str()),
        (Some(0), "essential container \"main\" exited with code 0")
    );
}

#[tokio::test]
async fn container_waits_for_the_success_of_another() {
    let fixture = Fixture::new();
    let pair = |family: &str, first: &str| {
        json!({
            "family": family,
            "containerDefinitions": [
                {"name": "main", "command": ["cat", "../ready"], "workingDirectory": "/",
                 "entryPoint": ["sh", "-c", "cat \"$READY\""], "environment": [{"name": "READY", "value": fixture.root.path().join("ready")}],
                 "dependsOn": [{"containerName": "init", "condition": "SUCCESS"}]},
                {"name": "init", "essential": false, "command": ["sh", "-c", first]},
            ],
        })
    };
    let ready = fixture.root.path().join("ready").display().to_string();
    fixture.define(&pair("good", &format!("echo prepared > {ready}")));
    fixture.define(&pair("bad", "exit 9"));
    let launcher = fixture.open().await;
    let id = only_task(&launcher.launch(&request("good", "a")).await.unwrap());
    assert_eq!(ended(&launcher, &id).await.exit_code, Some(0));
    assert_eq!(log(&launcher, &id, "main"), "prepared\n");
    let id = only_task(&launcher.launch(&request("bad", "b")).await.unwrap());
    let state = ended(&launcher, &id).await;
    assert_eq!((state.exit_code, state.stop_code.as_deref()), (Some(9), Some("TaskFailedToStart")));
    assert!(state.reason.unwrap().contains("\"init\", which must succeed first, exited with code 9"));
}

#[tokio::test]
async fn container_environment_has_only_four_variables_of_the_scheduler() {
    let fixture = Fixture::new();
    fixture.define(&json!({
        "family": "env",
        "containerDefinitions": [{
            "name": "main", "command": ["env"],
            "environment": [{"name": "KEPT", "value": "a b"}, {"name": "CHANGED", "value": "before"}],
        }],
    }));
    let mut options = fixture.options();
    options.environment = [("PATH".to_owned(), std::env::var("PATH").unwrap())].into();
    let launcher = ecs_scheduler_backend_local::LocalLauncher::open(options).await.unwrap();
    let mut request = request("env", "a");
    Arc::make_mut(&mut request.task).overrides = vec![{
        let mut change = Override::new("main");
        change.environment = [("CHANGED", "after"), ("ECS_SCHEDULER_OVERRIDE_TAG", "mine")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        change
    }];
    let id = only_task(&launcher.launch(&request).await.unwrap());
    assert_eq!(ended(&launcher, &id).await.exit_code, Some(0));
    let text = log(&launcher, &id, "main");
    let mut lines: Vec<&str> =
        text.lines().filter(|line| !line.starts_with("PATH=") && !line.starts_with("PWD=")).collect();
    lines.sort_unstable();
    let firing = format!("ECSS_FIRING_ID={}", request.firing);
    let prefix = launcher.log_path(&id, "main").unwrap().with_extension("");
    let container = format!("ECSS_LOCAL_CONTAINER={}", prefix.display());
    assert_eq!(
        lines,
        [
            "CHANGED=after",
            &firing,
            "ECSS_JOB_ID=job",
            &container,
            "ECSS_SCHEDULED_AT=2027-03-01T09:00:00Z",
            "ECS_SCHEDULER_OVERRIDE_TAG=job",
            "KEPT=a b"
        ]
    );
}

#[tokio::test]
async fn tasks_beyond_the_maximum_are_refused_as_retryable() {
    let fixture = Fixture::new();
    fixture.define_shell("lasts", "exec sleep 100");
    let mut options = fixture.options();
    options.max_tasks = 3;
    let launcher = ecs_scheduler_backend_local::LocalLauncher::open(options).await.unwrap();
    let mut several = request("lasts", "a");
    several.count = 5.try_into().unwrap();
    let report = launcher.launch(&several).await.unwrap();
    assert_eq!((report.started.len(), report.refused.len()), (3, 2));
    let refused = launcher.launch(&request("lasts", "b")).await.unwrap();
    assert_eq!(refused.refused[0].reason, "RESOURCE:CPU");
    assert!(refused.refused[0].retryable);
    for task in &report.started {
        launcher.stop(&task.task_id, "make room").await.unwrap();
        ended(&launcher, &task.task_id).await;
    }
    let id = only_task(&launcher.launch(&request("lasts", "b")).await.unwrap());
    assert_eq!(launcher.launch(&several).await.unwrap(), report, "a partial report is repeated unchanged");
    launcher.stop(&id, "over").await.unwrap();
    ended(&launcher, &id).await;
}

#[tokio::test]
async fn override_of_an_unknown_container_is_refused_permanently() {
    let fixture = Fixture::new();
    fixture.define_shell("work", "true");
    let launcher = fixture.open().await;
    let mut request = request("work", "a");
    Arc::make_mut(&mut request.task).overrides = vec![{
        let mut change = Override::new("mian");
        change.environment = std::collections::BTreeMap::new();
        change
    }];
    let refused = launcher.launch(&request).await.unwrap().refused;
    assert_eq!((refused[0].reason.as_str(), refused[0].retryable), ("InvalidParameterException", false));
}

#[tokio::test]
async fn population_names_the_revision_that_a_launch_would_start() {
    let fixture = Fixture::new();
    fixture.define(&json!({"family": "work", "revision": 4, "containerDefinitions": [{"name": "main", "command": ["true"]}]}));
    let launcher = fixture.open().await;
    let request = request("work", "a");
    let population = launcher.population(&request.job, &request.task).await.unwrap();
    assert_eq!(population.definition.as_deref(), Some("work:4"));
    assert_eq!(launcher.definitions().len(), 1);
    assert_eq!(launcher.check(), []);
}
