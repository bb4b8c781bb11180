//! The in-memory journal: decisions by age, each with its firing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::decide::{DecisionDraft, DecisionId, DecisionRecord, FoldKey};
use crate::firing::{Firing, FiringId};
use crate::job::{JobId, JobUid, StoredJob};
use crate::store::{
    Advance, DecisionQuery, FiringQuery, JournalEntry, JournalOp, PrunedJobs, Retention, Settlement,
    StoreError, WriteSet,
};

/// Decisions by id, with their firings, and the indexes over them.
#[derive(Debug, Default)]
pub(super) struct MemoryJournal {
    rows: BTreeMap<DecisionId, JournalEntry>,
    /// The rows of each job.
    jobs: HashMap<JobId, BTreeSet<DecisionId>>,
    /// The row of each firing.
    firings: HashMap<FiringId, DecisionId>,
    open: BTreeSet<DecisionId>,
    newest: DecisionId,
}

impl MemoryJournal {
    /// Restores a history, oldest first; `newest` is the highest id ever assigned.
    pub(super) fn from_history(history: Vec<JournalEntry>, newest: DecisionId) -> Self {
        let mut journal = Self { newest, ..Self::default() };
        for row in history {
            journal.newest = journal.newest.max(row.record.id);
            journal.put(row);
        }
        journal
    }

    /// Copies the rows, oldest first.
    pub(super) fn history(&self) -> impl Iterator<Item = JournalEntry> {
        self.rows.values().cloned()
    }

    pub(super) fn newest(&self) -> DecisionId {
        self.newest
    }

    /// Counts the rows without an open firing.
    pub(super) fn finished_decisions(&self) -> usize {
        self.rows.len() - self.open.len()
    }

    fn put(&mut self, row: JournalEntry) {
        let id = row.record.id;
        if let Some(firing) = &row.firing {
            self.firings.insert(firing.id.clone(), id);
        }
        if row.is_open() {
            self.open.insert(id);
        }
        self.jobs.entry(row.record.job.clone()).or_default().insert(id);
        self.rows.insert(id, row);
    }

    pub(super) fn contains(&self, firing: &FiringId) -> bool {
        self.firings.contains_key(firing)
    }

    /// Returns the key of a job's newest row, if the next decision may fold into it.
    pub(super) fn open_row(&self, job: &StoredJob) -> Option<FoldKey<'_>> {
        self.rows[self.jobs.get(&job.id)?.last()?].open_row(job.uid)
    }

    /// Writes a settlement, and returns the ids of its records.
    pub(super) fn append(&mut self, settlement: Settlement, writes: &WriteSet) -> Vec<DecisionId> {
        let Settlement { job, uid, records, mut firing, .. } = settlement;
        let write = |(op, draft): (&JournalOp, DecisionDraft)| match op {
            JournalOp::AppendDecision => self.insert(&job, uid, draft, None),
            JournalOp::AppendFiring => self.insert(&job, uid, draft, firing.take()),
            JournalOp::Fold => self.fold(&job, draft),
        };
        writes.ops.iter().zip(records).map(write).collect()
    }

    /// Appends an entry of another journal.
    pub(super) fn import(&mut self, entry: JournalEntry) -> Result<(), StoreError> {
        let JournalEntry { record: DecisionRecord { job, uid, draft, .. }, firing } = entry;
        if let Some(known) = firing.as_ref().filter(|firing| self.contains(&firing.id)) {
            return Err(StoreError::Conflict((&known.id).into()));
        }
        self.insert(&job, uid, draft, firing);
        Ok(())
    }

    /// Folds a decision into the job's newest row.
    fn fold(&mut self, job: &JobId, draft: DecisionDraft) -> DecisionId {
        let id = *self.jobs.get(job).and_then(BTreeSet::last).expect("only a job with a row has an open row");
        self.rows.get_mut(&id).expect("every listed row exists").record.draft.fold(draft);
        id
    }

    fn insert(
        &mut self,
        job: &JobId,
        uid: JobUid,
        draft: DecisionDraft,
        firing: Option<Firing>,
    ) -> DecisionId {
        let id = DecisionId(self.newest.0 + 1);
        self.newest = id;
        let firing = firing.map(|firing| Firing { decision: id, ..firing });
        let firing_id = firing.as_ref().map(|firing| firing.id.clone());
        let record = DecisionRecord { id, job: job.clone(), uid, draft, firing: firing_id };
        self.put(JournalEntry { record, firing });
        id
    }

    /// Moves a firing; returns it when the move added tasks to it.
    pub(super) fn advance(&mut self, advance: Advance) -> Result<Option<&Firing>, StoreError> {
        let missing = || StoreError::NotFound((&advance.to.id).into());
        let id = *self.firings.get(&advance.to.id).ok_or_else(missing)?;
        let row = self.rows.get_mut(&id).expect("a firing's row lives as long as the firing");
        let stored = row.firing.as_mut().expect("the row of a firing has one");
        advance.check(stored.state)?;
        let grown = advance.to.tasks.len() > stored.tasks.len();
        *stored = Firing { decision: id, ..advance.to };
        if let Some(outcome) = advance.outcome {
            row.record.draft.outcome = outcome;
        }
        if !row.is_open() {
            self.open.remove(&id);
        } else {
            self.open.insert(id);
        }
        Ok(if grown { row.firing.as_ref() } else { None })
    }

    pub(super) fn unfinished(&self) -> Vec<Firing> {
        self.open.iter().filter_map(|id| self.rows[id].firing.clone()).collect()
    }

    pub(super) fn decisions(&self, query: &DecisionQuery) -> Vec<DecisionRecord> {
        self.newest_first(query.job.as_ref(), query.before)
            .map(|row| &row.record)
            .filter(|record| query.outcome.is_none_or(|outcome| record.draft.outcome == outcome))
            .take(query.limit.get())
            .cloned()
            .collect()
    }

    pub(super) fn firings(&self, query: &FiringQuery) -> Vec<Firing> {
        let before = match &query.before {
            None => query.before_decision,
            Some(firing) => match self.firings.get(firing) {
                None => return Vec::new(),
                Some(known) => Some(query.before_decision.map_or(*known, |before| before.min(*known))),
            },
        };
        let rows: Box<dyn Iterator<Item = &JournalEntry>> = match &query.id {
            None => self.newest_first(query.job.as_ref(), before),
            Some(id) => {
                let row = self.firings.get(id).filter(|row| before.is_none_or(|before| **row < before));
                let row = row.map(|row| &self.rows[row]);
                Box::new(
                    row.into_iter().filter(|row| query.job.as_ref().is_none_or(|job| row.record.job == *job)),
                )
            }
        };
        rows.filter_map(|row| row.firing.as_ref())
            .filter(|firing| query.state.is_none_or(|state| firing.state == state))
            .take(query.limit.get())
            .cloned()
            .collect()
    }

    /// Iterates over the rows of a job, or of all jobs, newest first; with `before`, only over older rows.
    fn newest_first(
        &self,
        job: Option<&JobId>,
        before: Option<DecisionId>,
    ) -> Box<dyn Iterator<Item = &JournalEntry> + '_> {
        let end = before.unwrap_or(DecisionId(u64::MAX));
        match job {
            None => Box::new(self.rows.range(..end).rev().map(|(_, row)| row)),
            Some(job) => {
                let ids = self.jobs.get(job).into_iter().flat_map(move |ids| ids.range(..end).rev());
                Box::new(ids.map(|id| &self.rows[id]))
            }
        }
    }

    /// Removes old rows, oldest first; `lives` tells which jobs still exist.
    pub(super) fn prune(&mut self, retention: &Retention, lives: impl Fn(&JobId) -> bool) -> usize {
        let ids = self.prunable(retention, lives);
        for id in &ids {
            let row = self.rows.remove(id).expect("it was just seen");
            if let Some(firing) = &row.record.firing {
                self.firings.remove(firing);
            }
            let rows = self.jobs.get_mut(&row.record.job).expect("every row is listed under its job");
            rows.remove(id);
            if rows.is_empty() {
                self.jobs.remove(&row.record.job);
            }
        }
        ids.len()
    }

    /// Finds the rows that may be pruned, oldest first.
    pub(super) fn prunable(&self, retention: &Retention, lives: impl Fn(&JobId) -> bool) -> Vec<DecisionId> {
        let batch = retention.batch;
        if let PrunedJobs::Only(job) = &retention.jobs {
            let rows = self.jobs.get(job).filter(|_| lives(job));
            return rows.map_or_else(Vec::new, |rows| self.prunable_of(rows, retention.keep, retention));
        }
        // The first row was settled after the first of its ticks, and all others after the first row.
        let young = |row: &JournalEntry| retention.is_recent(row.record.draft.span.first);
        if self.rows.values().next().is_none_or(young) {
            return Vec::new();
        }
        let mut ids = Vec::new();
        for (job, rows) in self.jobs.iter().filter(|(job, _)| retention.jobs.contains(job)) {
            let keep = if lives(job) { retention.keep } else { 0 };
            ids.extend(self.prunable_of(rows, keep, retention));
        }
        ids.sort_unstable();
        ids.truncate(batch);
        ids
    }

    /// Finds the rows of a job that may be pruned, oldest first.
    fn prunable_of(
        &self,
        rows: &BTreeSet<DecisionId>,
        keep: usize,
        retention: &Retention,
    ) -> Vec<DecisionId> {
        let above = rows.iter().take(rows.len().saturating_sub(keep)).map(|id| (id, &self.rows[id]));
        let candidates = above.take_while(|(_, row)| !retention.is_recent(row.record.draft.observed));
        let old =
            candidates.filter(|(_, row)| row.record.draft.observed < retention.before && !row.is_open());
        old.map(|(id, _)| *id).take(retention.batch).collect()
    }
}
