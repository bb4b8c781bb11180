//! The scheduler loop: the one task that owns the agenda. It starts rounds, handles nudges and orders to fire, and sleeps
//! until the next tick.

mod clock_recovery;
mod scan;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::OptionFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::agenda::{Agenda, SlotId};
use super::inner::{EngineInner, LoopStats};
use super::message::{DueJob, FireError, FireOrder, JobProgress, Message, ReportSender};
use super::recover;
use super::round;
use super::store_calls::StoreCalls;
use super::store_waits::MAX_LATE_SETTLEMENT;
use crate::backoff::Backoff;
use crate::job::JobId;
use crate::store::StoreError;
use scan::Scan;

/// How many messages may wait for the loop; further senders wait.
const MESSAGE_CAPACITY: usize = 4_096;
/// Jobs of the first round when none is under way.
const FIRST_ROUND: usize = 128;
/// How long after its moment a tick that waits in the queue is reported as overdue.
const LATE_AFTER: SignedDuration = SignedDuration::from_mins(1);
/// How long a job waits when the store did not answer.
const RETRY_DELAY: SignedDuration = SignedDuration::from_secs(1);
/// The pauses of the loop's own calls to the store after calls that failed.
const STORE_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
/// How often the journal is searched meanwhile.
const LATE_SETTLEMENT_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// Owns the agenda, and decides when each job is evaluated.
pub(super) struct SchedulerLoop {
    engine: Arc<EngineInner>,
    /// The store with the deadline of the loop's own calls: while one is under way, no round starts.
    store: StoreCalls,
    /// Until when the loop does not call the store because a call failed, and the pauses after further failures.
    store_pause: Option<(Instant, Backoff)>,
    agenda: Agenda,
    messages: mpsc::Receiver<Message>,
    reports: ReportSender,
    /// Orders for jobs that are in a round or have a due tick; no queue is empty.
    queued_orders: HashMap<JobId, VecDeque<FireOrder>>,
    /// When the jobs were queued in the agenda that an order has taken out of it.
    interrupted: HashMap<SlotId, Option<Timestamp>>,
    in_rounds: usize,
    invalid: usize,
    prefetched_until: Timestamp,
    /// When to search the journal for open firings that no part of the engine works on: a settlement failed.
    recheck_at: Option<Timestamp>,
    /// The search under way; it returns whether it was successful.
    search: Option<oneshot::Receiver<bool>>,
    /// Until when a settlement without an answer may become durable.
    late_until: Option<Instant>,
    /// When the last search of the journal began.
    search_began: Instant,
    /// Jobs whose ticks are settled in the future, and how many of them were logged.
    ahead: BTreeSet<SlotId>,
    ahead_logged: usize,
    /// The number of clock steps that were handled.
    steps: u64,
    scan: Scan,
}

impl SchedulerLoop {
    /// Reads every job's next tick from the store.
    pub(super) async fn load(engine: Arc<EngineInner>) -> Result<(Self, mpsc::Sender<Message>), StoreError> {
        let (sender, messages) = mpsc::channel(MESSAGE_CAPACITY);
        let now = engine.clock.now();
        let mut scheduler = Self {
            scan: Scan::idle(now, engine.options.rescan),
            store: engine.store.with_deadline(engine.options.loop_deadline),
            store_pause: None,
            engine,
            agenda: Agenda::default(),
            messages,
            reports: ReportSender(sender.clone()),
            queued_orders: HashMap::new(),
            interrupted: HashMap::new(),
            in_rounds: 0,
            invalid: 0,
            prefetched_until: Timestamp::MIN,
            recheck_at: None,
            search: None,
            late_until: None,
            search_began: Instant::now(),
            ahead: BTreeSet::new(),
            ahead_logged: 0,
            steps: 0,
        };
        scheduler.steps = scheduler.engine.process.clock.check(now);
        scheduler.load_all().await?;
        if let Some(due) = scheduler.agenda.next_due() {
            scheduler.engine.process.clock.check_start(due, now);
        }
        scheduler.find_settled_ahead(now);
        scheduler.publish_stats();
        Ok((scheduler, sender))
    }

    /// Runs until the engine stops.
    pub(super) async fn run(mut self) {
        loop {
            self.process_nudges().await;
            self.rescan().await;
            let now = self.engine.clock.now();
            self.check_clock(now).await;
            self.recover_uncertain(now).await;
            self.fire_free_jobs(now);
            self.start_rounds(now).await;
            self.prefetch(now);
            self.publish_stats();
            let sleep = self.sleep_time(now);
            let engine = Arc::clone(&self.engine);
            tokio::select! {
                biased;
                () = engine.stop.cancelled() => return,
                Some(answer) = OptionFuture::from(self.search.as_mut()) => self.handle_searched(answer),
                message = self.messages.recv() => {
                    let Some(message) = message else { return };
                    self.handle_message(message).await;
                    while let Ok(message) = self.messages.try_recv() {
                        self.handle_message(message).await;
                    }
                }
                () = engine.nudged.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Resumes firings that a failed settlement may have left in the journal. The next decisions count their tasks, unless the
    /// journal answers only after the deadline of the loop.
    async fn recover_uncertain(&mut self, now: Timestamp) {
        if self.search.is_some() || self.recheck_at.is_none_or(|moment| moment > now) {
            return;
        }
        (self.recheck_at, self.search_began) = (None, Instant::now());
        let engine = Arc::clone(&self.engine);
        let (done, mut ended) = oneshot::channel();
        self.engine.spawn(async move {
            // The loop may have ended with the engine.
            let _ = done.send(recover::resume_open_firings(&engine).await.is_ok());
        });
        match tokio::time::timeout(self.engine.options.loop_deadline, &mut ended).await {
            Ok(answer) => self.handle_searched(answer),
            Err(_) => self.search = Some(ended),
        }
    }

    /// Searches the journal at this moment, or earlier.
    fn recheck(&mut self, at: Timestamp) {
        self.recheck_at = Some(self.recheck_at.map_or(at, |planned| planned.min(at)));
    }

    /// Plans the next search: soon after one that failed or panicked, and until one has begun after the last moment at which a settlement
    /// may become durable.
    fn handle_searched(&mut self, answer: Result<bool, oneshot::error::RecvError>) {
        self.search = None;
        let now = self.engine.clock.now();
        if answer != Ok(true) {
            self.recheck(retry_time(now));
        } else if self.late_until.is_some_and(|until| self.search_began <= until) {
            let next = now.saturating_add(LATE_SETTLEMENT_INTERVAL).unwrap_or(Timestamp::MAX);
            self.recheck(next);
        }
    }

    /// Tells whether the loop's own calls to the store pause, because the last one failed.
    fn is_store_paused(&self) -> bool {
        self.store_pause.as_ref().is_some_and(|(until, _)| Instant::now() < *until)
    }

    /// Pauses the loop's own calls after a failed one, so that a store that does not answer seldom delays ticks.
    fn record_answer(&mut self, answered: bool) {
        let last = self.store_pause.take().filter(|_| !answered);
        if !answered {
            let mut backoff = last.map_or(STORE_BACKOFF, |(_, backoff)| backoff);
            self.store_pause = Some((Instant::now() + backoff.next_delay(), backoff));
        }
    }

    /// Returns how long to sleep: until the next tick, and at most `max_sleep`.
    fn sleep_time(&self, now: Timestamp) -> Duration {
        let max = self.engine.options.max_sleep;
        let tick = if self.has_room() { self.agenda.next_due() } else { None };
        let recheck = self.recheck_at.filter(|_| self.search.is_none());
        let next = [tick, recheck].into_iter().flatten().min();
        let until_due = next.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or(Duration::ZERO));
        let pause =
            self.store_pause.as_ref().map(|(until, _)| until.saturating_duration_since(Instant::now()));
        let pause = pause.filter(|left| !left.is_zero() || !self.engine.nudges.lock().is_empty());
        [until_due, self.time_to_recovery(), pause].into_iter().flatten().fold(max, Duration::min)
    }

    fn has_room(&self) -> bool {
        self.in_rounds < self.engine.options.rounds * self.engine.options.round_size
    }

    async fn start_rounds(&mut self, now: Timestamp) {
        while self.has_room() {
            // The first round is a small one: its intents go to the store while the next ones are decided.
            let limit = (FIRST_ROUND + self.in_rounds).min(self.engine.options.round_size);
            let slots = self.agenda.pop_due(now, limit);
            if slots.is_empty() {
                return;
            }
            let due: Vec<DueJob> =
                slots.into_iter().filter_map(|slot| self.take_into_round(slot, None)).collect();
            let work = round::run(Arc::clone(&self.engine), due, self.reports.clone());
            self.engine.spawn(work);
            // Without a yield, the task that is spawned last runs first.
            tokio::task::yield_now().await;
        }
    }

    /// Marks a job as in a round.
    fn take_into_round(&mut self, slot: SlotId, order: Option<FireOrder>) -> Option<DueJob> {
        let entry = self.agenda.get_mut(slot)?;
        debug_assert!(!entry.busy, "a job is in one round at a time");
        entry.busy = true;
        self.in_rounds += 1;
        Some(DueJob::new(slot, entry, order))
    }

    /// Reads and parses jobs that are due soon, ahead of their ticks.
    fn prefetch(&mut self, now: Timestamp) {
        let Ok(ahead) = SignedDuration::try_from(self.engine.options.prefetch_within) else { return };
        let until = now.saturating_add(ahead).unwrap_or(Timestamp::MAX);
        let from = self.prefetched_until.max(now);
        if from >= until {
            return;
        }
        self.prefetched_until = until;
        let mut soon = self.agenda.due_between(from, until, self.engine.options.cached_jobs);
        soon.retain(|id| !self.engine.job_cache.contains(id));
        if soon.is_empty() {
            return;
        }
        let engine = Arc::clone(&self.engine);
        self.engine.spawn(async move {
            for ids in soon.chunks(engine.options.round_size) {
                if engine.stop.is_cancelled() || engine.load_jobs(ids).await.is_err() {
                    return;
                }
            }
        });
    }

    async fn handle_message(&mut self, message: Message) {
        match message {
            Message::Report(reports) => {
                for (slot, progress) in reports {
                    self.handle_report(slot, progress).await;
                }
            }
            Message::Fire(id, order) => self.fire(&id, order).await,
        }
    }

    async fn fire(&mut self, id: &JobId, order: FireOrder) {
        if self.agenda.find_slot(id).is_none() && !self.reload(std::slice::from_ref(id)).await {
            order.reply(Err(FireError::Store));
            return;
        }
        let Some(slot) = self.agenda.find_slot(id) else {
            order.reply(Err(FireError::NotFound));
            return;
        };
        let now = self.engine.clock.now();
        let waits = self.agenda.get(slot).is_some_and(|entry| entry.busy || entry.is_due(now));
        if waits || self.queued_orders.contains_key(id) {
            self.queued_orders.entry(id.clone()).or_default().push_back(order);
        } else {
            self.start_order(slot, order);
        }
    }

    /// Fires a job that is in no round.
    fn start_order(&mut self, slot: SlotId, order: FireOrder) {
        let queued_at = self.agenda.schedule_at(slot, None);
        if let Some(due) = self.take_into_round(slot, Some(order)) {
            self.interrupted.insert(slot, queued_at);
            let work = round::run(Arc::clone(&self.engine), vec![due], self.reports.clone());
            self.engine.spawn(work);
        }
    }

    /// Queues a job again that was in a round. An order to fire does not delay a tick by more than its own round: the job keeps its
    /// moment, and a tick that is due goes before the next order.
    async fn handle_report(&mut self, slot: SlotId, progress: JobProgress) {
        let interrupted = self.interrupted.remove(&slot);
        let Some(entry) = self.agenda.get_mut(slot) else { return };
        self.in_rounds -= 1;
        entry.busy = false;
        let now = self.engine.clock.now();
        let (reload, mut not_before) = match progress {
            JobProgress::Settled { settled, due, retry_at } => {
                let stuck = interrupted.is_none() && entry.settled == settled;
                (entry.settled, entry.due) = (settled, due);
                if due.is_none() {
                    self.engine.process.faults.forget_reads(&entry.uid);
                }
                (false, retry_at.or(interrupted.flatten()).or_else(|| stuck.then(|| retry_time(now))))
            }
            JobProgress::Invalid => {
                self.invalid += usize::from(!std::mem::replace(&mut entry.invalid, true));
                entry.due = None;
                (false, None)
            }
            JobProgress::Retry => {
                self.recheck(now);
                self.late_until = Some(Instant::now() + MAX_LATE_SETTLEMENT);
                (false, Some(retry_time(now)))
            }
            JobProgress::Reload => (true, None),
        };
        let Some(entry) = self.agenda.get_mut(slot) else { return };
        if reload || std::mem::take(&mut entry.nudged) {
            let id = entry.id.clone();
            if !self.reload(&[id]).await {
                not_before = not_before.max(Some(retry_time(now)));
            }
        }
        self.update_settled_ahead(slot, now);
        self.reschedule(slot, not_before, now);
        if interrupted.is_none() {
            self.fire_next_order(slot);
        }
    }

    /// Fires the next order of each job that is neither in a round nor due. A tick that is due goes first, and its report fires the
    /// next order; but an edit or a step of the clock may take the tick away.
    fn fire_free_jobs(&mut self, now: Timestamp) {
        let is_free =
            |slot: &SlotId| self.agenda.get(*slot).is_some_and(|entry| !entry.busy && !entry.is_due(now));
        let waiting = self.queued_orders.keys().filter_map(|id| self.agenda.find_slot(id));
        let free: Vec<SlotId> = waiting.filter(is_free).collect();
        for slot in free {
            self.fire_next_order(slot);
        }
    }

    fn fire_next_order(&mut self, slot: SlotId) {
        let Some(entry) = self.agenda.get(slot) else { return };
        let Some(waiting) = self.queued_orders.get_mut(&entry.id) else { return };
        let order = waiting.pop_front();
        if waiting.is_empty() {
            self.queued_orders.remove(&entry.id);
        }
        if let Some(order) = order {
            self.start_order(slot, order);
        }
    }

    /// Queues the job in the agenda again.
    fn reschedule(&mut self, slot: SlotId, not_before: Option<Timestamp>, now: Timestamp) {
        let Some(entry) = self.agenda.get(slot) else { return };
        if entry.busy {
            return;
        }
        let due = entry.due.map(|due| match not_before {
            Some(later) if due <= now => later,
            Some(_) | None => due,
        });
        self.agenda.schedule_at(slot, due);
    }

    fn publish_stats(&self) {
        let late = self.engine.clock.now().saturating_sub(LATE_AFTER).unwrap_or(Timestamp::MIN);
        self.engine.notices.set_overdue(|limit| self.agenda.overdue(late, limit));
        *self.engine.loop_stats.lock() = LoopStats {
            jobs: self.agenda.len(),
            invalid: self.invalid,
            in_rounds: self.in_rounds,
            next_due: self.agenda.next_due(),
            ahead: self.ahead.len(),
        };
    }
}

fn retry_time(now: Timestamp) -> Timestamp {
    now.saturating_add(RETRY_DELAY).unwrap_or(Timestamp::MAX)
}
