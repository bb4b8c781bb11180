//! Making a round durable: outcomes and intents first, launches after.

use std::sync::Arc;

use jiff::Timestamp;

use super::core::Core;
use super::dispatch;
use super::handle::{FireError, FireOrder};
use super::hot::Loaded;
use super::keeper::{self, Reports};
use super::plan::Ticks;
use super::round::Due;
use super::status::Counters;
use crate::decide::{DecisionId, DecisionRecord};
use crate::event::Event;
use crate::firing::Firing;
use crate::store::{Settled, Settlement};

/// What a round concluded about one job.
#[derive(Debug)]
pub(super) struct Considered {
    pub(super) due: Due,
    pub(super) hot: Arc<Loaded>,
    pub(super) settlement: Option<Settlement>,
    pub(super) order: Option<FireOrder>,
}

impl Considered {
    /// Nothing was due, or nothing can be said about an invalid job.
    pub(super) fn nothing(mut due: Due, hot: &Arc<Loaded>) -> Self {
        let order = due.order.take();
        Self { due, hot: Arc::clone(hot), settlement: None, order }
    }

    /// What the keeper is told when the job's ticks are settled up to here. The next tick is found in the round, so
    /// that the keeper need not.
    fn progressed(&self, settled: Option<Timestamp>) -> Progressed {
        let Ok(job) = &self.hot.job else { return Progressed::Invalid };
        let after = settled.map_or(self.due.after, |settled| settled.max(self.due.after));
        let due = Ticks::of(job, after).and_then(|ticks| ticks.next_due());
        Progressed::To { settled, due }
    }
}

/// What the keeper is to do with a job after a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progressed {
    /// Its ticks are settled.
    To {
        /// Up to here.
        settled: Option<Timestamp>,
        /// When it is looked at next.
        due: Option<Timestamp>,
    },
    /// Its document is not a valid job.
    Invalid,
    /// The store did not answer: look again a little later.
    Retry,
    /// It is not the job that the keeper knows: read it again.
    Reread,
}

impl Core {
    /// Makes what a round concluded durable, then hands its firings to dispatch and reports each job to the keeper.
    pub(super) async fn settle(self: &Arc<Self>, considered: Vec<Considered>, reports: &Reports) {
        let mut batch = Vec::with_capacity(considered.len());
        let mut waiting = Vec::with_capacity(considered.len());
        let mut progress = Vec::new();
        for mut one in considered {
            let Some(settlement) = one.settlement.take() else {
                progress.push((one.due.place, one.progressed(one.due.settled)));
                keeper::answer(one.order, Err(FireError::Invalid));
                continue;
            };
            if let Some(firing) = &settlement.firing {
                self.in_hand.lock().insert(firing.id.clone());
                self.ledger.enter(firing, firing.observed);
            }
            waiting.push((one, settlement.clone()));
            batch.push(settlement);
        }
        reports.send(progress).await;
        if batch.is_empty() {
            return;
        }
        let answer = self.store.settle(batch).await;
        self.note_write(&answer);
        match answer {
            Ok(settled) => self.conclude_all(waiting, settled, reports).await,
            Err(_) => {
                let mut progress = Vec::with_capacity(waiting.len());
                for (one, settlement) in waiting {
                    self.take_back(&settlement);
                    keeper::answer(one.order, Err(FireError::Store));
                    progress.push((one.due.place, Progressed::Retry));
                }
                reports.send(progress).await;
            }
        }
    }

    /// Jobs that fire are reported when dispatch has their firings: while it has no room, their rounds are not over.
    async fn conclude_all(
        self: &Arc<Self>,
        waiting: Vec<(Considered, Settlement)>,
        settled: Vec<Settled>,
        reports: &Reports,
    ) {
        let (mut quiet, mut firing) = (Vec::new(), Vec::with_capacity(waiting.len()));
        let mut firings = Vec::with_capacity(waiting.len());
        for ((one, settlement), settled) in waiting.into_iter().zip(settled) {
            let place = one.due.place;
            match self.conclude(one, settlement, settled) {
                (progressed, None) => quiet.push((place, progressed)),
                (progressed, Some(fires)) => {
                    firing.push((place, progressed));
                    firings.push(fires);
                }
            }
        }
        reports.send(quiet).await;
        for fires in firings {
            dispatch::enqueue(self, fires).await;
        }
        reports.send(firing).await;
    }

    /// Forgets an intent that is not known to be durable. Should it be after all, recovery finds it in the journal.
    fn take_back(&self, settlement: &Settlement) {
        if let Some(firing) = &settlement.firing {
            self.ledger.cancel(firing);
            self.in_hand.lock().remove(&firing.id);
        }
    }

    fn conclude(
        &self,
        one: Considered,
        settlement: Settlement,
        settled: Settled,
    ) -> (Progressed, Option<Firing>) {
        let Settled::Recorded(ids) = settled else {
            self.take_back(&settlement);
            self.hot.forget(&one.due.id);
            keeper::answer(one.order, Err(FireError::Changed));
            return (Progressed::Reread, None);
        };
        let progressed = one.progressed(settlement.settled);
        let Settlement { job, uid, records, firing, .. } = settlement;
        let firing_id = firing.as_ref().map(|firing| firing.id.clone());
        let newest = records.len() - 1;
        let mut last = None;
        for (index, (draft, id)) in records.into_iter().zip(ids).enumerate() {
            self.commons.counters.settled(draft.outcome, draft.span.count);
            let firing = firing_id.clone().filter(|_| index == newest);
            let record = DecisionRecord { id, job: job.clone(), uid, draft, firing };
            self.tell(|| Event::Decision(Box::new(record.clone())));
            last = Some(record);
        }
        let decision = last.as_ref().map_or(DecisionId::default(), |record| record.id);
        if let Some(record) = last {
            keeper::answer(one.order, Ok(record));
        }
        let Some(firing) = firing else { return (progressed, None) };
        *one.hot.last_fired.lock() = Some(firing.observed);
        Counters::add(&self.commons.counters.firings, 1);
        (progressed, Some(Firing { decision, ..firing }))
    }
}
