//! A snapshot for a store that only reads: the state of the file at one moment, beside a scheduler that may be using it.

use std::path::Path;
use std::time::Duration;

use ecs_scheduler_core::store::encoding::to_nanos;
use ecs_scheduler_core::{StoreError, Timestamp};
use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::connection::{configure_connection, open_immutable};
use crate::error::store_error;
use crate::file_check::check_header;
use crate::lock::sibling;
use crate::schema;

/// Number of pages that are copied at once.
const STEP_PAGES: i32 = 2048;

/// Opens the current state of the file at `path`, which exists.
///
/// The connection is in a transaction and stays in it, so that later commits of a scheduler are not seen. A file that a
/// scheduler would first have to migrate or reconcile is copied to a temporary file, which SQLite deletes with the
/// connection, and prepared there.
///
/// # Errors
///
/// Fails when the file is damaged, of a newer format, or cannot be read.
pub(crate) fn open_snapshot(path: &Path, at: Timestamp) -> Result<Connection, StoreError> {
    check_header(path)?;
    let failed = |error| store_error("open", path, error);
    let (connection, version) = begin_reading(path).map_err(failed)?;
    schema::refuse_newer_format(path, version)?;
    if schema::is_prepared(&connection, version).map_err(failed)? {
        schema::probe_tables(&connection).map_err(failed)?;
        return Ok(connection);
    }
    let mut copy = copy_to_temporary(&connection).map_err(failed)?;
    drop(connection);
    schema::prepare(&mut copy, version, to_nanos(at)?).map_err(failed)?;
    Ok(copy)
}

/// Opens the file and begins a transaction; returns the format too.
///
/// SQLite needs the shared memory of a write-ahead log beside the file, and creates both where they are missing. In a
/// folder that cannot be written no scheduler runs, so a file without a log is read there as one that does not change.
fn begin_reading(path: &Path) -> rusqlite::Result<(Connection, usize)> {
    let begin = |connection: Connection| {
        configure_connection(&connection)?;
        connection.execute_batch("BEGIN")?;
        let version = schema::format_version(&connection)?;
        Ok((connection, version))
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(begin);
    let is_unwritable = |error: &rusqlite::Error| {
        matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
    };
    match opened {
        Err(error) if is_unwritable(&error) && !sibling(path, "-wal").exists() => {
            open_immutable(path).and_then(begin)
        }
        opened => opened,
    }
}

fn copy_to_temporary(connection: &Connection) -> rusqlite::Result<Connection> {
    // The empty name is SQLite's name of a temporary file.
    let mut copy = Connection::open("")?;
    Backup::new(connection, &mut copy)?.run_to_completion(STEP_PAGES, Duration::ZERO, None)?;
    Ok(copy)
}
