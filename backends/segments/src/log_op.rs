//! What a segment says: operations, which make the same state wherever they are applied in the same order.
//!
//! An operation is written as it was asked for, before it is known what comes of it: one that turns out to be stale or a
//! conflict does nothing, now and at every later reading. So nothing is ever taken back, and readers see what is durable only.
//! The meaning of an operation must therefore never change within one format. Only how outcomes fold into rows may: rows get
//! their numbers when they are read, and no operation names one.

use ecs_scheduler_core::{
    Advance, DecisionDraft, Firing, JobId, JobUid, JournalEntry, NewJob, Retention, Revision, Settled,
    Settlement, StoredJob, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::documents::DocumentVersion;

/// One operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Entry {
    /// A process begins to write; whoever wrote before must stop.
    Claim {
        /// When.
        at: Timestamp,
        /// Its number on its machine, for a person who looks for it.
        process: u32,
    },
    /// A job's document was written for the first time, or found.
    Create {
        /// The job.
        job: NewJob,
        /// The document's version.
        version: DocumentVersion,
    },
    /// A job's document was replaced.
    Replace {
        /// The job's name.
        id: JobId,
        /// The revision that it must have.
        expected: Revision,
        /// The new document.
        document: Box<RawValue>,
        /// When.
        at: Timestamp,
        /// The document's version.
        version: DocumentVersion,
    },
    /// A job's document has another version, and says the same.
    Note {
        /// The job's name.
        id: JobId,
        /// The document's version.
        version: DocumentVersion,
    },
    /// A job's document was removed, or is gone.
    Remove {
        /// The job's name.
        id: JobId,
        /// The revision that it must have, where it matters.
        expected: Option<Revision>,
    },
    /// Ticks have their outcomes.
    Settle(Vec<LoggedSettlement>),
    /// A firing moves on.
    Advance(Box<Advance>),
    /// A register is written.
    Register {
        /// Its name.
        name: String,
        /// What it holds.
        value: String,
        /// The version that it must have.
        expected: Option<u64>,
        /// When it may be forgotten.
        expires: Option<Timestamp>,
    },
    /// Old history goes.
    Prune(LoggedRetention),
    /// Jobs of another store come, each with the version of its document.
    AdoptJobs(Vec<(StoredJob, DocumentVersion)>),
    /// History of another store comes.
    AdoptHistory(Vec<JournalEntry>),
}

/// A settlement as a segment says it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoggedSettlement {
    /// The job's name.
    pub(crate) job: JobId,
    uid: JobUid,
    /// The revision that the job must have. Format 1 does not ask for one.
    pub(crate) revision: Option<Revision>,
    expected: Option<Timestamp>,
    settled: Option<Timestamp>,
    records: Vec<DecisionDraft>,
    firing: Option<Firing>,
}

impl LoggedSettlement {
    /// Returns the settlement as one that asks for this revision.
    pub(crate) fn of_revision(self, revision: Revision) -> Settlement {
        let Self { job, uid, expected, settled, records, firing, .. } = self;
        Settlement { job, uid, revision, expected, settled, records, firing }
    }
}

impl From<Settlement> for LoggedSettlement {
    fn from(settlement: Settlement) -> Self {
        let Settlement { job, uid, revision, expected, settled, records, firing } = settlement;
        Self { job, uid, revision: Some(revision), expected, settled, records, firing }
    }
}

/// A retention as a segment says it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoggedRetention {
    before: Timestamp,
    /// Formats before 3 have none.
    #[serde(default)]
    keep: usize,
    /// Formats before 3 do not say it: registers went by the moment that decisions went by.
    now: Option<Timestamp>,
    batch: usize,
}

impl From<Retention> for LoggedRetention {
    fn from(retention: Retention) -> Self {
        let Retention { before, keep, now, batch } = retention;
        Self { before, keep, now: Some(now), batch }
    }
}

impl From<LoggedRetention> for Retention {
    fn from(logged: LoggedRetention) -> Self {
        let LoggedRetention { before, keep, now, batch } = logged;
        Self { before, keep, now: now.unwrap_or(before), batch }
    }
}

/// What came of an operation.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It was done, and there is nothing to say about it.
    Done,
    /// The job as it is now.
    Job(Box<StoredJob>),
    /// What became of each settlement.
    Settled(Vec<Settled>),
    /// The register's version.
    Version(u64),
    /// How many rows went.
    Pruned(usize),
}

impl Effect {
    /// Returns the job of a creation or a replacement.
    pub(crate) fn into_job(self) -> StoredJob {
        let Self::Job(job) = self else {
            unreachable!("a creation or a replacement leaves a job, not {self:?}")
        };
        *job
    }

    /// Returns the answers to settlements.
    pub(crate) fn into_settled(self) -> Vec<Settled> {
        let Self::Settled(settled) = self else {
            unreachable!("settlements have their answers, not {self:?}")
        };
        settled
    }

    /// Returns the version of a register.
    pub(crate) fn into_version(self) -> u64 {
        let Self::Version(version) = self else { unreachable!("a register has a version, not {self:?}") };
        version
    }

    /// Returns how many rows were pruned.
    pub(crate) fn into_count(self) -> usize {
        let Self::Pruned(count) = self else { unreachable!("pruning counts, not {self:?}") };
        count
    }
}
