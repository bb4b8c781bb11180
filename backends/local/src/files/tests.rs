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
fn a_log_beyond_its_bound_starts_afresh_and_keeps_the_part_before() {
    let (_root, dir) = task();
    let mut writer = OpenOptions::new().create(true).append(true).open(dir.log("main")).unwrap();
    writer.write_all(b"0123456789").unwrap();
    dir.bound_log("main", 10).unwrap();
    assert_eq!(fs::read(dir.log("main")).unwrap(), b"0123456789");
    writer.write_all(b"x").unwrap();
    dir.bound_log("main", 10).unwrap();
    writer.write_all(b"after").unwrap();
    assert_eq!(fs::read(dir.log("main")).unwrap(), b"after");
    assert_eq!(fs::read(dir.path.join("main.log.1")).unwrap(), b"0123456789x");
    dir.bound_log("silent", 10).unwrap();
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
