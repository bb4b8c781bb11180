//! Registers, pruning, and the check.

use ecs_scheduler_core::{Retention, StoreError, Timestamp};
use rusqlite::{OptionalExtension, params};

use crate::codec::{DAY, instant, maybe_nanos};
use crate::error::Failure;
use crate::writer_conn::Desk;

/// How many pages a check writes: more than a commit does that is not a large one.
const BALLAST: i64 = 8;
/// A row goes only when it is old, not open, and the last of its job's history: so no younger row is cut off.
const PRUNE: &str = "DELETE FROM journal WHERE seq = ?1 AND (observed < ?2 OR observed > ?3) \
     AND (state IS NULL OR state NOT IN ('planned', 'launching', 'launched')) \
     AND NOT EXISTS (SELECT 1 FROM journal older WHERE older.seq = journal.prev)";

impl Desk {
    pub(crate) fn write_register(
        &mut self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, Failure> {
        let expires = maybe_nanos(expires).map_err(Failure::Refused)?;
        let sql = "SELECT version FROM registers WHERE name = ?1";
        let stored: Option<u64> =
            self.connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?;
        if stored != expected {
            return Err(Failure::Refused(StoreError::Conflict(format!("register \"{name}\""))));
        }
        let version = stored.unwrap_or(0) + 1;
        let sql = "INSERT OR REPLACE INTO registers(name, value, version, expires) VALUES (?1, ?2, ?3, ?4)";
        self.connection.prepare_cached(sql)?.execute(params![name, value, version, expires])?;
        Ok(version)
    }

    /// Removes those of the decisions, ascending, that may go, and expired registers.
    pub(crate) fn prune(&mut self, candidates: &[u64], retention: Retention) -> Result<usize, Failure> {
        let (before, now) = (instant(retention.before), instant(retention.now));
        let connection = &self.connection;
        let mut removed = 0;
        {
            let mut prune = connection.prepare_cached(PRUNE)?;
            for seq in candidates {
                removed += prune.execute(params![seq, before, now.saturating_add(DAY)])?;
            }
        }
        if let Some(newest) = candidates.last().filter(|_| removed > 0) {
            connection.prepare_cached("UPDATE keeper SET pruned = max(pruned, ?1)")?.execute([newest])?;
            let sql = "DELETE FROM departed WHERE NOT EXISTS (SELECT 1 FROM journal WHERE seq = head)";
            connection.prepare_cached(sql)?.execute([])?;
        }
        let sql =
            "DELETE FROM registers WHERE name IN (SELECT name FROM registers WHERE expires < ?1 LIMIT ?2)";
        let rest = retention.batch.saturating_sub(removed);
        Ok(removed + connection.prepare_cached(sql)?.execute(params![now, rest])?)
    }

    /// Writes pages that mean nothing, to see that there is room, then removes those of the check before, so
    /// that checking does not make the file grow.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        let sql = "INSERT INTO pulse(ballast) VALUES (zeroblob(?1))";
        self.connection.prepare_cached(sql)?.execute([BALLAST * self.page])?;
        let newest = self.connection.last_insert_rowid();
        self.connection.prepare_cached("DELETE FROM pulse WHERE beat < ?1")?.execute([newest])?;
        Ok(())
    }
}
