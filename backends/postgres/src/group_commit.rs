//! Group commit: requests that arrive while a transaction is under way share the next one.

use std::fmt;
use std::sync::Arc;

use ecs_scheduler_core::{FaultKind, StoreError, async_trait};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Writes the requests of several callers in one transaction.
#[async_trait]
pub(crate) trait BatchWriter: fmt::Debug + Send + Sync + 'static {
    /// The writes of one caller.
    type Request: fmt::Debug + Send + Sync + 'static;
    /// The result for one caller.
    type Response: Send + 'static;

    /// The largest batch, in the unit of [`size`](Self::size). A larger single request is a batch of its own.
    const MAX_BATCH: usize;

    /// Writes all requests in their order, and returns one response for each.
    ///
    /// # Errors
    ///
    /// Fails when nothing was written, or when it is unknown whether anything was.
    async fn write(
        &self,
        requests: &[&Self::Request],
    ) -> Result<Vec<Result<Self::Response, StoreError>>, StoreError>;

    /// Returns how much of a batch a request takes up.
    fn size(request: &Self::Request) -> usize;
}

/// A request in the queue, and the caller that waits for the response.
struct PendingRequest<W: BatchWriter> {
    request: W::Request,
    response: oneshot::Sender<Result<W::Response, StoreError>>,
}

/// Queues requests, and writes them in batches, one after the other.
pub(crate) struct GroupCommit<W: BatchWriter> {
    writer: W,
    queue: Mutex<Vec<PendingRequest<W>>>,
    /// Held while a batch is written.
    writing: tokio::sync::Mutex<()>,
}

impl<W: BatchWriter> GroupCommit<W> {
    pub(crate) fn new(writer: W) -> Arc<Self> {
        Arc::new(Self { writer, queue: Mutex::new(Vec::new()), writing: tokio::sync::Mutex::default() })
    }

    /// Writes a request. The write completes even when the caller is cancelled.
    pub(crate) async fn submit(self: &Arc<Self>, request: W::Request) -> Result<W::Response, StoreError> {
        let (sender, response) = oneshot::channel();
        self.queue.lock().push(PendingRequest { request, response: sender });
        let group_commit = Arc::clone(self);
        tokio::spawn(async move { group_commit.write_next_batch().await });
        let gone = |error| {
            StoreError::with_source(FaultKind::Bug, "the batch writer panicked or was stopped", error)
        };
        response.await.map_err(gone)?
    }

    /// Waits until every request that is queued by now is written.
    pub(crate) async fn flush(&self) {
        drop(self.writing.lock().await);
    }

    /// Writes the next batch. Each request spawns one call, so none stays in the queue; an earlier call may have written it.
    async fn write_next_batch(&self) {
        let _writing = self.writing.lock().await;
        let batch = self.take_batch();
        if batch.is_empty() {
            return;
        }
        match self.write(&batch).await {
            Ok(responses) => respond(batch, responses),
            Err(error) if batch.len() > 1 && !error.is_transient() => self.write_one_by_one(batch).await,
            Err(error) => respond_error(batch, &error),
        }
    }

    async fn write(
        &self,
        batch: &[PendingRequest<W>],
    ) -> Result<Vec<Result<W::Response, StoreError>>, StoreError> {
        let requests: Vec<&W::Request> = batch.iter().map(|pending| &pending.request).collect();
        self.writer.write(&requests).await
    }

    /// Takes the oldest requests, up to a full batch.
    fn take_batch(&self) -> Vec<PendingRequest<W>> {
        let mut queue = self.queue.lock();
        let mut sum = 0;
        let fitting = queue.iter().take_while(|pending| {
            let size = W::size(&pending.request);
            let fits = sum == 0 || sum + size <= W::MAX_BATCH;
            sum += size;
            fits
        });
        let count = fitting.count();
        queue.drain(..count).collect()
    }

    /// Writes each request in a batch of its own: one of them cannot be written, and the others must not fail with it.
    async fn write_one_by_one(&self, batch: Vec<PendingRequest<W>>) {
        for pending in batch {
            let single = [pending];
            match self.write(&single).await {
                Ok(responses) => respond(single.into(), responses),
                Err(error) => respond_error(single.into(), &error),
            }
        }
    }
}

impl<W: BatchWriter> fmt::Debug for GroupCommit<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCommit").field("writer", &self.writer).finish_non_exhaustive()
    }
}

fn respond<W: BatchWriter>(batch: Vec<PendingRequest<W>>, responses: Vec<Result<W::Response, StoreError>>) {
    for (pending, response) in batch.into_iter().zip(responses) {
        // The caller may be gone; the write stands.
        let _ = pending.response.send(response);
    }
}

/// Sends the error of a batch to each of its callers.
fn respond_error<W: BatchWriter>(batch: Vec<PendingRequest<W>>, error: &StoreError) {
    for pending in batch {
        let _ = pending.response.send(Err(error.clone()));
    }
}
