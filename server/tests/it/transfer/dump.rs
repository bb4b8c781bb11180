//! Dumps that are whole, and dumps that are not.

use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use ecs_scheduler::transfer::{DumpReader, TransferSource as _};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::fixtures::{dump, lines, store_of};

/// A folder with the dump of a small store; returns its text too.
async fn dumped() -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.jsonl");
    dump(&store_of(3).await, &file).await;
    let text = std::fs::read_to_string(&file).unwrap();
    (folder, file, text)
}

/// Asserts that a dump is refused; returns the message.
fn refusal(file: &Path, text: impl AsRef<[u8]>) -> String {
    std::fs::write(file, text).unwrap();
    DumpReader::open(Some(file)).expect_err("the dump is refused").lines().join("\n")
}

#[tokio::test]
async fn a_dump_has_every_item_of_the_store_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.jsonl");
    let store = store_of(3).await;
    dump(&store, &file).await;
    let mut reader = DumpReader::open(Some(&file)).unwrap();
    let expected = lines(&store).await;
    // Three jobs, each with a folded row and two firings, and the brake.
    assert_eq!((reader.expected(), expected.len()), (13, 13));
    let (mut read, mut entries) = (Vec::new(), 0);
    while let Some(item) = reader.next().await.unwrap() {
        entries += u64::from(matches!(item, ecs_scheduler::transfer::TransferItem::Entry(_)));
        read.push(item.to_line(entries).unwrap());
    }
    assert_eq!(read, expected);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 15, "a header and a trailer, and a line each");
    assert!(text.contains(r#""firings":6"#), "{text}");
}

#[tokio::test]
async fn a_dump_that_is_cut_off_anywhere_is_refused() {
    let (_folder, file, text) = dumped().await;
    let ends: Vec<usize> = text.match_indices('\n').map(|(place, _)| place + 1).collect();
    for end in &ends[..ends.len() - 1] {
        assert!(refusal(&file, &text[..*end]).contains("cut off: its trailer is missing"));
        assert!(refusal(&file, &text[..*end + 5]).contains("in the middle of a line"));
    }
    assert!(refusal(&file, "").contains("it is empty"));
}

#[tokio::test]
async fn a_dump_that_was_changed_is_refused() {
    let (_folder, file, text) = dumped().await;
    assert!(refusal(&file, text.replacen("Grüße 1", "Grüsse 1", 1)).contains("its hash does not match"));
    let without_a_job: Vec<&str> =
        text.lines().enumerate().filter(|(number, _)| *number != 1).map(|(_, line)| line).collect();
    let message = refusal(&file, without_a_job.join("\n") + "\n");
    assert!(
        message.contains("its trailer says 3 jobs") && message.contains("it contains 2 jobs"),
        "{message}"
    );
    assert!(refusal(&file, format!("{text}{{}}\n")).contains("there is content after its trailer"));
    let message = refusal(&file, text.replacen("{\"job\"", "{\"jib\"", 1));
    assert!(message.contains("line 2 of"), "{message}");
}

#[tokio::test]
async fn a_file_that_is_no_dump_or_of_a_newer_format_is_refused() {
    let (_folder, file, text) = dumped().await;
    assert!(refusal(&file, "{\"jobs\": []}\n").contains("not a dump of ECS Scheduler"));
    let newer = refusal(&file, text.replacen("\"format\":1", "\"format\":2", 1));
    assert!(newer.contains("format 2") && newer.contains("use the version that wrote it"), "{newer}");
    let message = DumpReader::open(Some(&file.with_extension("gone"))).unwrap_err().lines().join("\n");
    assert!(message.contains("could not read"), "{message}");
}

#[tokio::test]
async fn dump_is_read_from_a_pipe_and_an_endless_input_is_refused() {
    let (folder, file, text) = dumped().await;
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let nobody = DumpReader::open(Some(&pipe)).unwrap_err().lines().join("\n");
    assert!(nobody.contains("it is a pipe without a writer"), "{nobody}");
    let (reader, mut writer) = std::io::pipe().unwrap();
    let written = text.clone();
    let writer = std::thread::spawn(move || writer.write_all(written.as_bytes()));
    let piped = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
    assert_eq!(DumpReader::open(Some(&piped)).unwrap().expected(), 13);
    writer.join().unwrap().unwrap();
    let endless = DumpReader::open(Some(Path::new("/dev/zero"))).unwrap_err().lines().join("\n");
    assert!(endless.contains("not a dump of ECS Scheduler"), "{endless}");
    let header = text.lines().next().unwrap();
    std::fs::write(&file, format!("{header}\n")).unwrap();
    let long = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    // A hole, which takes no room on disk.
    long.set_len(65 << 20).unwrap();
    let long = DumpReader::open(Some(&file)).unwrap_err().lines().join("\n");
    assert!(long.contains("line 2: it is longer than 64 MiB"), "{long}");
}

#[tokio::test]
async fn an_entry_without_the_firing_that_it_names_is_refused() {
    let (_folder, file, text) = dumped().await;
    let entry = text.lines().find(|line| line.contains("\"state\":\"planned\"")).unwrap();
    let cut = entry.find(",\"firing\":{").unwrap();
    let message = refusal(&file, text.replace(entry, &format!("{}}}}}", &entry[..cut])));
    assert!(message.contains("names a different firing"), "{message}");
}
