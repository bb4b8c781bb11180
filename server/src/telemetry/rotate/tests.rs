use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

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

#[test]
fn files_and_new_folders_are_for_their_owner_only_and_an_existing_folder_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    std::fs::create_dir(folder.path().join("shared")).unwrap();
    std::fs::set_permissions(folder.path().join("shared"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut file = RotatingFile::open(&folder.path().join("shared/deep/logs"), 10).unwrap();
    for line in ["one line.\n", "two\n"] {
        file.write_all(line.as_bytes()).unwrap();
    }
    for (name, expected) in [
        ("shared", 0o755),
        ("shared/deep", 0o700),
        ("shared/deep/logs", 0o700),
        ("shared/deep/logs/app.log", 0o600),
        ("shared/deep/logs/app.log.1", 0o600),
    ] {
        assert_eq!(mode(name), expected, "{name}");
    }
}
