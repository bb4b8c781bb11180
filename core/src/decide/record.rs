//! Decisions as the journal keeps them.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Outcome, Step};
use crate::firing::FiringId;
use crate::job::{JobId, JobUid};
use crate::scaling::Demand;
use crate::trigger::Observation;

/// Names a decision: its place in the journal, newer is greater. 0 until a store gave it one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DecisionId(pub u64);

/// A stretch of ticks of one job that share an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TickSpan {
    /// The oldest nominal tick.
    pub first: Timestamp,
    /// The newest nominal tick.
    pub last: Timestamp,
    /// How many ticks; 0 for a firing by hand, which belongs to no tick.
    pub count: u64,
}

/// A decision about to be recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionDraft {
    /// Which ticks.
    pub span: TickSpan,
    /// When the engine decided.
    pub observed: Timestamp,
    /// How they ended.
    pub outcome: Outcome,
    /// What the trigger concluded, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<Demand>,
    /// How many of the job's tasks were pending or running, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<u32>,
    /// How many tasks were to be launched.
    #[serde(default)]
    pub launch: u32,
    /// How often the ticks were tried: more than once when what they depend on could not be read at first, and 0 when they
    /// were not looked at.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub tries: u32,
    /// The ledger in one line.
    pub explanation: String,
    /// The ledger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// The numbers that it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observations: Vec<Observation>,
}

const fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_once(tries: &u32) -> bool {
    *tries == once()
}

impl DecisionDraft {
    /// Tells whether decisions like this one, without a firing, are kept as one row while they follow each other. A firing
    /// by hand belongs to no tick, and so to no run of ticks.
    #[must_use]
    pub const fn folds(&self) -> bool {
        self.outcome.folds() && self.span.count > 0
    }

    /// Tells whether `newer`, the next decision of the same job, is kept in the same row: it says the same. Neither has a
    /// firing.
    #[must_use]
    pub fn folds_with(&self, newer: &Self) -> bool {
        let same = self.outcome == newer.outcome && self.explanation == newer.explanation;
        same && self.folds() && newer.folds()
    }

    /// Makes this the row of both decisions: `newer`, beginning with this one's first tick and counting both.
    pub fn fold(&mut self, newer: Self) {
        let span = TickSpan {
            first: self.span.first,
            last: newer.span.last,
            count: self.span.count + newer.span.count,
        };
        *self = Self { span, ..newer };
    }
}

/// The part of a decision that is only ever read back whole, as a store with columns keeps it: one JSON text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionLedger<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    demand: Option<Demand>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    busy: Option<u32>,
    launch: u32,
    #[serde(default = "once", skip_serializing_if = "is_once")]
    tries: u32,
    explanation: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "<[Step]>::is_empty")]
    steps: Cow<'a, [Step]>,
    #[serde(default, skip_serializing_if = "<[Observation]>::is_empty")]
    observations: Cow<'a, [Observation]>,
}

impl<'a> DecisionLedger<'a> {
    /// Borrows it from a decision.
    #[must_use]
    pub fn of(draft: &'a DecisionDraft) -> Self {
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

    /// Makes the decision again, with what the store keeps beside.
    #[must_use]
    pub fn into_draft(self, span: TickSpan, observed: Timestamp, outcome: Outcome) -> DecisionDraft {
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
    /// Its place in the journal.
    pub id: DecisionId,
    /// The job's name.
    pub job: JobId,
    /// The job's identity.
    pub uid: JobUid,
    /// What was decided; `outcome` is the final one once it is known.
    #[serde(flatten)]
    pub draft: DecisionDraft,
    /// The firing that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<FiringId>,
}
