use std::os::unix::fs::PermissionsExt as _;

use super::NewFile;

#[test]
fn nobody_else_may_read_a_backup_or_a_dump() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("jobs.dump");
    NewFile::beside(&target).unwrap().publish().unwrap();
    assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
