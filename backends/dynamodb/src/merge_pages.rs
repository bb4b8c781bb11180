//! Merging the pages of several index partitions into one list, newest first.

use std::collections::VecDeque;

use ecs_scheduler_core::{DecisionId, StoreError};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::codec::{Attributes, number};
use crate::db::{CONCURRENT_READS, Db, Index, PartitionQuery};
use crate::expression::Condition;
use crate::keys::{ItemKey, StoreTable};

/// The least entries that one read of a partition asks for.
const MIN_PAGE: usize = 8;

/// A decision in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    pub(crate) id: DecisionId,
    /// The key of its item when the index was written.
    pub(crate) key: ItemKey,
}

/// The entries of several index partitions, merged.
#[derive(Debug)]
pub(crate) struct MergedPages<'a> {
    db: &'a Db,
    partitions: Vec<IndexPartition>,
}

/// One partition, with the entries that were read and not returned yet.
#[derive(Debug)]
struct IndexPartition {
    query: PartitionQuery,
    buffer: VecDeque<IndexEntry>,
    from: Option<Attributes>,
    is_exhausted: bool,
}

impl<'a> MergedPages<'a> {
    /// Reads these partitions, from the first entry older than `before`. `expected` is about how many entries are needed.
    pub(crate) fn new(
        db: &'a Db,
        index: Index,
        partitions: impl Iterator<Item = String>,
        before: Option<DecisionId>,
        expected: usize,
    ) -> Self {
        let partitions: Vec<String> = partitions.collect();
        let page = (expected * 2 / partitions.len().max(1)).max(MIN_PAGE);
        let partition = |partition| {
            let query = PartitionQuery::of_index(index, partition).descending().limit(page);
            let query = match before {
                Some(before) => query.key_condition(Condition::Below(index.range, number(before.0))),
                None => query,
            };
            IndexPartition { query, buffer: VecDeque::new(), from: None, is_exhausted: false }
        };
        Self { db, partitions: partitions.into_iter().map(partition).collect() }
    }

    /// Returns the next entries, newest first; fewer than `count` only at the end.
    pub(crate) async fn next(&mut self, count: usize) -> Result<Vec<IndexEntry>, StoreError> {
        let mut entries: Vec<IndexEntry> = Vec::with_capacity(count);
        while entries.len() < count {
            let db = self.db;
            let empty = self
                .partitions
                .iter_mut()
                .filter(|partition| partition.buffer.is_empty() && !partition.is_exhausted);
            let fetches: Vec<_> = empty.map(|partition| partition.fetch_page(db)).collect();
            futures::stream::iter(fetches).buffer_unordered(CONCURRENT_READS).try_collect::<()>().await?;
            // A page may be empty without being the last one.
            if self.partitions.iter().any(|partition| partition.buffer.is_empty() && !partition.is_exhausted)
            {
                continue;
            }
            let newest = self
                .partitions
                .iter_mut()
                .max_by_key(|partition| partition.buffer.front().map(|entry| entry.id));
            match newest.and_then(|partition| partition.buffer.pop_front()) {
                None => return Ok(entries),
                Some(entry) => entries.push(entry),
            }
        }
        Ok(entries)
    }
}

impl IndexPartition {
    async fn fetch_page(&mut self, db: &Db) -> Result<(), StoreError> {
        let page = db.query_page("read the history", &self.query, self.from.take()).await?;
        for item in page.items {
            let id = DecisionId(db.reader(&item).number("n")?);
            self.buffer
                .extend(ItemKey::from_item(StoreTable::Journal, &item).map(|key| IndexEntry { id, key }));
        }
        self.is_exhausted = page.next.is_none();
        self.from = page.next;
        Ok(())
    }
}
