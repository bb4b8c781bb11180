//! The encoding of values that stores with columns share: times as nanoseconds since 1970, all else as JSON.

use jiff::Timestamp;
use serde::Serialize;

use super::{JournalEntry, JournalOp, Settlement, StoreError};
use crate::decide::{DecisionDetails, DecisionDraft};
use crate::fault::FaultKind;
use crate::firing::Firing;
use crate::job::StoredJob;

#[cfg(test)]
mod tests;

/// Encodes a timestamp as nanoseconds since 1970.
///
/// # Errors
///
/// Fails outside the years 1678 to 2261, which a 64-bit count of nanoseconds can hold.
pub fn to_nanos(at: Timestamp) -> Result<i64, StoreError> {
    i64::try_from(at.as_nanosecond()).map_err(|_| {
        let message = format!("could not store the time {at}: it is not between 1678 and 2261");
        StoreError::fault(FaultKind::Config, message)
    })
}

/// Encodes an optional timestamp as nanoseconds since 1970.
///
/// # Errors
///
/// Fails outside the years 1678 to 2261.
pub fn to_nanos_opt(at: Option<Timestamp>) -> Result<Option<i64>, StoreError> {
    at.map(to_nanos).transpose()
}

/// Encodes a timestamp to compare stored ones with. One out of range becomes the nearest that can be stored.
#[must_use]
pub fn to_nanos_saturating(at: Timestamp) -> i64 {
    let bound = if at < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    i64::try_from(at.as_nanosecond()).unwrap_or(bound)
}

/// Decodes a timestamp from nanoseconds since 1970.
#[must_use]
pub fn from_nanos(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanos.into()).expect("a timestamp can be between the years 1678 and 2261")
}

/// Encodes a value as JSON.
///
/// # Errors
///
/// Fails when the value cannot be represented, such as a map whose keys are not strings.
pub fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    // Most values fit, so the buffer is not reallocated while it grows.
    let mut text = Vec::with_capacity(512);
    serde_json::to_writer(&mut text, value).map_err(|error| {
        StoreError::with_source(FaultKind::Bug, "could not encode a value as JSON", error)
    })?;
    Ok(String::from_utf8(text).expect("JSON is UTF-8"))
}

/// The columns of a decision, except for its outcome, which is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionColumns {
    /// When the engine decided, in nanoseconds since 1970.
    pub observed: i64,
    /// The oldest tick, in nanoseconds since 1970.
    pub first: i64,
    /// The newest tick, in nanoseconds since 1970.
    pub last: i64,
    /// How many ticks; at most `i64::MAX`.
    pub count: i64,
    /// The [`DecisionDetails`] as JSON.
    pub details: String,
}

impl DecisionColumns {
    /// Encodes a decision.
    ///
    /// # Errors
    ///
    /// Fails when one of its times is not between the years 1678 and 2261.
    pub fn new(draft: &DecisionDraft) -> Result<Self, StoreError> {
        Ok(Self {
            observed: to_nanos(draft.observed)?,
            first: to_nanos(draft.span.first)?,
            last: to_nanos(draft.span.last)?,
            count: i64::try_from(draft.span.count).unwrap_or(i64::MAX),
            details: to_json(&DecisionDetails::from_draft(draft))?,
        })
    }

    /// Folds a newer decision into this one, as [`DecisionDraft::fold`] does.
    pub fn fold(&mut self, newer: &Self) {
        let (first, count) = (self.first, self.count.saturating_add(newer.count));
        *self = Self { first, count, ..newer.clone() };
    }
}

/// A settlement with its columns encoded. The caller encodes them, so that the one writer of a store need not.
#[derive(Debug)]
pub struct SettlementRow {
    /// The settlement. The steps and observations of its records are in their details only.
    pub settlement: Settlement,
    /// The columns of its records, in their order.
    pub decisions: Vec<DecisionColumns>,
    /// The JSON of its firing.
    pub body: Option<String>,
}

impl SettlementRow {
    /// Encodes a settlement, and its firing with `body`.
    ///
    /// # Errors
    ///
    /// Fails when one of its times is not between the years 1678 and 2261, or when `body` fails.
    pub fn new(
        mut settlement: Settlement,
        body: impl FnOnce(&Firing) -> Result<String, StoreError>,
    ) -> Result<Self, StoreError> {
        to_nanos_opt(settlement.new_cursor)?;
        to_nanos_opt(settlement.firing.as_ref().map(|firing| firing.observed))?;
        let decisions = settlement.records.iter().map(DecisionColumns::new).collect::<Result<_, _>>()?;
        let body = settlement.firing.as_ref().map(body).transpose()?;
        for record in &mut settlement.records {
            (record.steps, record.observations) = (Vec::new(), Vec::new());
        }
        Ok(Self { settlement, decisions, body })
    }

    /// Returns the firing and its JSON, if this write appends a row with them.
    #[must_use]
    pub fn firing_of(&self, op: JournalOp) -> Option<(&Firing, &str)> {
        let firing = self.settlement.firing.as_ref().zip(self.body.as_deref());
        firing.filter(|_| op == JournalOp::AppendFiring)
    }
}

/// An entry of another journal with its columns encoded. The caller encodes them, so that the one writer of a store need not.
#[derive(Debug)]
pub struct ImportRow {
    /// The entry.
    pub entry: JournalEntry,
    /// The columns of its decision.
    pub decision: DecisionColumns,
    /// The JSON of its firing.
    pub body: Option<String>,
}

impl ImportRow {
    /// Encodes an entry.
    ///
    /// # Errors
    ///
    /// Fails when one of its times is not between the years 1678 and 2261.
    pub fn new(entry: JournalEntry) -> Result<Self, StoreError> {
        let decision = DecisionColumns::new(&entry.record.draft)?;
        let body = entry.firing.as_ref().map(to_json).transpose()?;
        Ok(Self { entry, decision, body })
    }

    /// Returns the time of its first decision, in nanoseconds since 1970: at most that of its first tick. Pruning stops at a
    /// row that was born too late, so the row must not seem younger than it is.
    #[must_use]
    pub fn born(&self) -> i64 {
        self.decision.first.min(self.decision.observed)
    }
}

/// The columns of a job whose values are encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobColumns {
    /// When the job was created, in nanoseconds since 1970.
    pub created: i64,
    /// When this version was written, in nanoseconds since 1970.
    pub changed: i64,
    /// `Progress::settled`, in nanoseconds since 1970.
    pub settled: Option<i64>,
    /// `Progress::last_fired`, in nanoseconds since 1970.
    pub last_fired: Option<i64>,
    /// `Progress::last_run`, in nanoseconds since 1970.
    pub last_run: Option<i64>,
    /// `Progress::last_run_tasks` as JSON; absent when there are none.
    pub last_run_tasks: Option<String>,
}

impl JobColumns {
    /// Encodes a job.
    ///
    /// # Errors
    ///
    /// Fails when one of its times is not between the years 1678 and 2261.
    pub fn new(job: &StoredJob) -> Result<Self, StoreError> {
        let progress = &job.progress;
        let tasks = Some(&progress.last_run_tasks).filter(|tasks| !tasks.is_empty());
        Ok(Self {
            created: to_nanos(job.created)?,
            changed: to_nanos(job.changed)?,
            settled: to_nanos_opt(progress.settled)?,
            last_fired: to_nanos_opt(progress.last_fired)?,
            last_run: to_nanos_opt(progress.last_run)?,
            last_run_tasks: tasks.map(to_json).transpose()?,
        })
    }
}
