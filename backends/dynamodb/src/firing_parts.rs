//! The parts of firings that are too large for their row: the compressed JSON begins in the row, and continues in items of their
//! own. All parts are written together, and each has the version of the row.

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::{FaultKind, Firing, StoreError};

use crate::codec::{bytes, compact_json, number};
use crate::keys::ItemKey;
use crate::write::Write;

/// The number of items beside the row that hold a part of its firing.
pub(crate) const PARTS: &str = "parts";
/// The maximum size of a part, in bytes.
const PART_SIZE: usize = 300_000;
/// The maximum number of items beside the row: one transaction writes all of them.
pub(crate) const MAX_PARTS: usize = 9;

/// The encoding of a firing: the attribute of its row, and the bytes of further items.
pub(crate) struct FiringParts {
    pub(crate) first: AttributeValue,
    pub(crate) rest: Vec<Vec<u8>>,
}

impl FiringParts {
    /// Encodes a firing.
    ///
    /// # Errors
    ///
    /// Fails when the firing is larger than all of its parts may be.
    pub(crate) fn encode(firing: &Firing) -> Result<Self, StoreError> {
        let first = compact_json(firing)?;
        let AttributeValue::B(all) = &first else { return Ok(Self { first, rest: Vec::new() }) };
        let mut parts = all.as_ref().chunks(PART_SIZE).map(<[u8]>::to_vec);
        let first = bytes(parts.next().unwrap_or_default());
        let rest: Vec<_> = parts.collect();
        if rest.len() <= MAX_PARTS {
            return Ok(Self { first, rest });
        }
        let message = format!(
            "could not store firing \"{}\": it has {} KB compressed, and the DynamoDB store keeps at most {} KB of a firing: \
             reduce its number of tasks",
            firing.id,
            (PART_SIZE * (1 + rest.len())).div_ceil(1_000),
            PART_SIZE * (1 + MAX_PARTS) / 1_000
        );
        Err(StoreError::fault(FaultKind::Config, message))
    }

    /// Returns the writes of the further items of a row with this key and version, which had `before` of them.
    pub(crate) fn writes(self, row: &ItemKey, version: u64, before: usize) -> Vec<Write> {
        let count = self.rest.len();
        let puts = self.rest.into_iter().enumerate().map(|(index, part)| {
            Write::put(row.part(index)).set("version", number(version)).set("data", bytes(part))
        });
        puts.chain(deletions(row, count..before)).collect()
    }
}

/// Returns the writes that remove these further items of a row.
pub(crate) fn deletions(row: &ItemKey, parts: std::ops::Range<usize>) -> impl Iterator<Item = Write> {
    parts.map(|index| Write::delete(row.part(index)))
}
