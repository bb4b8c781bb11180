//! Edits of a shard, in their order: a counter that every edit changes, and a log of the last ones.
//!
//! So edits of a shard follow each other, others learn of them by one cheap read, and an edit whose answer was lost is
//! found again by its stamp.

use ecs_scheduler_core::{JobId, StoreError};

use crate::codec::{Reader, number, text};
use crate::db::Db;
use crate::keys::{self, Key};
use crate::write::Write;

/// How many edits of a shard the log holds. It is a ring: each edit takes the place of the one so many before it.
const SLOTS: u64 = 512;

/// How many edits there were in a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
}

/// One edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Its number in the shard, from 1.
    pub(crate) seq: u64,
    pub(crate) job: JobId,
    /// The job's place in the order of creation.
    pub(crate) order: u64,
    pub(crate) kind: EditKind,
    /// Tells whose edit it was.
    pub(crate) stamp: String,
}

/// What was done to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EditKind {
    Created,
    Replaced,
    Removed,
}

impl EditKind {
    /// Returns the word for it, as in `create job "nightly"`.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Created => "create",
            Self::Replaced => "replace",
            Self::Removed => "remove",
        }
    }
}

impl std::str::FromStr for EditKind {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Created, Self::Replaced, Self::Removed].into_iter().find(|kind| kind.verb() == word).ok_or(())
    }
}

impl Head {
    /// Reads how many edits there were; an item that is missing says that there was none.
    pub(crate) fn read(item: Option<Reader<'_>>) -> Result<Self, StoreError> {
        Ok(Self { seq: item.map_or(Ok(0), |item| item.number("seq"))? })
    }

    /// Returns the edit that comes next.
    pub(crate) fn next(self, job: &JobId, order: u64, kind: EditKind, stamp: &str) -> Edit {
        Edit { seq: self.seq + 1, job: job.clone(), order, kind, stamp: stamp.to_owned() }
    }

    /// Counts so many edits that are not told one by one: whoever wants to know looks at the whole shard.
    pub(crate) fn skip(self, shard: u8, count: usize) -> Write {
        self.count_to(shard, self.seq + count as u64)
    }

    fn count_to(self, shard: u8, seq: u64) -> Write {
        let key = Key::head(shard);
        let write =
            if self.seq == 0 { Write::create(key) } else { Write::put(key).given("seq", number(self.seq)) };
        write.set("seq", number(seq))
    }
}

impl Edit {
    /// Makes the edit known, if it is the next one.
    pub(crate) fn writes(&self) -> [Write; 2] {
        let shard = keys::shard(&self.job);
        let entry = Write::put(slot(shard, self.seq))
            .set("seq", number(self.seq))
            .set("job", text(self.job.as_str()))
            .set("order", number(self.order))
            .set("kind", text(self.kind.verb()))
            .set("stamp", text(self.stamp.as_str()));
        [Head { seq: self.seq - 1 }.count_to(shard, self.seq), entry]
    }

    fn read(item: Reader<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: item.number("seq")?,
            job: JobId::new(item.text("job")?).map_err(|_| item.corrupt("job", "names no job"))?,
            order: item.number("order")?,
            kind: item.parsed("kind")?,
            stamp: item.text("stamp")?.to_owned(),
        })
    }
}

fn slot(shard: u8, seq: u64) -> Key {
    Key::edit(shard, seq % SLOTS)
}

/// Reads the edits of a shard behind a number, oldest first; none when they cannot be told any more.
pub(crate) async fn edits(
    db: &Db,
    shard: u8,
    behind: u64,
    head: Head,
) -> Result<Option<Vec<Edit>>, StoreError> {
    if head.seq < behind || head.seq - behind > SLOTS {
        return Ok(None);
    }
    let keys = (behind + 1..=head.seq).map(|seq| slot(shard, seq));
    let mut items = db.get_all("read what was edited last", keys).await?;
    let mut edits = Vec::with_capacity(items.len());
    for seq in behind + 1..=head.seq {
        let Some(item) = items.remove(&slot(shard, seq)) else { return Ok(None) };
        let edit = Edit::read(db.reader(&item))?;
        if edit.seq != seq {
            return Ok(None);
        }
        edits.push(edit);
    }
    Ok(Some(edits))
}

/// Reads how many edits there were in each of these shards.
pub(crate) async fn heads(
    db: &Db,
    shards: impl Iterator<Item = u8> + Clone,
) -> Result<Vec<Head>, StoreError> {
    let mut items = db.get_all("read what was edited last", shards.clone().map(Key::head)).await?;
    let head = |shard| {
        let item = items.remove(&Key::head(shard));
        Head::read(item.as_ref().map(|item| db.reader(item)))
    };
    shards.map(head).collect()
}
