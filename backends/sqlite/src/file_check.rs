//! Checks of a file before it is used, at a cost that does not grow with the file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ecs_scheduler_core::{FaultKind, StoreError};

use crate::lock::sibling;

/// Checks the header of the file: this finds a truncated file.
///
/// # Errors
///
/// Fails when the file is no SQLite database, is truncated, or cannot be read.
pub(crate) fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = [0; 100];
    let damaged = |defect: &str| {
        let remedy = "restore a backup, or move the file aside to start empty";
        StoreError::fault(FaultKind::Config, format!("the store {path:?} {defect}; {remedy}"))
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let message = format!("could not read the store {path:?}: check that it is readable");
            return Err(StoreError::with_source(FaultKind::Unavailable, message, error));
        }
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    if length == 0 {
        return Ok(());
    }
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"SQLite format 3\0") {
        return Err(damaged("is no SQLite database"));
    }
    let field = |from: usize| {
        u32::from_be_bytes([header[from], header[from + 1], header[from + 2], header[from + 3]])
    };
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    // The page count is valid when it was written with the last change. Pages that are only in the log are not in the
    // file yet.
    let has_log = sibling(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    if !has_log && field(24) == field(92) && length < u64::from(field(28)) * page_size {
        return Err(damaged("is damaged: its end is missing"));
    }
    Ok(())
}

/// Refuses a file that SQLite opened for reading only: otherwise the first write would fail, long after the start.
pub(crate) fn refuse_read_only(path: &Path, is_read_only: bool) -> Result<(), StoreError> {
    if !is_read_only {
        return Ok(());
    }
    let remedy = "the file is read-only; give the scheduler's user write access to it and its folder";
    let message = format!("could not open the store {path:?}: {remedy}");
    Err(StoreError::fault(FaultKind::Unavailable, message))
}
