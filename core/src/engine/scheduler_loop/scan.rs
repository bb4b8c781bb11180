//! Comparing the agenda with the store: all of it at the start, one job after a nudge, and all of it again from time
//! to time, page by page, in case a nudge was lost or somebody else writes the store.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::Keeper;
use crate::engine::agenda::{Agenda, Entry, Place};
use crate::engine::inner::Core;
use crate::event::Event;
use crate::fault;
use crate::job::{JobId, StoredJob};
use crate::store::{JobList, ListFrom, StoreError};

/// Jobs of the first page that is read at the start.
const FIRST_PAGE: NonZeroUsize = NonZeroUsize::new(500).expect("500 is not zero");
/// Bytes of documents that further pages have, about: what a page costs by itself is shared by many jobs, and memory stays
/// bounded however long documents are.
const PAGE_BYTES: usize = 2 << 20;
/// The most jobs of a page at the start.
const LARGEST_PAGE: usize = 16_000;
/// Pages that wait at the start to be entered.
const READ_AHEAD: usize = 3;
/// From so many bytes of documents on, a page is parsed on a thread of its own: a few hundred short ones.
const WORTH_A_THREAD: usize = 32 << 10;
/// Jobs read at once between two rounds.
const PAGE: NonZeroUsize = NonZeroUsize::new(1_000).expect("1,000 is not zero");

#[cfg(test)]
mod tests;

/// The comparison under way, or the time of the next.
#[derive(Debug)]
pub(super) enum Scan {
    /// Nothing to do before this moment.
    Until(Timestamp),
    /// The next page begins here.
    At(ListFrom),
}

impl Scan {
    pub(super) fn idle(now: Timestamp, every: Duration) -> Self {
        let every = SignedDuration::try_from(every).unwrap_or(SignedDuration::MAX);
        Self::Until(now.checked_add(every).unwrap_or(Timestamp::MAX))
    }
}

impl Keeper {
    /// Enters every job. When a job at the end of a page is removed by somebody else meanwhile, begins anew.
    pub(super) async fn load_all(&mut self) -> Result<(), StoreError> {
        while let Err(error) = self.load_pages().await {
            let StoreError::NotFound(_) = error else { return Err(error) };
            self.agenda = Agenda::default();
            self.invalid = 0;
        }
        self.agenda.list_all();
        Ok(())
    }

    async fn load_pages(&mut self) -> Result<(), StoreError> {
        // A page is read, the one before it parsed, and the one before that entered at the same time.
        let (sender, mut pages) = mpsc::channel(READ_AHEAD);
        let reading = tokio::spawn(read_pages(Arc::clone(&self.core), sender));
        while let Some(parsing) = pages.recv().await {
            let (total, entries) = parsing.await;
            if self.agenda.len() == 0 {
                self.agenda.reserve(usize::try_from(total).unwrap_or(0));
            }
            self.enter_all(entries);
        }
        reading.await.expect("reading a page does not panic")
    }

    /// Adds jobs, which are put in order when all are there.
    fn enter_all(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.invalid += usize::from(entry.invalid);
            self.agenda.insert_unlisted(entry);
        }
    }

    /// Reads the jobs that somebody nudged.
    pub(super) async fn take_nudges(&mut self) {
        let nudged: Vec<JobId> = std::mem::take(&mut *self.core.nudges.lock()).into_iter().collect();
        for ids in nudged.chunks(PAGE.get()) {
            self.reread(ids).await;
        }
    }

    /// Reads these jobs again.
    pub(super) async fn reread(&mut self, ids: &[JobId]) {
        let mut ids: Vec<JobId> = ids.to_vec();
        ids.retain(|id| match self.agenda.place(id).and_then(|place| self.agenda.get_mut(place)) {
            Some(entry) if entry.busy => {
                entry.nudged = true;
                false
            }
            Some(_) | None => true,
        });
        if ids.is_empty() {
            return;
        }
        let stored = self.core.store.get(&ids).await;
        self.core.note_read(&stored);
        let Ok(stored) = stored else {
            self.core.nudges.lock().extend(ids);
            return;
        };
        let mut gone: std::collections::BTreeSet<JobId> = ids.into_iter().collect();
        for stored in stored {
            gone.remove(&stored.id);
            self.update(&stored);
        }
        for id in gone {
            if let Some(place) = self.agenda.place(&id) {
                self.remove(place);
            }
        }
    }

    /// Goes on with the comparison, or begins one when it is time.
    pub(super) async fn rescan(&mut self) {
        let now = self.core.clock.now();
        if self.core.rescan.swap(false, Ordering::Relaxed) {
            self.scan = Scan::Until(now);
        }
        let from = match &self.scan {
            Scan::Until(moment) if now < *moment => return,
            Scan::Until(_) => {
                self.agenda.entries_mut().for_each(|(_, entry)| entry.seen = false);
                ListFrom::Skip(0)
            }
            Scan::At(from) => from.clone(),
        };
        let page = self.core.store.list(from, PAGE).await;
        self.core.note_read(&page);
        let page = match page {
            Ok(page) => page,
            Err(StoreError::NotFound(_)) => {
                self.scan = Scan::At(ListFrom::Skip(0));
                return;
            }
            Err(error) => {
                tracing::warn!(error = %fault::chain(&error), "the jobs could not be compared with the store");
                self.scan = Scan::idle(now, self.core.options.rescan);
                return;
            }
        };
        let Some(last) = page.jobs.last().map(|job| job.id.clone()) else {
            self.sweep();
            self.scan = Scan::idle(now, self.core.options.rescan);
            return;
        };
        for stored in page.jobs {
            self.update(&stored);
        }
        self.scan = Scan::At(ListFrom::After(last));
        self.core.nudged.notify_one(); // The next page comes right after the next rounds.
    }

    /// Removes the jobs that the comparison did not find.
    fn sweep(&mut self) {
        let unseen = self.agenda.entries_mut().filter(|(_, entry)| !entry.seen && !entry.busy);
        let gone: Vec<Place> = unseen.map(|(place, _)| place).collect();
        for place in gone {
            self.remove(place);
        }
    }

    /// Brings one job up to date.
    fn update(&mut self, stored: &StoredJob) {
        let Some(place) = self.agenda.place(&stored.id) else {
            let place = self.enter(stored);
            let revision = self.agenda.get(place).map(|entry| entry.revision);
            self.core.tell(|| Event::Job { id: stored.id.clone(), revision });
            return;
        };
        let Some(entry) = self.agenda.get_mut(place) else { return };
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
            self.core.commons.faults.forget(&entry.uid);
        }
        if entry.uid == stored.uid && entry.settled != stored.progress.settled {
            // A settlement that seemed to fail had its effect after all: nobody carries its intent.
            self.doubtful.get_or_insert(self.core.clock.now());
        }
        self.remove_entry(place);
        self.core.hot.forget(&stored.id);
        self.enter(stored);
        self.core.tell(|| Event::Job { id: stored.id.clone(), revision: Some(stored.revision) });
    }

    fn remove(&mut self, place: Place) {
        if let Some(entry) = self.remove_entry(place) {
            self.core.hot.forget(&entry.id);
            self.core.failures.lock().remove(&entry.uid);
            self.core.retries.end(&entry.uid, &entry.id);
            self.core.commons.faults.forget(&entry.uid);
            self.core.launched.lock().remove(&entry.uid);
            self.core.tell(|| Event::Job { id: entry.id.clone(), revision: None });
        }
        for order in self.orders.remove(&place).into_iter().flatten() {
            // Nobody waits for the answer any more, and nothing was done.
            let _ = order.answer.send(Err(crate::engine::FireError::NotFound));
        }
    }

    pub(super) fn remove_entry(&mut self, place: Place) -> Option<Entry> {
        let entry = self.agenda.remove(place)?;
        self.ahead.remove(&place);
        self.invalid -= usize::from(entry.invalid);
        Some(entry)
    }

    /// Adds a job that is not in the agenda.
    fn enter(&mut self, stored: &StoredJob) -> Place {
        let entry = self.core.entry(stored);
        self.invalid += usize::from(entry.invalid);
        let place = self.agenda.insert(entry);
        self.note_ahead(place, self.core.clock.now());
        place
    }
}

/// The entries of a page in its order, and how many jobs the store has in all.
type Parsing = BoxFuture<'static, (u64, Vec<Entry>)>;

/// Reads all jobs, page by page; each is parsed while the next one is read.
async fn read_pages(core: Arc<Core>, pages: mpsc::Sender<Parsing>) -> Result<(), StoreError> {
    let (mut from, mut limit) = (ListFrom::Skip(0), FIRST_PAGE);
    loop {
        let page = core.store.list(from, limit).await;
        core.note_read(&page);
        let page = page?;
        let Some(last) = page.jobs.last() else { return Ok(()) };
        from = ListFrom::After(last.id.clone());
        limit = limit_after(&page.jobs);
        if pages.send(parse(&core, page)).await.is_err() {
            return Ok(());
        }
    }
}

/// Returns how many bytes the documents of jobs have.
fn length(jobs: &[StoredJob]) -> usize {
    jobs.iter().map(|job| job.document.get().len()).sum()
}

/// Returns how many jobs as long as these a page has.
fn limit_after(jobs: &[StoredJob]) -> NonZeroUsize {
    let fit = PAGE_BYTES.saturating_mul(jobs.len()) / length(jobs).max(1);
    NonZeroUsize::new(fit.min(LARGEST_PAGE)).unwrap_or(NonZeroUsize::MIN)
}

/// Makes the entries of a page, and passes its total on.
fn parse(core: &Arc<Core>, page: JobList) -> Parsing {
    let JobList { jobs, total } = page;
    let few = length(&jobs) < WORTH_A_THREAD;
    let core = Arc::clone(core);
    let entries = move || jobs.iter().map(|stored| core.entry(stored)).collect();
    if few {
        return std::future::ready((total, entries())).boxed();
    }
    let parsing = tokio::task::spawn_blocking(entries);
    async move { (total, parsing.await.expect("reading a stored job does not panic")) }.boxed()
}
