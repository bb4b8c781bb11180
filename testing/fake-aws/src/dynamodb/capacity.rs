//! The consumed capacity of a call, for callers who request it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::failure::{constraint, invalid};
use crate::wire::Failure;

/// Whether the caller requested it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity(bool);

impl Capacity {
    /// Reads `ReturnConsumedCapacity`.
    pub(crate) fn read(text: Option<&str>) -> Result<Self, Failure> {
        match text {
            None | Some("NONE") => Ok(Self(false)),
            Some("TOTAL") => Ok(Self(true)),
            Some("INDEXES") => Err(invalid("the fake does not tell the capacity of each index")),
            Some(other) => {
                let allowed = "Member must satisfy enum value set: [INDEXES, TOTAL, NONE]";
                Err(constraint(other, "returnConsumedCapacity", allowed))
            }
        }
    }

    /// Returns the units of a write of this many bytes: one for each KB begun.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html>
    pub(crate) fn writes(bytes: usize) -> f64 {
        units(bytes, 1024)
    }

    /// Returns the units of a read: one for each 4 KB begun, half as many if it may be stale.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html>
    pub(crate) fn reads(bytes: usize, consistent: bool) -> f64 {
        units(bytes, 4096) * if consistent { 1.0 } else { 0.5 }
    }

    /// Adds the consumption of one table to an answer.
    pub(crate) fn add_one(self, mut answer: Value, table: &str, units: f64) -> Value {
        if self.0 {
            answer["ConsumedCapacity"] = json!({ "TableName": table, "CapacityUnits": units });
        }
        answer
    }

    /// Adds the consumption of several tables to an answer.
    pub(crate) fn add(self, mut answer: Value, used: &BTreeMap<String, f64>) -> Value {
        if self.0 {
            let used =
                used.iter().map(|(table, units)| json!({ "TableName": table, "CapacityUnits": units }));
            answer["ConsumedCapacity"] = used.collect::<Vec<_>>().into();
        }
        answer
    }
}

fn units(bytes: usize, unit: usize) -> f64 {
    u32::try_from(bytes.div_ceil(unit).max(1)).map_or(f64::MAX, f64::from)
}
