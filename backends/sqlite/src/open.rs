//! Opening a file: whether it is one of ours and sound, what it lacks, and what others wrote into it.

use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, JobId, JobUid, StoreError, Timestamp};
use rusqlite::config::DbConfig;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use serde::de::IgnoredAny;

use crate::codec::nanos;
use crate::error::fault;
use crate::lock::sibling;
use crate::writer_conn::Counters;

/// The steps from one format to the next; the file's `user_version` says how many of them it has seen.
const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];
/// Bytes of a page of a new file. A commit writes whole pages, each with two calls: a burst of intents is durable in five
/// sixths of the time that it takes with SQLite's own 4 KiB.
const PAGE: u32 = 8 * 1024;
/// What the identity of a job that another program wrote is derived from.
const DERIVED_FROM: &str = "sqlite";

/// A file that is ready.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) counters: Counters,
    /// The rowids of the jobs that are listed, ascending.
    pub(crate) order: Vec<i64>,
}

/// Opens the file at `path`, which this process has locked, and brings it up to date.
///
/// # Errors
///
/// Fails when the file is damaged, of a newer format, or cannot be written.
pub(crate) fn open(path: &Path, at: Timestamp, max_bytes: Option<u64>) -> Result<Opened, StoreError> {
    examine(path)?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let wording = |error| fault("open", path, error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(wording)?;
    refuse_read_only(path, connection.is_readonly("main").map_err(wording)?)?;
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(wording)?;
    refuse_newer(path, version)?;
    configure(&connection, max_bytes).map_err(wording)?;
    migrate(&mut connection, version).map_err(wording)?;
    probe(&connection).map_err(wording)?;
    let now = nanos(at)?;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wording)?;
    compare(&transaction).map_err(wording)?;
    adopt(&transaction, now).map_err(wording)?;
    transaction.commit().map_err(wording)?;
    tell_broken(&connection, path).map_err(wording)?;
    let order = listed(&connection).map_err(wording)?;
    let counters = counters(&connection).map_err(wording)?;
    Ok(Opened { connection, counters, order })
}

/// Makes the folder that the file at `path` is in, for the scheduler's user alone.
///
/// # Errors
///
/// Fails when it cannot be made.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
        let message =
            format!("could not make the folder {folder:?} of the store: check that it may be written");
        StoreError::caused(FaultKind::Unavailable, message, error)
    })
}

/// Looks at the first bytes: a file that is cut off is found here, however large it is.
pub(crate) fn examine(path: &Path) -> Result<(), StoreError> {
    let mut header = [0; 100];
    let damaged = |what: &str| {
        let remedy = "restore a backup, or move it away to begin anew";
        StoreError::fault(FaultKind::Config, format!("the store {path:?} {what}; {remedy}"))
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let message = format!("could not read the store {path:?}: check that it may be read");
            return Err(StoreError::caused(FaultKind::Unavailable, message, error));
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
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    // The count of pages is to be trusted when it was written with the last change; pages that are in the log only
    // are not in the file yet.
    let logged = sibling(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    if !logged && field(24) == field(92) && length < u64::from(field(28)) * page {
        return Err(damaged("is damaged: its end is missing"));
    }
    Ok(())
}

/// SQLite opens a file that it may not write for reading, and would fail with the first tick only.
fn refuse_read_only(path: &Path, is_read_only: bool) -> Result<(), StoreError> {
    if !is_read_only {
        return Ok(());
    }
    let remedy = "it is read-only; give the scheduler's user write access to it and its folder";
    let message = format!("could not open the store {path:?}: {remedy}");
    Err(StoreError::fault(FaultKind::Unavailable, message))
}

pub(crate) fn refuse_newer(path: &Path, version: usize) -> Result<(), StoreError> {
    if version <= MIGRATIONS.len() {
        return Ok(());
    }
    let known = MIGRATIONS.len();
    let message = format!(
        "the store {path:?} has format {version}, and this version knows formats up to {known}; \
         use the newer version that wrote it, or restore a backup"
    );
    Err(StoreError::fault(FaultKind::Config, message))
}

fn configure(connection: &Connection, max_bytes: Option<u64>) -> rusqlite::Result<()> {
    attend(connection)?;
    connection.pragma_update(None, "page_size", PAGE)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    if let Some(bytes) = max_bytes {
        let page: u64 = page_size(connection)?;
        connection.pragma_update_and_check(None, "max_page_count", (bytes / page).max(1), |_| Ok(()))?;
    }
    Ok(())
}

/// Returns how many bytes a page of the file has: a power of two from 512 to 65,536.
pub(crate) fn page_size<T: FromSql>(connection: &Connection) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, "page_size", |row| row.get(0))
}

/// Sets what a connection of the store needs, whether it reads or writes.
///
/// Without the planner's guarantee of stability SQLite plans a cached statement anew whenever a value is bound that a
/// partial index might depend on: looking for one job would cost four times as much.
pub(crate) fn attend(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn migrate(connection: &mut Connection, version: usize) -> rusqlite::Result<()> {
    for (number, step) in (1..).zip(MIGRATIONS).skip(version) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Reads both ends of every table: what is plainly damaged shows itself, at a cost that does not grow with the file.
fn probe(connection: &Connection) -> rusqlite::Result<()> {
    for (table, key) in [("jobs", "rowid"), ("marks", "no"), ("journal", "seq"), ("registers", "name")] {
        for end in ["ASC", "DESC"] {
            let sql = format!("SELECT * FROM {table} ORDER BY {key} {end} LIMIT 1");
            connection.prepare(&sql)?.query([])?.next()?;
        }
    }
    Ok(())
}

/// Compares `marks` with `jobs` when the file was rebuilt since that was done last: vacuumed, or restored from a dump,
/// either of which may give the jobs other rowids. Otherwise the triggers have kept them equal.
fn compare(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let cookie: i64 = transaction.pragma_query_value(None, "schema_version", |row| row.get(0))?;
    if transaction.query_row("SELECT cookie FROM keeper", [], |row| row.get::<_, i64>(0))? == cookie {
        return Ok(());
    }
    let equal: bool = transaction.query_row(
        "SELECT (SELECT count(*) FROM jobs) = (SELECT count(*) FROM marks) AND NOT EXISTS \
         (SELECT 1 FROM jobs j LEFT JOIN marks m ON m.no = j.rowid WHERE m.id IS NOT j.id)",
        [],
        |row| row.get(0),
    )?;
    if !equal {
        transaction.execute_batch(
            "CREATE TEMP TABLE known AS SELECT * FROM marks;
             CREATE INDEX temp.known_id ON known(id);
             DELETE FROM marks;
             INSERT INTO marks SELECT j.rowid, j.id, k.uid, coalesce(k.revision, 1), k.created, k.changed,
                 coalesce(k.broken, 0), coalesce(k.head, 0), k.folds, k.settled, k.last_firing, k.last_fired,
                 k.last_run, k.last_run_tasks
                 FROM jobs j LEFT JOIN known k ON k.id = j.id;
             INSERT OR REPLACE INTO departed
                 SELECT id, head FROM known WHERE head > 0 AND id NOT IN (SELECT id FROM jobs);
             DROP TABLE known;",
        )?;
    }
    transaction.execute("UPDATE keeper SET cookie = ?1", [cookie])?;
    Ok(())
}

/// Gives an identity to the jobs that another program wrote, and notes which of them cannot be read.
fn adopt(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    let mut unseen = transaction.prepare(
        "SELECT m.no, j.id, j.data FROM marks m INDEXED BY marks_unseen JOIN jobs j ON j.rowid = m.no \
         WHERE m.changed IS NULL",
    )?;
    let mut seen = transaction.prepare(
        "UPDATE marks SET uid = coalesce(uid, ?2), created = coalesce(created, ?3), changed = ?3, broken = ?4 \
         WHERE no = ?1",
    )?;
    let mut found = Vec::new();
    let mut rows = unseen.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(1)?.as_str().ok().and_then(|id| JobId::new(id).ok());
        let sound =
            row.get_ref(2)?.as_str().is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        let uid = id.as_ref().map(|id| *JobUid::derived(DERIVED_FROM, id).as_uuid().as_bytes());
        found.push((row.get::<_, i64>(0)?, uid, !sound || id.is_none()));
    }
    for (no, uid, broken) in found {
        seen.execute(params![no, uid, now, broken])?;
    }
    Ok(())
}

fn tell_broken(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    let mut broken = connection.prepare("SELECT id FROM marks INDEXED BY marks_broken WHERE broken <> 0")?;
    let mut rows = broken.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_bytes_or_null()?.map(String::from_utf8_lossy).unwrap_or_default();
        tracing::warn!(
            job = %id,
            ?path,
            "left out a job whose row is not JSON or has no valid name; correct or delete the row and restart"
        );
    }
    Ok(())
}

fn listed(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let read = |sql: &str| -> rusqlite::Result<Vec<i64>> {
        connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    // The index over the names is much smaller than the table; it has the rowids in another order.
    let mut order = read("SELECT rowid FROM jobs")?;
    order.sort_unstable();
    let broken = read("SELECT no FROM marks INDEXED BY marks_broken WHERE broken <> 0 ORDER BY no")?;
    order.retain(|no| broken.binary_search(no).is_err());
    Ok(order)
}

fn counters(connection: &Connection) -> rusqlite::Result<Counters> {
    let sql = "SELECT max(pruned, coalesce((SELECT max(seq) FROM journal), 0)) FROM keeper";
    let seq = connection.query_row(sql, [], |row| row.get(0))?;
    let no = connection.query_row("SELECT coalesce(max(rowid), 0) FROM jobs", [], |row| row.get(0))?;
    Ok(Counters { seq, no })
}
