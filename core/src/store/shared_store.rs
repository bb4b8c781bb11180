//! What a store does for several processes at once: shards of jobs, fences around their journal, news of edits.
//!
//! Rejected: a lock or a lease in the store's own terms (advisory locks, TTLs), because each store has others and
//! their clocks are not ours; edits pushed by the store (`LISTEN`, streams), because a lost push has to be found by
//! asking anyway.

use std::fmt;
use std::num::NonZeroUsize;

use async_trait::async_trait;

use super::{Advance, JobList, ListFrom, Register, Settled, Settlement, Store, StoreError};
use crate::firing::Firing;
use crate::hash;
use crate::job::JobId;

#[cfg(test)]
mod tests;

/// A part of the jobs that has one owner at a time.
///
/// A job's shard follows from its name alone and never changes: stores keep it beside the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u8);

impl Shard {
    /// How many shards there are. Another number is another layout of every shared store.
    pub const COUNT: u8 = 16;

    /// Returns the shard of a job: the topmost four bits of the stable hash of its name.
    #[must_use]
    pub fn of(job: &JobId) -> Self {
        let number = hash::scale(hash::stable(&[job.as_str().as_bytes()]), u64::from(Self::COUNT));
        Self(u8::try_from(number).expect("there are fewer than 256 shards"))
    }

    /// Returns the shard of this number, 0 to 15.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// Lists all shards by number.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        (0..Self::COUNT).map(Self)
    }

    /// Returns its number, 0 to 15.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Two digits: `07`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// What a register must still be for a journal write to count.
///
/// The register names a shard's owner, and is written only when the owner changes: its version is the fencing number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The register's name.
    pub register: String,
    /// The version that it must have.
    pub version: u64,
}

/// A store's part in the work of one shard's owner. [`ShardView`](super::ShardView) makes a store of it.
#[async_trait]
pub trait Shards {
    /// Lists the jobs of a shard as [`JobStore::list`](super::JobStore::list) does those of all; places are counted in
    /// the shard, and the total is the shard's.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read, or when the job that `from` names does not exist.
    async fn list_shard(
        &self,
        shard: Shard,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError>;

    /// Returns every open firing of a shard's jobs, oldest first, also of jobs that were removed meanwhile.
    ///
    /// # Errors
    ///
    /// Fails when the journal cannot be read.
    async fn unfinished_in(&self, shard: Shard) -> Result<Vec<Firing>, StoreError>;

    /// Does what [`Journal::settle`](super::Journal::settle) does if the fence holds.
    ///
    /// The fence is checked in the same transaction as each write: once the register has another version, nothing
    /// more becomes visible of a write that names this one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] with the register's name when the fence does not hold; otherwise as `settle` fails.
    /// Where a batch takes more than one transaction, those before the one that was fenced stay.
    async fn settle_under(&self, fence: &Fence, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError>;

    /// Does what [`Journal::advance`](super::Journal::advance) does if the fence holds, checked in the same
    /// transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] with the register's name when the fence does not hold, whatever else is wrong;
    /// otherwise as `advance` fails.
    async fn advance_under(&self, fence: &Fence, advance: Advance) -> Result<(), StoreError>;
}

/// A store that several processes write at once.
#[async_trait]
pub trait SharedStore: Store + Shards {
    /// Returns the registers whose name begins with `prefix`, by name; what is returned is not older than the call.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError>;

    /// Tells which jobs of these shards were created, replaced or removed since the marks. Shards without an edit
    /// since are left out.
    ///
    /// An edit is entered in the same transaction as the edit itself, in the order in which edits become visible: one
    /// that was done before the call is told by it, or was told with the mark. It may be told more than once. Owners
    /// ask about three times a second for all their shards, so it must be cheap when nothing happened.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    async fn edits(&self, since: &[(Shard, EditMark)]) -> Result<Vec<ShardEdits>, StoreError>;
}

/// The least number of edits of a shard that a store can tell; of more than these it may say
/// [`EditedJobs::Unknown`].
pub const EDITS_TOLD: usize = 256;

/// A place in the order of a shard's edits, which only the store can read. The default is before the first edit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EditMark(pub u64);

/// What happened to a shard's jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardEdits {
    /// The shard.
    pub shard: Shard,
    /// From where to ask next.
    pub mark: EditMark,
    /// The jobs.
    pub jobs: EditedJobs,
}

/// Jobs that were created, replaced or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditedJobs {
    /// These.
    These(Vec<JobId>),
    /// It cannot be told any more, or the mark is of another time: look at the whole shard.
    Unknown,
}
