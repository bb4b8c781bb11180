//! One scheduler per file: a lock beside it, which the operating system releases however the process ends.
//!
//! Not SQLite's own exclusive mode, which would lock out our readers and every backup tool too.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use ecs_scheduler_core::{FaultKind, StoreError};

/// Held while a store is open.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the file at `path` for this process.
    ///
    /// # Errors
    ///
    /// Fails when another scheduler has it, or when the lock cannot be written.
    pub(crate) fn acquire(path: &Path) -> Result<Self, StoreError> {
        let beside = sibling(path, ".lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&beside);
        let mut file = open.map_err(|error| unwritable(&beside, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(path, &mut file)),
            Err(TryLockError::Error(error)) => return Err(unwritable(&beside, error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| unwritable(&beside, error))?;
        Ok(Self { _file: file })
    }
}

fn taken(path: &Path, file: &mut File) -> StoreError {
    let mut holder = String::new();
    let holder = match file.read_to_string(&mut holder) {
        Ok(_) if !holder.trim().is_empty() => format!(" (process {})", holder.trim()),
        Ok(_) | Err(_) => String::new(),
    };
    let remedy = "stop it, or configure another file";
    let message = format!("the store {path:?} is in use by another scheduler{holder}; {remedy}");
    StoreError::fault(FaultKind::Config, message)
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
