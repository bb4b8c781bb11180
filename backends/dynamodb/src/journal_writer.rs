//! Writers to the journal: one without a fence, and one under the fence of each shard's owner.
//!
//! Transactions that check the same register conflict with each other, so those of one process run one after the other.
//! Requests that wait meanwhile share the next transaction: the busier an owner is, the more of its writes share one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ecs_scheduler_core::store::group_commit::{BatchRequest, BatchResult, BatchWriter, GroupCommit};
use ecs_scheduler_core::{Fence, StoreError};
use parking_lot::Mutex;

use crate::codec::number;
use crate::db::{Committed, Db};
use crate::keys::ItemKey;
use crate::limits::{MAX_BYTES, MAX_WRITES};
use crate::write::Write;

/// Writes to the journal, under a fence or without one.
#[derive(Debug, Clone, Default)]
pub(crate) struct JournalWriter {
    fenced: Option<Arc<FencedWriter>>,
}

/// The queue of writes under one fence.
#[derive(Debug)]
struct FencedWriter {
    fence: Fence,
    commits: GroupCommit<FencedWrites>,
}

/// The writers of the newest fence of each register.
#[derive(Debug, Default)]
pub(crate) struct FencedWriters(Mutex<HashMap<String, Arc<FencedWriter>>>);

impl FencedWriters {
    /// Returns the writer under this fence.
    pub(crate) fn fenced_by(&self, db: &Arc<Db>, fence: &Fence) -> JournalWriter {
        let mut writers = self.0.lock();
        let known = writers.get(&fence.register).filter(|writer| writer.fence == *fence).map(Arc::clone);
        let writer = known.unwrap_or_else(|| {
            let transactions = FencedTransactions { db: Arc::clone(db), fence: fence.clone() };
            let commits = GroupCommit::spawn(transactions, db.closed_error());
            let writer = Arc::new(FencedWriter { fence: fence.clone(), commits });
            writers.insert(fence.register.clone(), Arc::clone(&writer));
            writer
        });
        JournalWriter { fenced: Some(writer) }
    }
}

impl JournalWriter {
    /// Returns how many writes one transaction may have beside the check of the fence.
    pub(crate) fn max_writes(&self) -> usize {
        MAX_WRITES - usize::from(self.fenced.is_some())
    }

    /// Commits all writes or none; under a fence together with the writes of other callers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] when the fence does not hold, which is checked in the same transaction.
    pub(crate) async fn commit(
        &self,
        db: &Db,
        action: &str,
        writes: Vec<Write>,
    ) -> Result<Committed, StoreError> {
        match &self.fenced {
            None => db.commit(action, writes).await,
            Some(writer) => writer.commits.submit(FencedWrites(writes)).await,
        }
    }

    /// Checks that the fence holds at this moment, for an answer that was given without a write.
    pub(crate) async fn verify_fence(&self, db: &Db) -> Result<(), StoreError> {
        let Some(writer) = &self.fenced else { return Ok(()) };
        let fence = &writer.fence;
        let register = db.register(&fence.register).await?;
        if register.is_some_and(|register| register.version == fence.version) {
            return Ok(());
        }
        Err(StoreError::Fenced(fence.into()))
    }
}

/// Writes that are committed together or not at all.
#[derive(Debug)]
struct FencedWrites(Vec<Write>);

/// The size of a transaction beside the check of the fence, and the items that it writes.
#[derive(Debug, Default)]
struct TransactionSize {
    writes: usize,
    bytes: usize,
    keys: HashSet<ItemKey>,
}

impl BatchRequest for FencedWrites {
    type Response = Committed;
    type BatchSize = TransactionSize;

    fn admit(&self, size: &mut TransactionSize) -> bool {
        // A transaction has at most one write for each item.
        let distinct = self.0.iter().all(|write| !size.keys.contains(write.key()));
        size.writes += self.0.len();
        size.bytes += self.0.iter().map(Write::size).sum::<usize>();
        size.keys.extend(self.0.iter().map(|write| write.key().clone()));
        distinct && size.writes < MAX_WRITES && size.bytes <= MAX_BYTES
    }
}

/// Commits writes in transactions that check the fence.
#[derive(Debug)]
struct FencedTransactions {
    db: Arc<Db>,
    fence: Fence,
}

impl BatchWriter for FencedTransactions {
    type Request = FencedWrites;

    async fn write(&mut self, requests: &mut [FencedWrites]) -> BatchResult<FencedWrites> {
        let mut results: Vec<Option<Result<Committed, StoreError>>> = requests.iter().map(|_| None).collect();
        loop {
            let open: Vec<usize> = (0..requests.len()).filter(|index| results[*index].is_none()).collect();
            if open.is_empty() {
                return Ok(results.into_iter().flatten().collect());
            }
            let writes = open.iter().flat_map(|index| &requests[*index].0).cloned().collect();
            match self.commit(writes).await? {
                Committed::Done => {
                    for index in open {
                        results[index] = Some(Ok(Committed::Done));
                    }
                }
                Committed::Refused(refused) => self.record_refusals(requests, &open, &refused, &mut results),
            }
        }
    }
}

impl FencedTransactions {
    /// Commits writes and, as the last of them, the check of the fence.
    async fn commit(&self, mut writes: Vec<Write>) -> Result<Committed, StoreError> {
        let check = Write::check(ItemKey::register(&self.fence.register));
        writes.push(check.if_equals("version", number(self.fence.version)));
        self.db.commit("write the journal", writes).await
    }

    /// Records the results of the requests whose writes were refused: of all when the fence does not hold. The others were
    /// not written either, and have no result yet.
    fn record_refusals(
        &self,
        requests: &[FencedWrites],
        open: &[usize],
        refused: &[usize],
        results: &mut [Option<Result<Committed, StoreError>>],
    ) {
        let fence_check = open.iter().map(|index| requests[*index].0.len()).sum();
        let is_fenced = refused.contains(&fence_check);
        let mut first = 0;
        for index in open.iter().copied() {
            let own = first..first + requests[index].0.len();
            first = own.end;
            let own_refused: Vec<usize> =
                refused.iter().filter(|write| own.contains(write)).map(|write| write - own.start).collect();
            if is_fenced {
                results[index] = Some(Err(StoreError::Fenced((&self.fence).into())));
            } else if !own_refused.is_empty() {
                results[index] = Some(Ok(Committed::Refused(own_refused)));
            }
        }
    }
}
