//! `export`, `import` and `migrate` as a user calls them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ecs_scheduler_core::Store as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::fixtures::{dump, lines, sqlite, store_of};
use crate::crash::process::{PROGRAM, Scheduler};
use crate::crash::site::{Site, until};

/// The file that the Python version left.
const PYTHON: &[u8] = include_bytes!("../../../../backends/sqlite/tests/fixtures/python-jobs.db");

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Asserts that a command fails with this code; returns the message.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Returns the rows that the Python version reads in a file, in order.
    fn rows(&self, name: &str) -> Vec<(String, String)> {
        let connection = rusqlite::Connection::open(self.path(name)).unwrap();
        let mut rows = connection.prepare("SELECT id, data FROM jobs ORDER BY rowid").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

#[test]
fn the_python_versions_jobs_come_through_export_import_and_migrate_unchanged() {
    let folder = Folder::new();
    std::fs::write(folder.path("python.db"), PYTHON).unwrap();
    let rows = folder.rows("python.db");
    assert_eq!(rows.len(), 12);
    let text = folder.ok(&["export", "--from", "sqlite:python.db", "dump.jsonl"]);
    assert!(text.starts_with("exported 12 jobs, 0 decisions"), "{text}");
    assert_eq!(folder.rows("python.db"), rows, "the source is as it was");
    let text = folder.ok(&["import", "--to", "sqlite:imported.db", "dump.jsonl"]);
    assert!(text.contains("moved 12 jobs") && text.contains("has the same content"), "{text}");
    assert_eq!(folder.rows("imported.db"), rows);
    folder.ok(&["migrate", "--from", "sqlite:python.db", "--to", "sqlite:migrated.db"]);
    assert_eq!(folder.rows("migrated.db"), rows);
    assert_eq!(std::fs::read(folder.path("python.db")).unwrap(), PYTHON);
}

#[tokio::test]
async fn commands_transfer_the_whole_content_of_a_store() {
    let folder = Folder::new();
    let store = sqlite(&folder.path("a.db")).await;
    dump(&store_of(30).await, &folder.path("first.jsonl")).await;
    store.close().await.unwrap();
    drop(store);
    std::fs::remove_file(folder.path("a.db")).unwrap();
    folder.ok(&["import", "--to", "sqlite:a.db", "first.jsonl"]);
    let moved = folder.ok(&["migrate", "--from", "sqlite:a.db", "--to", "sqlite:b.db", "--json"]);
    let moved: Value = serde_json::from_str(&moved).unwrap();
    assert_eq!(
        (moved["moved"]["added"]["jobs"].clone(), moved["moved"]["verified"].clone()),
        (30.into(), true.into())
    );
    let dumped = folder.command(&["export"]).env("ECSS_SQLITE_FILE", "b.db").output().unwrap();
    assert!(
        String::from_utf8(dumped.stderr).unwrap().starts_with("exported 30 jobs, 90 decisions, 60 firings")
    );
    let mut piped = folder.command(&["import", "--to", "sqlite:c.db", "-"]);
    std::fs::write(folder.path("piped"), &dumped.stdout).unwrap();
    let input = std::fs::File::open(folder.path("piped")).unwrap();
    assert!(piped.stdin(input).output().unwrap().status.success());
    let (first, last) = (sqlite(&folder.path("a.db")).await, sqlite(&folder.path("c.db")).await);
    assert_eq!(lines(&first).await, lines(&last).await);
}

#[test]
fn a_transfer_that_is_impossible_is_refused_with_the_reason() {
    let folder = Folder::new();
    std::fs::write(folder.path("python.db"), PYTHON).unwrap();
    std::fs::write(folder.path("taken"), "mine").unwrap();
    let from = ["export", "--from", "sqlite:python.db"];
    let message = folder.fails(1, &[&from[..], &["taken"]].concat());
    assert!(message.contains("taken exists already, and nothing is overwritten"), "{message}");
    assert_eq!(std::fs::read_to_string(folder.path("taken")).unwrap(), "mine");
    let message = folder.fails(1, &["export", "--from", "sqlite:missing.db", "dump.jsonl"]);
    assert!(message.contains("there is no such file"), "{message}");
    assert!(!folder.path("missing.db").exists() && !folder.path("dump.jsonl").exists());
    let same = ["migrate", "--from", "sqlite:python.db", "--to", "sqlite:python.db"];
    assert!(folder.fails(1, &same).contains("name the same store"));
    assert!(folder.fails(2, &["export", "--from", "memory"]).contains("ends with the command"));
    assert_eq!(folder.run(&["import"]).status.code(), Some(2));
    assert_eq!(folder.run(&["migrate"]).status.code(), Some(2));
    let left: Vec<_> =
        std::fs::read_dir(folder.0.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn a_dry_run_makes_no_store() {
    let folder = Folder::new();
    std::fs::write(folder.path("python.db"), PYTHON).unwrap();
    let migrate = ["migrate", "--from", "sqlite:python.db", "--to", "sqlite:new.db", "--dry-run"];
    let text = folder.ok(&migrate);
    assert!(text.starts_with("would move 12 jobs"), "{text}");
    assert!(!folder.path("new.db").exists());
}

#[test]
fn two_spellings_of_one_store_are_refused() {
    let folder = Folder::new();
    std::fs::write(folder.path("python.db"), PYTHON).unwrap();
    std::os::unix::fs::symlink(folder.path("python.db"), folder.path("symbolic.db")).unwrap();
    std::fs::hard_link(folder.path("python.db"), folder.path("hard.db")).unwrap();
    let absolute = folder.path("python.db").display().to_string();
    for other in ["./python.db", &absolute, "symbolic.db", "hard.db"] {
        let message =
            folder.fails(1, &["migrate", "--from", "sqlite:python.db", "--to", &format!("sqlite:{other}")]);
        assert!(message.contains("--from and --to name the same store"), "{other}: {message}");
    }
    assert_eq!(std::fs::read(folder.path("python.db")).unwrap(), PYTHON);
}

#[tokio::test]
async fn a_store_that_a_scheduler_uses_is_exported_and_is_no_end_of_a_migration() {
    let site = Site::new();
    site.define("work", "");
    let scheduler = Scheduler::start(&site).await;
    scheduler.create("nightly", &json!({"taskDefinition": "work", "schedule": "0 0"})).await;
    let folder = Folder::new();
    std::fs::write(folder.path("python.db"), PYTHON).unwrap();
    let store = &format!("sqlite:{}", site.path("data/scheduler.db").display());
    for (from, to) in [("sqlite:python.db", store.as_str()), (store, "sqlite:new.db")] {
        let message = folder.fails(1, &["migrate", "--from", from, "--to", to]);
        assert!(message.contains("in use by another scheduler"), "{message}");
    }
    assert!(!folder.path("new.db").exists());
    let text = folder.ok(&["export", "--from", store, "dump.jsonl"]);
    assert!(text.starts_with("exported 1 job, "), "{text}");
    scheduler.create("another", &json!({"taskDefinition": "work", "schedule": "0 0"})).await;
}

#[tokio::test]
async fn doctor_reads_the_jobs_of_a_store_that_a_scheduler_uses() {
    let site = Site::new();
    site.define("work", "");
    let scheduler = Scheduler::start(&site).await;
    scheduler.create("nightly", &json!({"taskDefinition": "work", "schedule": "0 0"})).await;
    let folder = Folder::new();
    let mut doctor = folder.command(&["doctor"]);
    // The local launcher's folder belongs to one process.
    doctor.envs(site.environment.iter().cloned()).env("ECSS_DATA_DIR", folder.path("data"));
    let output = doctor.env("ECSS_SQLITE_FILE", site.path("data/scheduler.db")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for line in ["store sqlite: it can be read and written", "1 valid jobs", "job nightly: task work"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn doctor_takes_a_store_that_does_not_exist_yet_for_an_empty_one() {
    let folder = Folder::new();
    let mut doctor = folder.command(&["doctor"]);
    doctor.envs([("ECSS_LAUNCHER", "local"), ("ECSS_LOCAL_TASK_DEFINITIONS", ".")]);
    let doctor = doctor.output().unwrap();
    let text = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.status.success() && text.contains("0 valid jobs"), "{text}");
    assert!(!folder.path("data/scheduler.db").exists());
}

/// Kills an import as soon as it has written something, again and again, and lets the last one finish.
#[tokio::test]
async fn killed_import_resumes_without_duplicates() {
    let folder = Folder::new();
    let from = store_of(1_200).await;
    let file = folder.path("dump.jsonl");
    dump(&from, &file).await;
    let target = folder.path("target.db");
    let arguments = ["import", "--to", "sqlite:target.db", "dump.jsonl"];
    let mut seen = 0;
    for _ in 0..5 {
        let import = RefCell::new(folder.command(&arguments).stdout(Stdio::null()).spawn().unwrap());
        let ended = || import.borrow_mut().try_wait().unwrap().is_some();
        until("it writes more or ends", async || held(&target) > seen || ended()).await;
        let mut import = import.into_inner();
        import.kill().unwrap();
        import.wait().unwrap();
        seen = held(&target);
    }
    assert!(seen > 0);
    let text = folder.ok(&arguments);
    assert!(text.contains("has the same content"), "{text}");
    assert_eq!(lines(&sqlite(&target).await).await, lines(&from).await);
}

/// Counts the rows of a file that another process may be writing.
fn held(file: &Path) -> u64 {
    let count = |table: &str| -> rusqlite::Result<u64> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = rusqlite::Connection::open_with_flags(file, flags)?;
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
    };
    // The file, or its tables, may not be there yet.
    count("jobs").unwrap_or(0) + count("journal").unwrap_or(0)
}

#[cfg(feature = "aws")]
#[test]
fn jobs_of_other_schedulers_are_printed_and_unmapped_fields_are_listed() {
    let folder = Folder::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/convert");
    let file = |name: &str| fixtures.join(name).display().to_string();
    let output = folder.run(&["import", "keda", &file("keda.yaml")]);
    let jobs: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(jobs.as_array().unwrap().len(), 4, "{jobs:#}");
    let table = String::from_utf8(output.stderr).unwrap();
    assert!(table.contains("ScaledJob rabbits") && table.contains("refused"), "{table}");
    assert!(table.contains("4 jobs of 7 objects"), "{table}");
    let files = ["schedules.json", "rules.json", "hourly.json"].map(file);
    let converted = folder.ok(&["import", "eventbridge", "--json", &files[0], &files[1], &files[2]]);
    let converted: Value = serde_json::from_str(&converted).unwrap();
    let jobs = converted["objects"].as_array().unwrap().iter().filter(|one| one["job"].is_object());
    assert_eq!(jobs.count(), 3, "{converted:#}");
    let message = folder.fails(1, &["import", "eventbridge", &files[1]]);
    assert!(message.contains("no object in these files becomes a job"), "{message}");
}

/// `window` needs no AWS, so this runs in every build.
#[tokio::test]
async fn jobs_of_other_schedulers_are_created_on_a_server() {
    let site = Site::new();
    let scheduler = Scheduler::start(&site).await;
    let folder = Folder::new();
    let text = "kind: ScaledJob\nmetadata: {name: night}\nspec: {triggers: [{type: cron, metadata: \
                {start: 0 22 * * *, end: 0 6 * * *, timezone: Europe/Berlin, desiredReplicas: '2'}}]}";
    std::fs::write(folder.path("night.yaml"), text).unwrap();
    let server = format!("http://127.0.0.1:{}", site.port);
    let apply = ["import", "keda", "night.yaml", "--apply", "--server", &server];
    let created = folder.ok(&apply);
    assert!(created.starts_with("created night\nwarning: no task definition \"night\" in "), "{created}");
    let job = scheduler.get("/jobs/night").await;
    assert_eq!(job["trigger"]["duration"], "8h", "{job:#}");
    assert_eq!(job["schedule"], "rate(30 seconds)");
    let message = folder.fails(5, &apply);
    assert!(message.contains("409"), "{message}");
}
