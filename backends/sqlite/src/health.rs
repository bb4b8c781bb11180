//! The health check: a write that shows that the file can still grow; in a store that only reads, no write.

use std::path::Path;

use ecs_scheduler_core::StoreError;
use rusqlite::{Connection, OpenFlags};

use crate::error::TxError;
use crate::file_check::refuse_read_only;
use crate::pool::ReadPool;
use crate::writer_conn::WriterConn;

/// Number of pages that a check writes: more than an ordinary commit does.
const PAGES: i64 = 8;

impl WriterConn {
    /// Writes a few empty pages to check that there is room, then removes those of the previous check, so that checks do
    /// not make the file grow.
    pub(crate) fn check_health(&mut self) -> Result<(), TxError> {
        let sql = "INSERT INTO pulse(ballast) VALUES (zeroblob(?1))";
        self.connection.prepare_cached(sql)?.execute([PAGES * self.page_size])?;
        let newest = self.connection.last_insert_rowid();
        self.connection.prepare_cached("DELETE FROM pulse WHERE beat < ?1")?.execute([newest])?;
        Ok(())
    }
}

impl ReadPool {
    /// Checks that the file can be opened for writing, without a write.
    pub(crate) async fn check_writable(&self, path: &Path) -> Result<(), StoreError> {
        let file = path.to_owned();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = self.run(move |_| Connection::open_with_flags(file, flags)?.is_readonly("main")).await?;
        refuse_read_only(path, opened)
    }
}
