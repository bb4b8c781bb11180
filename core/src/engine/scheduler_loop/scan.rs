//! Compares the agenda with the store: all jobs at the start, one job after a nudge, and all jobs again from time to time,
//! page by page, in case a nudge was lost or another process writes the store.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::SchedulerLoop;
use crate::engine::agenda::{Agenda, AgendaEntry, SlotId};
use crate::engine::inner::EngineInner;
use crate::engine::message::FireError;
use crate::engine::notices::Notice;
use crate::fault;
use crate::job::{JobId, StoredJob};
use crate::store::{JobList, ListFrom, StoreError};

/// Jobs of the first page that is read at the start.
const FIRST_PAGE_JOBS: NonZeroUsize = NonZeroUsize::new(500).expect("500 is not zero");
/// Approximate bytes of documents in each further page: many jobs share the cost of a page, and memory stays bounded
/// however long documents are.
const PAGE_BYTES: usize = 2 << 20;
/// The maximum number of jobs in a page at the start.
const MAX_PAGE_JOBS: usize = 16_000;
/// Parsed pages that wait at the start to be added to the agenda.
const MAX_PARSED_PAGES: usize = 3;
/// A page with at least so many bytes of documents, a few hundred short ones, is parsed on its own thread.
const THREAD_THRESHOLD_BYTES: usize = 32 << 10;
/// Jobs read at once between two rounds.
const RESCAN_PAGE_JOBS: NonZeroUsize = NonZeroUsize::new(1_000).expect("1,000 is not zero");

#[cfg(test)]
mod tests;

/// The state of the comparison.
#[derive(Debug)]
pub(super) enum Scan {
    /// The next comparison starts at this moment.
    Until(Timestamp),
    /// A comparison is under way; its next page begins here.
    At(ListFrom),
}

impl Scan {
    pub(super) fn idle(now: Timestamp, every: Duration) -> Self {
        let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX);
        Self::Until(now.checked_add(every).unwrap_or(Timestamp::MAX))
    }
}

impl SchedulerLoop {
    /// Loads every job. Starts over when another process removes the job at the end of a page.
    pub(super) async fn load_all(&mut self) -> Result<(), StoreError> {
        while let Err(error) = self.load_pages().await {
            let StoreError::NotFound(_) = error else { return Err(error) };
            self.agenda = Agenda::default();
            self.invalid = 0;
        }
        self.agenda.schedule_all();
        Ok(())
    }

    async fn load_pages(&mut self) -> Result<(), StoreError> {
        // One page is read while the one before is parsed and the one before that is added.
        let (sender, mut pages) = mpsc::channel(MAX_PARSED_PAGES);
        let reading = tokio::spawn(read_pages(Arc::clone(&self.engine), sender));
        while let Some(parsing) = pages.recv().await {
            let (total, entries) = parsing.await;
            if self.agenda.len() == 0 {
                self.agenda.reserve(usize::try_from(total).unwrap_or(0));
            }
            self.insert_all(entries);
        }
        reading.await.expect("reading a page does not panic")
    }

    /// Adds jobs without queueing them.
    fn insert_all(&mut self, entries: Vec<AgendaEntry>) {
        for entry in entries {
            self.invalid += usize::from(entry.invalid);
            self.agenda.insert_unscheduled(entry);
        }
    }

    /// Reloads the jobs that were nudged. The first failed read ends it.
    pub(super) async fn process_nudges(&mut self) {
        if self.is_store_paused() {
            return;
        }
        let nudged: Vec<JobId> = std::mem::take(&mut *self.engine.nudges.lock()).into_iter().collect();
        let mut chunks = nudged.chunks(RESCAN_PAGE_JOBS.get());
        while let Some(ids) = chunks.next() {
            if !self.reload(ids).await {
                self.engine.nudges.lock().extend(chunks.flatten().cloned());
                return;
            }
        }
    }

    /// Reads these jobs from the store, and updates the agenda; returns whether the store answered. Otherwise they are read
    /// again later.
    pub(super) async fn reload(&mut self, ids: &[JobId]) -> bool {
        let mut ids: Vec<JobId> = ids.to_vec();
        ids.retain(|id| match self.agenda.find_slot(id).and_then(|slot| self.agenda.get_mut(slot)) {
            Some(entry) if entry.busy => {
                entry.nudged = true;
                false
            }
            Some(_) | None => true,
        });
        if ids.is_empty() {
            return true;
        }
        let stored = if self.is_store_paused() { None } else { Some(self.store.get(&ids).await) };
        if let Some(stored) = &stored {
            self.record_answer(stored.is_ok());
        }
        let Some(Ok(stored)) = stored else {
            self.engine.nudges.lock().extend(ids);
            return false;
        };
        let mut gone: std::collections::BTreeSet<JobId> = ids.into_iter().collect();
        for stored in stored {
            gone.remove(&stored.id);
            self.update(&stored);
        }
        for id in gone {
            if let Some(slot) = self.agenda.find_slot(&id) {
                self.remove(slot);
            }
            self.refuse_orders(&id);
        }
        true
    }

    /// Continues the comparison, or starts one when it is due.
    pub(super) async fn rescan(&mut self) {
        if self.is_store_paused() {
            return;
        }
        let now = self.engine.clock.now();
        if self.engine.rescan.swap(false, Ordering::Relaxed) {
            self.scan = Scan::Until(now);
        }
        let from = match &self.scan {
            Scan::Until(moment) if now < *moment => return,
            Scan::Until(_) => {
                // A settlement may have become durable long after its deadline.
                self.recheck(now);
                self.agenda.entries_mut().for_each(|(_, entry)| entry.seen = false);
                ListFrom::Skip(0)
            }
            Scan::At(from) => from.clone(),
        };
        let page = self.store.list(from, RESCAN_PAGE_JOBS).await;
        self.record_answer(!matches!(page, Err(StoreError::Fault { .. })));
        let page = match page {
            Ok(page) => page,
            Err(StoreError::NotFound(_)) => {
                self.scan = Scan::At(ListFrom::Skip(0));
                return;
            }
            Err(error) => {
                tracing::warn!(error = %fault::chain(&error), "could not compare the jobs with the store");
                self.scan = Scan::idle(now, self.engine.options.rescan);
                return;
            }
        };
        let Some(last) = page.jobs.last().map(|job| job.id.clone()) else {
            self.remove_unseen();
            self.scan = Scan::idle(now, self.engine.options.rescan);
            return;
        };
        for stored in page.jobs {
            self.update(&stored);
        }
        self.scan = Scan::At(ListFrom::After(last));
        self.engine.nudged.notify_one(); // The next page comes right after the next rounds.
    }

    /// Removes the jobs that the comparison did not find.
    fn remove_unseen(&mut self) {
        let unseen = self.agenda.entries_mut().filter(|(_, entry)| !entry.seen && !entry.busy);
        let gone: Vec<SlotId> = unseen.map(|(slot, _)| slot).collect();
        for slot in gone {
            self.remove(slot);
        }
    }

    /// Updates one job.
    fn update(&mut self, stored: &StoredJob) {
        let Some(slot) = self.agenda.find_slot(&stored.id) else {
            self.engine.process.faults.restore(&stored.uid);
            let slot = self.insert(stored);
            let revision = self.agenda.get(slot).map(|entry| entry.revision);
            self.engine.process.publish_job(&stored.id, revision);
            return;
        };
        let Some(entry) = self.agenda.get_mut(slot) else { return };
        entry.seen = true;
        if entry.busy {
            entry.nudged |= entry.revision != stored.revision || entry.uid != stored.uid;
            return;
        }
        if entry.uid == stored.uid
            && entry.revision == stored.revision
            && entry.settled == stored.progress.settled
        {
            return;
        }
        if entry.uid != stored.uid || entry.revision != stored.revision {
            self.engine.process.faults.forget(&entry.uid);
            self.engine.breakers.forget(&entry.uid);
            self.engine.edited.lock().insert(stored.id.clone());
        }
        if entry.uid == stored.uid && entry.settled != stored.progress.settled {
            // A settlement that seemed to fail is durable: its firing must be resumed.
            self.recheck(self.engine.clock.now());
        }
        let was_suspended = self.remove_entry(slot).is_some_and(|entry| entry.suspended);
        self.engine.job_cache.evict(&stored.id);
        let slot = self.insert(stored);
        if self.agenda.get_mut(slot).is_some_and(|entry| entry.suspended) {
            self.engine.process.budgets.end_wait(self.engine.number, &stored.id, &stored.uid);
        }
        self.engine.backfills.wake(&stored.uid);
        if was_suspended {
            self.engine.notices.push(|| Notice::suspension(stored));
        }
        self.engine.process.publish_job(&stored.id, Some(stored.revision));
    }

    fn remove(&mut self, slot: SlotId) {
        if let Some(entry) = self.remove_entry(slot) {
            self.engine.job_cache.evict(&entry.id);
            self.engine.failures.lock().remove(&entry.uid);
            self.engine.retries.end(&entry.uid, &entry.id);
            self.engine.process.faults.remove(&entry.uid);
            self.engine.breakers.forget(&entry.uid);
            self.engine.process.budgets.end_wait(self.engine.number, &entry.id, &entry.uid);
            self.engine.backfills.wake(&entry.uid);
            self.engine.already_launched.lock().remove(&entry.uid);
            self.engine.process.publish_job(&entry.id, None);
            self.refuse_orders(&entry.id);
        }
    }

    /// Refuses the orders that wait for a job that does not exist any more.
    fn refuse_orders(&mut self, id: &JobId) {
        for order in self.queued_orders.remove(id).into_iter().flatten() {
            order.reply(Err(FireError::NotFound));
        }
    }

    pub(super) fn remove_entry(&mut self, slot: SlotId) -> Option<AgendaEntry> {
        let entry = self.agenda.remove(slot)?;
        self.ahead.remove(&slot);
        self.invalid -= usize::from(entry.invalid);
        Some(entry)
    }

    /// Adds a job that is not in the agenda.
    fn insert(&mut self, stored: &StoredJob) -> SlotId {
        let entry = self.engine.agenda_entry(stored);
        self.invalid += usize::from(entry.invalid);
        let slot = self.agenda.insert(entry);
        self.update_settled_ahead(slot, self.engine.clock.now());
        slot
    }
}

/// The total number of jobs in the store, and the entries of a page in its order.
type Parsing = BoxFuture<'static, (u64, Vec<AgendaEntry>)>;

/// Reads all jobs, page by page. Each page is parsed while the next one is read.
async fn read_pages(engine: Arc<EngineInner>, pages: mpsc::Sender<Parsing>) -> Result<(), StoreError> {
    let (mut from, mut limit) = (ListFrom::Skip(0), FIRST_PAGE_JOBS);
    loop {
        let page = engine.store.list(from, limit).await?;
        let Some(last) = page.jobs.last() else { return Ok(()) };
        from = ListFrom::After(last.id.clone());
        limit = next_page_size(&page.jobs);
        if pages.send(parse_page(&engine, page)).await.is_err() {
            return Ok(());
        }
    }
}

/// Returns the number of bytes in the documents of jobs.
fn document_bytes(jobs: &[StoredJob]) -> usize {
    jobs.iter().map(|job| job.document.get().len()).sum()
}

/// Returns the size of the next page, when its jobs are as long as these.
fn next_page_size(jobs: &[StoredJob]) -> NonZeroUsize {
    let fit = PAGE_BYTES.saturating_mul(jobs.len()) / document_bytes(jobs).max(1);
    NonZeroUsize::new(fit.min(MAX_PAGE_JOBS)).unwrap_or(NonZeroUsize::MIN)
}

/// Makes the entries of a page.
fn parse_page(engine: &Arc<EngineInner>, page: JobList) -> Parsing {
    let JobList { jobs, total } = page;
    let is_short = document_bytes(&jobs) < THREAD_THRESHOLD_BYTES;
    let engine = Arc::clone(engine);
    let entries = move || jobs.iter().map(|stored| engine.agenda_entry(stored)).collect();
    if is_short {
        return std::future::ready((total, entries())).boxed();
    }
    let parsing = tokio::task::spawn_blocking(entries);
    async move { (total, parsing.await.expect("reading a stored job does not panic")) }.boxed()
}
