//! Settings of SQLite connections.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OpenFlags};

/// Page size of a new file, in bytes. A commit writes whole pages, each with two calls: a burst of settlements is
/// durable in five sixths of the time that SQLite's default of 4 KiB takes.
const PAGE_SIZE: u32 = 8 * 1024;

/// Configures the connection of the writer.
pub(crate) fn configure_writer(connection: &Connection, max_bytes: Option<u64>) -> rusqlite::Result<()> {
    configure_connection(connection)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    if let Some(bytes) = max_bytes {
        let page_size: u64 = page_size(connection)?;
        connection.pragma_update_and_check(None, "max_page_count", (bytes / page_size).max(1), |_| Ok(()))?;
    }
    Ok(())
}

/// Returns the page size of the file in bytes: a power of two from 512 to 65,536.
pub(crate) fn page_size<T: FromSql>(connection: &Connection) -> rusqlite::Result<T> {
    connection.pragma_query_value(None, "page_size", |row| row.get(0))
}

/// Configures a connection of the store, whether it reads or writes.
///
/// Without the query planner stability guarantee, SQLite plans a cached statement again whenever a value is bound that
/// a partial index might depend on: the lookup of one job would cost four times as much.
pub(crate) fn configure_connection(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Opens a file that no process writes: SQLite takes no locks and creates no files beside it.
pub(crate) fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let escaped = absolute.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
}
