//! The write set of a batch of settlements, given the stored jobs: which are stale, which rows are new, and which stored
//! rows are folded into.

use std::collections::{BTreeMap, HashMap, HashSet};

use ecs_scheduler_core::{
    DecisionDraft, DecisionId, Firing, JobId, Settled, Settlement, StoreError, TickOutcome,
};
use uuid::Uuid;

use crate::codec::{encode_ledger, json, nanos, optional_nanos, signed, unsigned};
use crate::jobs::shard_number;

#[cfg(test)]
mod tests;

/// An encoded settlement. The caller encodes it before the transaction begins.
#[derive(Debug)]
pub(crate) struct SettlementRow {
    pub(crate) job: JobId,
    pub(crate) uid: Uuid,
    pub(crate) shard: i16,
    pub(crate) revision: i64,
    pub(crate) expected: Option<i64>,
    pub(crate) settled: Option<i64>,
    pub(crate) decisions: Vec<DecisionRow>,
    pub(crate) firing: Option<FiringRow>,
}

/// An encoded decision.
#[derive(Debug, Clone)]
pub(crate) struct DecisionRow {
    pub(crate) outcome: TickOutcome,
    pub(crate) observed: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) count: i64,
    pub(crate) explanation: String,
    pub(crate) ledger: String,
}

/// An encoded firing.
#[derive(Debug)]
pub(crate) struct FiringRow {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    pub(crate) tasks: i32,
    pub(crate) observed: i64,
    pub(crate) body: String,
}

impl SettlementRow {
    pub(crate) fn new(settlement: &Settlement) -> Result<Self, StoreError> {
        Ok(Self {
            job: settlement.job.clone(),
            uid: *settlement.uid.as_uuid(),
            shard: shard_number(&settlement.job),
            revision: signed(settlement.revision.0),
            expected: optional_nanos(settlement.expected_cursor)?,
            settled: optional_nanos(settlement.new_cursor)?,
            decisions: settlement.records.iter().map(DecisionRow::new).collect::<Result<_, _>>()?,
            firing: settlement.firing.as_ref().map(FiringRow::new).transpose()?,
        })
    }
}

impl DecisionRow {
    pub(crate) fn new(draft: &DecisionDraft) -> Result<Self, StoreError> {
        Ok(Self {
            outcome: draft.outcome,
            observed: nanos(draft.observed)?,
            first: nanos(draft.span.first)?,
            last: nanos(draft.span.last)?,
            count: signed(draft.span.count),
            explanation: draft.explanation.clone(),
            ledger: encode_ledger(draft)?,
        })
    }
}

impl FiringRow {
    pub(crate) fn new(firing: &Firing) -> Result<Self, StoreError> {
        Ok(Self {
            id: firing.id.as_str().to_owned(),
            state: firing.state.as_str(),
            tasks: i32::try_from(firing.tasks.len()).unwrap_or(i32::MAX),
            observed: nanos(firing.observed)?,
            body: json(firing)?,
        })
    }
}

/// The stored state that a batch of settlements depends on.
#[derive(Debug)]
pub(crate) struct Existing {
    pub(crate) jobs: HashMap<String, JobMeta>,
    /// Those of the batch's firings that are stored already.
    pub(crate) firings: HashSet<String>,
}

/// The stored columns of a job that a settlement compares and updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobMeta {
    uid: Uuid,
    revision: i64,
    pub(crate) settled: Option<i64>,
    /// The newest decision; 0 when there is none.
    pub(crate) head: i64,
    /// The outcome of that decision, if the next one may fold into it.
    pub(crate) folds: Option<TickOutcome>,
    /// The explanation of that decision.
    pub(crate) explanation: String,
    pub(crate) last_firing: Option<String>,
    pub(crate) last_fired: Option<i64>,
    is_changed: bool,
}

impl JobMeta {
    pub(crate) fn new(
        uid: Uuid,
        revision: i64,
        settled: Option<i64>,
        head: i64,
        folds: Option<TickOutcome>,
    ) -> Self {
        Self {
            uid,
            revision,
            settled,
            head,
            folds,
            explanation: String::new(),
            last_firing: None,
            last_fired: None,
            is_changed: false,
        }
    }
}

/// A new row of the journal.
#[derive(Debug)]
pub(crate) struct JournalRow<'e> {
    pub(crate) seq: i64,
    pub(crate) settlement: &'e SettlementRow,
    pub(crate) decision: DecisionRow,
    /// When its first decision was observed.
    pub(crate) born: i64,
    pub(crate) firing: Option<&'e FiringRow>,
}

/// All writes of a batch.
#[derive(Debug, Default)]
pub(crate) struct WriteSet<'e> {
    /// New rows; their numbers are consecutive.
    pub(crate) rows: Vec<JournalRow<'e>>,
    /// Decisions to fold into stored rows, by the rows' numbers.
    pub(crate) folds: BTreeMap<i64, DecisionRow>,
    /// The jobs that were settled.
    pub(crate) jobs: Vec<(String, JobMeta)>,
    pub(crate) answers: Vec<Settled>,
}

/// Builds the write set of settlements; new rows are numbered from `first_seq`.
pub(crate) fn build_write_set<'e>(
    existing: Existing,
    first_seq: i64,
    settlements: &[&'e SettlementRow],
) -> WriteSet<'e> {
    let Existing { mut jobs, mut firings } = existing;
    let mut write_set = WriteSet::default();
    for settlement in settlements {
        let is_fresh = |meta: &&mut JobMeta| {
            meta.uid == settlement.uid
                && meta.revision == settlement.revision
                && meta.settled == settlement.expected
                && settlement.firing.as_ref().is_none_or(|firing| !firings.contains(&firing.id))
        };
        let Some(meta) = jobs.get_mut(settlement.job.as_str()).filter(is_fresh) else {
            write_set.answers.push(Settled::Stale);
            continue;
        };
        let ids = write_set.append_or_fold(meta, first_seq, settlement);
        meta.settled = settlement.settled;
        meta.is_changed = true;
        if let Some(firing) = &settlement.firing {
            meta.last_firing = Some(firing.id.clone());
            meta.last_fired = Some(firing.observed);
            firings.insert(firing.id.clone());
        }
        write_set.answers.push(Settled::Recorded(ids));
    }
    write_set.jobs = jobs.into_iter().filter(|(_, meta)| meta.is_changed).collect();
    // Every statement locks jobs in the order of their names.
    write_set.jobs.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    write_set
}

impl<'e> WriteSet<'e> {
    /// Adds the decisions of a settlement, and returns the numbers of their rows.
    fn append_or_fold(
        &mut self,
        meta: &mut JobMeta,
        first_seq: i64,
        settlement: &'e SettlementRow,
    ) -> Vec<DecisionId> {
        let last = settlement.decisions.len().saturating_sub(1);
        let mut ids = Vec::with_capacity(settlement.decisions.len());
        for (index, decision) in settlement.decisions.iter().enumerate() {
            let firing = settlement.firing.as_ref().filter(|_| index == last);
            let folds = decision.folds().filter(|_| firing.is_none());
            if folds.is_some() && meta.folds == folds && meta.explanation == decision.explanation {
                self.fold(meta.head, first_seq, decision);
            } else {
                meta.head = first_seq + signed(self.rows.len() as u64);
                meta.folds = folds;
                meta.explanation.clone_from(&decision.explanation);
                let born = decision.observed;
                let decision = decision.clone();
                self.rows.push(JournalRow { seq: meta.head, settlement, decision, born, firing });
            }
            ids.push(DecisionId(unsigned(meta.head)));
        }
        ids
    }

    /// Folds a decision into a row of this write set, or into a stored one.
    fn fold(&mut self, seq: i64, first_seq: i64, decision: &DecisionRow) {
        let new_row = usize::try_from(seq - first_seq).ok().and_then(|index| self.rows.get_mut(index));
        if let Some(row) = new_row {
            row.decision.fold(decision);
            return;
        }
        match self.folds.get_mut(&seq) {
            Some(fold) => fold.fold(decision),
            None => drop(self.folds.insert(seq, decision.clone())),
        }
    }
}

impl DecisionRow {
    /// Returns the outcome that the next decision must have to fold into this one, if it may.
    pub(crate) fn folds(&self) -> Option<TickOutcome> {
        (self.outcome.folds() && self.count > 0).then_some(self.outcome)
    }

    fn fold(&mut self, newer: &Self) {
        let (first, count) = (self.first, self.count + newer.count);
        *self = Self { first, count, ..newer.clone() };
    }
}
