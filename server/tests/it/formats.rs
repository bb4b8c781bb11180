//! Dumps that released versions wrote, and the JSON of the API and of idempotency keys.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ecs_scheduler::api::Limits;
use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{MemoryStore, SharedStore as _, Store};
use ecs_scheduler_testing::format_fixture::{
    assert_same_lines, is_updating, read_content, write_content, write_fixture,
};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::Server;

/// The newest format of dumps, which the present code writes.
const FORMAT: u32 = 1;

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}/dump.jsonl"))
}

fn run(folder: &TempDir, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ecs-scheduler"));
    command.args(arguments).current_dir(folder.path()).env_clear().stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).await.unwrap()
}

/// Reads jobs and history. A dump has only one of the registers, the brake, without its version.
async fn moved(store: &dyn Store) -> Vec<String> {
    let lines = read_content(store).await;
    lines.into_iter().filter(|line| !line.contains(r#""register":"#)).collect()
}

async fn content() -> MemoryStore {
    let store = MemoryStore::default();
    write_content(&store).await;
    store
}

/// Exports a store of the newest format; returns the lines.
async fn exported() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let packed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../backends/sqlite/tests/fixtures/format-1/store.db.gz");
    let mut bytes = Vec::new();
    GzDecoder::new(&*std::fs::read(packed).unwrap()).read_to_end(&mut bytes).unwrap();
    std::fs::write(folder.path().join("jobs.db"), bytes).unwrap();
    run(&folder, &["export", "--from", "sqlite:jobs.db", "dump.jsonl"]);
    let text = std::fs::read_to_string(folder.path().join("dump.jsonl")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn keys(line: &str) -> Vec<String> {
    let line: Value = serde_json::from_str(line).unwrap();
    let (name, fields) = line.as_object().unwrap().iter().next().unwrap();
    fields.as_object().unwrap().keys().map(|key| format!("{name}.{key}")).collect()
}

#[tokio::test]
async fn a_dump_of_each_format_is_imported_as_the_content() {
    for format in 1..=FORMAT {
        let folder = tempfile::tempdir().unwrap();
        let file = fixture(format);
        run(&folder, &["import", "--to", "sqlite:jobs.db", file.to_str().unwrap()]);
        let store = open(&folder.path().join("jobs.db")).await;
        assert_same_lines(&moved(&store).await, &moved(&content().await).await);
        let brake = ecs_scheduler_core::Registers::get_register(&store, "brake").await.unwrap().unwrap();
        assert!(brake.value.contains("maintenance ✓"), "{brake:?}");
    }
}

#[tokio::test]
async fn the_present_code_exports_the_dump_of_the_newest_format() {
    let found = exported().await;
    if is_updating() {
        write_fixture(&fixture(FORMAT), found.join("\n") + "\n");
    }
    let text = std::fs::read_to_string(fixture(FORMAT)).expect("UPDATE_FIXTURES=1 writes it");
    let pinned: Vec<String> = text.lines().map(str::to_owned).collect();
    let last = found.len() - 1;
    // The header names the moment and the version, on which the hash in the trailer depends.
    assert_same_lines(&found[1..last], &pinned[1..pinned.len() - 1]);
    for (found, pinned) in [(&found[0], &pinned[0]), (&found[last], &pinned[pinned.len() - 1])] {
        assert_eq!(keys(found), keys(pinned));
    }
}

/// Asks a server over the content.
async fn answer(path: &str) -> Value {
    let server = Server::over(Arc::new(content().await), Limits::default()).await;
    let reply = server.get(path).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(start_paused = true)]
async fn the_json_of_a_job_stays() {
    insta::assert_json_snapshot!(answer("/jobs/nightly").await);
}

#[tokio::test(start_paused = true)]
async fn the_json_of_decisions_stays() {
    insta::assert_json_snapshot!(answer("/jobs/orders/decisions").await);
}

#[tokio::test(start_paused = true)]
async fn the_json_of_firings_stays() {
    insta::assert_json_snapshot!(answer("/jobs/nightly/firings?state=finished").await);
}

#[tokio::test(start_paused = true)]
async fn the_json_of_an_evaluation_stays() {
    let server = Server::start().await;
    let job = json!({ "taskDefinition": "report", "schedule": "0 0 0", "taskCount": 3, "maxCount": 2 });
    assert_eq!(server.json("POST", "/jobs", job).await.status, 201);
    insta::assert_json_snapshot!(server.call("POST", "/jobs/report/evaluate", &[], "").await.json());
}

#[tokio::test(start_paused = true)]
async fn the_register_of_an_idempotency_key_keeps_its_json() {
    let store = Arc::new(MemoryStore::default());
    let server = Server::over(Arc::clone(&store) as Arc<dyn Store>, Limits::default()).await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "key")];
    let body = r#"{"taskDefinition": "report", "schedule": "0 0 0"}"#;
    let created = server.call("POST", "/jobs", &headers, body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let registers = store.registers("idempotency/").await.unwrap();
    let mut value: Value = serde_json::from_str(&registers[0].1.value).unwrap();
    assert_eq!(value["answer"]["body"].as_str().unwrap(), created.text());
    value["uid"] = "drawn".into();
    assert_eq!(value["answer"]["headers"][1][0], "etag");
    value["answer"]["headers"][1][1] = "drawn".into();
    value["answer"]["body"] = "as sent".into();
    insta::assert_json_snapshot!(json!({ "name": registers[0].0, "value": value }));
}
