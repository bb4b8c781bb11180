//! Jobs whose ticks are settled in the future: the clock was ahead, and came back.
//!
//! Such a job would not be looked at before the clock is there again. Once the clock has run evenly for a minute, or when
//! the job is resumed, its ticks count again from the present moment on. A tick that was launched while the clock was
//! ahead is not launched again: its firing is in the journal under the tick's name.

use std::time::Duration;

use jiff::Timestamp;

use super::{Keeper, RETRY, Scan};
use crate::decide::{DecisionDraft, DecisionRecord, Outcome, TickSpan};
use crate::engine::agenda::{Entry, Place};
use crate::engine::clock_check::{is_ahead, latest_past};
use crate::engine::evaluate::blank;
use crate::event::Event;
use crate::job::JobId;
use crate::store::{Settled, Settlement};

/// How many jobs are put right in one batch.
const BATCH: usize = 1_000;

impl Keeper {
    /// Looks whether the clock was moved, and puts right what rests on a time that was wrong.
    pub(super) async fn follow_clock(&mut self, now: Timestamp) {
        let steps = self.core.commons.clock.look(now);
        if std::mem::replace(&mut self.steps, steps) != steps {
            self.start_over(now);
        }
        let resumed: Vec<JobId> = std::mem::take(&mut *self.core.resumed.lock()).into_iter().collect();
        let resumed: Vec<Place> = resumed.iter().filter_map(|id| self.agenda.place(id)).collect();
        self.settle_back(resumed, now).await;
        if !self.ahead.is_empty() && self.core.commons.clock.doubted_for().is_zero() {
            self.settle_back(self.ahead.iter().copied().collect(), now).await;
        }
        self.tell_ahead();
    }

    /// Forgets every moment that was reckoned by the clock before it was moved.
    fn start_over(&mut self, now: Timestamp) {
        if let Scan::Until(_) = self.scan {
            self.scan = Scan::idle(now, self.core.options.rescan);
        }
        self.looked_ahead = Timestamp::MIN;
        self.doubtful = self.doubtful.map(|_| now);
        self.core.ledger.forget_queues();
        self.end_versions(now);
        self.agenda.list_again();
        self.find_ahead(now);
    }

    /// Lets jobs be read again that were read while the clock was ahead, and of which an earlier version lasts beyond now.
    fn end_versions(&mut self, now: Timestamp) {
        for id in self.core.hot.forget_lasting(latest_past(now)) {
            let place = self.agenda.place(&id);
            if let Some(entry) =
                place.and_then(|place| self.agenda.get_mut(place)).filter(|entry| !entry.busy)
            {
                entry.due = Some(now);
            }
        }
    }

    /// Finds every job whose ticks are settled in the future.
    pub(super) fn find_ahead(&mut self, now: Timestamp) {
        let entries = self.agenda.entries_mut();
        self.ahead = entries.filter(|(_, entry)| is_kept(entry, now)).map(|(place, _)| place).collect();
    }

    /// Notes whether a job's ticks are settled in the future.
    pub(super) fn note_ahead(&mut self, place: Place, now: Timestamp) {
        if self.agenda.get(place).is_some_and(|entry| is_kept(entry, now)) {
            self.ahead.insert(place);
        }
    }

    /// Returns how long to wait before the jobs are put right; nothing when there is none.
    pub(super) fn until_settled_back(&self) -> Option<Duration> {
        let retry = RETRY.unsigned_abs();
        (!self.ahead.is_empty()).then(|| self.core.commons.clock.doubted_for().max(retry))
    }

    /// Lets the ticks of these jobs count again from now on.
    async fn settle_back(&mut self, mut places: Vec<Place>, now: Timestamp) {
        let mut right = Vec::new();
        places.retain(|place| match self.agenda.get(*place) {
            Some(entry) if !is_kept(entry, now) => {
                right.push(*place);
                false
            }
            Some(entry) => !entry.busy,
            None => false,
        });
        for place in &right {
            self.ahead.remove(place);
        }
        for places in places.chunks(BATCH) {
            let batch: Vec<Settlement> = places
                .iter()
                .filter_map(|place| self.agenda.get(*place))
                .map(|entry| back(entry, now))
                .collect();
            let ids: Vec<JobId> = batch.iter().map(|settlement| settlement.job.clone()).collect();
            let answer = self.core.store.settle(batch.clone()).await;
            self.core.note_write(&answer);
            let Ok(answer) = answer else { return };
            for (settlement, settled) in batch.into_iter().zip(answer) {
                self.tell_settled_back(settlement, &settled);
            }
            for place in places {
                self.remove_entry(*place);
            }
            ids.iter().for_each(|id| self.core.hot.forget(id));
            self.reread(&ids).await;
        }
    }

    fn tell_settled_back(&self, settlement: Settlement, settled: &Settled) {
        let (Settled::Recorded(ids), Some(draft)) = (settled, settlement.records.into_iter().next()) else {
            return;
        };
        let (job, uid, id) = (settlement.job, settlement.uid, ids.first().copied().unwrap_or_default());
        self.core.tell(|| Event::Decision(Box::new(DecisionRecord { id, job, uid, draft, firing: None })));
    }

    /// Says once that there are such jobs, and once that there are none any more.
    fn tell_ahead(&mut self) {
        let jobs = self.ahead.len();
        match (std::mem::replace(&mut self.ahead_told, jobs), jobs) {
            (told, jobs) if jobs > told => {
                let place = self.ahead.first().copied().unwrap_or_default();
                let job = self.agenda.get(place).map(|entry| entry.id.to_string()).unwrap_or_default();
                let until = self.agenda.get(place).map(|entry| entry.after().to_string()).unwrap_or_default();
                tracing::warn!(
                    jobs,
                    job,
                    until,
                    "ticks of jobs are settled in the future, because the clock was ahead; they count again when the clock \
                     has run evenly for a minute"
                );
            }
            (1.., 0) => tracing::info!("ticks of all jobs count again from the present moment on"),
            _ => {}
        }
    }
}

/// Tells whether a job is not looked at because its ticks are settled in the future.
fn is_kept(entry: &Entry, now: Timestamp) -> bool {
    !entry.invalid && is_ahead(entry.after(), now)
}

/// Settles a job's ticks up to now instead of up to a moment in the future.
fn back(entry: &Entry, now: Timestamp) -> Settlement {
    let draft = blank(TickSpan { first: now, last: now, count: 0 }, now);
    let why = format!(
        "the clock was ahead: ticks up to {} had an outcome; they count again from now on, and none is launched twice",
        entry.after()
    );
    Settlement {
        job: entry.id.clone(),
        uid: entry.uid,
        revision: entry.revision,
        expected: entry.settled,
        settled: Some(now),
        records: vec![DecisionDraft { tries: 0, ..draft }.ended(Outcome::Missed, why)],
        firing: None,
    }
}
