//! One scheduler per file: a lock beside it and one on the file itself, which the operating system releases however the process
//! ends.
//!
//! The lock beside it has the number of its process; that on the file holds whatever name the file is opened by. Not SQLite's own
//! exclusive mode, which would lock out our readers and every backup tool too.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ecs_scheduler_core::{FaultKind, StoreError};

/// Held while a store is open. To close the second file would release locks that SQLite has on it, so it is released last.
#[derive(Debug)]
pub(crate) struct Lock {
    _beside: File,
    _itself: Option<File>,
}

impl Lock {
    /// Locks the file at `path`, which is [resolved](resolve), for this process. It need not exist.
    ///
    /// # Errors
    ///
    /// Fails when another scheduler has it, or when the lock cannot be written.
    pub(crate) fn acquire(path: &Path) -> Result<Self, StoreError> {
        let beside = sibling(path, ".lock");
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&beside);
        let mut file = open.map_err(|error| unwritable(&beside, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(path, &holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(unwritable(&beside, error)),
        }
        let itself = lock_itself(path)?;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| unwritable(&beside, error))?;
        Ok(Self { _beside: file, _itself: itself })
    }
}

/// The answer of NFS to such a lock: there it would be one of the locks that SQLite sets itself.
const BAD_DESCRIPTOR: i32 = 9;

/// Locks the file itself, if it is there. On NFS only the lock beside it can be had.
fn lock_itself(path: &Path) -> Result<Option<File>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(taken(path, ", by another name of the file")),
        Err(TryLockError::Error(error)) if has_no_lock(&error) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unreadable(path, error)),
    }
}

fn has_no_lock(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(BAD_DESCRIPTOR) || error.kind() == ErrorKind::Unsupported
}

/// Follows symbolic links, so that one file has one name.
///
/// # Errors
///
/// Fails when a link leads nowhere, or when a folder on the way cannot be read.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    match path.canonicalize() {
        Ok(resolved) => return Ok(resolved),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(unreadable(path, error)),
    }
    if path.symlink_metadata().is_ok() {
        let message = format!(
            "the store {path:?} is a link that leads nowhere; make its file, or name the file itself"
        );
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    let Some(name) = path.file_name() else { return Ok(path.to_owned()) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder.canonicalize().map(|folder| folder.join(name)).map_err(|error| unreadable(path, error))
}

/// Makes the file at `path`, for the scheduler's user alone, unless there is one.
///
/// # Errors
///
/// Fails when it cannot be made.
pub(crate) fn make_file(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            let message = format!("could not make the store {path:?}: check that its folder may be written");
            Err(StoreError::caused(FaultKind::Unavailable, message, error))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Says who has the lock.
fn holder(file: &mut File) -> String {
    let mut holder = String::new();
    match file.read_to_string(&mut holder) {
        Ok(_) if !holder.trim().is_empty() => format!(" (process {})", holder.trim()),
        Ok(_) | Err(_) => String::new(),
    }
}

fn taken(path: &Path, how: &str) -> StoreError {
    let remedy = "stop it, or configure another file";
    let message = format!("the store {path:?} is in use by another scheduler{how}; {remedy}");
    StoreError::fault(FaultKind::Config, message)
}

fn unreadable(path: &Path, error: std::io::Error) -> StoreError {
    let message = format!("could not read the store {path:?}: check that it may be read");
    StoreError::caused(FaultKind::Unavailable, message, error)
}

fn unwritable(beside: &Path, error: std::io::Error) -> StoreError {
    let message = format!("could not lock {beside:?}: give the scheduler's user write access to its folder");
    StoreError::caused(FaultKind::Unavailable, message, error)
}

/// Names a file beside `path`: SQLite's and ours have the same name with something behind it.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
