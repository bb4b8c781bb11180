//! Reading rows of the history, with the items beside them that hold parts of their firings.

use std::collections::HashMap;

use ecs_scheduler_core::StoreError;

use crate::backoff;
use crate::codec::Attributes;
use crate::context::StoreContext;
use crate::error::contention;
use crate::firing_parts::{SplitFiring, StoredFiring, StoredParts};
use crate::keys::{ItemKey, StoreTable};
use crate::row::DecisionRow;

impl StoreContext {
    /// Decodes the items of rows, and reads the parts of their firings. Rows that were removed meanwhile are left out.
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
            let stored = StoredFiring::read(reader)?;
            let parts = stored.parts();
            let Some(key) = ItemKey::from_item(StoreTable::Journal, &item) else { return Ok(None) };
            let keys = parts.keys(&key);
            let items = if keys.is_empty() { HashMap::new() } else { self.db.get_all(action, keys).await? };
            if let Some(firing) = stored.join(&key, reader, &items)? {
                return DecisionRow::read(reader, firing, parts).map(Some);
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

    /// Reads the row of a decision. A firing whose lists are in items beside the row lacks them; `started` is its number of tasks.
    pub(crate) async fn row_without_lists(
        &self,
        key: ItemKey,
    ) -> Result<Option<RowWithoutLists>, StoreError> {
        let Some(item) = self.db.get("read a firing", key).await? else { return Ok(None) };
        let reader = self.db.reader(&item);
        if let StoredFiring::Split(split) = StoredFiring::read(reader)? {
            let SplitFiring { firing, started, parts } = *split;
            let row = DecisionRow::read(reader, Some(firing), StoredParts::Lists(parts))?;
            return Ok(Some(RowWithoutLists { row, started }));
        }
        let row = self.decode_row("read a firing", item).await?;
        Ok(row.map(|row| {
            let started = row.firing.as_ref().map_or(0, |firing| firing.tasks.len());
            RowWithoutLists { row, started }
        }))
    }
}

/// A row whose firing may lack its lists.
#[derive(Debug)]
pub(crate) struct RowWithoutLists {
    pub(crate) row: DecisionRow,
    /// The number of tasks of its firing.
    pub(crate) started: usize,
}
