//! Opening a file: checks, configuration, migration, and the state that the store keeps in memory.

use std::fs::DirBuilder;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use ecs_scheduler_core::store::encoding::to_nanos;
use ecs_scheduler_core::{Clock, FaultKind, StoreError, SystemClock, Timestamp};
use rusqlite::{Connection, OpenFlags};

use crate::connection::configure_writer;
use crate::error::store_error;
use crate::file_check::{check_header, refuse_read_only};
use crate::lock::{Lock, create_file, resolve_path};
use crate::pool::ReadPool;
use crate::schema;
use crate::snapshot::open_snapshot;
use crate::store::SqliteStore;
use crate::writer_conn::{Sequences, WriterConn};

/// Settings of a store.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The clock; the time of opening becomes the creation time of jobs of the Python version.
    pub clock: Arc<dyn Clock>,
    /// Maximum number of jobs in the row cache, about 1 KiB each; 16,384 by default.
    pub cached_jobs: NonZeroUsize,
    /// Number of read connections, each of which blocks one thread during a read; 2 by default.
    pub read_connections: NonZeroUsize,
    /// Maximum size of the file in bytes; unbounded by default. A full store refuses writes until something is removed.
    pub max_bytes: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            cached_jobs: NonZeroUsize::new(16 * 1024).expect("it is not zero"),
            read_connections: NonZeroUsize::new(2).expect("it is not zero"),
            max_bytes: None,
        }
    }
}

impl SqliteStore {
    /// Opens the file at `path`, or creates it and its folder. A file of the Python version is opened unchanged.
    ///
    /// # Errors
    ///
    /// Fails, with the file's name and the remedy, when another scheduler uses the file, when it is damaged or of a
    /// newer format, or when it cannot be read or written.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        run_blocking(move || {
            create_folder(&path)?;
            let path = resolve_path(&path)?;
            create_file(&path)?;
            let lock = Lock::acquire(&path)?;
            let opened = open_file(&path, options.clock.now(), options.max_bytes)?;
            let pool = ReadPool::open(&path, options.read_connections.get())?;
            let conn = WriterConn::new(opened.connection, opened.sequences, path.clone(), lock)?;
            Self::new(path, opened.order, options.cached_jobs, pool).with_writer(conn)
        })
        .await
    }

    /// Opens the file at `path` for reading only; a scheduler may be using it, and continues.
    ///
    /// The store has the content of the moment of opening until it is closed, and refuses each write. It takes no lock
    /// that a scheduler needs and does not change the file; the log cannot be checkpointed while the store is open. A
    /// file that its next scheduler would migrate or reconcile is copied to a temporary file and prepared there.
    ///
    /// # Errors
    ///
    /// Fails with [`FaultKind::NotFound`] when there is no file, and with the file's name and the remedy when it is
    /// damaged or of a newer format, or when it cannot be read.
    pub async fn open_read_only(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        run_blocking(move || {
            if !path.exists() {
                let message = format!("there is no such file: {path:?}");
                return Err(StoreError::fault(FaultKind::NotFound, message));
            }
            let path = resolve_path(&path)?;
            let connection = open_snapshot(&path, options.clock.now())?;
            let order = list_rowids(&connection).map_err(|error| store_error("open", &path, error))?;
            let pool = ReadPool::of_snapshot(&path, connection);
            Ok(Self::new(path, order, options.cached_jobs, pool))
        })
        .await
    }
}

async fn run_blocking(
    open: impl FnOnce() -> Result<SqliteStore, StoreError> + Send + 'static,
) -> Result<SqliteStore, StoreError> {
    tokio::task::spawn_blocking(open)
        .await
        .map_err(|panicked| StoreError::with_source(FaultKind::Bug, "opening the store panicked", panicked))?
}

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
    schema::prepare(&mut connection, version, to_nanos(at)?).map_err(failed)?;
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
