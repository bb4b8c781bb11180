//! The store itself: reads go to memory, writes to the one writer.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ecs_scheduler_core::{
    Adoption, Advance, Clock, DecisionQuery, DecisionRecord, FaultKind, Firing, FiringQuery, JobId, JobList,
    JobStore, Journal, ListFrom, MemoryStore, NewJob, Register, Registers, Retention, Revision, Settled,
    Settlement, Store, StoreError, StoredJob, SystemClock, Timestamp, async_trait,
};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::compaction::Upkeep;
use crate::documents::Documents;
use crate::error::Site;
use crate::external_edits::differences;
use crate::group_commit::Writer;
use crate::import::{adopt, complete};
use crate::jobs::Desk;
use crate::lifecycle::Gate;
use crate::log::Log;
use crate::log_op::Entry;
use crate::open::{self, Opened};

/// Settlements of one operation, so that one segment does not become too large.
const TOGETHER: usize = 200;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    /// Tells when documents of others were taken over.
    pub clock: Arc<dyn Clock>,
    /// Finished decisions that are kept, with their firings, about 3 KiB each in memory; 50,000 by default. When there are an
    /// eighth more, the oldest go, whatever their age.
    pub most_rows: NonZeroUsize,
    /// Segments after which a snapshot is taken; 2,000 by default. Opening reads up to so many, and as many again while a
    /// snapshot cannot be written.
    pub snapshot_every: NonZeroUsize,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            most_rows: NonZeroUsize::new(50_000).expect("it is not zero"),
            snapshot_every: NonZeroUsize::new(2_000).expect("it is not zero"),
        }
    }
}

/// A store on a log of segments, with the jobs' documents beside it. One process at a time.
///
/// Readers see what is durable only: an operation changes the state in memory once its segment is written.
#[derive(Debug)]
pub struct SegmentStore {
    kind: &'static str,
    gate: Arc<Gate>,
    log: Arc<dyn Log>,
    desk: Arc<Desk>,
}

impl SegmentStore {
    /// Opens a store: reads the log, claims it for this process, and takes over what others did to the documents.
    ///
    /// `kind` is for lists and logs, `place` for messages: `bucket "jobs"`. A process that wrote here before finds out with its
    /// next write or check, and stops.
    ///
    /// # Errors
    ///
    /// Fails, with the place and the remedy, when log or documents cannot be read or written, or when an object of the log is
    /// damaged, missing or of a newer format.
    pub async fn open(
        kind: &'static str,
        place: impl Into<String>,
        log: Arc<dyn Log>,
        documents: Arc<dyn Documents>,
        options: SegmentOptions,
    ) -> Result<Self, StoreError> {
        let gate = Arc::new(Gate::new(Site { place: place.into() }));
        let (id, at) = (Uuid::new_v4(), options.clock.now());
        let Opened { state, next, segments, bytes } = open::open(&*log, &gate.site, id, at).await?;
        let state = Arc::new(state);
        let upkeep =
            Upkeep::new(options.snapshot_every.get() as u64, options.most_rows.get(), segments, bytes);
        let writer = Writer::start(Arc::clone(&gate), Arc::clone(&log), Arc::clone(&state), id, next, upkeep);
        let desk = Desk::new(Arc::clone(&gate), documents, state, Arc::new(writer), options.clock);
        complete(&desk).await?;
        let mut pending = Vec::new();
        for entry in differences(&*desk.documents, &desk.state, at).await? {
            pending.push(desk.writer.put(entry).await?);
        }
        for pending in pending {
            desk.writer.wait(pending).await?;
        }
        Ok(Self { kind, gate, log, desk: Arc::new(desk) })
    }

    /// Reads what a store holds at this moment, for a program that only looks: the log is neither claimed nor written, so a
    /// scheduler that is running goes on. What is changed in the answer is changed nowhere else.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for what is about writing.
    pub async fn look(
        place: impl Into<String>,
        log: &dyn Log,
        documents: &dyn Documents,
        clock: &dyn Clock,
    ) -> Result<MemoryStore, StoreError> {
        let Opened { state, next, .. } = open::load(log, &Site { place: place.into() }).await?;
        for entry in differences(documents, &state, clock.now()).await? {
            state.apply(next, entry).await?;
        }
        Ok(state.memory)
    }

    fn memory(&self) -> Result<&MemoryStore, StoreError> {
        self.gate.pass()?;
        Ok(&self.desk.state.memory)
    }

    /// Changes a job to the end, even when the caller does not wait: a document that was written is to be noted.
    async fn change<T: Send + 'static, F>(&self, change: impl FnOnce(Arc<Desk>) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let changing = tokio::spawn(change(Arc::clone(&self.desk))).await;
        changing
            .map_err(|panicked| StoreError::caused(FaultKind::Bug, "changing a job panicked", panicked))?
    }
}

#[async_trait]
impl JobStore for SegmentStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        self.change(|desk| async move { desk.create(job).await }).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        let id = id.clone();
        self.change(move |desk| async move { desk.replace(id, expected, document, at).await }).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let id = id.clone();
        self.change(move |desk| async move { desk.remove(id, expected).await }).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.memory()?.get(ids).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.memory()?.list(from, limit).await
    }
}

#[async_trait]
impl Journal for SegmentStore {
    async fn settle(&self, mut batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.gate.pass()?;
        let mut settled = Vec::with_capacity(batch.len());
        let mut pending = Vec::new();
        while !batch.is_empty() {
            let rest = batch.split_off(TOGETHER.min(batch.len()));
            let together = std::mem::replace(&mut batch, rest);
            pending.push(
                self.desk.writer.put(Entry::Settle(together.into_iter().map(Into::into).collect())).await?,
            );
        }
        for pending in pending {
            settled.extend(self.desk.writer.wait(pending).await?.into_settled());
        }
        Ok(settled)
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.desk.writer.call(Entry::Advance(Box::new(advance))).await.map(drop)
    }

    async fn unfinished(&self) -> Result<Vec<Firing>, StoreError> {
        self.memory()?.unfinished().await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.memory()?.decisions(query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.memory()?.firings(query).await
    }
}

#[async_trait]
impl Registers for SegmentStore {
    async fn read(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.memory()?.read(name).await
    }

    async fn write(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        let effect = self.desk.writer.call(Entry::Register { name, value, expected, expires }).await?;
        Ok(effect.into_version())
    }
}

#[async_trait]
impl Store for SegmentStore {
    fn kind(&self) -> &'static str {
        self.kind
    }

    /// Checks that the log can be read and that no other process writes to it. That it can be written shows with the next write.
    async fn check(&self) -> Result<(), StoreError> {
        self.desk.writer.check(&*self.log).await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        if !self.memory()?.has_old(retention)? {
            return Ok(0);
        }
        Ok(self.desk.writer.call(Entry::Prune(retention.into())).await?.into_count())
    }

    async fn adopt(&self, adoption: Adoption) -> Result<(), StoreError> {
        self.gate.pass()?;
        self.change(|desk| async move { adopt(&desk, adoption).await }).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.gate.close();
        self.desk.writer.close().await;
        Ok(())
    }
}
