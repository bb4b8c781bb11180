use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn task() -> (tempfile::TempDir, TaskDir) {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::open(&root.path().join("data")).unwrap();
    let dir = data.task_dir("0123");
    make_dir(&dir.path).unwrap();
    (root, dir)
}

#[test]
fn claim_start_claims_the_marker_so_that_no_late_shell_starts() {
    let (_root, dir) = task();
    assert_eq!(dir.claim_start("main").unwrap(), DiskState::NotStarted { next: 1 });
    assert!(dir.marker("main", 0).exists());
    assert_eq!(
        dir.claim_start("main").unwrap(),
        DiskState::NotStarted { next: 2 },
        "an unused marker is claimed too"
    );
}

#[test]
fn started_shell_is_never_reported_as_not_started() {
    let (_root, dir) = task();
    let gone = "2147483646\n";
    fs::write(dir.marker("main", 0), gone).unwrap();
    assert_eq!(dir.claim_start("main").unwrap(), DiskState::Ended { code: None });
    fs::write(dir.path.join("main.exit"), "1").unwrap();
    assert_eq!(
        dir.claim_start("main").unwrap(),
        DiskState::Ended { code: None },
        "an incomplete code is ignored"
    );
    fs::write(dir.path.join("main.exit"), "17\n").unwrap();
    assert_eq!(dir.claim_start("main").unwrap(), DiskState::Ended { code: Some(17) });
    fs::write(dir.marker("side", 0), CLAIMED).unwrap();
    fs::write(dir.marker("side", 1), "").unwrap();
    assert_eq!(dir.claim_start("side").unwrap(), DiskState::Starting);
    let other = std::process::id();
    fs::write(dir.marker("side", 1), format!("{other}\n")).unwrap();
    assert_eq!(
        dir.claim_start("side").unwrap(),
        DiskState::Ended { code: None },
        "a reused process id is another process"
    );
}

#[test]
fn container_cannot_start_without_its_folder() {
    let (_root, dir) = task();
    dir.remove().unwrap();
    assert_eq!(dir.claim_start("main").unwrap_err().kind(), io::ErrorKind::NotFound);
    dir.remove().unwrap();
}

#[test]
fn oldest_logs_are_removed_beyond_the_cap_and_logs_in_use_stay() {
    let (_root, dir) = task();
    let data = DataDir { root: dir.path.parent().unwrap().parent().unwrap().to_owned() };
    let age = |path: &Path, seconds: u64| {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - seconds);
        File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
    };
    let mut files = Vec::new();
    for (name, seconds) in [("old", 300), ("new", 100), ("runs", 200)] {
        let dir = data.task_dir(name);
        make_dir(&dir.path).unwrap();
        for (file, older) in [("main.log", 0), ("main.log.1", 50)] {
            let path = dir.path.join(file);
            fs::write(&path, [0; 100]).unwrap();
            age(&path, seconds + older);
            files.push(path);
        }
        if name != "runs" {
            fs::write(dir.path.join("state.json"), "{}").unwrap();
        }
    }
    let left = |cap: u64| {
        data.enforce_log_cap(cap).unwrap();
        let existing = files.iter().filter(|path| path.exists());
        existing
            .map(|path| path.strip_prefix(data.root().join("tasks")).unwrap().display().to_string())
            .collect()
    };
    let all = [
        "old/main.log",
        "old/main.log.1",
        "new/main.log",
        "new/main.log.1",
        "runs/main.log",
        "runs/main.log.1",
    ];
    let expected: [(u64, &[&str]); 4] = [
        (600, &all),
        (499, &["new/main.log", "new/main.log.1", "runs/main.log", "runs/main.log.1"]),
        (300, &["new/main.log", "new/main.log.1", "runs/main.log"]),
        (0, &["runs/main.log"]),
    ];
    for (cap, expected) in expected {
        let remaining: Vec<String> = left(cap);
        assert_eq!(remaining, expected, "{cap}");
    }
}

#[test]
fn files_are_accessible_by_this_user_only() {
    let (root, dir) = task();
    let request = StopMarker { code: "UserInitiated".to_owned(), reason: "enough".to_owned() };
    dir.write_stop(&request).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root.path().join("data")), 0o700);
    assert_eq!(mode(&dir.path), 0o700);
    assert_eq!(mode(&dir.path.join("stop.json")), 0o600);
    assert_eq!(dir.read_stop().unwrap().reason, "enough");
}

#[test]
fn unreadable_record_is_an_error_and_an_incomplete_write_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::open(root.path()).unwrap();
    let launches = data.root().join("launches");
    fs::write(launches.join("token.new"), "{").unwrap();
    assert_eq!(data.launches().unwrap().len(), 0);
    assert!(!launches.join("token.new").exists());
    fs::write(launches.join("token.json"), "{").unwrap();
    let error = data.launches().unwrap_err();
    assert!(error.to_string().contains("token.json"), "{error}");
}
