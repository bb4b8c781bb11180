//! One table: its present items, and the stale view of eventually consistent reads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;

use super::failure::invalid;
use super::key::{Key, KeyPart, Schema};
use super::value::{Item, size_of_item};
use crate::wire::Failure;

/// Maximum size of an item in bytes.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MAX_ITEM_SIZE: usize = 400 * 1024;

/// The attributes that an index holds beside the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Projection {
    All,
    KeysOnly,
    Include(Vec<String>),
}

/// A global secondary index. It follows the table as a stale read does.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) schema: Schema,
    pub(crate) projection: Projection,
    /// By the key in the index, then by the item's own key.
    entries: BTreeSet<(Key, Key)>,
}

/// The items of one partition to read, and the start.
#[derive(Debug, Clone)]
pub(crate) struct KeyBounds {
    pub(crate) hash: KeyPart,
    pub(crate) from: Bound<KeyPart>,
    pub(crate) to: Bound<KeyPart>,
    pub(crate) forward: bool,
}

/// A write that stale reads do not see yet.
type Change = (Timestamp, Key, Option<Arc<Item>>);

/// A table with its indexes and its stale view.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Schema,
    pub(crate) indexes: Vec<Index>,
    fresh: BTreeMap<Key, Arc<Item>>,
    stale: BTreeMap<Key, Arc<Item>>,
    pending: VecDeque<Change>,
}

impl Index {
    pub(crate) const fn new(name: String, schema: Schema, projection: Projection) -> Self {
        Self { name, schema, projection, entries: BTreeSet::new() }
    }

    /// Returns the index's projection of an item.
    pub(crate) fn shows(&self, item: &Item, table: &Schema) -> Item {
        let more: &[String] = match &self.projection {
            Projection::All => return item.clone(),
            Projection::KeysOnly => &[],
            Projection::Include(names) => names,
        };
        let names = self.schema.names().chain(table.names()).chain(more.iter().map(String::as_str));
        names
            .filter_map(|name| item.get_key_value(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn entry(&self, key: &Key, item: &Item) -> Option<(Key, Key)> {
        self.schema.parts(item).map(|own| (own, key.clone()))
    }
}

impl Table {
    pub(crate) const fn new(schema: Schema, indexes: Vec<Index>) -> Self {
        Self { schema, indexes, fresh: BTreeMap::new(), stale: BTreeMap::new(), pending: VecDeque::new() }
    }

    /// Applies writes up to this time to the stale view.
    pub(crate) fn catch_up(&mut self, until: Timestamp) {
        while let Some((at, ..)) = self.pending.front()
            && *at <= until
            && let Some((_, key, item)) = self.pending.pop_front()
        {
            let before = match &item {
                Some(item) => self.stale.insert(key.clone(), Arc::clone(item)),
                None => self.stale.remove(&key),
            };
            for index in &mut self.indexes {
                let was = before.as_ref().and_then(|before| index.entry(&key, before));
                let is = item.as_ref().and_then(|item| index.entry(&key, item));
                if was == is {
                    continue;
                }
                if let Some(was) = was {
                    index.entries.remove(&was);
                }
                index.entries.extend(is);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.stale.len()
    }

    /// Returns the present item.
    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Item>> {
        self.fresh.get(key)
    }

    /// Returns an item as a read of this consistency sees it.
    pub(crate) fn read(&self, key: &Key, consistent: bool) -> Option<&Arc<Item>> {
        if consistent { self.fresh.get(key) } else { self.stale.get(key) }
    }

    /// Fails if an item cannot be stored: it is too large, or an index cannot hold it.
    pub(crate) fn check(&self, item: &Item, too_large: &str) -> Result<(), Failure> {
        if size_of_item(item) > MAX_ITEM_SIZE {
            return Err(invalid(too_large));
        }
        for index in &self.indexes {
            index.schema.indexed(item, &index.name)?;
        }
        Ok(())
    }

    /// Writes an item, or removes it.
    pub(crate) fn write(&mut self, key: Key, item: Option<Arc<Item>>, now: Timestamp) {
        match &item {
            Some(item) => self.fresh.insert(key.clone(), Arc::clone(item)),
            None => self.fresh.remove(&key),
        };
        self.pending.push_back((now, key, item));
    }

    /// Iterates over one partition, after `after`.
    pub(crate) fn scan_range(
        &self,
        bounds: &KeyBounds,
        after: Option<Key>,
        consistent: bool,
    ) -> Box<dyn Iterator<Item = &Arc<Item>> + '_> {
        let items = if consistent { &self.fresh } else { &self.stale };
        let key = |part: &KeyPart| Key::new(bounds.hash.clone(), part.clone());
        let (from, to) = (bounds.from.as_ref().map(key), bounds.to.as_ref().map(key));
        let Some(range) = narrow_after(from, to, after, bounds.forward) else {
            return Box::new(std::iter::empty());
        };
        let found = items.range(range).map(|(_, item)| item);
        if bounds.forward { Box::new(found) } else { Box::new(found.rev()) }
    }

    /// Iterates over one partition of an index.
    pub(crate) fn scan_index<'a>(
        &'a self,
        index: &'a Index,
        bounds: &KeyBounds,
        after: Option<(Key, Key)>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Item>> + 'a> {
        let entry = |part: &KeyPart, own: Key| (Key::new(bounds.hash.clone(), part.clone()), own);
        let from = match &bounds.from {
            Bound::Included(part) => Bound::Included(entry(part, Key::first())),
            Bound::Excluded(part) => Bound::Excluded(entry(part, Key::last())),
            Bound::Unbounded => Bound::Unbounded,
        };
        let to = match &bounds.to {
            Bound::Included(part) => Bound::Included(entry(part, Key::last())),
            Bound::Excluded(part) => Bound::Excluded(entry(part, Key::first())),
            Bound::Unbounded => Bound::Unbounded,
        };
        let Some(range) = narrow_after(from, to, after, bounds.forward) else {
            return Box::new(std::iter::empty());
        };
        let found = index.entries.range(range).filter_map(|(_, key)| self.stale.get(key));
        if bounds.forward { Box::new(found) } else { Box::new(found.rev()) }
    }

    /// Iterates over the partitions whose slots are in this range, the last one excluded.
    pub(crate) fn scan_slots(
        &self,
        slots: (u128, u128),
        after: Option<Key>,
        consistent: bool,
    ) -> Box<dyn Iterator<Item = &Arc<Item>> + '_> {
        let items = if consistent { &self.fresh } else { &self.stale };
        let from = u64::try_from(slots.0)
            .map_or(Bound::Excluded(Key::last()), |slot| Bound::Included(Key { slot, ..Key::first() }));
        let to = u64::try_from(slots.1)
            .map_or(Bound::Included(Key::last()), |slot| Bound::Excluded(Key { slot, ..Key::first() }));
        match narrow_after(from, to, after, true) {
            Some(range) => Box::new(items.range(range).map(|(_, item)| item)),
            None => Box::new(std::iter::empty()),
        }
    }
}

/// Narrows a range to the keys after one; none if nothing is left.
fn narrow_after<K: Ord>(
    from: Bound<K>,
    to: Bound<K>,
    after: Option<K>,
    forward: bool,
) -> Option<(Bound<K>, Bound<K>)> {
    let (from, to) = match after {
        None => (from, to),
        Some(after) if forward => (Bound::Excluded(after), to),
        Some(after) => (from, Bound::Excluded(after)),
    };
    let is_valid = match (&from, &to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
        (Bound::Included(low), Bound::Included(high)) => low <= high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => {
            low < high
        }
    };
    is_valid.then_some((from, to))
}
