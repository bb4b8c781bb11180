//! A full disk and a read-only file. Both need a mount, and so the right to mount: root, in a container that allows it.
//! Without that right these tests print so and pass; the tests of `full_store` still cover a full store.

use std::ffi::CString;
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ecs_scheduler_backend_sqlite::{SqliteOptions, SqliteStore};
use ecs_scheduler_core::{FaultKind, JobStore as _, ListFrom, Store as _, StoreError, StoreMaintenance as _};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};

use crate::support::{StoreFile, new_job};

/// A mount in a test's folder; unmounted when dropped.
///
/// It uses system calls: a `mount` process would inherit the locks of other tests' stores until its program starts.
struct Mount(PathBuf);

impl Mount {
    fn at(target: &Path, mounted: rustix::io::Result<()>) -> Option<Self> {
        match mounted {
            Ok(()) => Some(Self(target.to_owned())),
            Err(error) => {
                eprintln!("mounting is not permitted here ({error}), so this is not tested");
                None
            }
        }
    }

    /// Mounts a disk of so many bytes.
    fn disk(folder: &Path, bytes: usize) -> Option<Self> {
        let size = CString::new(format!("size={bytes}")).unwrap();
        Self::at(folder, mount("tmpfs", folder, "tmpfs", MountFlags::empty(), Some(size.as_c_str())))
    }

    /// Mounts a file so that it can only be read.
    fn read_only(file: &Path) -> Option<Self> {
        let mounted = Self::at(file, mount_bind(file, file))?;
        mount_remount(file, MountFlags::BIND | MountFlags::RDONLY, "")
            .expect("the mounted file can be mounted again");
        Some(mounted)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.0, UnmountFlags::empty()) {
            eprintln!("{:?} could not be unmounted: {error}", self.0);
        }
    }
}

fn assert_unavailable<T: std::fmt::Debug>(result: Result<T, StoreError>, remedy: &str) {
    let error = result.expect_err("the store cannot be written");
    assert!(matches!(&error, StoreError::Fault { kind: FaultKind::Unavailable, .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("jobs.db") && message.contains(remedy), "{message}");
}

#[tokio::test]
async fn store_on_a_full_disk_still_reads_and_writes_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Mount::disk(folder.path(), 4 << 20) else { return };
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let store = SqliteStore::open(folder.path().join("jobs.db"), SqliteOptions::default()).await.unwrap();
    let document = format!("{{\"text\": \"{}\"}}", "x".repeat(20_000));
    let mut created: u64 = 0;
    let refused = loop {
        match store.create(new_job(&format!("job-{created}"), &document)).await {
            Ok(_) => created += 1,
            refused => break refused,
        }
    };
    assert_unavailable(refused, "free space");
    assert!(created > 10, "some fitted: {created}");
    assert_unavailable(store.health_check().await, "free space");
    let list = store.list(ListFrom::Skip(0), 1_000.try_into().unwrap()).await.unwrap();
    assert_eq!((list.jobs.len() as u64, list.total), (created, created));
    std::fs::remove_file(&ballast).unwrap();
    store.health_check().await.unwrap();
    store.create(new_job("again", &document)).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = SqliteStore::open(folder.path().join("jobs.db"), SqliteOptions::default()).await.unwrap();
    let list = store.list(ListFrom::Skip(0), 1_000.try_into().unwrap()).await.unwrap();
    assert_eq!(list.total, created + 1);
    drop(store);
    drop(disk);
}

#[tokio::test]
async fn store_in_a_folder_that_cannot_be_written_is_read() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    store.create(new_job("alpha", "{}")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let Some(mount) = Mount::read_only(store_file.path().parent().unwrap()) else { return };
    let seen = SqliteStore::open_read_only(store_file.path(), SqliteOptions::default()).await.unwrap();
    assert_eq!(seen.list(ListFrom::Skip(0), 9.try_into().unwrap()).await.unwrap().total, 1);
    assert_unavailable(seen.health_check().await, "the file is read-only");
    drop(seen);
    drop(mount);
}

/// Makes a file read-only: by its mode, or by a mount, because the mode does not restrict root.
fn read_only(file: &Path) -> Option<Option<Mount>> {
    std::fs::set_permissions(file, Permissions::from_mode(0o444)).unwrap();
    if OpenOptions::new().write(true).open(file).is_err() {
        return Some(None);
    }
    Mount::read_only(file).map(Some)
}

#[tokio::test]
async fn read_only_file_is_refused_with_the_remedy() {
    let store_file = StoreFile::new();
    let store = store_file.store().await;
    store.create(new_job("alpha", "{}")).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let Some(mount) = read_only(&store_file.path()) else { return };
    let opened = store_file.try_open(SqliteOptions::default()).await;
    assert_unavailable(opened, "write access");
    assert!(File::open(store_file.path()).is_ok(), "the file is readable");
    drop(mount);
}
