//! Backups: a copy of the file made while a scheduler writes to it, its verification, and its restore.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, StoreError};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::connection::{open_immutable, page_size};
use crate::error::store_error;
use crate::file_check::check_header;
use crate::lock::{Lock, create_file, resolve_path, sibling};
use crate::open::create_folder;
use crate::schema::{format_version, refuse_newer_format};

/// Number of bytes that are copied between two progress reports.
const STEP_BYTES: i32 = 16 << 20;
/// How long to wait for a locked file: a scheduler locks it for a moment when it starts or stops.
const BUSY_DELAY: Duration = Duration::from_millis(50);

/// The contents of a verified file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupContents {
    /// The format; 0 is the Python version's.
    pub format: usize,
    /// Number of jobs.
    pub jobs: u64,
    /// Number of decisions.
    pub decisions: u64,
    /// Number of decisions that have a firing.
    pub firings: u64,
}

/// Copies the state of a store's file at one moment, whether or not a scheduler has it open, and verifies the copy.
///
/// Writers do not wait: a reader of the write-ahead log takes no lock that they need. The log cannot be checkpointed
/// during the copy, so it grows by all that is written meanwhile. `into` is a new or empty file; it is complete and on
/// disk when this function returns. `progress` is called with the number of copied pages and of all pages.
///
/// # Errors
///
/// Fails when the file is missing, damaged, of a newer format or not a store, and when the copy cannot be written.
pub fn backup(source: &Path, into: &Path, progress: &dyn Fn(u64, u64)) -> Result<BackupContents, StoreError> {
    let read_failed = |error| store_error("back up", source, error);
    let write_failed = |error| store_error("write a backup to", into, error);
    if let Some(reason) = not_a_file(source) {
        let message = format!("could not back up the store {source:?}: {reason}");
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(source, flags).map_err(read_failed)?;
    from.busy_timeout(Duration::from_secs(5)).map_err(read_failed)?;
    // One transaction holds all steps, so that the copy is consistent and no writer makes it start again.
    let transaction = from.unchecked_transaction().map_err(read_failed)?;
    refuse_newer_format(source, format_version(&from).map_err(read_failed)?)?;
    let page_size: i32 = page_size(&from).map_err(read_failed)?;
    create_file(into)?;
    let mut to = Connection::open(into).map_err(write_failed)?;
    {
        let backup = Backup::new(&from, &mut to).map_err(write_failed)?;
        loop {
            match backup.step(STEP_BYTES / page_size).map_err(write_failed)? {
                StepResult::Done => break,
                StepResult::More => {}
                StepResult::Busy | StepResult::Locked | _ => std::thread::park_timeout(BUSY_DELAY),
            }
            let pages = backup.progress();
            let (total, left) =
                (pages.pagecount.max(0).unsigned_abs(), pages.remaining.max(0).unsigned_abs());
            progress(u64::from(total.saturating_sub(left)), u64::from(total));
        }
    }
    drop(transaction);
    // Without write-ahead log the copy is a single file that can be read from read-only storage.
    to.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(())).map_err(write_failed)?;
    to.close().map_err(|(_, error)| write_failed(error))?;
    File::open(into).and_then(|file| file.sync_all()).map_err(|error| write_error(into, error))?;
    verify(into)
}

/// Verifies a backup from its first page to its last, without a change to it or to the files beside it.
///
/// # Errors
///
/// Fails when the file cannot be read, is damaged, of a newer format or not a store, and when a write-ahead log lies
/// beside it: then it is not a backup but a store in use, or a part of one.
pub fn verify(path: &Path) -> Result<BackupContents, StoreError> {
    let read_failed = |error| store_error("read", path, error);
    let invalid = |reason: &str| {
        StoreError::fault(FaultKind::Config, format!("could not use {path:?} as a backup: {reason}"))
    };
    if let Some(reason) = not_a_file(path) {
        return Err(invalid(&reason));
    }
    let log = sibling(path, "-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        return Err(invalid(&format!(
            "the newest writes are in {log:?} beside it; create the backup with `ecs-scheduler backup`"
        )));
    }
    check_header(path)?;
    let connection = open_immutable(path).map_err(read_failed)?;
    let format = format_version(&connection).map_err(read_failed)?;
    refuse_newer_format(path, format)?;
    let result: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(read_failed)?;
    if result != "ok" {
        return Err(invalid(&format!("it is damaged: {result}")));
    }
    if !has_table(&connection, "jobs").map_err(read_failed)? {
        return Err(invalid("it is a database without jobs"));
    }
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, u64>(0)).map_err(read_failed);
    let has_journal = has_table(&connection, "journal").map_err(read_failed)?;
    let count_journal = |sql| if has_journal { count(sql) } else { Ok(0) };
    Ok(BackupContents {
        format,
        jobs: count("SELECT count(*) FROM jobs")?,
        decisions: count_journal("SELECT count(*) FROM journal")?,
        firings: count_journal("SELECT count(*) FROM journal WHERE state IS NOT NULL")?,
    })
}

/// Replaces a store's file by a backup; no scheduler may have the file open.
///
/// An interruption leaves either the old file or the new one in place, complete. An existing file is moved to `aside`;
/// without that name, it makes the restore fail.
///
/// # Errors
///
/// Fails when the backup is invalid ([`verify`]), when a scheduler uses the file, when the file exists and `aside` is
/// `None`, when `aside` exists, and when the folder cannot be written.
pub fn restore(backup: &Path, target: &Path, aside: Option<&Path>) -> Result<BackupContents, StoreError> {
    let contents = verify(backup)?;
    create_folder(target)?;
    let target = &resolve_path(target)?;
    let _lock = Lock::acquire(target)?;
    let exists = target.symlink_metadata().is_ok();
    match aside {
        None if exists => {
            let message = format!(
                "could not restore: {target:?} exists, and nothing is overwritten; --move-aside keeps it under another name"
            );
            return Err(StoreError::fault(FaultKind::Config, message));
        }
        Some(aside) if aside.symlink_metadata().is_ok() => {
            let message = format!("could not move {target:?} aside: {aside:?} exists");
            return Err(StoreError::fault(FaultKind::Config, message));
        }
        Some(_) | None => {}
    }
    let partial = sibling(target, ".restoring");
    copy_file(backup, &partial).map_err(|error| write_error(&partial, error))?;
    if let Some(aside) = aside.filter(|_| exists) {
        move_aside(target, aside).map_err(|error| write_error(aside, error))?;
    }
    refuse_orphaned_log(target)?;
    fs::rename(&partial, target)
        .and_then(|()| sync_folder(target))
        .map_err(|error| write_error(target, error))?;
    Ok(contents)
}

/// Returns the reason why there is no file at a path, if there is none.
fn not_a_file(path: &Path) -> Option<String> {
    match path.metadata() {
        Ok(found) if found.is_file() => None,
        Ok(found) if found.is_dir() => Some("it is a folder".to_owned()),
        Ok(_) => Some("it is not a file, but a device, a pipe or a socket".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Some("there is no such file".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Copies a file, for the scheduler's user alone; replaces the copy of an interrupted attempt.
fn copy_file(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.symlink_metadata().is_ok() {
        fs::remove_file(to)?;
    }
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    std::io::copy(&mut File::open(from)?, &mut copy)?;
    copy.sync_all()
}

/// Gives a file a second name, and keeps a copy of a log that cannot be checkpointed. The file keeps its first name until
/// the backup replaces it, so that a file of that name always exists.
fn move_aside(target: &Path, aside: &Path) -> std::io::Result<()> {
    let (log, log_aside) = (sibling(target, "-wal"), sibling(aside, "-wal"));
    let has_log = log.metadata().is_ok_and(|log| log.len() > 0);
    if has_log {
        // The copy is made before the file is opened, because SQLite removes the log of a file that it cannot read.
        fs::copy(&log, &log_aside)?;
        File::open(&log_aside)?.sync_all()?;
    }
    if checkpoint(target) && has_log {
        fs::remove_file(&log_aside)?;
    }
    fs::hard_link(target, aside).or_else(|_| fs::copy(target, aside).map(drop))?;
    sync_folder(target)?;
    // SQLite would use them as files of the restored database.
    for beside in [log, sibling(target, "-shm")] {
        if beside.exists() {
            fs::remove_file(beside)?;
        }
    }
    Ok(())
}

/// Copies the log of a file into the file; returns whether all of it was copied.
fn checkpoint(target: &Path) -> bool {
    let run = |connection: Connection| {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
    };
    // The result is `(busy, pages left in the log)`; a file without log gives -1.
    Connection::open_with_flags(target, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(run) == Ok((0, 0))
}

/// Refuses a log without its database, which SQLite would apply to the restored one.
fn refuse_orphaned_log(target: &Path) -> Result<(), StoreError> {
    let log = sibling(target, "-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        let message = format!("could not restore: {log:?} exists without its database; move it away");
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    Ok(())
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?.exists([name])
}

fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn write_error(path: &Path, error: std::io::Error) -> StoreError {
    let message =
        format!("could not write {path:?}: check that the disk has room and that its folder is writable");
    StoreError::with_source(FaultKind::Unavailable, message, error)
}
