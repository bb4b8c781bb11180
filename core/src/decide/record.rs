//! Decisions as the journal stores them.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Step, TickOutcome};
use crate::id::{DecisionId, FiringId, JobId, JobUid};
use crate::scaling::Demand;
use crate::trigger::Observation;

/// A range of ticks of one job that share an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TickSpan {
    /// The oldest nominal tick.
    pub first: Timestamp,
    /// The newest nominal tick.
    pub last: Timestamp,
    /// How many ticks; 0 for a manual firing, which belongs to no tick.
    pub count: u64,
}

/// A decision that is not recorded yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionDraft {
    /// The ticks that it decides.
    pub span: TickSpan,
    /// When the engine decided.
    pub observed: Timestamp,
    /// How they ended.
    pub outcome: TickOutcome,
    /// The trigger's demand, if a trigger was evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<Demand>,
    /// How many of the job's tasks were pending or running, if they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<u32>,
    /// How many tasks to launch.
    #[serde(default)]
    pub launch: u32,
    /// How often the ticks were tried: more than once when a source could not be read at first, 0 when they were not
    /// evaluated.
    #[serde(default = "one_try", skip_serializing_if = "is_one_try")]
    pub tries: u32,
    /// The steps in one line.
    pub explanation: String,
    /// The steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The numbers that it is based on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<Observation>,
}

const fn one_try() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_one_try(tries: &u32) -> bool {
    *tries == one_try()
}

/// The values that consecutive decisions of a job have in common when they fold into one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldKey<'d> {
    /// The outcome.
    pub outcome: TickOutcome,
    /// The explanation.
    pub explanation: Cow<'d, str>,
}

impl FoldKey<'_> {
    /// Borrows the key.
    #[must_use]
    pub fn as_borrowed(&self) -> FoldKey<'_> {
        FoldKey { outcome: self.outcome, explanation: Cow::Borrowed(&self.explanation) }
    }

    /// Returns a key that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> FoldKey<'static> {
        FoldKey { outcome: self.outcome, explanation: Cow::Owned(self.explanation.into_owned()) }
    }
}

impl DecisionDraft {
    /// Makes a decision about which nothing is known yet.
    pub(crate) fn new(span: TickSpan, observed: Timestamp) -> Self {
        Self {
            span,
            observed,
            outcome: TickOutcome::Idle,
            demand: None,
            busy: None,
            launch: 0,
            tries: 1,
            explanation: String::new(),
            steps: Vec::new(),
            observations: Vec::new(),
        }
    }

    /// Ends the draft without a launch.
    pub(crate) fn finish(mut self, outcome: TickOutcome, explanation: String) -> Self {
        self.outcome = outcome;
        self.explanation = explanation;
        self
    }

    /// Returns the key by which consecutive decisions without a firing fold into one row. Absent for an outcome that does
    /// not fold, and for a manual firing: it belongs to no tick, and so to no run of ticks.
    #[must_use]
    pub fn fold_key(&self) -> Option<FoldKey<'_>> {
        let folds = self.outcome.folds() && self.span.count > 0;
        folds.then(|| FoldKey { outcome: self.outcome, explanation: Cow::Borrowed(&self.explanation) })
    }

    /// Folds `newer` into this row: its values, with this one's first tick and the sum of both counts.
    pub fn fold(&mut self, newer: Self) {
        let span = TickSpan {
            first: self.span.first,
            last: newer.span.last,
            count: self.span.count + newer.span.count,
        };
        *self = Self { span, ..newer };
    }
}

/// The part of a decision that a store with columns keeps as one JSON text, because it is never queried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionDetails<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    demand: Option<Demand>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    busy: Option<u32>,
    launch: u32,
    #[serde(default = "one_try", skip_serializing_if = "is_one_try")]
    tries: u32,
    explanation: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "<[Step]>::is_empty")]
    steps: Cow<'a, [Step]>,
    #[serde(default, skip_serializing_if = "<[Observation]>::is_empty")]
    observations: Cow<'a, [Observation]>,
}

impl<'a> DecisionDetails<'a> {
    /// Borrows the details of a decision.
    #[must_use]
    pub fn from_draft(draft: &'a DecisionDraft) -> Self {
        Self {
            demand: draft.demand,
            busy: draft.busy,
            launch: draft.launch,
            tries: draft.tries,
            explanation: Cow::Borrowed(&draft.explanation),
            steps: Cow::Borrowed(&draft.steps),
            observations: Cow::Borrowed(&draft.observations),
        }
    }

    /// Restores the decision, with the values that the store keeps in columns.
    #[must_use]
    pub fn into_draft(self, span: TickSpan, observed: Timestamp, outcome: TickOutcome) -> DecisionDraft {
        DecisionDraft {
            span,
            observed,
            outcome,
            demand: self.demand,
            busy: self.busy,
            launch: self.launch,
            tries: self.tries,
            explanation: self.explanation.into_owned(),
            steps: self.steps.into_owned(),
            observations: self.observations.into_owned(),
        }
    }
}

/// A recorded decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRecord {
    /// Its position in the journal.
    pub id: DecisionId,
    /// The job's name.
    pub job: JobId,
    /// The job's identity.
    pub uid: JobUid,
    /// The decision; `outcome` is the final one once it is known.
    #[serde(flatten)]
    pub draft: DecisionDraft,
    /// The firing that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<FiringId>,
}
