//! Logs and snapshots that released versions wrote, and whether the present code still writes the same.

use std::io::{Read as _, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ecs_scheduler_backend_log_store::{LogStore, LogStoreOptions};
use ecs_scheduler_core::{JobUid, Journal as _, Settled, Settlement, Store as _, TickOutcome, Timestamp};
use ecs_scheduler_testing::ManualClock;
use ecs_scheduler_testing::format_fixture::{
    assert_content, assert_same_lines, is_updating, write_content, write_fixture,
};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::backend::MemoryBackend;
use crate::sample::{get, settlement};

/// The newest format, which the present code writes.
const FORMAT: u32 = 3;
/// The formats that have a fixture with the whole content. Format 2 differs from format 3 in its number, and in pruning: it
/// names neither how many decisions a job keeps nor the present moment.
const FORMATS: [u32; 2] = [2, FORMAT];
/// How the first bytes of what is compressed look.
const GZIP: [u8; 2] = [0x1f, 0x8b];

fn fixture(format: u32, name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(format!("format-{format}/{name}.jsonl"))
}

async fn open(backend: &MemoryBackend, snapshot_every: usize) -> LogStore {
    let snapshot_every = NonZeroUsize::new(snapshot_every).unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_800_000_000).unwrap()));
    backend.open_with(LogStoreOptions { snapshot_every, clock, ..LogStoreOptions::default() }).await.unwrap()
}

/// Writes the content as a log of segments.
async fn write_log() -> MemoryBackend {
    let backend = MemoryBackend::default();
    let store = open(&backend, 10_000).await;
    write_content(&store).await;
    store.close().await.unwrap();
    backend
}

/// Has a snapshot replace the log, by a segment that changes nothing.
async fn write_snapshot() -> MemoryBackend {
    let backend = write_log().await;
    let store = open(&backend, 1).await;
    let job = get(&store, "orders").await.unwrap();
    let stale =
        Settlement { uid: JobUid::derived("nobody", &job.id), ..settlement(&job, TickOutcome::Idle, 5000) };
    assert_eq!(store.settle(vec![stale]).await.unwrap(), [Settled::Stale]);
    store.close().await.unwrap();
    backend
}

fn pack(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn unpack(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// Lists every object of the log and every document, one JSON text each.
fn lines(backend: &MemoryBackend) -> Vec<String> {
    let documents = backend.documents().into_iter();
    let documents = documents
        .map(|(id, text, version)| json!({ "document": id, "version": version, "text": text }).to_string());
    let inner = backend.inner();
    let objects = inner.objects.iter().map(|(name, bytes)| {
        let object = if bytes.starts_with(&GZIP) {
            json!({ "object": name, "gzip": unpack(bytes) })
        } else {
            json!({ "object": name, "text": String::from_utf8(bytes.clone()).unwrap() })
        };
        object.to_string()
    });
    documents.chain(objects).collect()
}

/// Puts back what [`lines`] lists.
fn restore(text: &str) -> MemoryBackend {
    let backend = MemoryBackend::default();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str();
        if let Some(id) = text("document") {
            backend.restore(id, text("text").unwrap(), line["version"].as_u64().unwrap());
            continue;
        }
        let bytes = text("gzip").map_or_else(|| text("text").unwrap().as_bytes().to_vec(), pack);
        backend.inner().objects.insert(text("object").unwrap().to_owned(), bytes);
    }
    backend
}

/// Replaces what differs in each process: the writer, and its number on its machine.
fn normal(lines: &[String]) -> Vec<String> {
    let writers: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            let text = serde_json::from_str::<Value>(line).unwrap()["text"].as_str()?.to_owned();
            Some(serde_json::from_str::<Value>(&text).ok()?["writer"].as_str()?.to_owned())
        })
        .collect();
    let clean = |line: &String| {
        let mut line = line.clone();
        for writer in &writers {
            line = line.replace(writer, "WRITER").replace(&writer.replace('-', "")[..8], "TAG");
        }
        let Some(begin) = line.find(r#"\"process\":"#).map(|begin| begin + r#"\"process\":"#.len()) else {
            return line;
        };
        let digits = line[begin..].bytes().take_while(u8::is_ascii_digit).count();
        line.replace_range(begin..begin + digits, "PROCESS");
        line
    };
    lines.iter().map(clean).collect()
}

/// Asserts that a backend holds what the fixture of the newest format has.
fn assert_written(name: &str, backend: &MemoryBackend) {
    let (file, found) = (fixture(FORMAT, name), lines(backend));
    if is_updating() {
        write_fixture(&file, found.join("\n") + "\n");
    }
    let text = std::fs::read_to_string(file).expect("UPDATE_FIXTURES=1 writes it");
    let pinned: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_same_lines(&normal(&found), &normal(&pinned));
}

#[tokio::test]
async fn logs_and_snapshots_of_each_format_read_as_the_content() {
    for format in FORMATS {
        for name in ["log", "snapshot"] {
            let text = std::fs::read_to_string(fixture(format, name)).expect("UPDATE_FIXTURES=1 writes it");
            assert_content(&open(&restore(&text), 10_000).await).await;
        }
    }
}

#[tokio::test]
async fn the_present_code_writes_the_log_of_the_newest_format() {
    let backend = write_log().await;
    assert!(lines(&backend).iter().all(|line| !line.contains("snapshot-")));
    assert_written("log", &backend);
}

#[tokio::test]
async fn the_present_code_writes_the_snapshot_of_the_newest_format() {
    let backend = write_snapshot().await;
    assert!(lines(&backend).iter().any(|line| line.contains(r#""gzip""#)), "it has a part");
    assert_written("snapshot", &backend);
}
