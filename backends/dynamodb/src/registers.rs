//! Registers: small named values under compare-and-set.

use ecs_scheduler_core::{FaultKind, Register, Registers, StoreError, Subject, Timestamp, async_trait};
use uuid::Uuid;

use crate::codec::{ItemReader, number, text};
use crate::db::{Committed, Db, PartitionQuery};
use crate::expression::Condition;
use crate::keys::{self, ItemKey};
use crate::store::DynamoDbStore;
use crate::write::Write;

/// The maximum number of bytes of a name: one less than those of a sort key.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>: 1,024 bytes.
const MAX_NAME_BYTES: usize = 1_023;

/// A register with the id of its newest write.
struct StoredRegister {
    register: Register,
    write_id: String,
}

fn decode(item: ItemReader<'_>) -> Result<StoredRegister, StoreError> {
    let register = Register { value: item.text("value")?.to_owned(), version: item.number("version")? };
    Ok(StoredRegister { register, write_id: item.text("stamp")?.to_owned() })
}

fn register_key(name: &str) -> Result<ItemKey, StoreError> {
    if name.len() > MAX_NAME_BYTES {
        let message = format!(
            "could not use register \"{name}\": a name has at most {MAX_NAME_BYTES} bytes in DynamoDB"
        );
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    Ok(ItemKey::register(name))
}

impl Db {
    async fn read_stored(&self, name: &str) -> Result<Option<StoredRegister>, StoreError> {
        let item = self.get(&format!("read register \"{name}\""), register_key(name)?).await?;
        item.map(|item| decode(self.reader(&item))).transpose()
    }

    /// Reads a register.
    pub(crate) async fn register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        Ok(self.read_stored(name).await?.map(|stored| stored.register))
    }

    /// Reads the registers whose names start with `prefix`, ordered by name.
    pub(crate) async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError> {
        let mut found = Vec::new();
        for part in 0..keys::PARTS {
            let name_condition = Condition::StartsWith("sk", text(format!("={prefix}")));
            let query = PartitionQuery::of_table(keys::registers(part)).key_condition(name_condition);
            for item in self.query_all("read registers", &query).await? {
                let name = self.reader(&item).text("sk")?.strip_prefix('=').unwrap_or_default().to_owned();
                // `begins_with` is case-sensitive in DynamoDB, but not in every server of its API.
                if name.starts_with(prefix) {
                    found.push((name, decode(self.reader(&item))?.register));
                }
            }
        }
        found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }
}

#[async_trait]
impl Registers for DynamoDbStore {
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.context.db.register(name).await
    }

    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let db = &self.context.db;
        let write_id = Uuid::new_v4().simple().to_string();
        let version = expected.unwrap_or(0) + 1;
        let write = match expected {
            None => Write::create(register_key(name)?),
            Some(expected) => Write::put(register_key(name)?).if_equals("version", number(expected)),
        };
        let write = write
            .set("value", text(value))
            .set("version", number(version))
            .set("stamp", text(write_id.as_str()));
        let write = match expires {
            None => write,
            Some(at) => write
                .set("a", text(keys::expiring_registers(keys::register_part(name))))
                .set("t", number(at.as_millisecond())),
        };
        let action = format!("write register \"{name}\"");
        if db.commit(&action, vec![write]).await? == Committed::Done
            || db.read_stored(name).await?.is_some_and(|stored| stored.write_id == write_id)
        {
            return Ok(version);
        }
        Err(StoreError::Conflict(Subject::Register(name.to_owned())))
    }
}
