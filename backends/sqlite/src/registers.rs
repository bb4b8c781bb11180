//! Registers: small named values that are changed by compare-and-set.

use ecs_scheduler_core::store::encoding::to_nanos_opt;
use ecs_scheduler_core::{Register, Registers, StoreError, Subject, Timestamp, async_trait};
use rusqlite::{OptionalExtension, Row, params};

use crate::error::TxError;
use crate::pool::ReadPool;
use crate::store::SqliteStore;
use crate::writer_conn::WriterConn;

#[async_trait]
impl Registers for SqliteStore {
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.pool.register(name.to_owned()).await
    }

    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.writer()?.submit(move |conn| conn.put_register(&name, &value, expected, expires)).await
    }
}

impl WriterConn {
    /// Writes a register whose version is the expected one; returns its new version.
    pub(crate) fn put_register(
        &mut self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, TxError> {
        let expires = to_nanos_opt(expires).map_err(TxError::Refused)?;
        let sql = "SELECT version FROM registers WHERE name = ?1";
        let stored: Option<u64> =
            self.connection.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?;
        if stored != expected {
            return Err(TxError::Refused(StoreError::Conflict(Subject::Register(name.to_owned()))));
        }
        let version = stored.unwrap_or(0) + 1;
        let sql = "INSERT OR REPLACE INTO registers(name, value, version, expires) VALUES (?1, ?2, ?3, ?4)";
        self.connection.prepare_cached(sql)?.execute(params![name, value, version, expires])?;
        Ok(version)
    }
}

impl ReadPool {
    /// Reads a register.
    pub(crate) async fn register(&self, name: String) -> Result<Option<Register>, StoreError> {
        self.run(move |connection| {
            let sql = "SELECT value, version FROM registers WHERE name = ?1";
            let read = |row: &Row<'_>| Ok(Register { value: row.get(0)?, version: row.get(1)? });
            connection.prepare_cached(sql)?.query_row([name], read).optional()
        })
        .await
    }
}
