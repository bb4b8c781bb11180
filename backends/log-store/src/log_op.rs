//! The operations in a segment. The same operations in the same order always make the same state.
//!
//! An operation is written as it was requested, before its result is known. A stale or conflicting operation does nothing, when
//! it is written and at every later replay. So the store never rolls back, and readers see only durable changes. The meaning of
//! an operation must therefore never change within one format. Only the folding of outcomes into rows may change, because rows
//! get their ids when they are replayed, and no operation names one.

use std::collections::BTreeSet;
use std::sync::Arc;

use ecs_scheduler_core::{
    Advance, DecisionDraft, FaultKind, Firing, JobId, JobUid, JournalEntry, NewJob, PrunedJobs, Retention,
    Revision, Settled, Settlement, StoreError, StoredJob, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::documents::DocumentVersion;

/// One operation in the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LogOp {
    /// A process begins to write. A process that wrote before must stop.
    #[serde(rename = "claim")]
    BeginEpoch {
        /// The time of the claim.
        at: Timestamp,
        /// The id of the process on its machine, for messages.
        process: u32,
    },
    /// A job's document was created, here or by another program.
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
        /// The time of the replacement.
        at: Timestamp,
        /// The document's version.
        version: DocumentVersion,
    },
    /// A job's document has another version and the same content.
    #[serde(rename = "note")]
    RecordVersion {
        /// The job's name.
        id: JobId,
        /// The document's version.
        version: DocumentVersion,
    },
    /// A job's document was removed, here or by another program.
    Remove {
        /// The job's name.
        id: JobId,
        /// The revision that the job must have; absent when any may be removed.
        expected: Option<Revision>,
    },
    /// Ticks were settled.
    Settle(Vec<LoggedSettlement>),
    /// A firing was advanced.
    Advance(Box<Advance>),
    /// A register was written.
    Register {
        /// The name of the register.
        name: String,
        /// The new value.
        value: String,
        /// The version that the register must have.
        expected: Option<u64>,
        /// The time from which it may be pruned.
        expires: Option<Timestamp>,
    },
    /// Old history was pruned.
    Prune(LoggedRetention),
    /// Jobs of another store were imported, each with the version of its document.
    #[serde(rename = "adoptJobs")]
    ImportJobs(Vec<(StoredJob, DocumentVersion)>),
    /// History of another store was imported.
    #[serde(rename = "adoptHistory")]
    ImportHistory(Vec<JournalEntry>),
}

impl LogOp {
    /// Encodes the operation as JSON.
    pub(crate) fn encode(&self) -> Result<Box<RawValue>, StoreError> {
        serde_json::value::to_raw_value(self).map_err(|error| {
            StoreError::with_source(FaultKind::Bug, "could not encode an operation as JSON", error)
        })
    }
}

/// A settlement as it is in a segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoggedSettlement {
    /// The job's name.
    pub(crate) job: JobId,
    uid: JobUid,
    /// The revision that the job must have; absent in format 1.
    pub(crate) revision: Option<Revision>,
    expected: Option<Timestamp>,
    settled: Option<Timestamp>,
    records: Vec<DecisionDraft>,
    firing: Option<Firing>,
}

impl LoggedSettlement {
    /// Converts it to a settlement of this revision.
    pub(crate) fn with_revision(self, revision: Revision) -> Settlement {
        let Self { job, uid, expected, settled, records, firing, .. } = self;
        Settlement { job, uid, revision, expected_cursor: expected, new_cursor: settled, records, firing }
    }
}

impl From<Settlement> for LoggedSettlement {
    fn from(settlement: Settlement) -> Self {
        let Settlement {
            job,
            uid,
            revision,
            expected_cursor: expected,
            new_cursor: settled,
            records,
            firing,
        } = settlement;
        Self { job, uid, revision: Some(revision), expected, settled, records, firing }
    }
}

/// A retention as it is in a segment.
///
/// A version that does not know `ruled` or `only` skips them. So `before` of a retention of one job alone is a moment before which
/// nothing is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoggedRetention {
    before: Timestamp,
    /// Absent before format 3.
    #[serde(default)]
    keep: usize,
    /// Absent before format 3, in which registers expired by `before`.
    now: Option<Timestamp>,
    batch: usize,
    /// Whether jobs with a rule of their own are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ruled: bool,
    /// The job that is pruned alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only: Option<LoggedJobRetention>,
}

/// The part of a retention that concerns one job, as it is in a segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedJobRetention {
    job: JobId,
    before: Timestamp,
}

impl From<Retention> for LoggedRetention {
    fn from(retention: Retention) -> Self {
        let Retention { before, keep, now, batch, jobs } = retention;
        let logged = Self { before, keep, now: Some(now), batch, ruled: false, only: None };
        match jobs {
            PrunedJobs::All => logged,
            PrunedJobs::AllBut(others) => Self { ruled: !others.is_empty(), ..logged },
            PrunedJobs::Only(job) => Self {
                before: Timestamp::UNIX_EPOCH,
                only: Some(LoggedJobRetention { job, before }),
                ..logged
            },
        }
    }
}

impl LoggedRetention {
    /// Returns the retention for the present state, in which these jobs have rules of their own.
    pub(crate) fn with_rules(
        self,
        ruled_jobs: impl FnOnce() -> Result<BTreeSet<JobId>, StoreError>,
    ) -> Result<Retention, StoreError> {
        let Self { before, keep, now, batch, ruled, only } = self;
        let retention =
            Retention { before, keep, now: now.unwrap_or(before), batch, jobs: PrunedJobs::default() };
        Ok(match only {
            Some(LoggedJobRetention { job, before }) => {
                Retention { before, jobs: PrunedJobs::Only(job), ..retention }
            }
            None if ruled => Retention { jobs: PrunedJobs::AllBut(Arc::new(ruled_jobs()?)), ..retention },
            None => retention,
        })
    }
}

/// The result of an operation.
#[derive(Debug)]
pub(crate) enum OpResult {
    /// The operation was applied and returns nothing.
    Done,
    /// The job after the operation.
    Job(Box<StoredJob>),
    /// The answer to each settlement.
    Settled(Vec<Settled>),
    /// The new version of the register.
    Version(u64),
    /// The number of rows that were pruned.
    Pruned(usize),
}

impl OpResult {
    /// Returns the job of a creation or a replacement.
    pub(crate) fn into_job(self) -> StoredJob {
        let Self::Job(job) = self else {
            unreachable!("a creation or a replacement returns a job, not {self:?}")
        };
        *job
    }

    /// Returns the answers to settlements.
    pub(crate) fn into_settled(self) -> Vec<Settled> {
        let Self::Settled(settled) = self else { unreachable!("a settlement returns answers, not {self:?}") };
        settled
    }

    /// Returns the version of a register.
    pub(crate) fn into_version(self) -> u64 {
        let Self::Version(version) = self else { unreachable!("a register returns a version, not {self:?}") };
        version
    }

    /// Returns how many rows were pruned.
    pub(crate) fn into_count(self) -> usize {
        let Self::Pruned(count) = self else { unreachable!("pruning returns a count, not {self:?}") };
        count
    }
}
