use std::fs;
use std::io::Write as _;
use std::time::Duration;

use super::*;

/// Writes to a new log; returns the log and the rotated one.
async fn written(cap: u64, write: impl FnOnce(io::PipeWriter) + Send + 'static) -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let options = LocalOptions { log_cap: cap, ..LocalOptions::new("definitions", "data") };
    let (mut child, writer) = spawn(&folder.path().join("main"), &options).unwrap();
    tokio::task::spawn_blocking(move || write(writer)).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait()).await.unwrap();
    assert!(ended.unwrap().success());
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap_or_default();
    (read("main.log"), read("main.log.1"))
}

#[tokio::test]
async fn log_never_exceeds_its_cap_and_keeps_the_newest_output() {
    let cap = 128 * 1024;
    let numbers: Vec<String> = (0..100_000).map(|number| format!("{number:07}\n")).collect();
    let all = numbers.concat();
    let text = all.clone();
    let (log, rotated) = written(cap, move |mut writer| writer.write_all(text.as_bytes()).unwrap()).await;
    for part in [&log, &rotated] {
        assert!(part.len() as u64 <= cap, "{} bytes", part.len());
    }
    assert!(rotated.len() as u64 >= cap / 2, "{} bytes", rotated.len());
    let kept = [rotated, log].concat();
    assert!(all.as_bytes().ends_with(&kept), "no output between the two logs is lost");
}

#[tokio::test]
async fn line_is_in_the_log_while_the_writer_is_running() {
    let folder = tempfile::tempdir().unwrap();
    let options = LocalOptions::new("definitions", "data");
    let (mut child, mut writer) = spawn(&folder.path().join("main"), &options).unwrap();
    for line in ["one\n", "two\n"] {
        writer.write_all(line.as_bytes()).unwrap();
        let waiting = async {
            while !fs::read_to_string(folder.path().join("main.log")).is_ok_and(|log| log.ends_with(line)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap();
    }
    drop(writer);
    child.wait().await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("main.log")).unwrap(), "one\ntwo\n");
}

#[tokio::test]
async fn writer_is_not_blocked_when_its_log_cannot_be_written() {
    let missing = tempfile::tempdir().unwrap().path().join("main");
    let options = LocalOptions::new("definitions", "data");
    let (mut child, mut writer) = spawn(&missing, &options).unwrap();
    let writing = tokio::task::spawn_blocking(move || writer.write_all(&vec![0; 1_000_000]));
    writing.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(30), child.wait()).await.unwrap().unwrap();
}

#[tokio::test]
async fn binary_output_is_kept_unchanged() {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
    let text = bytes.clone();
    let (log, _) = written(1024 * 1024, move |mut writer| writer.write_all(&text).unwrap()).await;
    assert_eq!(log, bytes);
}
