//! The change log of each shard: a counter that every edit of a job increments, and the newest edits.
//!
//! The counter puts the edits of a shard in order. Other replicas find them by one cheap read. An edit whose answer was lost
//! is found by its write id.

use ecs_scheduler_core::{JobId, StoreError};

use crate::codec::{ItemReader, number, text};
use crate::db::Db;
use crate::keys::{self, ItemKey};
use crate::write::Write;

/// The number of edits that the log of a shard holds. It is a ring: a new edit overwrites the oldest one.
const MAX_ENTRIES: u64 = 512;

/// The head of a shard's change log: the number of edits so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ChangeLogHead {
    pub(crate) seq: u64,
}

/// One edit of a job, as the change log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobChange {
    /// The number of the edit in its shard, from 1.
    pub(crate) seq: u64,
    pub(crate) job: JobId,
    /// The job's position in the order of creation.
    pub(crate) order: u64,
    pub(crate) kind: ChangeKind,
    /// Identifies the call that made the edit.
    pub(crate) write_id: String,
}

/// The kind of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Created,
    Replaced,
    Removed,
}

impl ChangeKind {
    /// Returns the verb, as in `create job "nightly"`.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Created => "create",
            Self::Replaced => "replace",
            Self::Removed => "remove",
        }
    }
}

impl std::str::FromStr for ChangeKind {
    type Err = ();

    fn from_str(verb: &str) -> Result<Self, ()> {
        [Self::Created, Self::Replaced, Self::Removed].into_iter().find(|kind| kind.verb() == verb).ok_or(())
    }
}

impl ChangeLogHead {
    /// Reads the head; a missing item means that there was no edit.
    pub(crate) fn read(item: Option<ItemReader<'_>>) -> Result<Self, StoreError> {
        Ok(Self { seq: item.map_or(Ok(0), |item| item.number("seq"))? })
    }

    /// Returns the next edit.
    pub(crate) fn next(self, job: &JobId, order: u64, kind: ChangeKind, write_id: &str) -> JobChange {
        JobChange { seq: self.seq + 1, job: job.clone(), order, kind, write_id: write_id.to_owned() }
    }

    /// Counts edits that have no entries in the log. A reader that finds entries missing reads the whole shard.
    pub(crate) fn skip_entries(self, shard: u8, count: usize) -> Write {
        self.count_to(shard, self.seq + count as u64)
    }

    fn count_to(self, shard: u8, seq: u64) -> Write {
        let key = ItemKey::change_log_head(shard);
        let write = if self.seq == 0 {
            Write::create(key)
        } else {
            Write::put(key).if_equals("seq", number(self.seq))
        };
        write.set("seq", number(seq))
    }
}

impl JobChange {
    /// Returns the writes that append the edit, under the condition that it is the next one.
    pub(crate) fn writes(&self) -> [Write; 2] {
        let shard = keys::shard(&self.job);
        let entry = Write::put(entry_key(shard, self.seq))
            .set("seq", number(self.seq))
            .set("job", text(self.job.as_str()))
            .set("order", number(self.order))
            .set("kind", text(self.kind.verb()))
            .set("stamp", text(self.write_id.as_str()));
        [ChangeLogHead { seq: self.seq - 1 }.count_to(shard, self.seq), entry]
    }

    fn read(item: ItemReader<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: item.number("seq")?,
            job: JobId::new(item.text("job")?).map_err(|_| item.corrupt("job", "does not name a job"))?,
            order: item.number("order")?,
            kind: item.parsed("kind")?,
            write_id: item.text("stamp")?.to_owned(),
        })
    }
}

fn entry_key(shard: u8, seq: u64) -> ItemKey {
    ItemKey::change_log_entry(shard, seq % MAX_ENTRIES)
}

/// Reads the edits of a shard after a number, oldest first; returns `None` when the log does not have all of them any more.
pub(crate) async fn changes_since(
    db: &Db,
    shard: u8,
    after: u64,
    head: ChangeLogHead,
) -> Result<Option<Vec<JobChange>>, StoreError> {
    if head.seq < after || head.seq - after > MAX_ENTRIES {
        return Ok(None);
    }
    let keys = (after + 1..=head.seq).map(|seq| entry_key(shard, seq));
    let mut items = db.get_all("read the change log", keys).await?;
    let mut changes = Vec::with_capacity(items.len());
    for seq in after + 1..=head.seq {
        let Some(item) = items.remove(&entry_key(shard, seq)) else { return Ok(None) };
        let change = JobChange::read(db.reader(&item))?;
        if change.seq != seq {
            return Ok(None);
        }
        changes.push(change);
    }
    Ok(Some(changes))
}

/// Reads the heads of these shards.
pub(crate) async fn read_heads(
    db: &Db,
    shards: impl Iterator<Item = u8> + Clone,
) -> Result<Vec<ChangeLogHead>, StoreError> {
    let mut items = db.get_all("read the change log", shards.clone().map(ItemKey::change_log_head)).await?;
    let head = |shard| {
        let item = items.remove(&ItemKey::change_log_head(shard));
        ChangeLogHead::read(item.as_ref().map(|item| db.reader(item)))
    };
    shards.map(head).collect()
}
