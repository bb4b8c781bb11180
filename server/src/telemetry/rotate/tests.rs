use std::io::Write as _;

use super::RotatingFile;

#[test]
fn a_full_file_becomes_the_one_backup() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("deep/logs");
    let mut file = RotatingFile::open(&logs, 10).unwrap();
    for line in ["one.\n", "two.\n", "three\n", "four five six\n"] {
        file.write_all(line.as_bytes()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(logs.join("app.log")).unwrap(), "four five six\n");
    assert_eq!(std::fs::read_to_string(logs.join("app.log.1")).unwrap(), "three\n");
    assert_eq!(std::fs::read_dir(&logs).unwrap().count(), 2);
}

#[test]
fn an_existing_file_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("app.log"), "12345678\n").unwrap();
    let mut file = RotatingFile::open(folder.path(), 10).unwrap();
    file.write_all(b"new\n").unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("app.log")).unwrap(), "new\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("app.log.1")).unwrap(), "12345678\n");
}
