//! Group commit: writes that arrive while a batch is written share the next batch.
//!
//! A durable write costs a wait for a disk or a server, whether it holds one row or a thousand. A store that implements
//! [`BatchWriter`] gets a queue in front of the writer: one task or thread takes the requests that wait, up to a full
//! batch, writes them at once, and answers each caller. The busier the store is, the larger its batches are.
//!
//! Requests of one [`Priority`] are written in the order in which they enter the queue. A request is written even when its caller is
//! cancelled meanwhile. When a batch fails with a lasting error, each of its requests is written alone, so that one
//! request cannot fail the others; a transient error fails the whole batch at once. Every caller of a failed batch gets
//! the same error.

mod commit_queue;

use std::any::type_name;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::thread::JoinHandle;

use futures::FutureExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::StoreError;
use crate::fault::FaultKind;
use commit_queue::{CommitQueue, QueuedRequest};

#[cfg(test)]
mod tests;

/// The result of writing a batch: one response for each request, in their order.
pub type BatchResult<R> = Result<Vec<Result<<R as BatchRequest>::Response, StoreError>>, StoreError>;

/// The order in which waiting requests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Settlements, and every write that a client waits for.
    High,
    /// Records of launches that are about to begin: each launch waits for its own record.
    Medium,
    /// Records of launch results.
    Low,
}

/// The writes of one caller, which are written in one batch.
pub trait BatchRequest: Send + 'static {
    /// The result for the caller.
    type Response: Send + 'static;
    /// The size of a batch, in the units of its limit: rows, bytes.
    type BatchSize: Default + Send;

    /// Adds the request to the size of a batch; returns false when the batch has no room for it. The first request of a
    /// batch is written whatever its size is.
    fn admit(&self, size: &mut Self::BatchSize) -> bool;

    /// Returns the priority of the request: high by default.
    fn priority(&self) -> Priority {
        Priority::High
    }
}

/// Writes batches of requests, one after the other.
pub trait BatchWriter: Send + 'static {
    /// The writes of one caller.
    type Request: BatchRequest;

    /// The maximum number of requests that wait; further callers wait until there is room.
    const QUEUE_CAPACITY: usize = 512;

    /// Writes all requests in their order, and returns one response for each. After an error that [splits](Self::splits)
    /// the batch, each request is passed again, alone.
    ///
    /// # Errors
    ///
    /// Fails when nothing was written, or when it is unknown whether anything was.
    fn write(
        &mut self,
        requests: &mut [Self::Request],
    ) -> impl Future<Output = BatchResult<Self::Request>> + Send;

    /// Tells whether each request of a failed batch is written alone: by default when the error is not transient.
    fn splits(&self, error: &StoreError) -> bool {
        !error.is_transient()
    }

    /// Repairs the writer after a panic of [`write`](Self::write), whose callers get a fault. Returns false when the writer
    /// can never write again; then the group commit is closed. A writer without a state has nothing to repair.
    fn recover(&mut self) -> bool {
        true
    }

    /// Runs after the callers of a batch were answered, for maintenance that needs the writer.
    fn after_batch(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Ends the writer, after the last batch of a closed group commit.
    fn finish(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        std::future::ready(())
    }
}

/// An item of the channel to the runner.
enum QueueItem<R: BatchRequest> {
    Write(QueuedRequest<R>),
    Close,
}

/// The callers' handle of a queue of requests, which a [`BatchWriter`] writes. When it is dropped, the requests in the queue
/// are still written.
pub struct GroupCommit<R: BatchRequest> {
    /// Dropped before the thread is joined, which it ends.
    sender: mpsc::Sender<QueueItem<R>>,
    /// The error of a request to a closed group commit.
    closed: StoreError,
    ended: CancellationToken,
    _thread: Option<JoinOnDrop>,
}

impl<R: BatchRequest> GroupCommit<R> {
    /// Runs the writer as a task. `closed` is the error of a request after the end.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime.
    pub fn spawn<W: BatchWriter<Request = R>>(writer: W, closed: StoreError) -> Self {
        let (group_commit, runner) = Self::new(writer, closed);
        tokio::spawn(runner.run());
        group_commit
    }

    /// Runs a writer that blocks on a thread of this name. Dropping the handle waits for the end of the thread.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses another thread.
    pub fn spawn_thread<W: BatchWriter<Request = R>>(
        name: &str,
        writer: W,
        closed: StoreError,
    ) -> io::Result<Self> {
        let (group_commit, runner) = Self::new(writer, closed);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime without drivers needs nothing from the system").block_on(runner.run());
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { _thread: Some(JoinOnDrop(Some(thread))), ..group_commit })
    }

    fn new<W: BatchWriter<Request = R>>(writer: W, closed: StoreError) -> (Self, Runner<W>) {
        let (sender, receiver) = mpsc::channel(W::QUEUE_CAPACITY);
        let ended = CancellationToken::new();
        let runner = Runner {
            writer,
            queue: CommitQueue::new(W::QUEUE_CAPACITY),
            receiver,
            is_usable: true,
            _ended: ended.clone().drop_guard(),
        };
        (Self { sender, closed, ended, _thread: None }, runner)
    }

    /// Writes a request, and returns its response. The write completes even when the caller is cancelled.
    ///
    /// # Errors
    ///
    /// Fails as the writer did, or when the group commit is closed.
    pub async fn submit(&self, request: R) -> Result<R::Response, StoreError> {
        self.enqueue(request).await?.await
    }

    /// Puts a request into the queue, and returns the future response.
    ///
    /// # Errors
    ///
    /// Fails when the group commit is closed. The future response fails as [`submit`](Self::submit).
    pub async fn enqueue(
        &self,
        request: R,
    ) -> Result<impl Future<Output = Result<R::Response, StoreError>>, StoreError> {
        let (reply, response) = oneshot::channel();
        let queued = QueueItem::Write(QueuedRequest { request, reply });
        self.sender.send(queued).await.map_err(|_| self.closed.clone())?;
        Ok(async move {
            // The caller drops the request, so that the writer does not spend time on that.
            let (response, _request) = response.await.map_err(|_| self.closed.clone())?;
            response
        })
    }

    /// Writes the requests in the queue, ends the writer, and waits for that end. Later requests fail.
    pub async fn close(&self) {
        // Refused when another call has closed the queue.
        let _ = self.sender.send(QueueItem::Close).await;
        self.ended.cancelled().await;
    }

    /// Tells whether later requests fail.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl<R: BatchRequest> fmt::Debug for GroupCommit<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCommit").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// A thread that is joined when this is dropped.
struct JoinOnDrop(Option<JoinHandle<()>>);

impl Drop for JoinOnDrop {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a batch writer panicked");
        }
    }
}

/// Takes requests from the queue and passes them to the writer. Its fields are dropped in their order, so that a caller
/// that waits for the end finds everything that the writer held released.
struct Runner<W: BatchWriter> {
    writer: W,
    queue: CommitQueue<W::Request>,
    receiver: mpsc::Receiver<QueueItem<W::Request>>,
    /// Whether the writer has not panicked, or has recovered.
    is_usable: bool,
    _ended: DropGuard,
}

impl<W: BatchWriter> Runner<W> {
    async fn run(mut self) {
        while self.fill_queue().await {
            let batch = self.queue.pop_batch();
            self.commit(batch).await;
            if !self.is_usable {
                tracing::error!(
                    writer = type_name::<W>(),
                    "the batch writer panicked and does not write any more"
                );
                return;
            }
            self.writer.after_batch().await;
        }
        self.writer.finish().await;
    }

    /// Waits for a request, then takes all that wait. Returns false when the queue is closed and empty.
    async fn fill_queue(&mut self) -> bool {
        while self.queue.is_empty() {
            let Some(item) = self.receiver.recv().await else { return false };
            self.receive(item);
        }
        while self.queue.has_room()
            && let Ok(item) = self.receiver.try_recv()
        {
            self.receive(item);
        }
        true
    }

    fn receive(&mut self, item: QueueItem<W::Request>) {
        match item {
            QueueItem::Write(queued) => self.queue.push(queued),
            QueueItem::Close => self.receiver.close(),
        }
    }

    /// Writes a batch, and answers its callers.
    async fn commit(&mut self, batch: Vec<QueuedRequest<W::Request>>) {
        let (mut requests, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|QueuedRequest { request, reply }| (request, reply)).unzip();
        match self.write(&mut requests).await {
            Err(error) if requests.len() > 1 && self.writer.splits(&error) => {
                for (request, reply) in requests.into_iter().zip(replies) {
                    if !self.is_usable {
                        return;
                    }
                    let mut single = [request];
                    let result = self.write(&mut single).await;
                    answer(single, [reply], result);
                }
            }
            result => answer(requests, replies, result),
        }
    }

    async fn write(&mut self, requests: &mut [W::Request]) -> BatchResult<W::Request> {
        match AssertUnwindSafe(self.writer.write(requests)).catch_unwind().await {
            Ok(result) => result,
            Err(_panic) => {
                self.is_usable = self.writer.recover();
                let panicked = || Err(StoreError::fault(FaultKind::Bug, "the batch writer panicked"));
                Ok(requests.iter().map(|_| panicked()).collect())
            }
        }
    }
}

/// The channel to a caller. The request returns with the response.
type ResponseSender<R> = oneshot::Sender<(Result<<R as BatchRequest>::Response, StoreError>, R)>;

/// Sends the result of a batch to its callers.
fn answer<R: BatchRequest>(
    requests: impl IntoIterator<Item = R>,
    replies: impl IntoIterator<Item = ResponseSender<R>>,
    result: BatchResult<R>,
) {
    let (responses, error) = match result {
        Ok(responses) => {
            (responses, StoreError::fault(FaultKind::Bug, "the batch writer left out a request"))
        }
        Err(error) => (Vec::new(), error),
    };
    let mut responses = responses.into_iter();
    for (request, reply) in requests.into_iter().zip(replies) {
        let response = responses.next().unwrap_or_else(|| Err(error.clone()));
        // The caller may be gone; the write stands.
        let _ = reply.send((response, request));
    }
}
