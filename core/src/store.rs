//! The store traits: jobs, the journal, and small registers, each written under compare-and-set.

mod deadline;
pub mod encoding;
mod error;
pub mod group_commit;
mod import;
mod retention;
mod shard_view;
mod shared_store;
mod write_set;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::decide::{DecisionDraft, DecisionId, DecisionRecord, TickOutcome};
use crate::fault::FaultKind;
use crate::firing::{Firing, FiringId, FiringState};
use crate::job::{JobId, JobUid, Progress, Revision, StoredJob};

pub(crate) use deadline::answer_within;
pub use error::{StoreError, Subject};
pub use import::{ImportBatch, JournalEntry};
pub use retention::{PrunedJobs, Retention};
pub use shard_view::ShardView;
pub use shared_store::{
    ChangeCursor, ChangedJobs, Fence, MIN_CHANGELOG, Shard, ShardChanges, Shards, SharedStore,
};
pub use write_set::{JobHead, JournalOp, WriteSet, write_set};

/// A job to be stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// Its identity.
    pub uid: JobUid,
    /// Its document, without `id` and read-only fields.
    pub document: Box<RawValue>,
    /// The current time.
    pub at: Timestamp,
}

/// The job as it is stored at its creation.
impl From<NewJob> for StoredJob {
    fn from(new: NewJob) -> Self {
        let NewJob { id, uid, document, at } = new;
        let progress = Progress::default();
        Self { id, uid, revision: Revision::FIRST, document, created: at, changed: at, progress }
    }
}

/// The start of a list of jobs. Jobs are listed in the order of their creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListFrom {
    /// At this offset, counted from 0.
    Skip(u64),
    /// After this job. If that job no longer exists, listing fails with [`StoreError::NotFound`].
    After(JobId),
}

/// A page of jobs, in the order of their creation.
#[derive(Debug, Clone, Default)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<StoredJob>,
    /// How many jobs there are in all.
    pub total: u64,
}

/// Stores the jobs.
#[async_trait]
pub trait JobStore {
    /// Stores a new job with revision 1; `created` and `changed` are `job.at`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when the name is taken.
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError>;

    /// Replaces the document of a job if its revision is still `expected`; `changed` becomes `at`.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or [`StoreError::Conflict`] when the revision differs.
    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError>;

    /// Removes a job, if its revision is `expected` where one is given. Its history stays until it is pruned.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or [`StoreError::Conflict`] when the revision differs.
    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError>;

    /// Returns those of the named jobs that exist, in the order of the names. At most 10,000 names a call.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError>;

    /// Lists jobs in the order of their creation.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read, or when the job that `from` names does not exist.
    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError>;
}

/// The result of one round for one job: outcomes for a range of ticks, and a firing if there is one.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The job's name.
    pub job: JobId,
    /// The job's identity.
    pub uid: JobUid,
    /// The job version that was evaluated; the settlement is [`Settled::Stale`] when the store has another.
    pub revision: Revision,
    /// `Progress::settled` as the engine knows it; the settlement is [`Settled::Stale`] when the store has another.
    pub expected_cursor: Option<Timestamp>,
    /// Its new value; the same as `expected` for a manual firing.
    pub new_cursor: Option<Timestamp>,
    /// Outcomes, oldest first; at least one. A firing belongs to the last one.
    pub records: Vec<DecisionDraft>,
    /// The intent to launch.
    pub firing: Option<Firing>,
}

/// The result of a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is durable. Holds the ids of its records, in order; a folded record has the id of the row it was folded into.
    Recorded(Vec<DecisionId>),
    /// Nothing was written: the job was removed, recreated or edited, its ticks were settled meanwhile, or a firing of
    /// this name exists.
    Stale,
}

/// A firing's next state.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advance {
    /// The state that the stored firing must have.
    pub from: FiringState,
    /// The new firing.
    pub to: Firing,
    /// The final outcome of its tick, if this move decides it; replaces the outcome of its decision.
    pub outcome: Option<TickOutcome>,
}

impl Advance {
    /// Checks the move against the state that the store has.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when that state is not [`Self::from`], or the move is not a legal one.
    pub fn check(&self, stored: FiringState) -> Result<(), StoreError> {
        if stored == self.from && stored.can_transition_to(self.to.state) {
            return Ok(());
        }
        Err(StoreError::Conflict((&self.to.id).into()))
    }
}

/// The maximum number of rows that one query returns.
pub const MAX_PAGE: NonZeroUsize = NonZeroUsize::new(1_000).expect("1,000 is not zero");

/// A query for decisions; newest first. The default reads the newest [`MAX_PAGE`] of all jobs.
#[derive(Debug, Clone)]
pub struct DecisionQuery {
    /// Only decisions of this job; of all jobs when absent.
    pub job: Option<JobId>,
    /// Only decisions with this outcome.
    pub outcome: Option<TickOutcome>,
    /// Only decisions older than this one.
    pub before: Option<DecisionId>,
    /// The maximum number of results; 1…1000.
    pub limit: NonZeroUsize,
}

impl Default for DecisionQuery {
    fn default() -> Self {
        Self { job: None, outcome: None, before: None, limit: MAX_PAGE }
    }
}

/// A query for firings; newest first, in the order in which they were settled.
#[derive(Debug, Clone)]
pub struct FiringQuery {
    /// Only this firing.
    pub id: Option<FiringId>,
    /// Only firings of this job.
    pub job: Option<JobId>,
    /// Only firings in this state.
    pub state: Option<FiringState>,
    /// Only firings settled before this one; none when the store does not know it.
    pub before: Option<FiringId>,
    /// Only firings whose decision is older than this one, which need not exist.
    pub before_decision: Option<DecisionId>,
    /// The maximum number of results; 1…1000.
    pub limit: NonZeroUsize,
}

impl Default for FiringQuery {
    fn default() -> Self {
        Self { id: None, job: None, state: None, before: None, before_decision: None, limit: MAX_PAGE }
    }
}

/// The append-ordered record of every tick and every firing.
#[async_trait]
pub trait Journal {
    /// Records outcomes, firings and settled ticks; each settlement atomically, all of them durable on return.
    ///
    /// A record that launches nothing is folded into the job's newest row when both have the same outcome and the same
    /// explanation, are idle in the sense of [`TickOutcome::folds`], and neither has a firing: the row's last tick,
    /// count, steps and observations become the new record's, its first tick, explanation and id stay.
    ///
    /// # Errors
    ///
    /// Fails as a whole when nothing could be written. A stale settlement is a result, not an error.
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError>;

    /// Moves a firing to its next state, durable on return. When the move adds tasks to the firing, they are also
    /// recorded in the job's progress ([`Progress::record_run`](crate::job::Progress::record_run)), if the job was not
    /// recreated. The firing's `decision` does not change.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or [`StoreError::Conflict`] when the state differs or the transition is not allowed.
    async fn advance(&self, advance: Advance) -> Result<(), StoreError>;

    /// Returns every firing that is open ([`FiringState::is_open`]), oldest first.
    ///
    /// # Errors
    ///
    /// Fails when the journal cannot be read.
    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError>;

    /// Reads decisions, newest first.
    ///
    /// # Errors
    ///
    /// Fails when the journal cannot be read.
    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError>;

    /// Reads firings, newest first.
    ///
    /// # Errors
    ///
    /// Fails when the journal cannot be read.
    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError>;
}

/// A small named record with a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Register {
    /// The stored text.
    pub value: String,
    /// Counts its versions from 1.
    pub version: u64,
}

/// Small named records: the brake, answers kept for idempotency keys.
#[async_trait]
pub trait Registers {
    /// Reads a record.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError>;

    /// Writes a record if its version is still `expected` (absent: it must not exist), and returns the new version.
    /// A record with `expires` may be forgotten after that moment.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the version is another.
    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError>;
}

/// The regular maintenance of a store: the check of its health, and the removal of old history.
#[async_trait]
pub trait StoreMaintenance {
    /// Checks that the store can be written, without a change of its content.
    ///
    /// # Errors
    ///
    /// Fails with the problem and its remedy; `readyz` shows both.
    async fn health_check(&self) -> Result<(), StoreError>;

    /// Removes old finished history of [some jobs](PrunedJobs) and, unless only one job is pruned, expired registers. Returns how
    /// many rows it removed; 0 when nothing is left to remove. A store may rely on decisions having been observed in the order in which they were settled.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written.
    async fn prune(&self, retention: Retention) -> Result<usize, StoreError>;
}

/// A store: jobs, journal, registers, and their maintenance.
#[async_trait]
pub trait Store:
    JobStore + Journal + Registers + StoreMaintenance + fmt::Debug + Send + Sync + 'static
{
    /// Returns the kind for lists and logs: `memory`, `sqlite`.
    fn kind(&self) -> &'static str;

    /// Imports the contents of another store, durable on return; the commands `import` and `migrate` use it. Nothing
    /// else writes to the store meanwhile.
    ///
    /// Jobs are appended to the list in their order, with identity, revision, timestamps and progress unchanged.
    /// Entries are appended to the journal in their order, each decision and its firing unchanged, open ones included,
    /// except for the decision's id, which is new. They are neither folded nor recorded in a job's progress; later
    /// outcomes fold into the newest entry as into any other. The job of an entry may not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when a job's name is taken, [`StoreError::Conflict`] when a firing exists already. After
    /// an error a prefix of the batch, possibly empty, has been imported.
    async fn import(&self, batch: ImportBatch) -> Result<(), StoreError> {
        let _ = batch;
        let message = format!("the {} store does not support imports", self.kind());
        Err(StoreError::fault(FaultKind::Config, message))
    }

    /// Writes pending changes and releases the store; later calls fail.
    ///
    /// # Errors
    ///
    /// Fails when pending writes could not be made durable.
    async fn close(&self) -> Result<(), StoreError>;

    /// Returns the store as a [`SharedStore`]; `None` when only one process may write it.
    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        None
    }
}
