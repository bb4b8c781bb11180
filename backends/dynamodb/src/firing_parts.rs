//! Firings that are too large for their row. The row has the firing without its long lists, and each list is split over items of
//! its own, in parts of so many elements. The row names the version and the hash of each part, so that an advance reads no part and
//! writes only those that it changes: a call of RunTask adds to the last part of two lists.
//!
//! Earlier, the compressed JSON of the whole firing was split by its bytes, and each advance wrote all of it. Such a firing is still
//! read; its next advance replaces it.

use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::store::encoding::to_json;
use ecs_scheduler_core::{Attempt, FaultKind, Firing, StoreError, TaskId, TaskState};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{Attribute, Attributes, ItemReader, bytes, compact_json, compress, number, size};
use crate::job_meta::digest;
use crate::keys::ItemKey;
use crate::write::Write;

/// The attribute of a row with the number of items beside it that hold parts of its firing's lists.
pub(crate) const LIST_PARTS: &str = "listParts";
/// The attribute of a row with the number of items that hold the compressed JSON of its firing together with the row.
pub(crate) const PARTS: &str = "parts";
/// The maximum size of the JSON of lists that stay in the row, in bytes.
const MAX_WHOLE: usize = 100_000;
/// The maximum size of a part, and of the firing in its row, in bytes.
const MAX_PART_SIZE: usize = 350_000;
/// The maximum size of all parts that are written at once, in bytes.
const MAX_PARTS_SIZE: usize = 3_000_000;
/// The number of characters of a part's hash: 96 bits.
const HASH_LEN: usize = 24;

/// How a list of a firing is split.
struct ListSplit {
    /// The first letter of the keys of its parts.
    prefix: char,
    /// The number of elements of a part. It is doubled until the list has at most `max_parts`.
    part_len: usize,
    /// One transaction may write all parts of all lists, and remove the items of the earlier layout.
    max_parts: usize,
}

const REPLACES: ListSplit = ListSplit { prefix: 'r', part_len: 2_000, max_parts: 5 };
const ATTEMPTS: ListSplit = ListSplit { prefix: 'a', part_len: 25, max_parts: 40 };
const TASKS: ListSplit = ListSplit { prefix: 't', part_len: 250, max_parts: 40 };

impl ListSplit {
    fn key(&self, row: &ItemKey, index: usize) -> ItemKey {
        row.firing_part(&format!("{}{index:02}", self.prefix))
    }

    /// Splits a list, and encodes each part as JSON.
    fn encode<T: Serialize>(&self, list: &[T]) -> Result<Vec<String>, StoreError> {
        let mut len = self.part_len;
        while list.len() > len * self.max_parts {
            len *= 2;
        }
        list.chunks(len).map(|part| to_json(&part)).collect()
    }
}

/// A part as its row names it: the version of the row that wrote it, and its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartRef(u64, String);

/// A firing whose lists are split, as its row has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SplitFiring {
    /// The firing without its lists.
    pub(crate) firing: Firing,
    /// The number of its tasks.
    pub(crate) started: usize,
    #[serde(flatten)]
    pub(crate) parts: PartLists,
}

/// The parts of the lists of a firing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartLists {
    replaces: Vec<PartRef>,
    attempts: Vec<PartRef>,
    tasks: Vec<PartRef>,
}

impl PartLists {
    fn lists(&self) -> [(ListSplit, &[PartRef]); 3] {
        [(REPLACES, &self.replaces), (ATTEMPTS, &self.attempts), (TASKS, &self.tasks)]
    }

    fn keyed<'a>(&'a self, row: &'a ItemKey) -> impl Iterator<Item = (ItemKey, &'a PartRef)> {
        self.lists().into_iter().flat_map(move |(split, parts)| {
            parts.iter().enumerate().map(move |(index, part)| (split.key(row, index), part))
        })
    }
}

/// The items beside a row that hold parts of its firing, as they are stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum StoredParts {
    /// The row has the whole firing.
    #[default]
    None,
    /// So many items hold the compressed JSON together with the row. Each has the version of the row.
    Bytes(usize),
    /// The items hold parts of lists.
    Lists(PartLists),
}

impl StoredParts {
    /// Returns the keys of the items beside this row.
    pub(crate) fn keys(&self, row: &ItemKey) -> Vec<ItemKey> {
        match self {
            Self::None => Vec::new(),
            Self::Bytes(count) => (0..*count).map(|index| row.firing_part(&format!("{index:02}"))).collect(),
            Self::Lists(parts) => parts.keyed(row).map(|(key, _)| key).collect(),
        }
    }

    /// Returns the writes that remove the items, except those of these keys.
    pub(crate) fn deletions(&self, row: &ItemKey, kept: &HashSet<ItemKey>) -> Vec<Write> {
        self.keys(row).into_iter().filter(|key| !kept.contains(key)).map(Write::delete).collect()
    }
}

/// A firing as its row has it.
#[derive(Debug, Clone)]
pub(crate) enum StoredFiring {
    /// All of it, if the row has a firing.
    Whole(Option<Box<Firing>>),
    /// The beginning of its compressed JSON, and the number of items with the rest.
    Bytes(usize),
    /// All but its lists.
    Split(Box<SplitFiring>),
}

impl StoredFiring {
    /// Decodes the firing of a row.
    pub(crate) fn read(item: ItemReader<'_>) -> Result<Self, StoreError> {
        if item.optional_number::<usize>(LIST_PARTS)?.is_some() {
            return Ok(Self::Split(item.json("firing")?));
        }
        match item.optional_number(PARTS)?.unwrap_or_default() {
            0 => Ok(Self::Whole(item.optional_json("firing")?)),
            count => Ok(Self::Bytes(count)),
        }
    }

    /// Returns the items beside the row.
    pub(crate) fn parts(&self) -> StoredParts {
        match self {
            Self::Whole(_) => StoredParts::None,
            Self::Bytes(count) => StoredParts::Bytes(*count),
            Self::Split(split) => StoredParts::Lists(split.parts.clone()),
        }
    }

    /// Joins the firing with the items beside its row. None if one of them is missing or of another version.
    pub(crate) fn join(
        self,
        row: &ItemKey,
        item: ItemReader<'_>,
        items: &HashMap<ItemKey, Attributes>,
    ) -> Result<Option<Option<Firing>>, StoreError> {
        let part = |key: &ItemKey| items.get(key).map(|part| item.sibling(part));
        match self {
            Self::Whole(firing) => Ok(Some(firing.map(|firing| *firing))),
            Self::Bytes(_) => {
                let version: u64 = item.number("version")?;
                let mut joined = item.bytes("firing")?.to_vec();
                for key in self.parts().keys(row) {
                    let Some(part) = part(&key) else { return Ok(None) };
                    if part.number::<u64>("version")? != version {
                        return Ok(None);
                    }
                    joined.extend_from_slice(part.bytes("data")?);
                }
                item.compressed_json("firing", &joined).map(Some)
            }
            Self::Split(split) => {
                for (key, expected) in split.parts.keyed(row) {
                    let Some(part) = part(&key) else { return Ok(None) };
                    if part.number::<u64>("version")? != expected.0 {
                        return Ok(None);
                    }
                }
                split.join(row, part).map(|firing| Some(Some(firing)))
            }
        }
    }
}

impl SplitFiring {
    fn join<'a>(
        self,
        row: &ItemKey,
        part: impl Fn(&ItemKey) -> Option<ItemReader<'a>>,
    ) -> Result<Firing, StoreError> {
        let Self { mut firing, parts, .. } = self;
        firing.replaces = join_list::<TaskId>(&REPLACES, parts.replaces.len(), row, &part)?;
        firing.attempts = join_list::<Attempt>(&ATTEMPTS, parts.attempts.len(), row, &part)?;
        firing.tasks = join_list::<TaskState>(&TASKS, parts.tasks.len(), row, &part)?;
        Ok(firing)
    }
}

fn join_list<'a, T: DeserializeOwned>(
    split: &ListSplit,
    count: usize,
    row: &ItemKey,
    part: impl Fn(&ItemKey) -> Option<ItemReader<'a>>,
) -> Result<Vec<T>, StoreError> {
    let mut list = Vec::new();
    for part in (0..count).filter_map(|index| part(&split.key(row, index))) {
        list.extend(part.compressed_json::<Vec<T>>("data", part.bytes("data")?)?);
    }
    Ok(list)
}

/// The encoding of a firing.
#[derive(Debug)]
pub(crate) struct EncodedFiring {
    /// The attributes of its row.
    pub(crate) attributes: Vec<Attribute>,
    /// The writes of the items beside the row.
    pub(crate) parts: Vec<Write>,
}

impl EncodedFiring {
    /// Encodes a firing for this version of its row, beside which the items of the version before are stored.
    ///
    /// # Errors
    ///
    /// Fails when the parts that change are too large for one transaction.
    pub(crate) fn new(
        firing: &Firing,
        row: &ItemKey,
        version: u64,
        before: &StoredParts,
    ) -> Result<Self, StoreError> {
        let lists = [
            REPLACES.encode(&firing.replaces)?,
            ATTEMPTS.encode(&firing.attempts)?,
            TASKS.encode(&firing.tasks)?,
        ];
        if lists.iter().flatten().map(String::len).sum::<usize>() <= MAX_WHOLE {
            let whole = compact_json(firing)?;
            check_size(firing, size(&whole), MAX_PART_SIZE)?;
            let parts = before.deletions(row, &HashSet::new());
            return Ok(Self { attributes: vec![("firing", whole)], parts });
        }
        let none = PartLists::default();
        let before_lists = if let StoredParts::Lists(parts) = before { parts } else { &none };
        let mut changes = PartChanges { row, version, puts: Vec::new(), bytes: 0, largest: 0 };
        let [replaces, attempts, tasks] = lists;
        let parts = PartLists {
            replaces: changes.add(&REPLACES, replaces, &before_lists.replaces),
            attempts: changes.add(&ATTEMPTS, attempts, &before_lists.attempts),
            tasks: changes.add(&TASKS, tasks, &before_lists.tasks),
        };
        let PartChanges { puts: mut writes, bytes, largest, .. } = changes;
        check_size(firing, largest, MAX_PART_SIZE)?;
        check_size(firing, bytes, MAX_PARTS_SIZE)?;
        let kept: HashSet<ItemKey> = parts.keyed(row).map(|(key, _)| key).collect();
        writes.extend(before.deletions(row, &kept));
        let without_lists =
            Firing { replaces: Vec::new(), attempts: Vec::new(), tasks: Vec::new(), ..firing.clone() };
        let split = SplitFiring { firing: without_lists, started: firing.tasks.len(), parts };
        let split = compact_json(&split)?;
        check_size(firing, size(&split), MAX_PART_SIZE)?;
        Ok(Self { attributes: vec![("firing", split), (LIST_PARTS, number(kept.len()))], parts: writes })
    }
}

/// The parts that a version of a row writes.
struct PartChanges<'a> {
    row: &'a ItemKey,
    version: u64,
    puts: Vec<Write>,
    bytes: usize,
    /// The bytes of the largest part.
    largest: usize,
}

impl PartChanges<'_> {
    /// Adds the parts of a list that differ from those `before`, and returns all of them.
    fn add(&mut self, split: &ListSplit, parts: Vec<String>, before: &[PartRef]) -> Vec<PartRef> {
        let parts = parts.into_iter().enumerate().map(|(index, json)| {
            let hash = hash(&json);
            if let Some(known) = before.get(index).filter(|known| known.1 == hash) {
                return known.clone();
            }
            let data = compress(json.as_bytes());
            self.bytes += data.len();
            self.largest = self.largest.max(data.len());
            let put = Write::put(split.key(self.row, index)).set("version", number(self.version));
            self.puts.push(put.set("data", bytes(data)));
            PartRef(self.version, hash)
        });
        parts.collect()
    }
}

/// Refuses a firing with more bytes in one place than it may have.
fn check_size(firing: &Firing, bytes: usize, max: usize) -> Result<(), StoreError> {
    if bytes <= max {
        return Ok(());
    }
    let message = format!(
        "could not store firing \"{}\": {} KB compressed, where the DynamoDB store writes at most {} KB at once: reduce its \
         number of tasks",
        firing.id,
        bytes.div_ceil(1_000),
        max / 1_000
    );
    Err(StoreError::fault(FaultKind::Config, message))
}

/// Hashes the JSON of a part.
fn hash(json: &str) -> String {
    let mut hash = digest(json);
    hash.truncate(HASH_LEN);
    hash
}

#[cfg(test)]
mod tests;
