//! Reading rows of the history, with the further parts of their firings.

use std::collections::HashMap;

use ecs_scheduler_core::StoreError;

use crate::backoff;
use crate::codec::Attributes;
use crate::context::StoreContext;
use crate::error::contention;
use crate::firing_parts::PARTS;
use crate::keys::{ItemKey, StoreTable};
use crate::row::DecisionRow;

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
