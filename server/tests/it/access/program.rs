//! The real program: the first token, commands with tokens, and the file that is gone after the stop.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::Value;

/// A server that is killed at the end, unless it was stopped before.
struct Program {
    process: Child,
    url: String,
    log: Vec<String>,
    /// Open as long as the process may write to it.
    more: Lines<BufReader<ChildStderr>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(folder: &Path, auth: &[(&str, &str)]) -> Program {
    let mut process = Command::new(env!("CARGO_BIN_EXE_ecs-scheduler"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env_clear()
        .envs([("ECSS_LAUNCHER", "local"), ("ECSS_DATA_DIR", "data")])
        .envs(auth.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut program = Program { process, url: String::new(), log: Vec::new(), more: lines };
    while let Some(line) = program.more.next() {
        let line = line.unwrap();
        if let Some((_, address)) = line.split_once("listening on http://") {
            let address = address.split(|c: char| c.is_whitespace() || c == '"').next().unwrap();
            program.url = format!("http://{address}");
        }
        program.log.push(line);
        if !program.url.is_empty() {
            return program;
        }
    }
    panic!("the server did not start: {:?}", program.log);
}

fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
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

#[test]
fn the_first_token_is_made_on_the_machine_of_the_server_and_makes_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let definition = r#"{"family": "t", "containerDefinitions": [{"name": "main", "command": ["true"]}]}"#;
    std::fs::create_dir_all(folder.join("data/task-definitions")).unwrap();
    std::fs::write(folder.join("data/task-definitions/t.json"), definition).unwrap();
    let bootstrap = &["token", "create", "--bootstrap"];
    let early = run(folder, bootstrap, &[("ECSS_DATA_DIR", "data")]);
    assert_eq!(early.status.code(), Some(1));
    assert!(
        err(&early).contains("bootstrap-token.json") && err(&early).contains("ECSS_AUTH=tokens"),
        "{}",
        err(&early)
    );

    let mut server = serve(folder, &[("ECSS_AUTH", "tokens")]);
    let url = server.url.clone();
    assert!(server.log.iter().any(|line| line.contains("token create --bootstrap")), "{:?}", server.log);
    let without = run(folder, &["jobs", "list"], &[("ECSS_SERVER", &url)]);
    assert_eq!(without.status.code(), Some(5));
    assert!(err(&without).contains("401 Send an access token"), "{}", err(&without));
    assert_eq!(run(folder, &["health"], &[("ECSS_SERVER", &url)]).status.code(), Some(0));

    let made = run(folder, bootstrap, &[("ECSS_DATA_DIR", "data")]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert!(err(&made).contains("with admin; it is shown only now"), "{}", err(&made));
    let admin = out(&made).trim().to_owned();
    let as_admin = [("ECSS_SERVER", url.as_str()), ("ECSS_TOKEN", admin.as_str())];
    let arguments = [
        "token",
        "create",
        "--name",
        "media",
        "--scopes",
        "jobs:read,jobs:write",
        "--labels",
        "team=media",
        "--expires",
        "90d",
    ];
    let media = run(folder, &arguments, &as_admin);
    assert_eq!(media.status.code(), Some(0), "{}", err(&media));
    std::fs::write(folder.join("media-token"), out(&media)).unwrap();

    let job = r#"[{"id": "theirs", "taskDefinition": "t", "schedule": "@yearly"}]"#;
    std::fs::write(folder.join("job.json"), job).unwrap();
    let created = run(folder, &["jobs", "create", "job.json"], &as_admin);
    assert_eq!(created.status.code(), Some(0), "{}", err(&created));
    // The file wins over the variable.
    let as_media =
        |arguments: &[&str]| run(folder, &[arguments, &["--token-file", "media-token"]].concat(), &as_admin);
    assert!(err(&as_media(&["jobs", "create", "job.json"])).contains("403"), "a job without the label");
    assert!(!out(&as_media(&["jobs", "list"])).contains("theirs"));
    let lacks = as_media(&["decisions"]);
    assert!(err(&lacks).contains("403 The token lacks the scope history:read."), "{}", err(&lacks));

    let list = run(folder, &["token", "list", "--json"], &as_admin);
    let list: Value = serde_json::from_str(&out(&list)).unwrap();
    let ids: Vec<&str> =
        list["tokens"].as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{list}");
    let shown = out(&run(folder, &["token"], &as_admin));
    assert!(shown.contains("team=media") && shown.contains("all jobs"), "{shown}");
    assert_eq!(
        out(&run(folder, &["token", "revoke", ids[1]], &as_admin)),
        format!("revoked token {}\n", ids[1])
    );
    assert!(err(&as_media(&["jobs", "list"])).contains("401"));

    let id = server.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    assert!(!folder.join("data/bootstrap-token.json").exists());

    // The tokens are in the store, so they are valid after a restart; that of the file is not.
    let again = serve(folder, &[("ECSS_AUTH", "tokens")]);
    let as_admin = [("ECSS_SERVER", again.url.as_str()), ("ECSS_TOKEN", admin.as_str())];
    assert!(out(&run(folder, &["jobs", "list"], &as_admin)).contains("theirs"));
}

#[test]
fn a_server_without_authentication_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), &[]);
    assert!(server.log.iter().any(|line| line.contains("clients are not authenticated")), "{:?}", server.log);
    assert!(!folder.path().join("data/bootstrap-token.json").exists());
}
