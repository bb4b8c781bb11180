//! The health check: a write that shows that the file can still grow.

use crate::error::TxError;
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
