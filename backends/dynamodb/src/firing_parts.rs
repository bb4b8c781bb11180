//! The parts of firings that are too large for their row: the compressed JSON begins in the row, and continues in items of their
//! own. All parts are written together, and each has the version of the row.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::{FaultKind, Firing, StoreError};

use crate::backoff;
use crate::codec::{Attributes, bytes, compact_json, number};
use crate::context::StoreContext;
use crate::error::contention;
use crate::keys::{ItemKey, StoreTable};
use crate::row::DecisionRow;
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

impl StoreContext {
    /// Decodes the items of rows, and reads the further parts of their firings. Rows that were removed meanwhile are left out.
    pub(crate) async fn decode_rows(
        &self,
        action: &str,
        items: impl IntoIterator<Item = Attributes>,
    ) -> Result<Vec<DecisionRow>, StoreError> {
        let mut rows = Vec::new();
        for item in items {
            rows.extend(self.decode_row(action, item).await?);
        }
        Ok(rows)
    }

    /// Decodes the item of a row; `None` when the row was removed meanwhile.
    pub(crate) async fn decode_row(
        &self,
        action: &str,
        mut item: Attributes,
    ) -> Result<Option<DecisionRow>, StoreError> {
        let mut backoff = backoff::for_reads();
        loop {
            let reader = self.db.reader(&item);
            let count: usize = reader.optional_number(PARTS)?.unwrap_or_default();
            let key = ItemKey::from_item(StoreTable::Journal, &item);
            let Some(key) = key.filter(|_| count > 0) else {
                return DecisionRow::read(reader, &[]).map(Some);
            };
            let parts = self.db.get_all(action, (0..count).map(|index| key.part(index))).await?;
            if let Some(rest) = self.join(&key, count, &parts, reader.number("version")?)? {
                return DecisionRow::read(reader, &rest).map(Some);
            }
            // The row was written or removed after it was read.
            match self.db.get(action, key).await? {
                Some(newer) => item = newer,
                None => return Ok(None),
            }
            if !backoff.wait().await {
                return Err(contention(action));
            }
        }
    }

    /// Joins the further parts of a row, unless one of them is missing or is of another version.
    fn join(
        &self,
        row: &ItemKey,
        count: usize,
        parts: &HashMap<ItemKey, Attributes>,
        version: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut joined = Vec::new();
        for index in 0..count {
            let Some(part) = parts.get(&row.part(index)) else { return Ok(None) };
            let reader = self.db.reader(part);
            if reader.number::<u64>("version")? != version {
                return Ok(None);
            }
            joined.extend_from_slice(reader.bytes("data")?);
        }
        Ok(Some(joined))
    }
}
