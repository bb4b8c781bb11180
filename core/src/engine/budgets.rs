//! Budgets: how many tasks a firing may reserve, exact also with several replicas.
//!
//! ```text
//!  evaluations ──requests──▶ queue ──one turn──▶ ledger + register ──compare-and-set──▶ store
//!       ▲                                            │
//!       └──────────────── what is left ◀─────────────┘
//! ```
//!
//! A firing reserves its tasks before it is settled. The register has, for each shard of jobs, the tasks that its firings may have at
//! most; only the shard's owner writes that number. It is raised before a settlement that could start so many tasks, and lowered
//! after the journal knows that they have ended. So the sum over all shards is never too small, whatever is interrupted: a
//! reservation without a firing is gone once the owner, or the next one, writes what the journal says. All requests that wait while a
//! turn is under way share the next one: a round costs one or two writes. Without budgets, nothing is read or written.
//!
//! Rejected: a reservation for each firing in the register (it would grow with the number of tasks); a register for each budget (a
//! job of two budgets would reserve in one and wait in the other); counting in the journal at each decision (it is a scan of the
//! open firings of all replicas).

mod grant;
mod held;
mod ledger;
mod misses;
mod register;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::budget::{Budget, BudgetLimit, BudgetUse, Labels};
use crate::decide::BudgetRoom;
use crate::fault::FaultKind;
use crate::firing::{Firing, FiringId};
use crate::id::{JobId, JobUid};
use crate::store::{Shard, Store, StoreError};
use crate::task::TaskSize;
pub(super) use grant::BudgetRequest;
use grant::{Totals, Undo, key_of};
pub(super) use held::{BudgetShare, longest_time};
use ledger::{Ledger, RecordedChange, numbers_of};
use misses::Misses;
use register::{BUDGETS_REGISTER, BudgetRegister};

/// The pauses after a write that another replica has overtaken.
const CONFLICT_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(5), Duration::from_millis(200)).with_jitter(50).with_max_attempts(20);

/// How old the register may be that this process read or wrote last.
pub(super) const MAX_AGE: Duration = Duration::from_mins(1);

/// The budgets of all engines of a process.
#[derive(Debug)]
pub(crate) struct Budgets {
    list: Arc<[Budget]>,
    /// Whether other processes write the register, too.
    is_shared: AtomicBool,
    ledger: Mutex<Ledger>,
    queue: Mutex<Vec<QueuedRequest>>,
    /// Held by the caller whose turn it is: it serves all waiting requests.
    turn: tokio::sync::Mutex<Option<KeptRegister>>,
    /// The register as it was last read or written.
    last: Mutex<BudgetRegister>,
    /// Whether the register does not have what the jobs of this process use.
    is_dirty: AtomicBool,
    changed: Notify,
    /// When the register was last read or written.
    served: Mutex<Option<Instant>>,
    /// Counts how often tasks became free.
    freed: watch::Sender<u64>,
    misses: Misses,
}

/// The register, and its version; absent before there is one.
#[derive(Debug, Clone, Default)]
struct KeptRegister {
    version: Option<u64>,
    register: BudgetRegister,
}

#[derive(Debug)]
struct QueuedRequest {
    request: BudgetRequest,
    answer: oneshot::Sender<Result<BudgetRoom, StoreError>>,
}

/// The reservations of a turn. They are undone unless the register has them.
struct Turn<'a> {
    ledger: &'a Mutex<Ledger>,
    undo: Vec<Undo>,
    /// The parts that were read from the register for the first time.
    loaded: Vec<Shard>,
    /// Is set again if the register was not written.
    dirty: Option<&'a AtomicBool>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(dirty) = self.dirty {
            dirty.store(true, Ordering::Relaxed);
        }
        let mut ledger = self.ledger.lock();
        self.undo.drain(..).rev().for_each(|undo| undo.apply(&mut ledger));
        for shard in &self.loaded {
            if let Some(part) = ledger.parts.get_mut(shard) {
                part.is_loaded = false;
            }
        }
    }
}

impl Budgets {
    pub(super) fn new(list: Arc<[Budget]>) -> Self {
        Self {
            list,
            is_shared: AtomicBool::new(false),
            ledger: Mutex::default(),
            queue: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            last: Mutex::default(),
            is_dirty: AtomicBool::new(false),
            changed: Notify::new(),
            served: Mutex::default(),
            freed: watch::Sender::new(0),
            misses: Misses::default(),
        }
    }

    /// Tells whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Tells whether other processes write the register, too.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed)
    }

    /// Returns the numbers of the budgets of a job with these labels.
    pub(super) fn matching(&self, labels: &Labels) -> Vec<usize> {
        let selected = self.list.iter().enumerate().filter(|(_, budget)| budget.selects(labels));
        selected.map(|(number, _)| number).collect()
    }

    /// Returns the names of the budgets of a job with these labels.
    pub(super) fn names(&self, labels: &Labels) -> Vec<String> {
        self.list.iter().filter(|budget| budget.selects(labels)).map(|budget| budget.name.clone()).collect()
    }

    /// Tells whether a budget counts the past, so that the register is written soon after each launch and end.
    pub(super) fn count_past(&self) -> bool {
        self.list.iter().any(|budget| {
            budget.limit(BudgetLimit::LaunchesPerHour).or(budget.limit(BudgetLimit::DollarsPerDay)).is_some()
        })
    }

    /// Tells whether a budget of a job counts the size of its tasks.
    pub(super) fn need_size(&self, numbers: &[usize]) -> bool {
        numbers.iter().any(|number| self.list[*number].needs_size())
    }

    /// Returns what each task of a size takes of budgets.
    pub(super) fn shares(&self, numbers: &[usize], size: &TaskSize) -> Vec<BudgetShare> {
        numbers.iter().map(|number| BudgetShare::new(*number, &self.list[*number], size)).collect()
    }

    /// Returns why tasks of a size cannot be counted towards these budgets.
    pub(super) fn unknown_size(&self, numbers: &[usize], size: &TaskSize) -> Option<String> {
        numbers.iter().find_map(|number| self.list[*number].uncounted(size))
    }

    /// Begins to count the jobs of an engine; `owner` is the version of its ownership, absent for the only process of a scheduler.
    pub(super) fn open(&self, engine: u64, owner: Option<u64>, shards: &[Shard]) {
        self.is_shared.store(owner.is_some(), Ordering::Relaxed);
        self.ledger.lock().open(engine, owner.unwrap_or(0), shards, self.list.len());
    }

    /// Counts an engine's open firings from now on: all of them are bound.
    pub(super) fn end_recovery(&self, engine: u64) {
        self.ledger.lock().end_recovery(engine);
    }

    /// Ends the count of an engine's jobs.
    pub(super) fn close(&self, engine: u64) {
        self.ledger.lock().close(engine);
    }

    /// Counts a firing that was found in the journal: towards the budgets of its job's labels, or towards its own if the job was
    /// removed.
    pub(super) fn bind(&self, engine: u64, firing: &Firing, labels: Option<&Labels>, now: Timestamp) {
        let numbers = match labels {
            Some(labels) => self.matching(labels),
            None => numbers_of(&firing.budgets.iter().map(String::as_str).collect(), &self.list),
        };
        if let Some(part) = self.ledger.lock().part_of(engine, &firing.job) {
            part.bind(firing, self.shares(&numbers, &firing.size), now);
        }
    }

    /// Follows a firing: one that the journal has, or one whose settlement begins.
    pub(super) fn record(&self, engine: u64, firing: &Firing, now: Timestamp) {
        match self.edit(engine, firing, |part| part.record(firing, now)) {
            Some(RecordedChange::Freed) => self.set_freed(),
            Some(RecordedChange::Launched) if self.count_past() => self.set_dirty(),
            Some(RecordedChange::Launched | RecordedChange::None) | None => {}
        }
    }

    /// Has the register written: it does not have what the jobs of this process use.
    fn set_dirty(&self) {
        self.is_dirty.store(true, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Has the register written, and lets those ask that wait.
    fn set_freed(&self) {
        self.set_dirty();
        self.freed.send_modify(|count| *count += 1);
    }

    /// Returns a receiver that changes whenever jobs of this process use less.
    pub(super) fn freed(&self) -> watch::Receiver<u64> {
        self.freed.subscribe()
    }

    /// Keeps that the retry of a firing got nothing.
    pub(super) fn record_miss(&self, retried: &FiringId) {
        self.misses.insert(retried, *self.freed.borrow());
    }

    /// Tells whether the retry of a firing asks now: something became free since it got nothing, or it has waited for a while.
    pub(super) fn may_retry(&self, retried: &FiringId) -> bool {
        self.misses.take_if_due(retried, *self.freed.borrow())
    }

    /// Ends a reservation for which nothing was sent to the store.
    pub(super) fn release(&self, engine: u64, firing: &Firing) {
        if self.edit(engine, firing, |part| part.release(&firing.id)) == Some(true) {
            self.set_freed();
        }
    }

    /// Keeps a reservation whose settlement had no answer.
    pub(super) fn keep_uncertain(&self, engine: u64, firing: &Firing) {
        self.edit(engine, firing, |part| part.keep_uncertain(&firing.id));
    }

    /// Forgets a firing that another writer has changed.
    pub(super) fn forget(&self, engine: u64, firing: &Firing) {
        if self.edit(engine, firing, |part| part.forget(&firing.id)) == Some(true) {
            self.set_freed();
        }
    }

    /// Ends the wait of a job that does not ask again: it was removed or suspended, or its backfill was stopped.
    pub(super) fn end_wait(&self, engine: u64, job: &JobId, uid: &JobUid) {
        if self.is_empty() {
            return;
        }
        let all: Vec<usize> = (0..self.list.len()).collect();
        let ended = self.ledger.lock().part_of(engine, job).map(|part| part.end_wait(&all, key_of(uid)));
        if ended.is_some_and(|ended| !ended.is_empty()) {
            self.set_freed();
        }
    }

    /// Drops reservations that a search of the journal, which began at this moment, has not found.
    pub(super) fn end_search(&self, engine: u64, began: Instant) {
        if !self.is_empty() && self.ledger.lock().end_search(engine, began) {
            self.set_freed();
        }
    }

    fn edit<R>(
        &self,
        engine: u64,
        firing: &Firing,
        edit: impl FnOnce(&mut ledger::ShardUse) -> R,
    ) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        self.ledger.lock().part_of(engine, &firing.job).map(edit)
    }

    /// Reserves tasks for a firing; returns what was left for it. The register has the reservation on return.
    pub(super) async fn reserve(
        &self,
        store: &dyn Store,
        request: BudgetRequest,
    ) -> Result<BudgetRoom, StoreError> {
        let (now, (answer, mut answered)) = (request.now, oneshot::channel());
        self.queue.lock().push(QueuedRequest { request, answer });
        let mut kept = self.turn.lock().await;
        if let Ok(answer) = answered.try_recv() {
            return answer;
        }
        // Requests of the same round join the turn.
        tokio::task::yield_now().await;
        let served = self.serve(&mut kept, store, now).await;
        answered.try_recv().unwrap_or_else(|_| Err(served.err().unwrap_or_else(interrupted)))
    }

    /// Returns what would be left for a firing. Reserves nothing.
    pub(super) async fn preview(
        &self,
        store: &dyn Store,
        request: &BudgetRequest,
    ) -> Result<BudgetRoom, StoreError> {
        let register = read(store).await?.register;
        let mut ledger = self.ledger.lock();
        let totals = Totals::new(&self.list, &ledger, &register, request.now);
        Ok(totals.room(&self.list, &mut ledger, request))
    }

    /// Reads the use of every budget.
    pub(super) async fn uses(&self, store: &dyn Store, now: Timestamp) -> Result<Vec<BudgetUse>, StoreError> {
        if !self.is_empty() {
            let register = read(store).await?.register;
            *self.last.lock() = register;
        }
        Ok(self.last_uses(now))
    }

    /// Returns the use of every budget, as this process knows it without a read.
    pub(super) fn last_uses(&self, now: Timestamp) -> Vec<BudgetUse> {
        let (ledger, register) = (self.ledger.lock(), self.last.lock());
        Totals::new(&self.list, &ledger, &register, now).uses(&self.list, &ledger, now)
    }

    /// Writes what the jobs of this process use, and reads the rest, unless another engine has just done so.
    pub(super) async fn sync(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        let mut kept = self.turn.lock().await;
        let is_fresh = self.served.lock().is_some_and(|served| served.elapsed() < MAX_AGE);
        if is_fresh && !self.is_dirty() && !self.ledger.lock().is_incomplete() {
            return Ok(());
        }
        self.serve(&mut kept, store, now).await
    }

    /// Tells whether the register does not have what the jobs of this process use.
    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty.load(Ordering::Relaxed)
    }

    /// Waits until the register does not have what the jobs of this process use.
    pub(super) async fn changed(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_dirty() {
                return;
            }
            changed.await;
        }
    }

    /// Serves all waiting requests, and writes what the jobs of this process use.
    async fn serve(
        &self,
        kept: &mut Option<KeptRegister>,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut queued = std::mem::take(&mut *self.queue.lock());
        queued.retain(|queued| !queued.answer.is_closed());
        let mut backoff = CONFLICT_BACKOFF;
        let served = loop {
            let was_dirty = self.is_dirty.swap(false, Ordering::Relaxed);
            let dirty = Some(&self.is_dirty).filter(|_| was_dirty);
            let mut turn = Turn { ledger: &self.ledger, undo: Vec::new(), loaded: Vec::new(), dirty };
            match self.attempt(kept, store, &queued, &mut turn, now).await {
                Ok(rooms) => {
                    turn.undo.clear();
                    turn.loaded.clear();
                    turn.dirty = None;
                    break Ok(rooms);
                }
                Err(error) => {
                    drop(turn);
                    if !matches!(error, StoreError::Conflict(_)) {
                        break Err(error);
                    }
                    if !backoff.may_retry() {
                        break Err(interrupted());
                    }
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
        };
        let failed = served.as_ref().err().cloned();
        let rooms = served.unwrap_or_else(|error| queued.iter().map(|_| Err(error.clone())).collect());
        for (queued, room) in queued.into_iter().zip(rooms) {
            let QueuedRequest { request, answer } = queued;
            if let Err(Ok(_)) = answer.send(room)
                && let Some(part) = self.ledger.lock().part_of(request.engine, &request.job)
            {
                // The caller is gone.
                part.release(&request.firing);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Reserves for the requests in the ledger, and writes the register if it changes.
    async fn attempt(
        &self,
        kept: &mut Option<KeptRegister>,
        store: &dyn Store,
        queued: &[QueuedRequest],
        turn: &mut Turn<'_>,
        now: Timestamp,
    ) -> Result<Vec<Result<BudgetRoom, StoreError>>, StoreError> {
        let known = match kept.take().filter(|_| !self.is_shared()) {
            Some(known) => known,
            None => read(store).await?,
        };
        let (rooms, register) = self.decide(&known.register, queued, turn, now);
        let mut version = known.version;
        if register != known.register {
            let value = register.to_value();
            version = Some(store.put_register(BUDGETS_REGISTER, &value, version, None).await?);
        }
        self.last.lock().clone_from(&register);
        *self.served.lock() = Some(Instant::now());
        *kept = Some(KeptRegister { version, register });
        Ok(rooms)
    }

    /// Reserves for the requests in the ledger: jobs that have waited longest first. Returns what is left to each, and the register.
    fn decide(
        &self,
        known: &BudgetRegister,
        queued: &[QueuedRequest],
        turn: &mut Turn<'_>,
        now: Timestamp,
    ) -> (Vec<Result<BudgetRoom, StoreError>>, BudgetRegister) {
        let (mut ledger, list) = (self.ledger.lock(), &self.list);
        let ledger = &mut *ledger;
        for (shard, part) in &mut ledger.parts {
            part.is_lost = known.parts.get(&shard.number()).is_some_and(|known| known.owner > part.owner);
            if !part.is_loaded && part.is_recovered() {
                turn.loaded.push(*shard);
                let uses = list.iter().map(|budget| known.part_use(*shard, &budget.name).cloned());
                part.load(uses.map(Option::unwrap_or_default).collect(), now);
            }
            part.prune(now);
        }
        ledger.expire();
        let mut totals = Totals::new(list, ledger, known, now);
        let mut order: Vec<usize> = (0..queued.len()).collect();
        order.sort_by_cached_key(|index| queued[*index].request.since(ledger));
        let mut rooms: BTreeMap<usize, Result<BudgetRoom, StoreError>> = BTreeMap::new();
        for index in order {
            let granted = totals.grant(list, ledger, &queued[index].request);
            let room = granted.map(|(room, undo)| {
                turn.undo.extend(undo);
                room
            });
            rooms.insert(index, room.ok_or_else(interrupted));
        }
        (rooms.into_values().collect(), ledger.render(known, list))
    }
}

async fn read(store: &dyn Store) -> Result<KeptRegister, StoreError> {
    let Some(register) = store.get_register(BUDGETS_REGISTER).await? else {
        return Ok(KeptRegister::default());
    };
    Ok(KeptRegister { version: Some(register.version), register: BudgetRegister::parse(&register.value)? })
}

fn interrupted() -> StoreError {
    StoreError::fault(
        FaultKind::Unavailable,
        "could not update the budget register: other replicas changed it at each attempt, or own the job",
    )
}
