use std::os::unix::fs::symlink;

use ecs_scheduler_core::PathKind;

use super::{can_write_below, usable};

#[test]
fn path_must_lead_to_its_kind_of_object_or_to_a_place_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("file"), "").unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    symlink(at("file"), at("link")).unwrap();
    for (kind, path, expected) in [
        (PathKind::Folder, folder.path().to_owned(), Ok(())),
        (PathKind::Folder, at("a/b/c"), Ok(())),
        (PathKind::Folder, at("file"), Err("it is not a folder")),
        (PathKind::Folder, at("file/below"), Err("file\" is not a folder")),
        (PathKind::Folder, at("dangling"), Err("it is a link whose target is missing")),
        (PathKind::File, at("file"), Ok(())),
        (PathKind::File, at("link"), Ok(())),
        (PathKind::File, at("a/b.db"), Ok(())),
        (PathKind::File, "relative.db".into(), Ok(())),
        (PathKind::File, folder.path().to_owned(), Err("it is a folder")),
        (PathKind::File, at("file/b.db"), Err("file\" is not a folder")),
        (PathKind::File, "/dev/null".into(), Err("it is not a file")),
        (PathKind::File, at(&"n".repeat(300)), Err("could not read it: ")),
    ] {
        let found = usable(kind, &path);
        match (&found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{path:?}: {found}"),
            _ => panic!("{kind:?} {path:?}: {found:?}"),
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn place_where_this_user_can_create_nothing_is_refused() {
    // Nobody can write here, not even the superuser.
    let refused = usable(PathKind::Folder, "/proc/sys/logs".as_ref()).unwrap_err();
    assert!(refused.starts_with("this user cannot write to \"/proc/sys\": "), "{refused}");
    assert_eq!(can_write_below("/proc/sys/logs".as_ref()), Err(refused));
    // Whether the file itself may be written or not: none can be made beside it.
    let file = usable(PathKind::File, "/proc/sys/kernel/hostname".as_ref()).unwrap_err();
    assert!(file.starts_with("this user cannot "), "{file}");
}
