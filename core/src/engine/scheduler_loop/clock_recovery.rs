//! Jobs whose ticks are settled in the future: the clock was ahead, and came back.
//!
//! Without recovery, such a job would not fire before the clock reaches that time again. Once the clock has been steady for
//! a minute, or when the job is resumed, its ticks count again from now on. A tick that was launched while the clock was
//! ahead is not launched again: its firing is in the journal under the id of the tick.

use std::time::Duration;

use jiff::Timestamp;

use super::{RETRY_DELAY, Scan, SchedulerLoop};
use crate::clock::{is_ahead, latest_past};
use crate::decide::{DecisionDraft, DecisionRecord, TickOutcome, TickSpan};
use crate::engine::agenda::{AgendaEntry, SlotId};
use crate::event::Event;
use crate::job::JobId;
use crate::store::{Settled, Settlement};

/// How many jobs are recovered in one batch.
const BATCH: usize = 1_000;
/// How many versions are ended in the store at a time, so that due jobs wait little.
const CORRECTIONS: usize = 50;

impl SchedulerLoop {
    /// Detects steps of the clock, and recovers what depends on a wrong time.
    pub(super) async fn check_clock(&mut self, now: Timestamp) {
        let steps = self.engine.process.clock.check(now);
        if std::mem::replace(&mut self.steps, steps) != steps {
            self.reset_times(now);
        }
        if !self.is_store_paused() {
            let resumed: Vec<JobId> = std::mem::take(&mut *self.engine.resumed.lock()).into_iter().collect();
            let resumed: Vec<SlotId> = resumed.iter().filter_map(|id| self.agenda.find_slot(id)).collect();
            self.recover_jobs(resumed, now).await;
        }
        if self.has_wrong_times() && self.engine.process.clock.distrusted_for().is_zero() {
            self.recover_jobs(self.ahead.iter().copied().collect(), now).await;
            self.correct_future_versions(now).await;
        }
        self.log_settled_ahead();
    }

    /// Discards every moment that was computed before the step of the clock.
    fn reset_times(&mut self, now: Timestamp) {
        if let Scan::Until(_) = self.scan {
            self.scan = Scan::idle(now, self.engine.options.rescan);
        }
        self.prefetched_until = Timestamp::MIN;
        self.recheck_at = self.recheck_at.map(|_| now);
        self.engine.task_tracker.invalidate_launch_history();
        self.reload_future_versions(now);
        self.agenda.reschedule_all();
        self.interrupted.values_mut().for_each(|queued_at| *queued_at = None);
        self.find_settled_ahead(now);
    }

    /// Reloads jobs that were parsed while the clock was ahead, where an earlier version lasts beyond now. A job that is in a
    /// round is reloaded when the clock is trusted again.
    fn reload_future_versions(&mut self, now: Timestamp) {
        let ids = self.engine.job_cache.evict_future_versions(latest_past(now));
        for id in &ids {
            let slot = self.agenda.find_slot(id);
            if let Some(entry) = slot.and_then(|slot| self.agenda.get_mut(slot)).filter(|entry| !entry.busy) {
                entry.due = Some(now);
            }
        }
        self.engine.future_versions.lock().extend(ids);
    }

    /// Ends such versions in the store, some at a time: after a restart behind the moment of the edit, their ticks would count
    /// again.
    async fn correct_future_versions(&mut self, now: Timestamp) {
        let mut ids: Vec<JobId> =
            self.engine.future_versions.lock().iter().take(CORRECTIONS).cloned().collect();
        if ids.is_empty() || self.is_store_paused() {
            return;
        }
        let stored = self.store.get(&ids).await;
        self.record_answer(stored.is_ok());
        let Ok(stored) = stored else { return };
        for job in &stored {
            // A version ends where ticks are settled, so those must not be settled in the future.
            let mut corrected = !job.progress.settled.is_some_and(|settled| is_ahead(settled, now));
            if corrected {
                corrected = self.engine.correct_future_version(job, &self.store).await.is_ok();
                self.record_answer(corrected);
            }
            if self.is_store_paused() {
                return;
            }
            ids.retain(|id| corrected || *id != job.id);
        }
        self.engine.future_versions.lock().retain(|id| !ids.contains(id));
        ids.iter().for_each(|id| self.engine.job_cache.evict(id));
        self.reload(&ids).await;
    }

    /// Finds every job whose ticks are settled in the future.
    pub(super) fn find_settled_ahead(&mut self, now: Timestamp) {
        let entries = self.agenda.entries_mut();
        self.ahead =
            entries.filter(|(_, entry)| is_settled_ahead(entry, now)).map(|(slot, _)| slot).collect();
    }

    /// Records whether a job's ticks are settled in the future.
    pub(super) fn update_settled_ahead(&mut self, slot: SlotId, now: Timestamp) {
        if self.agenda.get(slot).is_some_and(|entry| is_settled_ahead(entry, now)) {
            self.ahead.insert(slot);
        }
    }

    /// Returns how long to wait before the jobs are recovered; none when there is no such job.
    pub(super) fn time_to_recovery(&self) -> Option<Duration> {
        let retry = RETRY_DELAY.unsigned_abs();
        self.has_wrong_times().then(|| self.engine.process.clock.distrusted_for().max(retry))
    }

    /// Returns whether jobs have ticks or versions in the future.
    fn has_wrong_times(&self) -> bool {
        !self.ahead.is_empty() || !self.engine.future_versions.lock().is_empty()
    }

    /// Makes the ticks of these jobs count again from now on.
    async fn recover_jobs(&mut self, mut slots: Vec<SlotId>, now: Timestamp) {
        if self.is_store_paused() {
            return;
        }
        let mut recovered = Vec::new();
        slots.retain(|slot| match self.agenda.get(*slot) {
            Some(entry) if !is_settled_ahead(entry, now) => {
                recovered.push(*slot);
                false
            }
            Some(entry) => !entry.busy,
            None => false,
        });
        for slot in &recovered {
            self.ahead.remove(slot);
        }
        for slots in slots.chunks(BATCH) {
            let batch: Vec<Settlement> = slots
                .iter()
                .filter_map(|slot| self.agenda.get(*slot))
                .map(|entry| recovery_settlement(entry, now))
                .collect();
            let ids: Vec<JobId> = batch.iter().map(|settlement| settlement.job.clone()).collect();
            let answer = self.store.settle(batch.clone()).await;
            self.record_answer(answer.is_ok());
            let Ok(answer) = answer else { return };
            for (settlement, settled) in batch.into_iter().zip(answer) {
                self.publish_recovery(settlement, &settled);
            }
            for slot in slots {
                self.remove_entry(*slot);
            }
            ids.iter().for_each(|id| self.engine.job_cache.evict(id));
            self.reload(&ids).await;
        }
    }

    fn publish_recovery(&self, settlement: Settlement, settled: &Settled) {
        let (Settled::Recorded(ids), Some(draft)) = (settled, settlement.records.into_iter().next()) else {
            return;
        };
        let (job, uid, id) = (settlement.job, settlement.uid, ids.first().copied().unwrap_or_default());
        self.engine
            .publish(|| Event::Decision(Box::new(DecisionRecord { id, job, uid, draft, firing: None })));
    }

    /// Logs once that there are such jobs, and once that there are none left.
    fn log_settled_ahead(&mut self) {
        let jobs = self.ahead.len();
        match (std::mem::replace(&mut self.ahead_logged, jobs), jobs) {
            (logged, jobs) if jobs > logged => {
                let slot = self.ahead.first().copied().unwrap_or_default();
                let job = self.agenda.get(slot).map(|entry| entry.id.to_string()).unwrap_or_default();
                let until = self.agenda.get(slot).map(|entry| entry.after().to_string()).unwrap_or_default();
                tracing::warn!(
                    jobs,
                    job,
                    until,
                    "the clock was ahead: ticks up to {until} already have an outcome; jobs are evaluated again after one \
                     steady minute"
                );
            }
            (1.., 0) => tracing::info!("the clock is steady; all jobs are evaluated again"),
            _ => {}
        }
    }
}

/// Returns whether a job is not evaluated because its ticks are settled in the future.
fn is_settled_ahead(entry: &AgendaEntry, now: Timestamp) -> bool {
    !entry.invalid && is_ahead(entry.after(), now)
}

/// Makes the settlement of a job's ticks up to now instead of up to a moment in the future.
fn recovery_settlement(entry: &AgendaEntry, now: Timestamp) -> Settlement {
    let draft = DecisionDraft::new(TickSpan { first: now, last: now, count: 0 }, now);
    let reason = format!(
        "the clock was ahead: ticks up to {} had an outcome; they count again from now on, and none is launched twice",
        entry.after()
    );
    Settlement {
        job: entry.id.clone(),
        uid: entry.uid,
        revision: entry.revision,
        expected_cursor: entry.settled,
        new_cursor: Some(now),
        records: vec![DecisionDraft { tries: 0, ..draft }.finish(TickOutcome::Missed, reason)],
        firing: None,
    }
}
