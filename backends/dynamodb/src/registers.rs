//! Small named records.

use ecs_scheduler_core::{FaultKind, Register, StoreError, Timestamp};
use uuid::Uuid;

use crate::codec::{Reader, number, text};
use crate::db::{Committed, Db, Query};
use crate::expression::Clause;
use crate::keys::{self, Key};
use crate::write::Write;

/// The most bytes of a name: one less than a sort key may have.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>: 1,024 bytes.
const LONGEST: usize = 1_023;

/// A register, and who wrote it last.
struct Stored {
    register: Register,
    stamp: String,
}

fn decode(item: Reader<'_>) -> Result<Stored, StoreError> {
    let register = Register { value: item.text("value")?.to_owned(), version: item.number("version")? };
    Ok(Stored { register, stamp: item.text("stamp")?.to_owned() })
}

async fn stored(db: &Db, name: &str) -> Result<Option<Stored>, StoreError> {
    let item = db.get(&format!("read register \"{name}\""), key(name)?).await?;
    item.map(|item| decode(db.reader(&item))).transpose()
}

fn key(name: &str) -> Result<Key, StoreError> {
    if name.len() > LONGEST {
        let message =
            format!("could not use register \"{name}\": a name has at most {LONGEST} bytes in DynamoDB");
        return Err(StoreError::fault(FaultKind::Config, message));
    }
    Ok(Key::register(name))
}

/// Reads a register.
pub(crate) async fn read(db: &Db, name: &str) -> Result<Option<Register>, StoreError> {
    Ok(stored(db, name).await?.map(|stored| stored.register))
}

/// Reads the registers whose names begin so, by name.
pub(crate) async fn beginning_with(db: &Db, prefix: &str) -> Result<Vec<(String, Register)>, StoreError> {
    let mut found = Vec::new();
    for part in 0..keys::SPREAD {
        let named = Clause::StartsWith("sk", text(format!("={prefix}")));
        let query = Query::of(keys::registers(part)).only(named);
        for item in db.all("read registers", &query).await? {
            let name = db.reader(&item).text("sk")?.strip_prefix('=').unwrap_or_default().to_owned();
            // DynamoDB minds case in `begins_with`, as not every server of its API does.
            if name.starts_with(prefix) {
                found.push((name, decode(db.reader(&item))?.register));
            }
        }
    }
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// Writes a register whose version is the expected one.
pub(crate) async fn write(
    db: &Db,
    name: &str,
    value: &str,
    expected: Option<u64>,
    expires: Option<Timestamp>,
) -> Result<u64, StoreError> {
    let stamp = Uuid::new_v4().simple().to_string();
    let version = expected.unwrap_or(0) + 1;
    let write = match expected {
        None => Write::create(key(name)?),
        Some(expected) => Write::put(key(name)?).given("version", number(expected)),
    };
    let write =
        write.set("value", text(value)).set("version", number(version)).set("stamp", text(stamp.as_str()));
    let write = match expires {
        None => write,
        Some(at) => {
            write.set("a", text(keys::expiring(keys::spread(name)))).set("t", number(at.as_millisecond()))
        }
    };
    let what = format!("write register \"{name}\"");
    if db.commit(&what, vec![write]).await? == Committed::Done
        || stored(db, name).await?.is_some_and(|stored| stored.stamp == stamp)
    {
        return Ok(version);
    }
    Err(StoreError::Conflict(format!("register \"{name}\"")))
}
