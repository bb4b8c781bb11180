//! A register of the store with what the owner of a shard has to know from its start.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::inner::EngineInner;
use crate::store::{Register, Shard, StoreError};

/// The register of a shard, as the store has it.
#[derive(Debug)]
pub(super) struct ShardRegister<T> {
    name: String,
    /// Its version; absent before there is one.
    version: Option<u64>,
    pub(super) value: T,
}

impl<T: Default + PartialEq + Serialize + DeserializeOwned> ShardRegister<T> {
    /// Makes one that was not read. It is read before it is written.
    pub(super) fn unread(prefix: &str, shard: Shard) -> Self {
        Self { name: format!("{prefix}{shard}"), version: None, value: T::default() }
    }

    /// Reads the register of a shard, whose name begins with `prefix`. A value of another form counts as empty.
    pub(super) async fn read(engine: &EngineInner, prefix: &str, shard: Shard) -> Result<Self, StoreError> {
        let mut register = Self::unread(prefix, shard);
        if let Some(Register { value, version, .. }) = engine.store.get_register(&register.name).await? {
            register.version = Some(version);
            register.value = serde_json::from_str(&value).unwrap_or_default();
        }
        Ok(register)
    }

    /// Writes another value; returns whether the store has it.
    pub(super) async fn write(&mut self, engine: &EngineInner, value: T) -> bool {
        if value == self.value {
            return true;
        }
        let text = serde_json::to_string(&value).expect("the value is plain data");
        match engine.store.put_register(&self.name, &text, self.version).await {
            Ok(version) => {
                (self.version, self.value) = (Some(version), value);
                true
            }
            Err(StoreError::Conflict(_)) => {
                // It could not be read at the start, or an earlier write had no answer.
                let read = engine.store.get_register(&self.name).await;
                self.version = read.ok().flatten().map(|register| register.version);
                false
            }
            Err(_) => false,
        }
    }
}
