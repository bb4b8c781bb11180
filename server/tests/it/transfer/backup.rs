//! `backup` and `restore` while a scheduler is really running.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::crash::process::{PROGRAM, Scheduler};
use crate::crash::site::{Site, until};

fn command(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(site.root()).env_clear().env("ECSS_DATA_DIR", site.path("data"));
    command.stdin(Stdio::null());
    command
}

fn run(site: &Site, arguments: &[&str]) -> Output {
    command(site, arguments).output().unwrap()
}

fn ok(site: &Site, arguments: &[&str]) -> String {
    let output = run(site, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts that a command fails; returns the message.
fn refusal(site: &Site, arguments: &[&str]) -> String {
    let output = run(site, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn create(scheduler: &Scheduler, number: usize) {
    let job = json!({ "id": format!("job-{number}"), "taskDefinition": "t", "schedule": "@yearly" });
    scheduler.post("/jobs", &job).await;
}

fn jobs_in(site: &Site, backup: &str) -> u64 {
    let seen: Value = serde_json::from_str(&ok(site, &["restore", backup, "--verify", "--json"])).unwrap();
    assert_eq!(seen["sound"], true);
    seen["contents"]["jobs"].as_u64().unwrap()
}

#[tokio::test]
async fn backups_made_while_jobs_are_written_are_each_of_one_moment() {
    let site = Site::new();
    let scheduler = Scheduler::start(&site).await;
    let mut least = 0;
    for round in 0..4 {
        let name = format!("backup-{round}.db");
        let mut backup = command(&site, &["backup", &name]).stdout(Stdio::null()).spawn().unwrap();
        let mut written = 0;
        while backup.try_wait().unwrap().is_none() || written == 0 {
            create(&scheduler, round * 10_000 + written).await;
            written += 1;
        }
        assert!(backup.wait().unwrap().success());
        let jobs = jobs_in(&site, &name);
        assert!(
            (least..=least + written as u64).contains(&jobs),
            "{jobs} of {least} to {}",
            least + written as u64
        );
        least += written as u64;
    }
    let message = refusal(&site, &["backup", "backup-0.db"]);
    assert!(message.contains("exists already, and nothing is overwritten"), "{message}");
    let beside: Vec<_> =
        std::fs::read_dir(site.root()).unwrap().map(|file| file.unwrap().file_name()).collect();
    let extra = beside.iter().filter(|name| name.to_string_lossy().starts_with("backup-")).count();
    assert_eq!(extra, 4, "nothing lies beside them: {beside:?}");
}

#[tokio::test]
async fn restored_backup_has_the_lost_jobs() {
    let site = Site::new();
    let scheduler = Scheduler::start(&site).await;
    for number in 0..20 {
        create(&scheduler, number).await;
    }
    let text = ok(&site, &["backup", "backup.db"]);
    assert!(text.contains("20 jobs"), "{text}");
    create(&scheduler, 20).await;
    for arguments in [&["restore", "backup.db"][..], &["restore", "backup.db", "--move-aside"]] {
        let message = refusal(&site, arguments);
        assert!(message.contains("in use by another scheduler (process "), "{message}");
    }
    drop(scheduler);
    until("the killed scheduler lets go of its files", async || {
        let restored = run(&site, &["restore", "backup.db"]);
        !String::from_utf8_lossy(&restored.stderr).contains("in use")
    })
    .await;
    let message = refusal(&site, &["restore", "backup.db"]);
    assert!(message.contains("exists") && message.contains("--move-aside"), "{message}");
    let text = ok(&site, &["restore", "backup.db", "--move-aside"]);
    let aside = text.strip_prefix("renamed the existing file to ").unwrap().split('\n').next().unwrap();
    assert_eq!(jobs(Path::new(aside)), 21, "the newest write was in the log, and is kept");
    let scheduler = Scheduler::start(&site).await;
    assert_eq!(scheduler.get("/jobs?count=100").await["jobs"].as_array().unwrap().len(), 20);
}

fn jobs(file: &Path) -> u64 {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_backup_that_is_killed_leaves_nothing_under_its_name_that_is_not_whole() {
    let site = Site::new();
    let scheduler = Scheduler::start(&site).await;
    for number in 0..50 {
        create(&scheduler, number).await;
    }
    for round in 0..6 {
        let name = format!("killed-{round}.db");
        let mut backup = command(&site, &["backup", &name]).stdout(Stdio::null()).spawn().unwrap();
        let begun = async || {
            let partial = format!("{name}.partial-{}", backup.id());
            site.path(&partial).exists() || site.path(&name).exists()
        };
        until("the backup begins", begun).await;
        backup.kill().unwrap();
        backup.wait().unwrap();
        if site.path(&name).exists() {
            assert_eq!(jobs_in(&site, &name), 50);
        }
    }
}

#[test]
fn a_file_that_is_no_backup_is_refused_with_the_reason() {
    let site = Site::bare();
    let write = |name: &str, bytes: &[u8]| std::fs::write(site.path(name), bytes).unwrap();
    let python = include_bytes!("../../../../backends/sqlite/tests/fixtures/python-jobs.db");
    write("python.db", python);
    let text = ok(&site, &["restore", "python.db", "--verify"]);
    assert!(text.contains("is valid: 12 jobs") && text.contains("the Python version's format"), "{text}");
    write("text.db", &b"no database at all ".repeat(50));
    write("short.db", &python[..python.len() / 2]);
    let mut torn = python.to_vec();
    torn[5_000..6_000].fill(0x5a);
    write("torn.db", &torn);
    rusqlite::Connection::open(site.path("other.db")).unwrap().execute_batch("CREATE TABLE t(a)").unwrap();
    let newer = rusqlite::Connection::open(site.path("newer.db")).unwrap();
    newer.execute_batch("CREATE TABLE jobs(id, data); PRAGMA user_version = 99").unwrap();
    let cases = [
        ("missing.db", "there is no such file"),
        ("text.db", "is no SQLite database"),
        ("short.db", "its end is missing"),
        ("torn.db", "damaged"),
        ("other.db", "a database without jobs"),
        ("newer.db", "format 99"),
    ];
    for (file, reason) in cases {
        let message = refusal(&site, &["restore", file, "--verify"]);
        assert!(message.contains(reason), "{file}: {message}");
        assert!(refusal(&site, &["restore", file]).contains(reason), "{file}");
    }
    assert!(!site.path("data/scheduler.db").exists(), "nothing was restored");
}
