//! Registers: reads are served from memory, and writes go to the log writer.

use ecs_scheduler_core::{Register, Registers, StoreError, Timestamp, async_trait};

use crate::log_op::LogOp;
use crate::store::LogStore;

#[async_trait]
impl Registers for LogStore {
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.memory()?.get_register(name).await
    }

    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        let result = self.editor.writer.commit(LogOp::Register { name, value, expected, expires }).await?;
        Ok(result.into_version())
    }
}
