use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn task() -> (tempfile::TempDir, TaskDir) {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::open(&root.path().join("data")).unwrap();
    let dir = data.task("0123");
    make_dir(&dir.path).unwrap();
    (root, dir)
}

#[test]
fn settling_takes_the_marker_so_that_no_late_shell_gets_through() {
    let (_root, dir) = task();
    assert_eq!(dir.settle("main").unwrap(), Trace::NotStarted { next: 1 });
    assert!(dir.marker("main", 0).exists());
    assert_eq!(
        dir.settle("main").unwrap(),
        Trace::NotStarted { next: 2 },
        "what was not used is taken as well"
    );
}

#[test]
fn a_shell_that_got_through_is_never_taken_for_one_that_did_not() {
    let (_root, dir) = task();
    let gone = "2147483646\n";
    fs::write(dir.marker("main", 0), gone).unwrap();
    assert_eq!(dir.settle("main").unwrap(), Trace::Ended { code: None });
    fs::write(dir.path.join("main.exit"), "1").unwrap();
    assert_eq!(dir.settle("main").unwrap(), Trace::Ended { code: None }, "half a code is none");
    fs::write(dir.path.join("main.exit"), "17\n").unwrap();
    assert_eq!(dir.settle("main").unwrap(), Trace::Ended { code: Some(17) });
    fs::write(dir.marker("side", 0), CLAIM).unwrap();
    fs::write(dir.marker("side", 1), "").unwrap();
    assert_eq!(dir.settle("side").unwrap(), Trace::Starting);
    let other = std::process::id();
    fs::write(dir.marker("side", 1), format!("{other}\n")).unwrap();
    assert_eq!(
        dir.settle("side").unwrap(),
        Trace::Ended { code: None },
        "a number used again is another process"
    );
}

#[test]
fn without_its_folder_a_container_cannot_be_started() {
    let (_root, dir) = task();
    dir.remove().unwrap();
    assert_eq!(dir.settle("main").unwrap_err().kind(), io::ErrorKind::NotFound);
    dir.remove().unwrap();
}

#[test]
fn of_all_logs_together_the_oldest_go_and_what_is_being_written_stays() {
    let (_root, dir) = task();
    let data = DataDir { root: dir.path.parent().unwrap().parent().unwrap().to_owned() };
    let age = |path: &Path, seconds: u64| {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - seconds);
        File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
    };
    let mut files = Vec::new();
    for (name, seconds) in [("old", 300), ("new", 100), ("runs", 200)] {
        let dir = data.task(name);
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
        data.bound_logs(cap).unwrap();
        let there = files.iter().filter(|path| path.exists());
        there
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
        let there: Vec<String> = left(cap);
        assert_eq!(there, expected, "{cap}");
    }
}

#[test]
fn files_are_for_this_user_alone() {
    let (root, dir) = task();
    let order = StopOrder { code: "UserInitiated".to_owned(), reason: "enough".to_owned() };
    dir.write_stop(&order).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root.path().join("data")), 0o700);
    assert_eq!(mode(&dir.path), 0o700);
    assert_eq!(mode(&dir.path.join("stop.json")), 0o600);
    assert_eq!(dir.read_stop().unwrap().reason, "enough");
}

#[test]
fn a_record_that_cannot_be_read_is_an_error_and_half_a_write_is_swept_away() {
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
