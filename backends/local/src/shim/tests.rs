use std::collections::BTreeMap;

use super::*;

fn container(argv: &[&str]) -> ResolvedContainer {
    ResolvedContainer {
        name: "main".to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        working_directory: None,
        essential: true,
        stop_timeout_secs: 30,
        depends_on: Vec::new(),
    }
}

fn paths(folder: &Path) -> ShimPaths {
    ShimPaths {
        prefix: folder.join("main"),
        marker: folder.join("main.started.0"),
        stop_flag: folder.join("stopping"),
    }
}

/// Waits for a future, at most 30 seconds.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(std::time::Duration::from_secs(30), future).await.unwrap()
}

/// Runs a container to its end; returns the exit status of its shell and its output.
async fn run(folder: &Path, argv: &[&str]) -> (ExitStatus, String) {
    let container = container(argv);
    let program = find_program(&container, folder).unwrap();
    let (output, writer) = io::pipe().unwrap();
    let mut shell = spawn(&container, &program, &paths(folder), folder, writer).unwrap();
    let status = in_time(shell.wait()).await.unwrap();
    kill_remaining(&paths(folder).prefix);
    let reading = tokio::task::spawn_blocking(|| io::read_to_string(output));
    (status, in_time(reading).await.unwrap().unwrap())
}

#[tokio::test]
async fn command_does_not_start_when_the_marker_exists() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.started.0"), "claimed\n").unwrap();
    assert_eq!(run(folder.path(), &["touch", "ran"]).await.0.code(), Some(75));
    assert!(!folder.path().join("ran").exists());
    assert!(!folder.path().join("main.exit").exists());
}

#[tokio::test]
async fn command_does_not_start_when_the_stop_flag_is_set() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("stopping"), "").unwrap();
    run(folder.path(), &["touch", "ran"]).await;
    assert!(!folder.path().join("ran").exists());
    assert_eq!(fs::read_to_string(folder.path().join("main.exit")).unwrap(), "143\n");
}

#[tokio::test]
async fn shell_exits_with_the_code_when_it_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("main.exit")).unwrap();
    assert_eq!(run(folder.path(), &["sh", "-c", "exit 9"]).await.0.code(), Some(9));
}

#[tokio::test]
async fn remaining_processes_are_killed_in_any_group_and_session() {
    let lines = [
        "sleep 100 & echo $! > pid",
        "setsid sh -c 'echo $$ > pid; exec sleep 100' &",
        "(cd /; setsid sh -c 'echo $$ > \"$OLDPWD/pid\"; exec sleep 100' < /dev/null > /dev/null 2>&1 &)",
    ];
    for line in lines {
        let folder = tempfile::tempdir().unwrap();
        let line = format!("{line} until [ -s pid ]; do :; done; cat pid");
        let line = line.replace("pid until", "pid; until").replace("&) until", "&); until");
        let (_, pid) = run(folder.path(), &["sh", "-c", &line]).await;
        let stat = format!("/proc/{}/stat", pid.trim());
        in_time(async {
            while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn processes_of_another_container_are_not_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Command::new("sleep")
        .arg("100")
        .env(CONTAINER_VARIABLE, folder.path().join("main-2"))
        .spawn()
        .unwrap();
    kill_remaining(&folder.path().join("main"));
    assert_eq!(other.try_wait().unwrap(), None);
    kill_remaining(&folder.path().join("main-2"));
    assert_eq!(exit_code_of(in_time(other.wait()).await.unwrap()), Some(137));
}

#[tokio::test]
async fn arguments_of_a_command_are_passed_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let (_, text) = run(folder.path(), &["printf", "%s|", "a b", "", "$HOME", "`id`", "ä\n", "-n"]).await;
    assert_eq!(text, "a b||$HOME|`id`|ä\n|-n|");
}

#[test]
fn command_is_found_in_the_path_of_its_own_environment() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "").unwrap();
    let mut main = container(&["sh"]);
    assert!(find_program(&main, folder.path()).unwrap().ends_with("sh"));
    main.environment.insert("PATH".to_owned(), "/nowhere".to_owned());
    assert_eq!(
        find_program(&main, folder.path()).unwrap_err(),
        "command \"sh\" was not found in PATH /nowhere"
    );
    let reason = find_program(&container(&["./data"]), folder.path()).unwrap_err();
    assert_eq!(reason, "command \"./data\" is not an executable file");
}

#[test]
fn process_that_is_not_the_containers_shell_is_not_alive() {
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(!is_alive(own, Path::new("/somewhere/else")));
}
