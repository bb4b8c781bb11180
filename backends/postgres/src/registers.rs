//! Registers: one statement each.

use ecs_scheduler_core::store::encoding::to_nanos_opt;
use ecs_scheduler_core::{Register, Registers, StoreError, Subject, Timestamp, async_trait};

use crate::codec::{signed, unsigned};
use crate::store::PostgresStore;

const GET: &str = "SELECT value, version FROM ecss_registers WHERE name = $1";
const INSERT: &str = "INSERT INTO ecss_registers(name, value, version, expires) VALUES ($1, $2, 1, $3) \
    ON CONFLICT (name) DO NOTHING RETURNING version";
const UPDATE: &str = "UPDATE ecss_registers SET value = $2, expires = $3, version = version + 1 \
    WHERE name = $1 AND version = $4 RETURNING version";

#[async_trait]
impl Registers for PostgresStore {
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        let rows = self.pool.read("read", GET, &[&name]).await?;
        Ok(rows.first().map(|row| Register { value: row.get(0), version: unsigned(row.get(1)) }))
    }

    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let expires = to_nanos_opt(expires)?;
        let rows = match expected {
            None => self.pool.write("write to", INSERT, &[&name, &value, &expires]).await?,
            Some(version) => {
                self.pool.write("write to", UPDATE, &[&name, &value, &expires, &signed(version)]).await?
            }
        };
        let row = rows.first().ok_or_else(|| StoreError::Conflict(Subject::Register(name.to_owned())))?;
        Ok(unsigned(row.get(0)))
    }
}
