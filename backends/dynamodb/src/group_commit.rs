//! Group commit of the writes under one fence.
//!
//! Transactions that check the same register conflict with each other, so those of one process run one after the other.
//! Requests that wait meanwhile share the next transaction: the busier an owner is, the more of its writes share one.

use std::collections::{HashSet, VecDeque};

use ecs_scheduler_core::{Fence, StoreError};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::codec::number;
use crate::db::{Committed, Db};
use crate::keys::ItemKey;
use crate::limits::{MAX_BYTES, MAX_WRITES};
use crate::write::Write;

/// The answer to one request.
type CommitResult = Result<Committed, StoreError>;

/// The queue of requests under one fence, which their callers commit in turn.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    fence: Fence,
    /// Bounded by the number of callers: each waits for one request.
    queue: Mutex<VecDeque<Request>>,
    /// Held by the caller that commits the queue.
    commit_lock: tokio::sync::Mutex<()>,
}

/// Writes that are committed together or not at all.
#[derive(Debug)]
struct Request {
    writes: Vec<Write>,
    answer: oneshot::Sender<CommitResult>,
}

impl GroupCommit {
    pub(crate) fn new(fence: Fence) -> Self {
        Self { fence, queue: Mutex::default(), commit_lock: tokio::sync::Mutex::default() }
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Returns the error for a fence that does not hold.
    pub(crate) fn fenced(&self) -> StoreError {
        StoreError::Fenced((&self.fence).into())
    }

    /// Commits all of these writes or none, together with other requests in the queue.
    ///
    /// Cancel safe: a request whose caller was cancelled is skipped. When the caller that commits a batch is cancelled, the
    /// other callers of the batch submit their requests again.
    pub(crate) async fn commit(&self, db: &Db, writes: Vec<Write>) -> CommitResult {
        let mut answer = self.submit(writes.clone());
        let _committing = self.commit_lock.lock().await;
        loop {
            match answer.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Closed) => answer = self.submit(writes.clone()),
                Err(TryRecvError::Empty) => {
                    let batch = self.next_batch();
                    self.commit_batch(db, batch).await;
                }
            }
        }
    }

    fn submit(&self, writes: Vec<Write>) -> oneshot::Receiver<CommitResult> {
        let (sender, receiver) = oneshot::channel();
        self.queue.lock().push_back(Request { writes, answer: sender });
        receiver
    }

    /// Takes the requests that fit into one transaction from the queue, in their order.
    fn next_batch(&self) -> Vec<Request> {
        let mut queue = self.queue.lock();
        let mut batch: Vec<Request> = Vec::new();
        let mut keys: HashSet<ItemKey> = HashSet::new();
        let (mut writes, mut bytes) = (1, 0);
        while let Some(request) = queue.pop_front() {
            if request.answer.is_closed() {
                continue;
            }
            let size: usize = request.writes.iter().map(Write::size).sum();
            let fits = writes + request.writes.len() <= MAX_WRITES && bytes + size <= MAX_BYTES;
            // A transaction has at most one write for each item.
            let distinct = request.writes.iter().all(|write| !keys.contains(write.key()));
            let is_full = !(fits && distinct);
            if is_full && !batch.is_empty() {
                queue.push_front(request);
                break;
            }
            writes += request.writes.len();
            bytes += size;
            keys.extend(request.writes.iter().map(|write| write.key().clone()));
            batch.push(request);
        }
        batch
    }

    /// Commits a batch in one transaction. Requests whose result is not known yet return to the queue.
    async fn commit_batch(&self, db: &Db, batch: Vec<Request>) {
        let mut writes: Vec<Write> =
            batch.iter().flat_map(|request| request.writes.iter().cloned()).collect();
        let fence_check = writes.len();
        let check = Write::check(ItemKey::register(&self.fence.register));
        writes.push(check.if_equals("version", number(self.fence.version)));
        match db.commit("write the journal", writes).await {
            Ok(Committed::Done) => answer_all(batch, || Ok(Committed::Done)),
            Ok(Committed::Refused(refused)) if refused.contains(&fence_check) => {
                answer_all(batch, || Err(self.fenced()));
            }
            Ok(Committed::Refused(refused)) => self.split_on_conflict(batch, &refused),
            Err(error) if batch.len() == 1 || error.is_transient() => {
                answer_all(batch, || Err(error.clone()));
            }
            Err(_) => {
                // DynamoDB never accepts one of the requests. Each is committed alone, so that it does not fail the others.
                for request in batch {
                    Box::pin(self.commit_batch(db, vec![request])).await;
                }
            }
        }
    }

    /// Answers the requests whose writes were refused, and returns the others to the front of the queue.
    fn split_on_conflict(&self, batch: Vec<Request>, refused_writes: &[usize]) {
        let mut first = 0;
        let mut retried = Vec::new();
        for request in batch {
            let own = first..first + request.writes.len();
            let refused: Vec<usize> = refused_writes
                .iter()
                .filter(|index| own.contains(index))
                .map(|index| index - first)
                .collect();
            first = own.end;
            if refused.is_empty() {
                retried.push(request);
            } else {
                answer_all(vec![request], || Ok(Committed::Refused(refused.clone())));
            }
        }
        let mut queue = self.queue.lock();
        for request in retried.into_iter().rev() {
            queue.push_front(request);
        }
    }
}

fn answer_all(batch: Vec<Request>, answer: impl Fn() -> CommitResult) {
    for request in batch {
        // The caller may have been cancelled. Its writes are durable all the same.
        let _ = request.answer.send(answer());
    }
}
