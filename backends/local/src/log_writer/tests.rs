use std::fs;
use std::io::Write as _;
use std::time::Duration;

use super::*;

/// Writes into a new log and returns it, with the part before.
async fn written(cap: u64, write: impl FnOnce(io::PipeWriter) + Send + 'static) -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let options = LocalOptions { log_cap: cap, ..LocalOptions::new("definitions", "data") };
    let (mut child, writer) = keep(&folder.path().join("main"), &options).unwrap();
    tokio::task::spawn_blocking(move || write(writer)).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait()).await.unwrap();
    assert!(ended.unwrap().success());
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap_or_default();
    (read("main.log"), read("main.log.1"))
}

#[tokio::test]
async fn a_log_is_never_longer_than_its_bound_and_keeps_the_newest_output() {
    let cap = 128 * 1024;
    let numbers: Vec<String> = (0..100_000).map(|number| format!("{number:07}\n")).collect();
    let all = numbers.concat();
    let text = all.clone();
    let (log, before) = written(cap, move |mut writer| writer.write_all(text.as_bytes()).unwrap()).await;
    for part in [&log, &before] {
        assert!(part.len() as u64 <= cap, "{} bytes", part.len());
    }
    assert!(before.len() as u64 >= cap / 2, "{} bytes", before.len());
    let kept = [before, log].concat();
    assert!(all.as_bytes().ends_with(&kept), "nothing is lost in between");
}

#[tokio::test]
async fn a_line_is_in_the_log_while_its_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let options = LocalOptions::new("definitions", "data");
    let (mut child, mut writer) = keep(&folder.path().join("main"), &options).unwrap();
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
async fn a_writer_goes_on_although_its_log_cannot_be_written() {
    let gone = tempfile::tempdir().unwrap().path().join("main");
    let options = LocalOptions::new("definitions", "data");
    let (mut child, mut writer) = keep(&gone, &options).unwrap();
    let writing = tokio::task::spawn_blocking(move || writer.write_all(&vec![0; 1_000_000]));
    writing.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(30), child.wait()).await.unwrap().unwrap();
}

#[tokio::test]
async fn output_that_is_not_text_is_kept_as_it_is() {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
    let text = bytes.clone();
    let (log, _) = written(1024 * 1024, move |mut writer| writer.write_all(&text).unwrap()).await;
    assert_eq!(log, bytes);
}
