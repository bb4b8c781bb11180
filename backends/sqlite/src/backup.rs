//! Copies of a store's file: made while a scheduler writes to it, examined, and put back.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, StoreError};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::error::fault;
use crate::lock::{Lock, make_file, resolve, sibling};
use crate::open;

/// How many bytes are copied between two reports.
const STEP: i32 = 16 << 20;
/// How long to wait when the file is locked, as it is for an instant when a scheduler starts or stops.
const PAUSE: Duration = Duration::from_millis(50);

/// What was found in a file that is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Its format; 0 is the Python version's.
    pub format: usize,
    /// How many jobs it has.
    pub jobs: u64,
    /// How many decisions.
    pub decisions: u64,
    /// How many of them have a firing.
    pub firings: u64,
}

/// Copies a store's file as it is at one moment, whether or not a scheduler has it open, and examines the copy.
///
/// Writers are not held up: a reader of the write-ahead log takes no lock that they need. The log cannot be put back into
/// the file for as long as the copying takes, so it grows by what is written meanwhile. `into` is a new or empty file; it
/// is complete and on disk when this returns. `progress` is called with the pages that are copied and those that there are.
///
/// # Errors
///
/// Fails when the file is missing, damaged, of a newer format or no store, and when the copy cannot be written.
pub fn backup(source: &Path, into: &Path, progress: &dyn Fn(u64, u64)) -> Result<Contents, StoreError> {
    let reading = |error| fault("back up", source, error);
    let writing = |error| fault("write a copy of the store to", into, error);
    if !source.exists() {
        let message = format!("could not back up the store {source:?}: there is no such file");
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(source, flags).map_err(reading)?;
    from.busy_timeout(Duration::from_secs(5)).map_err(reading)?;
    // One transaction around all steps: the copy is of one moment, and no writer makes it begin anew.
    let transaction = from.unchecked_transaction().map_err(reading)?;
    open::refuse_newer(source, version(&from).map_err(reading)?)?;
    let page: i32 = open::page_size(&from).map_err(reading)?;
    make_file(into)?;
    let mut to = Connection::open(into).map_err(writing)?;
    {
        let backup = Backup::new(&from, &mut to).map_err(writing)?;
        loop {
            match backup.step(STEP / page).map_err(writing)? {
                StepResult::Done => break,
                StepResult::More => {}
                StepResult::Busy | StepResult::Locked | _ => std::thread::park_timeout(PAUSE),
            }
            let pages = backup.progress();
            let (all, left) = (pages.pagecount.max(0).unsigned_abs(), pages.remaining.max(0).unsigned_abs());
            progress(u64::from(all.saturating_sub(left)), u64::from(all));
        }
    }
    drop(transaction);
    // A file on its own: without a log beside it, readable where nothing may be written.
    to.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(())).map_err(writing)?;
    to.close().map_err(|(_, error)| writing(error))?;
    File::open(into).and_then(|file| file.sync_all()).map_err(|error| unwritable(into, error))?;
    examine(into)
}

/// Examines a copy from its first page to its last, without changing it or anything beside it.
///
/// # Errors
///
/// Fails when it cannot be read, is damaged, of a newer format or no store, and when a log lies beside it: then it is no
/// copy but a store in use, or a part of one.
pub fn examine(path: &Path) -> Result<Contents, StoreError> {
    let reading = |error| fault("read", path, error);
    let wrong = |what: &str| {
        StoreError::fault(FaultKind::Config, format!("could not use {path:?} as a backup: {what}"))
    };
    if !path.is_file() {
        return Err(wrong("there is no such file"));
    }
    let log = sibling(path, "-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        return Err(wrong(&format!(
            "the newest writes are in {log:?} beside it; make a copy with `ecs-scheduler backup`"
        )));
    }
    open::examine(path)?;
    let connection = open_unchanging(path).map_err(reading)?;
    let format = version(&connection).map_err(reading)?;
    open::refuse_newer(path, format)?;
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(reading)?;
    if verdict != "ok" {
        return Err(wrong(&format!("it is damaged: {verdict}")));
    }
    if !has_table(&connection, "jobs").map_err(reading)? {
        return Err(wrong("it is a database without jobs"));
    }
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, u64>(0)).map_err(reading);
    let kept = has_table(&connection, "journal").map_err(reading)?;
    let of_journal = |sql| if kept { count(sql) } else { Ok(0) };
    Ok(Contents {
        format,
        jobs: count("SELECT count(*) FROM jobs")?,
        decisions: of_journal("SELECT count(*) FROM journal")?,
        firings: of_journal("SELECT count(*) FROM journal WHERE state IS NOT NULL")?,
    })
}

/// Puts a copy in the place of a store's file, which no scheduler may have open.
///
/// Whatever interrupts it, either the old file or the new one is in place, whole. With `aside`, a file that is there gets
/// that name; without it, it is refused.
///
/// # Errors
///
/// Fails when the copy is not sound ([`examine`]), when a scheduler has the file, when there is a file and no name for it,
/// and when the folder cannot be written.
pub fn restore(backup: &Path, target: &Path, aside: Option<&Path>) -> Result<Contents, StoreError> {
    let contents = examine(backup)?;
    open::make_folder(target)?;
    let target = &resolve(target)?;
    let _lock = Lock::acquire(target)?;
    let occupied = target.symlink_metadata().is_ok();
    match aside {
        None if occupied => {
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
    let fresh = sibling(target, ".restoring");
    let failed = |error| unwritable(&fresh, error);
    copy_privately(backup, &fresh).map_err(failed)?;
    if let Some(aside) = aside.filter(|_| occupied) {
        move_aside(target, aside).map_err(|error| unwritable(aside, error))?;
    }
    refuse_orphan(target)?;
    fs::rename(&fresh, target)
        .and_then(|()| sync_folder(target))
        .map_err(|error| unwritable(target, error))?;
    Ok(contents)
}

/// Copies a file, for the scheduler's user alone, in the place of what an interrupted attempt may have left.
fn copy_privately(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.symlink_metadata().is_ok() {
        fs::remove_file(to)?;
    }
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    std::io::copy(&mut File::open(from)?, &mut copy)?;
    copy.sync_all()
}

/// Gives a file a second name, and keeps a copy of a log that cannot be put back into it. The file keeps its first name until
/// another takes its place, so that there is never none.
fn move_aside(target: &Path, aside: &Path) -> std::io::Result<()> {
    let (log, log_aside) = (sibling(target, "-wal"), sibling(aside, "-wal"));
    let logged = log.metadata().is_ok_and(|log| log.len() > 0);
    if logged {
        // Before anybody opens the file: SQLite removes the log of one that is too damaged to be read.
        fs::copy(&log, &log_aside)?;
        File::open(&log_aside)?.sync_all()?;
    }
    if put_back(target) && logged {
        fs::remove_file(&log_aside)?;
    }
    fs::hard_link(target, aside).or_else(|_| fs::copy(target, aside).map(drop))?;
    sync_folder(target)?;
    // Beside the new file they would be taken for its own.
    for beside in [log, sibling(target, "-shm")] {
        if beside.exists() {
            fs::remove_file(beside)?;
        }
    }
    Ok(())
}

/// Tells whether all that was in the log of a file is in the file now.
fn put_back(target: &Path) -> bool {
    let checkpoint = |connection: Connection| {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
    };
    // Not busy, and nothing is left in the log; a file that has no log answers -1.
    Connection::open_with_flags(target, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(checkpoint) == Ok((0, 0))
}

/// A log without its file would be taken for the new file's.
fn refuse_orphan(target: &Path) -> Result<(), StoreError> {
    let log = sibling(target, "-wal");
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        let message = format!("could not restore: {log:?} lies there without its database; move it away");
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    Ok(())
}

/// Opens a file that nobody writes: without locks, and without files beside it.
fn open_unchanging(path: &Path) -> rusqlite::Result<Connection> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let escaped = absolute.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?.exists([name])
}

fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn unwritable(path: &Path, error: std::io::Error) -> StoreError {
    let message =
        format!("could not write {path:?}: check that there is room and that its folder may be written");
    StoreError::caused(FaultKind::Unavailable, message, error)
}
