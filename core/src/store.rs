//! What a store promises: jobs, the journal, and small registers, each under compare-and-set.

mod import;
mod shard_view;
mod shared_store;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::decide::{DecisionDraft, DecisionId, DecisionRecord, Outcome};
use crate::fault::{Cause, FaultKind};
use crate::firing::{Firing, FiringId, FiringState};
use crate::job::{JobId, JobUid, Revision, StoredJob};

pub use import::{Adoption, JournalEntry};
pub use shard_view::ShardView;
pub use shared_store::{EDITS_TOLD, EditMark, EditedJobs, Fence, Shard, ShardEdits, Shards, SharedStore};

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A job of this name exists already.
    #[error("job \"{0}\" already exists")]
    Exists(JobId),
    /// What was named does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// It was changed by someone else in between: read again.
    #[error("{0} was changed in between")]
    Conflict(String),
    /// The [`Fence`] of a journal write does not hold any more, so nothing was written: who writes is not the owner.
    #[error("{0} was taken over by another replica, so nothing was written")]
    Fenced(String),
    /// The store itself is in trouble.
    #[error("{message}")]
    Fault {
        /// What kind of trouble.
        kind: FaultKind,
        /// What was attempted and on what; for a person also the remedy.
        message: String,
        /// The cause, which stays out of `Display`.
        #[source]
        cause: Option<Cause>,
    },
}

impl StoreError {
    /// Makes a fault; `message` says what was attempted and on what.
    #[must_use]
    pub fn fault(kind: FaultKind, message: impl Into<String>) -> Self {
        Self::Fault { kind, message: message.into(), cause: None }
    }

    /// Makes a fault with its cause.
    #[must_use]
    pub fn caused(kind: FaultKind, message: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self::Fault { kind, message: message.into(), cause: Some(cause.into()) }
    }

    /// Tells whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Fault { kind, .. } => kind.is_transient(),
            Self::Exists(_) | Self::NotFound(_) | Self::Conflict(_) | Self::Fenced(_) => false,
        }
    }
}

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
    /// The present moment.
    pub at: Timestamp,
}

/// Where a list of jobs begins. Jobs are listed in the order of their creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListFrom {
    /// At this place, counted from 0.
    Skip(u64),
    /// Behind this job. A job that was removed meanwhile is a [`StoreError::NotFound`].
    After(JobId),
}

/// Some jobs in the order of their creation.
#[derive(Debug, Clone, Default)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<StoredJob>,
    /// How many there are in all.
    pub total: u64,
}

/// Keeps the jobs.
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
    /// [`StoreError::NotFound`], or [`StoreError::Conflict`] when the revision is another.
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
    /// [`StoreError::NotFound`], or [`StoreError::Conflict`] when the revision is another.
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

/// What one round says about one job: outcomes for a stretch of ticks, and a firing if there is one.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The job's name.
    pub job: JobId,
    /// The job's identity.
    pub uid: JobUid,
    /// The version of the job that it was decided by; the settlement is [`Settled::Stale`] when the store has another.
    pub revision: Revision,
    /// `Progress::settled` as the engine knows it; the settlement is [`Settled::Stale`] when the store has another.
    pub expected: Option<Timestamp>,
    /// What it becomes; the same as `expected` for a firing by hand.
    pub settled: Option<Timestamp>,
    /// Outcomes, oldest first; at least one. A firing belongs to the last.
    pub records: Vec<DecisionDraft>,
    /// The intent to launch.
    pub firing: Option<Firing>,
}

/// What became of a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is durable; the ids of its records, in order. A folded record has the id of the row it was folded into.
    Recorded(Vec<DecisionId>),
    /// The job is gone, is another one, has another version, or its ticks were settled by someone else, or a firing of
    /// this name exists already: nothing was written.
    Stale,
}

/// A firing's next state.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advance {
    /// The state that the store must have.
    pub from: FiringState,
    /// The firing as it is to be.
    pub to: Firing,
    /// The final outcome of its tick, when this move decides it; replaces that of its decision.
    pub outcome: Option<Outcome>,
}

impl Advance {
    /// Checks the move against the state that the store has.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when that state is not [`Self::from`], or the move is not a legal one.
    pub fn check(&self, stored: FiringState) -> Result<(), StoreError> {
        if stored == self.from && stored.may_become(self.to.state) {
            return Ok(());
        }
        Err(StoreError::Conflict(format!("firing \"{}\"", self.to.id)))
    }
}

/// The most rows that one query returns.
pub const MOST_ROWS: NonZeroUsize = NonZeroUsize::new(1_000).expect("1,000 is not zero");

/// Which decisions to read; newest first. The default reads the newest [`MOST_ROWS`] of all jobs.
#[derive(Debug, Clone)]
pub struct DecisionQuery {
    /// Of this job only; of all otherwise.
    pub job: Option<JobId>,
    /// With this outcome only.
    pub outcome: Option<Outcome>,
    /// Older than this one.
    pub before: Option<DecisionId>,
    /// At most so many; 1…1000.
    pub limit: NonZeroUsize,
}

impl Default for DecisionQuery {
    fn default() -> Self {
        Self { job: None, outcome: None, before: None, limit: MOST_ROWS }
    }
}

/// Which firings to read; newest first, in the order in which they were settled.
#[derive(Debug, Clone)]
pub struct FiringQuery {
    /// This one.
    pub id: Option<FiringId>,
    /// Of this job only.
    pub job: Option<JobId>,
    /// In this state only.
    pub state: Option<FiringState>,
    /// Settled before this one. Nothing is older than a firing that the store does not know (any more).
    pub before: Option<FiringId>,
    /// At most so many; 1…1000.
    pub limit: NonZeroUsize,
}

impl Default for FiringQuery {
    fn default() -> Self {
        Self { id: None, job: None, state: None, before: None, limit: MOST_ROWS }
    }
}

/// The append-ordered record of every tick and every firing.
#[async_trait]
pub trait Journal {
    /// Records outcomes, firings and settled ticks; each settlement atomically, all of them durable on return.
    ///
    /// A record that launches nothing is folded into the job's newest row when both have the same outcome and the same
    /// explanation, are idle in the sense of [`Outcome::folds`], and neither has a firing: the row's last tick, count,
    /// steps and observations become the new record's, its first tick, explanation and id stay.
    ///
    /// # Errors
    ///
    /// Fails as a whole when nothing could be written. A single stale settlement is an answer, not an error.
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError>;

    /// Moves a firing to its next state, durable on return. When the move adds tasks to the firing, they are noted in
    /// the job too ([`Progress::note_run`](crate::job::Progress::note_run)), if the job is still the same. The
    /// firing's `decision` stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or [`StoreError::Conflict`] when the state is another or the move is not a legal one.
    async fn advance(&self, advance: Advance) -> Result<(), StoreError>;

    /// Returns every firing that is open ([`FiringState::is_open`]), oldest first.
    ///
    /// # Errors
    ///
    /// Fails when the journal cannot be read.
    async fn unfinished(&self) -> Result<Vec<Firing>, StoreError>;

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
    /// What it holds.
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
    async fn read(&self, name: &str) -> Result<Option<Register>, StoreError>;

    /// Writes a record if its version is still `expected` (absent: it must not exist), and returns the new version.
    /// A record with `expires` may be forgotten after that moment.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the version is another.
    async fn write(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError>;
}

/// How much history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Decisions last observed before this moment go, each with its firing unless that is open.
    pub before: Timestamp,
    /// The newest so many decisions of a job stay, whatever their age. Of a job that was removed none stays.
    pub keep: usize,
    /// The present moment: registers that expired before it go. A decision of after it was made while the clock was wrong,
    /// and says nothing about the age of those behind it.
    pub now: Timestamp,
    /// At most so many rows are removed by one call, so that writers do not wait long.
    pub batch: usize,
}

impl Retention {
    /// Tells whether a decision of this moment is young, and so are all that were settled after it.
    #[must_use]
    pub fn ends_at(&self, moment: Timestamp) -> bool {
        (self.before..=self.now).contains(&moment)
    }
}

/// A store: jobs, journal, registers, and its own care.
#[async_trait]
pub trait Store: JobStore + Journal + Registers + fmt::Debug + Send + Sync + 'static {
    /// Returns the kind for lists and logs: `memory`, `sqlite`.
    fn kind(&self) -> &'static str;

    /// Checks that the store can be written, without changing what it holds.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong and the remedy; `readyz` shows it.
    async fn check(&self) -> Result<(), StoreError>;

    /// Removes old finished history and expired registers, and returns how many rows went; 0 when there is nothing more
    /// to remove. A store may rely on decisions having been observed in the order in which they were settled.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be written.
    async fn prune(&self, retention: Retention) -> Result<usize, StoreError>;

    /// Takes over what another store held, durable on return; what `export`, `import` and `migrate` stand on. Nothing
    /// else writes to the store meanwhile.
    ///
    /// Jobs are appended to the list in their order, each with its identity, revision, moments and progress as they
    /// are. Entries are appended to the journal in their order, each decision and its firing, open ones included, as
    /// they are but for the decision's id, which is fresh: neither folded nor noted in a job's progress. A job's later
    /// outcomes fold into its newest entry as into any other. An entry's job may be gone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when a job's name is taken, [`StoreError::Conflict`] when a firing is known already.
    /// After any error a beginning of the batch, maybe none of it, has been taken over and nothing behind it.
    async fn adopt(&self, adoption: Adoption) -> Result<(), StoreError> {
        let _ = adoption;
        let message = format!("the {} store cannot take over what another one held", self.kind());
        Err(StoreError::fault(FaultKind::Config, message))
    }

    /// Writes what is pending and releases the store; later calls fail.
    ///
    /// # Errors
    ///
    /// Fails when pending writes could not be made durable.
    async fn close(&self) -> Result<(), StoreError>;

    /// Returns what more the store can do when several processes may write it at once; nothing when only one may.
    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        None
    }
}
