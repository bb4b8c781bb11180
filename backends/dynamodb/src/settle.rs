//! Settling: many jobs in one transaction, each job's writes under the condition that its metadata is as it was read.

use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::store::{WriteSet, write_set};
use ecs_scheduler_core::{DecisionId, JobId, Settled, Settlement, StoreError};
use futures::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use crate::backoff;
use crate::context::StoreContext;
use crate::db::Committed;
use crate::error::contention;
use crate::job_meta::JobMeta;
use crate::journal_writer::JournalWriter;
use crate::limits::{CONCURRENT_COMMITS, MAX_BYTES, MAX_WRITES};
use crate::write_set::SettlementWrites;

/// A batch of settlements that is being written.
struct SettlementBatch<'a> {
    context: &'a StoreContext,
    writer: &'a JournalWriter,
    settlements: Vec<Settlement>,
    answers: Vec<Option<Settled>>,
    /// The answer to each attempt at a settlement, by its write id, in case the answer of DynamoDB is lost.
    attempted: HashMap<String, Settled>,
    /// Settlements whose firing exists already.
    duplicates: HashSet<usize>,
    /// Distinguishes this batch from any other.
    batch_id: String,
}

/// Records the settlements that are not stale.
pub(crate) async fn settle(
    context: &StoreContext,
    writer: &JournalWriter,
    settlements: Vec<Settlement>,
) -> Result<Vec<Settled>, StoreError> {
    context.db.ensure_open()?;
    let mut batch = SettlementBatch {
        context,
        writer,
        answers: vec![None; settlements.len()],
        settlements,
        attempted: HashMap::new(),
        duplicates: HashSet::new(),
        batch_id: Uuid::new_v4().simple().to_string(),
    };
    let mut backoff = backoff::for_writes();
    let mut attempt = 0_usize;
    loop {
        let indices = batch.next_unanswered();
        if indices.is_empty() {
            let answers = batch.answers.into_iter();
            return Ok(answers.map(|answer| answer.expect("every settlement was answered")).collect());
        }
        let refused = batch.attempt(attempt, &indices).await?;
        attempt += 1;
        if refused && !backoff.wait().await {
            return Err(contention("settle"));
        }
    }
}

impl SettlementBatch<'_> {
    /// Returns the first unanswered settlement of each job, so that a second one of the same job sees the first.
    fn next_unanswered(&self) -> Vec<usize> {
        let mut jobs: HashSet<&JobId> = HashSet::new();
        let unanswered = self.answers.iter().enumerate().filter(|(_, answer)| answer.is_none());
        unanswered
            .map(|(index, _)| index)
            .filter(|index| jobs.insert(&self.settlements[*index].job))
            .collect()
    }

    /// Tries these settlements once; returns whether some were refused and must be retried.
    async fn attempt(&mut self, attempt: usize, indices: &[usize]) -> Result<bool, StoreError> {
        let jobs = indices.iter().map(|index| &self.settlements[*index].job);
        let metas = self.context.metas(jobs).await?;
        let mut fresh = Vec::new();
        for index in indices.iter().copied() {
            match self.check_fresh(index, metas.get(&self.settlements[index].job)) {
                Ok((meta, write_set)) => fresh.push((index, meta, write_set)),
                Err(settled) => self.answers[index] = Some(settled),
            }
        }
        let writes = self.build_writes(attempt, fresh).await?;
        let (context, writer) = (self.context, self.writer);
        let commits: Vec<_> = pack_transactions(writes, writer.max_writes())
            .into_iter()
            .map(|transaction| commit(context, writer, transaction))
            .collect();
        let transactions: Vec<Transaction> =
            futures::stream::iter(commits).buffer_unordered(CONCURRENT_COMMITS).try_collect().await?;
        let mut refused = false;
        for transaction in transactions {
            for part in transaction.parts {
                if transaction.done {
                    self.answers[part.settlement] = Some(Settled::Recorded(part.ids));
                } else {
                    refused = true;
                    let claim = part.firing_write.map(|write| part.first_write + write);
                    if claim.is_some_and(|claim| transaction.refused.contains(&claim)) {
                        self.duplicates.insert(part.settlement);
                    }
                }
            }
        }
        Ok(refused)
    }

    /// Returns the metadata of the job and the write set when the settlement is fresh, otherwise the answer to the settlement.
    fn check_fresh<'m>(
        &self,
        index: usize,
        meta: Option<&'m JobMeta>,
    ) -> Result<(&'m JobMeta, WriteSet), Settled> {
        let meta = meta.ok_or(Settled::Stale)?;
        // An earlier attempt has succeeded, and its answer was lost: the item has the write id of that attempt.
        let own_write = self.is_attempt_at(index, &meta.write_id);
        if let Some(settled) = self.attempted.get(&meta.write_id).filter(|_| own_write) {
            return Err(settled.clone());
        }
        let write_set =
            write_set(meta.head(), &self.settlements[index], |_| self.duplicates.contains(&index));
        write_set.map(|write_set| (meta, write_set)).ok_or(Settled::Stale)
    }

    fn write_id(&self, index: usize, attempt: usize) -> String {
        format!("{}/{index}/{attempt}", self.batch_id)
    }

    fn is_attempt_at(&self, index: usize, write_id: &str) -> bool {
        write_id.strip_prefix(&format!("{}/{index}/", self.batch_id)).is_some()
    }

    /// Builds the writes of fresh settlements. Decision ids ascend in the order of the batch.
    async fn build_writes(
        &mut self,
        attempt: usize,
        fresh: Vec<(usize, &JobMeta, WriteSet)>,
    ) -> Result<Vec<SettlementWrites>, StoreError> {
        let count: usize = fresh.iter().map(|(.., write_set)| write_set.appended()).sum();
        let mut next = if count == 0 { 0 } else { self.context.db.reserve_ids(count).await? };
        let mut all = Vec::with_capacity(fresh.len());
        for (index, meta, write_set) in fresh {
            let (write_id, settlement) = (self.write_id(index, attempt), &self.settlements[index]);
            let writes = SettlementWrites::new(index, meta, settlement, &write_set, next, write_id.clone())?;
            next += write_set.appended() as u64;
            self.attempted.insert(write_id, Settled::Recorded(writes.ids.clone()));
            all.push(writes);
        }
        Ok(all)
    }
}

/// Settlements that were sent in one transaction, and its result.
struct Transaction {
    parts: Vec<TransactionPart>,
    done: bool,
    /// The indices of the writes that were refused.
    refused: Vec<usize>,
}

/// One settlement of a transaction.
struct TransactionPart {
    /// The index of the settlement in the batch.
    settlement: usize,
    ids: Vec<DecisionId>,
    /// The index among the settlement's writes of the one that makes the firing unique.
    firing_write: Option<usize>,
    /// The index in the transaction of the settlement's first write.
    first_write: usize,
}

/// Packs the writes of settlements into transactions that DynamoDB accepts.
fn pack_transactions(settlements: Vec<SettlementWrites>, max_writes: usize) -> Vec<Vec<SettlementWrites>> {
    debug_assert!(max_writes <= MAX_WRITES, "DynamoDB accepts no more writes in a transaction");
    let mut transactions: Vec<Vec<SettlementWrites>> = Vec::new();
    let (mut writes, mut bytes) = (0, 0);
    for settlement in settlements {
        let (count, size) = (settlement.writes.len(), settlement.size());
        if transactions.is_empty() || writes + count > max_writes || bytes + size > MAX_BYTES {
            transactions.push(Vec::new());
            (writes, bytes) = (0, 0);
        }
        writes += count;
        bytes += size;
        transactions.last_mut().expect("there is a transaction").push(settlement);
    }
    transactions
}

async fn commit(
    context: &StoreContext,
    writer: &JournalWriter,
    settlements: Vec<SettlementWrites>,
) -> Result<Transaction, StoreError> {
    let mut writes = Vec::new();
    let mut parts = Vec::with_capacity(settlements.len());
    for SettlementWrites { settlement, writes: more, ids, firing_write } in settlements {
        parts.push(TransactionPart { settlement, ids, firing_write, first_write: writes.len() });
        writes.extend(more);
    }
    let committed = writer.commit(&context.db, "settle", writes).await?;
    Ok(match committed {
        Committed::Done => Transaction { parts, done: true, refused: Vec::new() },
        Committed::Refused(refused) => Transaction { parts, done: false, refused },
    })
}
