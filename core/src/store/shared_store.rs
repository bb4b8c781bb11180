//! Stores that several processes write at once: shards of jobs, fenced journal writes, and a change log of job edits.
//!
//! Rejected: locks and leases of the store (advisory locks, TTLs), because each store has different ones and their clocks
//! are not ours; edits pushed by the store (`LISTEN`, streams), because lost pushes require polling anyway.

use std::fmt;
use std::num::NonZeroUsize;

use async_trait::async_trait;

use super::{Advance, JobList, ListFrom, Register, Settled, Settlement, Store, StoreError, Subject};
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
    /// The number of shards. Changing it changes the layout of every shared store.
    pub const COUNT: u8 = 16;

    /// Returns the shard of a job: the topmost four bits of the stable hash of its name.
    #[must_use]
    pub fn from_job(job: &JobId) -> Self {
        let number = hash::scale(hash::stable(&[job.as_str().as_bytes()]), u64::from(Self::COUNT));
        Self(u8::try_from(number).expect("there are fewer than 256 shards"))
    }

    /// Returns the shard of this number, 0 to 15.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// Iterates over all shards, by number.
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

/// The fencing token of a journal write: the register and the version that it must still have.
///
/// The register names a shard's owner, and is written only when the owner changes, so its version identifies an ownership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The register's name.
    pub register: String,
    /// The version that it must have.
    pub version: u64,
}

impl From<&Fence> for Subject {
    fn from(fence: &Fence) -> Self {
        Self::Register(fence.register.clone())
    }
}

/// The operations that the owner of one shard uses. [`ShardView`](super::ShardView) makes a store of them.
#[async_trait]
pub trait Shards {
    /// Lists the jobs of one shard as [`JobStore::list`](super::JobStore::list) lists all jobs; offset and total count the
    /// shard's jobs only.
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

    /// Returns every open firing of a shard's jobs, oldest first, those of removed jobs included.
    ///
    /// # Errors
    ///
    /// Fails when the journal cannot be read.
    async fn open_firings_in_shard(&self, shard: Shard) -> Result<Vec<Firing>, StoreError>;

    /// Settles as [`Journal::settle`](super::Journal::settle) does, if the fence holds.
    ///
    /// The fence is checked in the same transaction as each write: once the register has another version, no write under
    /// this fence becomes visible.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] with the register's name when the fence does not hold; otherwise as `settle` fails.
    /// If a batch takes several transactions, those committed before the fenced one stay.
    async fn settle_fenced(&self, fence: &Fence, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError>;

    /// Advances a firing as [`Journal::advance`](super::Journal::advance) does, if the fence holds; checked in the same
    /// transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] with the register's name when the fence does not hold, before any other error; otherwise as
    /// `advance` fails.
    async fn advance_fenced(&self, fence: &Fence, advance: Advance) -> Result<(), StoreError>;
}

/// A store that several processes write at once.
#[async_trait]
pub trait SharedStore: Store + Shards {
    /// Returns the registers whose name begins with `prefix`, by name. The read is not older than the call.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError>;

    /// Returns which jobs of these shards were created, replaced or removed since the cursors. Shards without a change are
    /// left out.
    ///
    /// Each edit is logged in the transaction that makes it, in the order in which edits become visible: an edit made before
    /// the call is returned by it, or was returned together with the cursor. It may be returned more than once. Owners poll
    /// all their shards about three times a second, so the call must be cheap when nothing changed.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    async fn changes(&self, since: &[(Shard, ChangeCursor)]) -> Result<Vec<ShardChanges>, StoreError>;
}

/// The minimum number of edits that the change log of a shard keeps; for older cursors a store may answer
/// [`ChangedJobs::Unknown`].
pub const MIN_CHANGELOG: usize = 256;

/// A cursor into the change log of a shard, opaque to callers. The default is before the first edit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeCursor(pub u64);

/// The changes of one shard since a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardChanges {
    /// The shard.
    pub shard: Shard,
    /// The cursor for the next call.
    pub cursor: ChangeCursor,
    /// The changed jobs.
    pub jobs: ChangedJobs,
}

/// Jobs that were created, replaced or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedJobs {
    /// Exactly these jobs.
    Jobs(Vec<JobId>),
    /// The log does not reach back to the cursor, or the cursor is of another log: rescan the whole shard.
    Unknown,
}
