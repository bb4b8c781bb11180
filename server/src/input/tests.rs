use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use tempfile::TempDir;

use super::{read_documents, read_text};

/// Writes a file into a folder that goes at the end.
fn file(content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.json");
    std::fs::write(&file, content).unwrap();
    (folder, file)
}

#[test]
fn a_file_without_an_end_is_refused_after_64_mib() {
    assert_eq!(read_text(Path::new("/dev/zero")).unwrap_err().to_string(), "it is longer than 64 MiB");
}

#[test]
fn a_pipe_into_which_nothing_is_written_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert_eq!(read_text(&pipe).unwrap_err().to_string(), "it is a pipe without a writer");
}

#[test]
fn a_pipe_of_a_shell_is_read_to_its_end() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
    let read = std::thread::spawn(move || read_text(&path).unwrap());
    writer.write_all(b"abc").unwrap();
    drop(writer);
    assert_eq!(read.join().unwrap(), "abc");
}

#[test]
fn text_that_is_not_utf_8_is_reported() {
    let (_folder, file) = file("");
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert_eq!(read_text(&file).unwrap_err().to_string(), "it is not UTF-8");
}

#[test]
fn a_document_with_two_members_of_one_name_is_refused_before_it_is_sent() {
    let (_folder, file) = file(r#"{"id": "a", "taskCount": 1, "taskCount": 50}"#);
    let error = read_documents(&file).unwrap_err().lines().join("\n");
    assert!(error.contains("taskCount"), "{error}");
}

#[test]
fn an_array_and_the_answer_of_an_import_are_several_documents() {
    let named = |content: &str| {
        let (_folder, file) = file(content);
        let found = read_documents(&file).unwrap();
        let place = |name: &str| name.rsplit('/').next().unwrap().to_owned();
        (found.many, found.items.into_iter().map(|(name, item)| (place(&name), item)).collect::<Vec<_>>())
    };
    let array = r#"[{"id": "a"}, {"schedule": "1"}]"#;
    let both = vec![
        ("jobs.json a".to_owned(), json!({"id": "a"})),
        ("jobs.json[1]".to_owned(), json!({"schedule": "1"})),
    ];
    assert_eq!(named(array), (true, both));
    let answer = r#"{"objects": [{"source": "x", "job": {"id": "a"}}, {"source": "y", "job": null}]}"#;
    assert_eq!(named(answer), (true, vec![("jobs.json a".to_owned(), json!({"id": "a"}))]));
    assert_eq!(named(r#"{"id": "a"}"#), (false, vec![("jobs.json".to_owned(), json!({"id": "a"}))]));
    let (_folder, file) = file("[]");
    assert!(read_documents(&file).unwrap_err().to_string().ends_with("it contains no job"));
}
