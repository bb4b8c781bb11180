use std::os::unix::fs::PermissionsExt as _;

use super::NewFile;

#[test]
fn a_backup_or_dump_is_readable_only_by_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("jobs.dump");
    NewFile::beside(&target).unwrap().publish().unwrap();
    assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
