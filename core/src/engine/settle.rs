//! Making a round durable: outcomes and intents first, launches after.

use std::sync::Arc;

use jiff::Timestamp;

use super::core::Core;
use super::dispatch;
use super::handle::{FireError, FireOrder};
use super::hot::Loaded;
use super::keeper::Reports;
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
    pub(super) hot: Option<Arc<Loaded>>,
    pub(super) settlement: Option<Settlement>,
    pub(super) order: Option<FireOrder>,
}

impl Considered {
    /// Nothing was due, or nothing can be said about an invalid job.
    pub(super) fn nothing(mut due: Due) -> Self {
        let order = due.order.take();
        Self { due, hot: None, settlement: None, order }
    }
}

/// What the keeper is to do with a job after a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progressed {
    /// Its ticks are settled up to here.
    To(Option<Timestamp>),
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
        for mut one in considered {
            let Some(settlement) = one.settlement.take() else {
                let answer = one.order.map(|order| (order, Err(FireError::Invalid)));
                reports.send(one.due.place, Progressed::To(one.due.settled), answer).await;
                continue;
            };
            if let Some(firing) = &settlement.firing {
                self.in_hand.lock().insert(firing.id.clone());
                self.ledger.enter(firing, firing.observed);
            }
            waiting.push((one, settlement.clone()));
            batch.push(settlement);
        }
        if batch.is_empty() {
            return;
        }
        let answer = self.store.settle(batch).await;
        self.note_write(&answer);
        match answer {
            Ok(settled) => {
                for ((one, settlement), settled) in waiting.into_iter().zip(settled) {
                    self.conclude(one, settlement, settled, reports).await;
                }
            }
            Err(_) => {
                for (one, settlement) in waiting {
                    self.take_back(&settlement);
                    let answer = one.order.map(|order| (order, Err(FireError::Store)));
                    reports.send(one.due.place, Progressed::Retry, answer).await;
                }
            }
        }
    }

    /// Forgets an intent that is not known to be durable. Should it be after all, recovery finds it in the journal.
    fn take_back(&self, settlement: &Settlement) {
        if let Some(firing) = &settlement.firing {
            self.ledger.cancel(firing);
            self.in_hand.lock().remove(&firing.id);
        }
    }

    async fn conclude(
        self: &Arc<Self>,
        one: Considered,
        settlement: Settlement,
        settled: Settled,
        reports: &Reports,
    ) {
        let Settled::Recorded(ids) = settled else {
            self.take_back(&settlement);
            self.hot.forget(&one.due.id);
            let answer = one.order.map(|order| (order, Err(FireError::Changed)));
            reports.send(one.due.place, Progressed::Reread, answer).await;
            return;
        };
        let Settlement { job, uid, settled, records, firing, .. } = settlement;
        let firing_id = firing.as_ref().map(|firing| firing.id.clone());
        let newest = records.len() - 1;
        let mut last = None;
        for (index, (draft, id)) in records.into_iter().zip(ids).enumerate() {
            self.counters.settled(draft.outcome, draft.span.count);
            let firing = firing_id.clone().filter(|_| index == newest);
            let record = DecisionRecord { id, job: job.clone(), uid, draft, firing };
            self.tell(|| Event::Decision(Box::new(record.clone())));
            last = Some(record);
        }
        if let (Some(firing), Some(hot)) = (&firing, &one.hot) {
            *hot.last_fired.lock() = Some(firing.observed);
            Counters::add(&self.counters.firings, 1);
        }
        let decision = last.as_ref().map_or(DecisionId::default(), |record| record.id);
        let answer = one.order.zip(last).map(|(order, record)| (order, Ok(record)));
        if let Some(firing) = firing {
            dispatch::enqueue(self, Firing { decision, ..firing }).await;
        }
        reports.send(one.due.place, Progressed::To(settled), answer).await;
    }
}
