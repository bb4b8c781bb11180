//! One scheduler per file: a lock on a file beside the database, and one on the database itself. The operating system
//! releases both, however the process ends.
//!
//! The lock file holds the process id of its owner. The lock on the database is valid for every name by which the
//! database is opened. SQLite's own exclusive mode is not used: it would also lock out our read connections and every
//! backup tool.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ecs_scheduler_core::{FaultKind, StoreError};

/// The locks on a file, which keep every scheduler away from it until this is dropped.
///
/// SQLite loses its own locks on the database when any other handle of the database is closed, so the lock on the
/// database is released last.
#[derive(Debug)]
pub struct Lock {
    _lock_file: File,
    _database: Option<File>,
}

impl Lock {
    /// Locks the file at `path`, which is [resolved](resolve_path), for this process. The file need not exist.
    ///
    /// # Errors
    ///
    /// Fails when another scheduler holds the lock, or when the lock file cannot be written.
    pub(crate) fn acquire(path: &Path) -> Result<Self, StoreError> {
        let lock_path = sibling(path, ".lock");
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path);
        let mut lock_file = open.map_err(|error| lock_file_error(&lock_path, error))?;
        match lock_file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(in_use_error(path, &describe_holder(&mut lock_file)));
            }
            Err(TryLockError::Error(error)) => return Err(lock_file_error(&lock_path, error)),
        }
        let database = lock_database(path)?;
        lock_file
            .set_len(0)
            .and_then(|()| lock_file.rewind())
            .and_then(|()| writeln!(lock_file, "{}", std::process::id()))
            .map_err(|error| lock_file_error(&lock_path, error))?;
        Ok(Self { _lock_file: lock_file, _database: database })
    }
}

/// Locks the file at `path` for this process, which reads or copies the file itself. The file need not exist.
///
/// # Errors
///
/// Fails when a scheduler uses the file, and when its folder cannot be read or written.
pub fn lock(path: &Path) -> Result<Lock, StoreError> {
    Lock::acquire(&resolve_path(path)?)
}

/// The error number of NFS for such a lock: there it would replace a lock that SQLite sets itself.
const BAD_DESCRIPTOR: i32 = 9;

/// Locks the database itself, if it exists. NFS does not support this lock.
fn lock_database(path: &Path) -> Result<Option<File>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read_error(path, error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(in_use_error(path, ", by another name of the file")),
        Err(TryLockError::Error(error)) if is_unsupported_lock(&error) => Ok(None),
        Err(TryLockError::Error(error)) => Err(read_error(path, error)),
    }
}

fn is_unsupported_lock(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(BAD_DESCRIPTOR) || error.kind() == ErrorKind::Unsupported
}

/// Resolves symbolic links, so that one file has one name.
///
/// # Errors
///
/// Fails when a link has no target, or when a folder on the way cannot be read.
pub(crate) fn resolve_path(path: &Path) -> Result<PathBuf, StoreError> {
    match path.canonicalize() {
        Ok(resolved) => return Ok(resolved),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(read_error(path, error)),
    }
    if path.symlink_metadata().is_ok() {
        let message = format!(
            "the store {path:?} is a link whose target is missing; create the target, or name the file itself"
        );
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    let Some(name) = path.file_name() else { return Ok(path.to_owned()) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder.canonicalize().map(|folder| folder.join(name)).map_err(|error| read_error(path, error))
}

/// Creates the file at `path`, for the scheduler's user alone, unless it exists.
///
/// # Errors
///
/// Fails when the file cannot be created.
pub(crate) fn create_file(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            let message = format!("could not create the store {path:?}: check that its folder is writable");
            Err(StoreError::with_source(FaultKind::Unavailable, message, error))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Describes the process that holds the lock, if its id is known.
fn describe_holder(lock_file: &mut File) -> String {
    let mut holder = String::new();
    match lock_file.read_to_string(&mut holder) {
        Ok(_) if !holder.trim().is_empty() => format!(" (process {})", holder.trim()),
        Ok(_) | Err(_) => String::new(),
    }
}

fn in_use_error(path: &Path, by: &str) -> StoreError {
    let remedy = "stop it, or configure another file";
    let message = format!("the store {path:?} is in use by another scheduler{by}; {remedy}");
    StoreError::fault(FaultKind::Config, message)
}

fn read_error(path: &Path, error: std::io::Error) -> StoreError {
    let message = format!("could not read the store {path:?}: check that it is readable");
    StoreError::with_source(FaultKind::Unavailable, message, error)
}

fn lock_file_error(lock_path: &Path, error: std::io::Error) -> StoreError {
    let message =
        format!("could not lock {lock_path:?}: give the scheduler's user write access to its folder");
    StoreError::with_source(FaultKind::Unavailable, message, error)
}

/// Returns the path of a file beside `path`: its name with a suffix, as SQLite names its own files.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
