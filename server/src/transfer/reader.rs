//! Reads the content of a store in the order in which another store imports it.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;

use async_trait::async_trait;
use ecs_scheduler_core::backfill;
use ecs_scheduler_core::engine::BRAKE_REGISTER;
use ecs_scheduler_core::store::MAX_PAGE;
use ecs_scheduler_core::{
    DecisionId, DecisionQuery, DecisionRecord, FiringId, FiringQuery, JournalEntry, ListFrom, Store,
};

use super::record::TransferItem;
use crate::error::CommandError;

/// Gives items: jobs in the order of their creation, entries of the journal oldest first, then registers.
#[async_trait]
pub trait TransferSource: Send {
    /// Returns the next item.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be read.
    async fn next(&mut self) -> Result<Option<TransferItem>, CommandError>;

    /// Returns the number of all items, as far as it is known.
    fn expected(&self) -> u64;
}

/// Reads a store.
///
/// The journal can be read from its newest end only. So the reader walks through it once and remembers the
/// positions of its pages, about 40 bytes per thousand decisions; then it reads the pages again from the oldest.
#[derive(Debug)]
pub struct StoreReader<'s> {
    store: &'s dyn Store,
    total: u64,
    decisions: u64,
    jobs: JobCursor,
    /// Newest first: the next page to read is the last.
    pages: Vec<JournalPage>,
    /// The registers that are transferred: the brake, and the backfills that are under way. Idempotency records are not: they expire
    /// after a day.
    registers: std::vec::IntoIter<String>,
    ready: VecDeque<TransferItem>,
}

/// The position in the list of jobs.
#[derive(Debug)]
enum JobCursor {
    From(ListFrom),
    Done,
}

/// The position of a page of the journal.
#[derive(Debug)]
struct JournalPage {
    /// The decision after its newest one.
    before: Option<DecisionId>,
    /// Its oldest decision.
    oldest: DecisionId,
    /// The firing after its newest one.
    firing: Option<FiringId>,
    rows: NonZeroUsize,
}

impl<'s> StoreReader<'s> {
    /// Counts the items to read.
    ///
    /// # Errors
    ///
    /// Fails when the store cannot be read.
    pub async fn open(store: &'s dyn Store) -> Result<Self, CommandError> {
        let first = store.list(ListFrom::Skip(0), NonZeroUsize::MIN).await;
        let total = first.map_err(|error| unreadable("the jobs", store, error))?.total;
        let mut pages: Vec<JournalPage> = Vec::new();
        let mut decisions = 0;
        let (mut before, mut firing) = (None, None);
        loop {
            let rows = decisions_before(store, before).await?;
            let (Some(oldest), Some(count)) = (rows.last(), NonZeroUsize::new(rows.len())) else { break };
            decisions += rows.len() as u64;
            pages.push(JournalPage { before, oldest: oldest.id, firing: firing.clone(), rows: count });
            before = Some(oldest.id);
            firing = rows.iter().rev().find_map(|record| record.firing.clone()).or(firing);
        }
        let mut registers = vec![BRAKE_REGISTER.to_owned()];
        let backfills = backfill::registers(store).await;
        registers.extend(backfills.map_err(|error| unreadable("the backfills", store, error))?);
        Ok(Self {
            store,
            total,
            decisions,
            jobs: JobCursor::From(ListFrom::Skip(0)),
            pages,
            registers: registers.into_iter(),
            ready: VecDeque::new(),
        })
    }

    async fn read_jobs(&mut self) -> Result<(), CommandError> {
        let JobCursor::From(from) = &self.jobs else { return Ok(()) };
        let list = self.store.list(from.clone(), MAX_PAGE).await;
        let jobs = list.map_err(|error| unreadable("the jobs", self.store, error))?.jobs;
        self.jobs = match jobs.last() {
            Some(last) => JobCursor::From(ListFrom::After(last.id.clone())),
            None => JobCursor::Done,
        };
        self.ready.extend(jobs.into_iter().map(TransferItem::Job));
        Ok(())
    }

    async fn read_page(&mut self, page: JournalPage) -> Result<(), CommandError> {
        let records = decisions_before(self.store, page.before).await?;
        let same_oldest = records.last().is_some_and(|record| record.id == page.oldest);
        if !same_oldest || records.len() != page.rows.get() {
            return Err(changed_while_read(self.store));
        }
        let mut firings = HashMap::new();
        let fired = records.iter().filter(|record| record.firing.is_some()).count();
        if let Some(limit) = NonZeroUsize::new(fired) {
            let query = FiringQuery { before: page.firing, limit, ..FiringQuery::default() };
            let read = self.store.firings(&query).await;
            let read = read.map_err(|error| unreadable("the firings", self.store, error))?;
            firings.extend(read.into_iter().map(|firing| (firing.id.clone(), firing)));
        }
        for record in records.into_iter().rev() {
            let firing = match &record.firing {
                None => None,
                Some(id) => Some(firings.remove(id).ok_or_else(|| changed_while_read(self.store))?),
            };
            self.ready.push_back(TransferItem::Entry(Box::new(JournalEntry { record, firing })));
        }
        Ok(())
    }

    async fn read_register(&mut self, name: &str) -> Result<(), CommandError> {
        let read = self.store.get_register(name).await;
        let register =
            read.map_err(|error| unreadable(&format!("register \"{name}\""), self.store, error))?;
        self.ready.extend(
            register.map(|register| TransferItem::Register { name: name.to_owned(), value: register.value }),
        );
        Ok(())
    }
}

#[async_trait]
impl TransferSource for StoreReader<'_> {
    async fn next(&mut self) -> Result<Option<TransferItem>, CommandError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if matches!(self.jobs, JobCursor::From(_)) {
                self.read_jobs().await?;
            } else if let Some(page) = self.pages.pop() {
                self.read_page(page).await?;
            } else if let Some(name) = self.registers.next() {
                self.read_register(&name).await?;
            } else {
                return Ok(None);
            }
        }
    }

    fn expected(&self) -> u64 {
        self.total + self.decisions
    }
}

async fn decisions_before(
    store: &dyn Store,
    before: Option<DecisionId>,
) -> Result<Vec<DecisionRecord>, CommandError> {
    let query = DecisionQuery { before, ..DecisionQuery::default() };
    store.decisions(&query).await.map_err(|error| unreadable("the decisions", store, error))
}

fn unreadable(what: &str, store: &dyn Store, error: ecs_scheduler_core::StoreError) -> CommandError {
    CommandError::caused(format!("could not read {what} of the {} store", store.kind()), error)
}

/// The error when another process writes to the store.
pub(crate) fn changed_while_read(store: &dyn Store) -> CommandError {
    CommandError::failed(format!(
        "the {} store changed while it was read; stop every scheduler that uses it and start again",
        store.kind()
    ))
}
