//! What a batch of settlements writes, given what is stored: which are stale, which rows are new, which are folded into.

use std::collections::{BTreeMap, HashMap, HashSet};

use ecs_scheduler_core::{
    DecisionDraft, DecisionId, Firing, JobId, Outcome, Settled, Settlement, StoreError,
};
use uuid::Uuid;

use crate::codec::{json, ledger, maybe_nanos, nanos, signed, unsigned};
use crate::jobs::shard;

#[cfg(test)]
mod tests;

/// A settlement as it is written, made by the caller so that the transaction need not.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) job: JobId,
    pub(crate) uid: Uuid,
    pub(crate) shard: i16,
    pub(crate) revision: i64,
    pub(crate) expected: Option<i64>,
    pub(crate) settled: Option<i64>,
    pub(crate) records: Vec<Record>,
    pub(crate) firing: Option<Shot>,
}

/// An outcome as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) outcome: Outcome,
    pub(crate) observed: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) count: i64,
    pub(crate) explanation: String,
    pub(crate) ledger: String,
}

/// A firing as it is written.
#[derive(Debug)]
pub(crate) struct Shot {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    pub(crate) tasks: i32,
    pub(crate) observed: i64,
    pub(crate) body: String,
}

impl Entry {
    pub(crate) fn new(settlement: &Settlement) -> Result<Self, StoreError> {
        Ok(Self {
            job: settlement.job.clone(),
            uid: *settlement.uid.as_uuid(),
            shard: shard(&settlement.job),
            revision: signed(settlement.revision.0),
            expected: maybe_nanos(settlement.expected)?,
            settled: maybe_nanos(settlement.settled)?,
            records: settlement.records.iter().map(Record::new).collect::<Result<_, _>>()?,
            firing: settlement.firing.as_ref().map(Shot::new).transpose()?,
        })
    }
}

impl Record {
    pub(crate) fn new(draft: &DecisionDraft) -> Result<Self, StoreError> {
        Ok(Self {
            outcome: draft.outcome,
            observed: nanos(draft.observed)?,
            first: nanos(draft.span.first)?,
            last: nanos(draft.span.last)?,
            count: signed(draft.span.count),
            explanation: draft.explanation.clone(),
            ledger: ledger(draft)?,
        })
    }
}

impl Shot {
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

/// What is stored of the jobs of a batch, and which of its firings are.
#[derive(Debug)]
pub(crate) struct Slate {
    pub(crate) marks: HashMap<String, Mark>,
    pub(crate) known: HashSet<String>,
}

/// What is stored of a job, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    uid: Uuid,
    revision: i64,
    pub(crate) settled: Option<i64>,
    /// The newest decision; 0 when there is none.
    pub(crate) head: i64,
    /// The outcome of that decision, if the next one may fold into it.
    pub(crate) folds: Option<Outcome>,
    /// The explanation of that decision.
    pub(crate) explanation: String,
    pub(crate) last_firing: Option<String>,
    pub(crate) last_fired: Option<i64>,
    changed: bool,
}

impl Mark {
    pub(crate) fn new(
        uid: Uuid,
        revision: i64,
        settled: Option<i64>,
        head: i64,
        folds: Option<Outcome>,
    ) -> Self {
        let explanation = String::new();
        Self {
            uid,
            revision,
            settled,
            head,
            folds,
            explanation,
            last_firing: None,
            last_fired: None,
            changed: false,
        }
    }
}

/// A new row of the journal.
#[derive(Debug)]
pub(crate) struct Row<'e> {
    pub(crate) seq: i64,
    pub(crate) entry: &'e Entry,
    pub(crate) record: Record,
    /// When its first decision was observed.
    pub(crate) born: i64,
    pub(crate) firing: Option<&'e Shot>,
}

/// What a batch writes.
#[derive(Debug)]
pub(crate) struct Written<'e> {
    /// New rows; their numbers follow each other.
    pub(crate) rows: Vec<Row<'e>>,
    /// What is folded into rows that are stored, by their numbers.
    pub(crate) folds: BTreeMap<i64, Record>,
    /// The jobs that were settled.
    pub(crate) marks: Vec<(String, Mark)>,
    pub(crate) answers: Vec<Settled>,
}

/// Makes a plan; new rows are numbered from `first` on.
pub(crate) fn write<'e>(slate: Slate, first: i64, entries: &[&'e Entry]) -> Written<'e> {
    let Slate { mut marks, mut known } = slate;
    let mut written =
        Written { rows: Vec::new(), folds: BTreeMap::new(), marks: Vec::new(), answers: Vec::new() };
    for entry in entries {
        let fresh = |mark: &&mut Mark| {
            mark.uid == entry.uid
                && mark.revision == entry.revision
                && mark.settled == entry.expected
                && entry.firing.as_ref().is_none_or(|firing| !known.contains(&firing.id))
        };
        let Some(mark) = marks.get_mut(entry.job.as_str()).filter(fresh) else {
            written.answers.push(Settled::Stale);
            continue;
        };
        let ids = written.record(mark, first, entry);
        mark.settled = entry.settled;
        mark.changed = true;
        if let Some(firing) = &entry.firing {
            mark.last_firing = Some(firing.id.clone());
            mark.last_fired = Some(firing.observed);
            known.insert(firing.id.clone());
        }
        written.answers.push(Settled::Recorded(ids));
    }
    written.marks = marks.into_iter().filter(|(_, mark)| mark.changed).collect();
    // Whoever locks several jobs does it in the order of their names.
    written.marks.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    written
}

impl<'e> Written<'e> {
    fn record(&mut self, mark: &mut Mark, first: i64, entry: &'e Entry) -> Vec<DecisionId> {
        let last = entry.records.len().saturating_sub(1);
        let mut ids = Vec::with_capacity(entry.records.len());
        for (place, record) in entry.records.iter().enumerate() {
            let firing = entry.firing.as_ref().filter(|_| place == last);
            let folds = record.folds().filter(|_| firing.is_none());
            if folds.is_some() && mark.folds == folds && mark.explanation == record.explanation {
                self.fold(mark.head, first, record);
            } else {
                mark.head = first + signed(self.rows.len() as u64);
                mark.folds = folds;
                mark.explanation.clone_from(&record.explanation);
                let born = record.observed;
                self.rows.push(Row { seq: mark.head, entry, record: record.clone(), born, firing });
            }
            ids.push(DecisionId(unsigned(mark.head)));
        }
        ids
    }

    /// Folds a record into a row of this plan, or into a stored one.
    fn fold(&mut self, seq: i64, first: i64, record: &Record) {
        let ours = usize::try_from(seq - first).ok().and_then(|place| self.rows.get_mut(place));
        if let Some(row) = ours {
            row.record.fold(record);
            return;
        }
        match self.folds.get_mut(&seq) {
            Some(fold) => fold.fold(record),
            None => drop(self.folds.insert(seq, record.clone())),
        }
    }
}

impl Record {
    /// Returns the outcome with which it makes a run, if it may be part of one.
    pub(crate) fn folds(&self) -> Option<Outcome> {
        (self.outcome.folds() && self.count > 0).then_some(self.outcome)
    }

    fn fold(&mut self, newer: &Self) {
        let (first, count) = (self.first, self.count + newer.count);
        *self = Self { first, count, ..newer.clone() };
    }
}
