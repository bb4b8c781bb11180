//! Opening a file: checks, configuration, migration, and the state that the store keeps in memory.

use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use ecs_scheduler_core::store::encoding::to_nanos;
use ecs_scheduler_core::{FaultKind, StoreError, Timestamp};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::connection::configure_writer;
use crate::error::store_error;
use crate::lock::sibling;
use crate::schema;
use crate::writer_conn::Sequences;

/// A file that is ready for use.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    pub(crate) connection: Connection,
    pub(crate) sequences: Sequences,
    /// The rowids of the listed jobs, ascending.
    pub(crate) order: Vec<i64>,
}

/// Opens the file at `path`, which this process has locked, and migrates it.
///
/// # Errors
///
/// Fails when the file is damaged, of a newer format, or cannot be written.
pub(crate) fn open_file(
    path: &Path,
    at: Timestamp,
    max_bytes: Option<u64>,
) -> Result<OpenedFile, StoreError> {
    check_header(path)?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| store_error("open", path, error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    refuse_read_only(path, connection.is_readonly("main").map_err(failed)?)?;
    let version = schema::format_version(&connection).map_err(failed)?;
    schema::refuse_newer_format(path, version)?;
    configure_writer(&connection, max_bytes).map_err(failed)?;
    schema::migrate(&mut connection, version).map_err(failed)?;
    probe_tables(&connection).map_err(failed)?;
    let now = to_nanos(at)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    schema::rebuild_meta(&transaction).map_err(failed)?;
    schema::reconcile_external_edits(&transaction, now).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    schema::warn_corrupt_rows(&connection, path).map_err(failed)?;
    let order = list_rowids(&connection).map_err(failed)?;
    let sequences = read_sequences(&connection).map_err(failed)?;
    Ok(OpenedFile { connection, sequences, order })
}

/// Creates the folder of the file at `path`, for the scheduler's user alone.
///
/// # Errors
///
/// Fails when the folder cannot be created.
pub(crate) fn create_folder(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
        let message =
            format!("could not create the folder {folder:?} of the store: check that its parent is writable");
        StoreError::with_source(FaultKind::Unavailable, message, error)
    })
}

/// Checks the header of the file: this finds a truncated file at a cost that does not grow with the file.
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
fn refuse_read_only(path: &Path, is_read_only: bool) -> Result<(), StoreError> {
    if !is_read_only {
        return Ok(());
    }
    let remedy = "the file is read-only; give the scheduler's user write access to it and its folder";
    let message = format!("could not open the store {path:?}: {remedy}");
    Err(StoreError::fault(FaultKind::Unavailable, message))
}

/// Reads both ends of every table: this finds obvious damage at a cost that does not grow with the file.
fn probe_tables(connection: &Connection) -> rusqlite::Result<()> {
    for (table, key) in [("jobs", "rowid"), ("marks", "no"), ("journal", "seq"), ("registers", "name")] {
        for end in ["ASC", "DESC"] {
            let sql = format!("SELECT * FROM {table} ORDER BY {key} {end} LIMIT 1");
            connection.prepare(&sql)?.query([])?.next()?;
        }
    }
    Ok(())
}

fn list_rowids(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let read = |sql: &str| -> rusqlite::Result<Vec<i64>> {
        connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    // SQLite reads the index over the names, which is much smaller than the table and has the rowids in another order.
    let mut order = read("SELECT rowid FROM jobs")?;
    order.sort_unstable();
    let corrupt = read("SELECT no FROM marks INDEXED BY marks_broken WHERE broken <> 0 ORDER BY no")?;
    order.retain(|no| corrupt.binary_search(no).is_err());
    Ok(order)
}

fn read_sequences(connection: &Connection) -> rusqlite::Result<Sequences> {
    let sql = "SELECT max(pruned, coalesce((SELECT max(seq) FROM journal), 0)) FROM keeper";
    let seq = connection.query_row(sql, [], |row| row.get(0))?;
    let no = connection.query_row("SELECT coalesce(max(rowid), 0) FROM jobs", [], |row| row.get(0))?;
    Ok(Sequences { seq, no })
}
