//! Making a round durable: outcomes and intents first, launches after.

use std::sync::Arc;

use jiff::Timestamp;

use super::catch_up::Ticks;
use super::dispatch;
use super::faults::{FailedTicks, Failing};
use super::handle::{FireError, FireOrder};
use super::inner::Core;
use super::job_cache::Loaded;
use super::retry::Retrying;
use super::round::Due;
use super::scheduler_loop::{self, Reports};
use super::status::Counters;
use crate::decide::{DecisionDraft, DecisionRecord, Outcome};
use crate::event::Event;
use crate::firing::Firing;
use crate::store::{FiringQuery, Settled, Settlement};

/// What a round concluded about one job.
#[derive(Debug)]
pub(super) struct Considered {
    pub(super) due: Due,
    pub(super) hot: Arc<Loaded>,
    pub(super) settlement: Option<Settlement>,
    pub(super) order: Option<FireOrder>,
    /// The tick that could not be decided yet.
    pub(super) retrying: Option<Retrying>,
    /// When the job is looked at again for that.
    pub(super) look_again: Option<Timestamp>,
}

impl Considered {
    /// Nothing was due, or nothing can be said about an invalid job.
    pub(super) fn nothing(mut due: Due, hot: &Arc<Loaded>) -> Self {
        let order = due.order.take();
        Self { due, hot: Arc::clone(hot), settlement: None, order, retrying: None, look_again: None }
    }
}

/// A job whose settlement is with the store, and what is needed of it when it is durable.
struct Waiting {
    due: Due,
    hot: Arc<Loaded>,
    order: Option<FireOrder>,
    settled: Option<Timestamp>,
    /// The outcome of each record, and of how many ticks it is.
    outcomes: Vec<(Outcome, u64)>,
    /// Why the newest tick failed, when it did.
    failed: Option<String>,
    /// The records, where somebody is to be told of them.
    told: Vec<DecisionDraft>,
    firing: Option<Firing>,
    retrying: Option<Retrying>,
    look_again: Option<Timestamp>,
}

impl Waiting {
    /// Takes the settlement out, and keeps what is needed of it.
    fn new(considered: Considered, tell: bool) -> (Self, Option<Settlement>) {
        let Considered { due, hot, settlement, order, retrying, look_again } = considered;
        let mut waiting = Self {
            settled: due.settled,
            due,
            hot,
            order,
            outcomes: Vec::new(),
            failed: None,
            told: Vec::new(),
            firing: None,
            retrying,
            look_again,
        };
        if let Some(Settlement { records, firing, settled, .. }) = &settlement {
            waiting.settled = *settled;
            waiting.outcomes = records.iter().map(|draft| (draft.outcome, draft.span.count)).collect();
            waiting.failed =
                records.last().filter(|draft| fails(draft)).map(|draft| draft.explanation.clone());
            waiting.told = if tell || waiting.order.is_some() { records.clone() } else { Vec::new() };
            waiting.firing.clone_from(firing);
        }
        (waiting, settlement)
    }

    /// Says what the keeper is told when the job's ticks are settled as far as this. The next tick is found in the round,
    /// so that the keeper need not.
    fn progressed(&self) -> Progressed {
        let Ok(job) = &self.hot.job else { return Progressed::Invalid };
        let after = self.settled.map_or(self.due.after, |settled| settled.max(self.due.after));
        let due = Ticks::of(job, after).and_then(|ticks| ticks.next_due());
        Progressed::To { settled: self.settled, due, look_again: self.look_again }
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
        /// Not before this moment, where a tick could not be decided.
        look_again: Option<Timestamp>,
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
        let tell = self.commons.is_watched();
        for considered in considered {
            let (mut one, settlement) = Waiting::new(considered, tell);
            let Some(settlement) = settlement else {
                self.note_retry(&mut one);
                progress.push((one.due.place, one.progressed()));
                scheduler_loop::answer(one.order, Err(FireError::Invalid));
                continue;
            };
            if let Some(firing) = &settlement.firing {
                if !self.in_hand.lock().insert(firing.id.clone()) {
                    // An earlier settlement of the tick is durable though its answer was lost, and recovery has taken up
                    // the firing: what the ledger knows of it stays. Or the tick was launched while the clock was ahead.
                    self.launched.lock().insert(firing.uid, firing.id.clone());
                    progress.push((one.due.place, self.outdated(&one.due, one.order)));
                    continue;
                }
                self.ledger.enter(firing, firing.observed);
            }
            waiting.push(one);
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
                for one in waiting {
                    self.take_back(one.firing.as_ref());
                    scheduler_loop::answer(one.order, Err(FireError::Store));
                    progress.push((one.due.place, Progressed::Retry));
                }
                reports.send(progress).await;
            }
        }
    }

    /// Jobs that fire are reported when dispatch has their firings: while it has no room, their rounds are not over.
    async fn conclude_all(self: &Arc<Self>, waiting: Vec<Waiting>, settled: Vec<Settled>, reports: &Reports) {
        let (mut quiet, mut firing) = (Vec::new(), Vec::with_capacity(waiting.len()));
        let mut firings = Vec::with_capacity(waiting.len());
        for (one, settled) in waiting.into_iter().zip(settled) {
            let place = one.due.place;
            if let (Some(firing), Settled::Stale) = (&one.firing, &settled) {
                self.find_launched(firing).await;
            }
            match self.conclude(one, settled) {
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

    /// Notes whether the tick of a firing that was not recorded was launched before, while the clock was ahead.
    async fn find_launched(&self, firing: &Firing) {
        let query = FiringQuery { id: Some(firing.id.clone()), ..FiringQuery::default() };
        let known = self.store.firings(&query).await;
        self.note_read(&known);
        if known.is_ok_and(|known| !known.is_empty()) {
            self.launched.lock().insert(firing.uid, firing.id.clone());
        }
    }

    /// Forgets an intent that is not known to be durable. Should it be after all, recovery finds it in the journal.
    fn take_back(&self, firing: Option<&Firing>) {
        if let Some(firing) = firing {
            self.ledger.cancel(firing);
            self.in_hand.lock().remove(&firing.id);
        }
    }

    /// Notes the tick that is tried again, or that none is. A firing by hand says nothing about the ticks.
    fn note_retry(&self, one: &mut Waiting) {
        match one.retrying.take() {
            Some(retrying) => self.retries.begin(one.due.uid, &one.due.id, retrying),
            None if one.order.is_some() => {}
            None => self.retries.end(&one.due.uid, &one.due.id),
        }
    }

    /// Counts ticks whose outcome is final, and notes whether the newest one failed.
    fn note_outcomes(&self, due: &Due, outcomes: &[(Outcome, u64)], failed: Option<String>) {
        for (outcome, ticks) in outcomes.iter().filter(|(outcome, _)| *outcome != Outcome::Pending) {
            self.commons.counters.settled(*outcome, *ticks);
        }
        let faults = &self.commons.faults;
        match (outcomes.last(), failed) {
            (Some((outcome, ticks @ 1..)), Some(reason)) => {
                let now = self.clock.now();
                let failing = Failing { outcome: *outcome, reason, since: now, ticks: *ticks };
                faults.failed(self.number, due.uid, FailedTicks::new(failing, now, false));
            }
            (Some((outcome, 1..)), None) if outcome.is_decided() => faults.decided(&due.uid, false),
            _ => {}
        }
    }

    /// The job or its progress is not what it was decided by.
    fn outdated(&self, due: &Due, order: Option<FireOrder>) -> Progressed {
        self.hot.forget(&due.id);
        scheduler_loop::answer(order, Err(FireError::Changed));
        Progressed::Reread
    }

    fn conclude(&self, mut one: Waiting, settled: Settled) -> (Progressed, Option<Firing>) {
        let Settled::Recorded(ids) = settled else {
            self.take_back(one.firing.as_ref());
            return (self.outdated(&one.due, one.order), None);
        };
        self.note_retry(&mut one);
        let progressed = one.progressed();
        let Waiting { due, hot, order, outcomes, failed, told, firing, .. } = one;
        self.note_outcomes(&due, &outcomes, failed);
        Counters::add(&self.commons.counters.rows_written, hot.count_rows(&ids));
        let newest = told.len().saturating_sub(1);
        let mut last = None;
        for (index, (draft, id)) in told.into_iter().zip(&ids).enumerate() {
            let firing = firing.as_ref().map(|firing| firing.id.clone()).filter(|_| index == newest);
            let record = DecisionRecord { id: *id, job: due.id.clone(), uid: due.uid, draft, firing };
            self.tell(|| Event::Decision(Box::new(record.clone())));
            last = Some(record);
        }
        if let Some(record) = last {
            scheduler_loop::answer(order, Ok(record));
        }
        let Some(firing) = firing else { return (progressed, None) };
        *hot.last_fired.lock() = Some(firing.observed);
        Counters::add(&self.commons.counters.firings, 1);
        let decision = ids.last().copied().unwrap_or_default();
        (progressed, Some(Firing { decision, ..firing }))
    }
}

/// Tells whether a tick ended because something could not be read.
fn fails(draft: &DecisionDraft) -> bool {
    matches!(draft.outcome, Outcome::SourceError | Outcome::LiveUnknown)
}
