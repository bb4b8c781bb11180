//! The one task that owns the agenda: it starts rounds, takes nudges and orders, and sleeps until the next tick.

mod clock_recovery;
mod scan;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::agenda::{Agenda, Place};
use super::handle::{FireError, FireOrder};
use super::inner::{Core, KeeperView};
use super::recover;
use super::round::{self, Due};
use super::settle::Progressed;
use crate::decide::DecisionRecord;
use crate::job::JobId;
use crate::store::StoreError;
use scan::Scan;

/// How many messages may wait for the keeper; senders wait beyond that.
const MESSAGES: usize = 4_096;
/// Jobs in the first round when none is under way.
const FIRST_ROUND: usize = 128;
/// How long a job waits when the store did not answer.
const RETRY: SignedDuration = SignedDuration::from_secs(1);

/// What the keeper is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A round is done with these jobs.
    Report(Vec<(Place, Progressed)>),
    /// Somebody wants a job fired.
    Fire(JobId, FireOrder),
}

/// A round's way to tell the keeper.
#[derive(Debug, Clone)]
pub(super) struct Reports(mpsc::Sender<Message>);

impl Reports {
    pub(super) async fn send(&self, progress: Vec<(Place, Progressed)>) {
        if !progress.is_empty() {
            // The keeper is gone only when the engine stops, and then nothing has to be reported.
            let _ = self.0.send(Message::Report(progress)).await;
        }
    }
}

/// Tells whoever waits for a firing by hand what came of it.
pub(super) fn answer(order: Option<FireOrder>, result: Result<DecisionRecord, FireError>) {
    if let Some(order) = order {
        // Nobody waits for the answer any more: what was done is in the journal all the same.
        let _ = order.answer.send(result);
    }
}

/// See the module.
pub(super) struct Keeper {
    core: Arc<Core>,
    agenda: Agenda,
    messages: mpsc::Receiver<Message>,
    reports: Reports,
    orders: HashMap<Place, VecDeque<FireOrder>>,
    in_rounds: usize,
    invalid: usize,
    looked_ahead: Timestamp,
    /// A settlement failed, so the journal may hold an intent that nobody carries: look again at this moment.
    doubtful: Option<Timestamp>,
    /// Jobs whose ticks are settled in the future, and how many the log has heard of.
    ahead: BTreeSet<Place>,
    ahead_told: usize,
    /// How many steps of the clock are known.
    steps: u64,
    scan: Scan,
}

impl Keeper {
    /// Reads every job's next tick from the store.
    pub(super) async fn load(core: Arc<Core>) -> Result<(Self, mpsc::Sender<Message>), StoreError> {
        let (sender, messages) = mpsc::channel(MESSAGES);
        let now = core.clock.now();
        let mut keeper = Self {
            scan: Scan::idle(now, core.options.rescan),
            core,
            agenda: Agenda::default(),
            messages,
            reports: Reports(sender.clone()),
            orders: HashMap::new(),
            in_rounds: 0,
            invalid: 0,
            looked_ahead: Timestamp::MIN,
            doubtful: None,
            ahead: BTreeSet::new(),
            ahead_told: 0,
            steps: 0,
        };
        keeper.steps = keeper.core.commons.clock.look(now);
        keeper.load_all().await?;
        keeper.find_ahead(now);
        keeper.show();
        Ok((keeper, sender))
    }

    /// Keeps the agenda until the engine stops.
    pub(super) async fn run(mut self) {
        loop {
            self.take_nudges().await;
            self.rescan().await;
            let now = self.core.clock.now();
            self.follow_clock(now).await;
            self.settle_doubts(now).await;
            self.start_rounds(now).await;
            self.look_ahead(now);
            self.show();
            let sleep = self.sleep(now);
            let core = Arc::clone(&self.core);
            tokio::select! {
                biased;
                () = core.stop.cancelled() => return,
                message = self.messages.recv() => {
                    let Some(message) = message else { return };
                    self.take(message).await;
                    while let Ok(message) = self.messages.try_recv() {
                        self.take(message).await;
                    }
                }
                () = core.nudged.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Takes up intents that a failed settlement may have left in the journal.
    async fn settle_doubts(&mut self, now: Timestamp) {
        if self.doubtful.is_some_and(|moment| moment <= now) {
            self.doubtful = recover::adopt(&self.core).await.err().map(|_| later(now));
        }
    }

    /// Returns how long nothing is to be done: until the next tick, and at most `max_sleep`.
    fn sleep(&self, now: Timestamp) -> Duration {
        let most = self.core.options.max_sleep;
        let tick = if self.has_room() { self.agenda.next_due() } else { None };
        let next = [tick, self.doubtful].into_iter().flatten().min();
        let until_due = next.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO));
        [until_due, self.until_settled_back()].into_iter().flatten().fold(most, Duration::min)
    }

    fn has_room(&self) -> bool {
        self.in_rounds < self.core.options.rounds * self.core.options.round_size
    }

    async fn start_rounds(&mut self, now: Timestamp) {
        while self.has_room() {
            // The first round is a small one: its intents go to the store while the next ones are decided.
            let most = (FIRST_ROUND + self.in_rounds).min(self.core.options.round_size);
            let places = self.agenda.take_due(now, most);
            if places.is_empty() {
                return;
            }
            let due: Vec<Due> = places.into_iter().filter_map(|place| self.depart(place, None)).collect();
            let work = round::look(Arc::clone(&self.core), due, self.reports.clone());
            self.core.spawn(work);
            // Whoever is spawned last would be run first.
            tokio::task::yield_now().await;
        }
    }

    /// Marks a job as being in a round.
    fn depart(&mut self, place: Place, order: Option<FireOrder>) -> Option<Due> {
        let entry = self.agenda.get_mut(place)?;
        debug_assert!(!entry.busy, "a job is in one round at a time");
        entry.busy = true;
        self.in_rounds += 1;
        Some(Due::of(place, entry, order))
    }

    /// Reads and parses jobs that are due soon, so that their tick does not wait for it.
    fn look_ahead(&mut self, now: Timestamp) {
        let Ok(ahead) = SignedDuration::try_from(self.core.options.look_ahead) else { return };
        let until = now.saturating_add(ahead).unwrap_or(Timestamp::MAX);
        let from = self.looked_ahead.max(now);
        if from >= until {
            return;
        }
        self.looked_ahead = until;
        let mut soon = self.agenda.due_between(from, until, self.core.options.hot_jobs);
        soon.retain(|id| !self.core.hot.contains(id));
        if soon.is_empty() {
            return;
        }
        let core = Arc::clone(&self.core);
        self.core.spawn(async move {
            for ids in soon.chunks(core.options.round_size) {
                if core.stop.is_cancelled() || core.load_jobs(ids).await.is_err() {
                    return;
                }
            }
        });
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Report(progress) => {
                for (place, progressed) in progress {
                    self.report(place, progressed).await;
                }
            }
            Message::Fire(id, order) => self.order(&id, order).await,
        }
    }

    async fn order(&mut self, id: &JobId, order: FireOrder) {
        if self.agenda.place(id).is_none() {
            self.reread(std::slice::from_ref(id)).await;
        }
        let Some(place) = self.agenda.place(id) else {
            // Nobody waits for the answer any more, and nothing was done.
            let _ = order.answer.send(Err(FireError::NotFound));
            return;
        };
        if self.agenda.get(place).is_some_and(|entry| entry.busy) {
            self.orders.entry(place).or_default().push_back(order);
            return;
        }
        self.agenda.list(place, None);
        if let Some(due) = self.depart(place, Some(order)) {
            let work = round::look(Arc::clone(&self.core), vec![due], self.reports.clone());
            self.core.spawn(work);
        }
    }

    async fn report(&mut self, place: Place, progressed: Progressed) {
        let Some(entry) = self.agenda.get_mut(place) else { return };
        self.in_rounds -= 1;
        entry.busy = false;
        let now = self.core.clock.now();
        let (reread, not_before) = match progressed {
            Progressed::To { settled, due, look_again } => {
                let stuck = entry.settled == settled;
                (entry.settled, entry.due) = (settled, due);
                if due.is_none() {
                    self.core.commons.faults.forget_reads(&entry.uid);
                }
                (false, look_again.or_else(|| stuck.then(|| later(now))))
            }
            Progressed::Invalid => {
                self.invalid += usize::from(!std::mem::replace(&mut entry.invalid, true));
                entry.due = None;
                (false, None)
            }
            Progressed::Retry => {
                self.doubtful.get_or_insert(now);
                (false, Some(later(now)))
            }
            Progressed::Reread => (true, None),
        };
        let Some(entry) = self.agenda.get_mut(place) else { return };
        if reread || std::mem::take(&mut entry.nudged) {
            let id = entry.id.clone();
            self.reread(&[id]).await;
        }
        self.note_ahead(place, now);
        self.replan(place, not_before, now);
        self.next_order(place).await;
    }

    async fn next_order(&mut self, place: Place) {
        let Some(waiting) = self.orders.get_mut(&place) else { return };
        let order = waiting.pop_front();
        if waiting.is_empty() {
            self.orders.remove(&place);
        }
        let Some(order) = order else { return };
        match self.agenda.get(place).map(|entry| entry.id.clone()) {
            Some(id) => Box::pin(self.order(&id, order)).await,
            None => {
                let _ = order.answer.send(Err(FireError::NotFound));
            }
        }
    }

    /// Gives the job its place in the order again.
    fn replan(&mut self, place: Place, not_before: Option<Timestamp>, now: Timestamp) {
        let Some(entry) = self.agenda.get(place) else { return };
        if entry.busy {
            return;
        }
        let due = entry.due.map(|due| match not_before {
            Some(later) if due <= now => later,
            Some(_) | None => due,
        });
        self.agenda.list(place, due);
    }

    fn show(&self) {
        *self.core.keeper.lock() = KeeperView {
            jobs: self.agenda.len(),
            invalid: self.invalid,
            in_rounds: self.in_rounds,
            next_due: self.agenda.next_due(),
            ahead: self.ahead.len(),
        };
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.saturating_add(RETRY).unwrap_or(Timestamp::MAX)
}
