//! Group commit: one thread writes, and one transaction holds every command that waits.
//!
//! SQLite allows one writer, and a durable commit costs a wait for the disk. So every writing call becomes a command
//! in a bounded queue. The thread takes all waiting commands, runs them in one transaction, commits once and answers
//! all callers. A command that is refused (the name exists, the revision differs) has written nothing. When SQLite
//! itself fails, the transaction is rolled back and each command runs again in a transaction of its own, so that one
//! command cannot fail the others.
//!
//! Commands have a [`Priority`]. Records of launches wait while settlements do, and records of launch results wait
//! while other launches are about to begin: in a busy second every firing is durable before the disk writes the result
//! of the first one, and a task starts before the start of the previous task is recorded.

mod commit_queue;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ecs_scheduler_core::{FaultKind, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::error::{TxError, closed_error};
use crate::row_cache::RowCache;
use crate::writer_conn::WriterConn;

pub(crate) use commit_queue::Priority;
use commit_queue::{CommitQueue, QueuedCommand, WriteCommand};

/// Maximum number of commands that wait; further callers wait until there is room.
const QUEUE_CAPACITY: usize = 512;

/// A command made of a closure and the channel to its caller.
struct Request<T, F> {
    work: F,
    result: Option<T>,
    /// The closure returns with the result, so that the caller and not the writer drops a batch of firings.
    reply: oneshot::Sender<(Result<T, StoreError>, F)>,
}

impl<T: Send, F: FnMut(&mut WriterConn) -> Result<T, TxError> + Send> WriteCommand for Request<T, F> {
    fn run(&mut self, conn: &mut WriterConn) -> Result<(), TxError> {
        self.result = Some((self.work)(conn)?);
        Ok(())
    }

    fn reply(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { work, result, reply } = *self;
        let answer = committed.map(|()| result.expect("a committed command has a result"));
        // A caller that no longer waits does not need the answer.
        drop(reply.send((answer, work)));
    }
}

/// The callers' handle of the writer thread.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    sender: mpsc::Sender<QueuedCommand>,
    closing: Arc<AtomicBool>,
    path: PathBuf,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl GroupCommit {
    /// Starts the writer thread.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses another thread.
    pub(crate) fn start(conn: WriterConn, cache: Arc<RowCache>, path: PathBuf) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel(QUEUE_CAPACITY);
        let closing = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&closing);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || run_writer(conn, &cache, receiver, &stop))
            .map_err(|error| {
                StoreError::with_source(
                    FaultKind::Unavailable,
                    format!("could not start the writer thread of the store {path:?}"),
                    error,
                )
            })?;
        Ok(Self { sender, closing, path, thread: Some(thread) })
    }

    /// Submits `work` with the highest priority and waits until its writes are durable.
    pub(crate) async fn submit<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut WriterConn) -> Result<T, TxError> + Send + 'static,
    {
        self.submit_with_priority(Priority::High, work).await
    }

    /// Submits `work` with a priority and waits until its writes are durable.
    pub(crate) async fn submit_with_priority<T, F>(
        &self,
        priority: Priority,
        work: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut WriterConn) -> Result<T, TxError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let command = Box::new(Request { work, result: None, reply });
        let queued = QueuedCommand { priority, command };
        self.sender.send(queued).await.map_err(|_| closed_error(&self.path))?;
        let (answer, _work) = answer.await.map_err(|_| closed_error(&self.path))?;
        answer
    }

    /// Writes all waiting commands, checkpoints the log and ends the thread.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        let closing = Arc::clone(&self.closing);
        let stop = move |_: &mut WriterConn| {
            closing.store(true, Ordering::Release);
            Ok(())
        };
        self.submit(stop).await?;
        self.sender.closed().await;
        Ok(())
    }

    /// Tells whether [`Self::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        // Dropping the last sender ends the queue and the thread. The join makes sure that the next process to open the
        // file finds it unlocked.
        let (unconnected, _) = mpsc::channel(1);
        self.sender = unconnected;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(path = ?self.path, "the writer thread of the store panicked");
        }
    }
}

/// Runs the writer thread until the store is closed or its last handle is dropped.
fn run_writer(
    mut conn: WriterConn,
    cache: &RowCache,
    mut receiver: mpsc::Receiver<QueuedCommand>,
    closing: &AtomicBool,
) {
    let mut queue = CommitQueue::new(QUEUE_CAPACITY);
    while !closing.load(Ordering::Acquire) {
        if queue.is_empty() {
            let Some(queued) = receiver.blocking_recv() else { break };
            queue.push(queued);
        }
        while queue.has_room()
            && let Ok(queued) = receiver.try_recv()
        {
            queue.push(queued);
        }
        commit_batch(&mut conn, cache, &mut queue.pop_batch());
    }
    commit_batch(&mut conn, cache, &mut queue.pop_all());
    conn.finish();
    // The receiver is dropped after the file: callers that wait for the queue's end may open the file at once.
    drop(conn);
    drop(receiver);
}

/// Writes a batch in one transaction, or, when that fails, each command in a transaction of its own.
fn commit_batch(conn: &mut WriterConn, cache: &RowCache, batch: &mut Vec<Box<dyn WriteCommand>>) {
    if batch.is_empty() {
        return;
    }
    let failure = match run_transaction(conn, batch) {
        Ok(refusals) => {
            cache.apply(conn.take_changes());
            for (command, refusal) in batch.drain(..).zip(refusals) {
                command.reply(refusal.map_or(Ok(()), Err));
            }
            return;
        }
        Err(failure) => failure,
    };
    conn.roll_back();
    if batch.len() > 1 {
        for command in batch.drain(..) {
            commit_batch(conn, cache, &mut vec![command]);
        }
    } else if let Some(command) = batch.pop() {
        command.reply(Err(failure.into_store_error("write to", conn.path())));
    }
}

/// Runs a batch in one transaction; returns the error of each command that was refused.
fn run_transaction(
    conn: &mut WriterConn,
    batch: &mut [Box<dyn WriteCommand>],
) -> Result<Vec<Option<StoreError>>, TxError> {
    let mut refusals = Vec::with_capacity(batch.len());
    conn.begin()?;
    for command in batch {
        refusals.push(match command.run(conn) {
            Ok(()) => None,
            Err(TxError::Refused(error)) => Some(error),
            Err(failure) => return Err(failure),
        });
    }
    conn.commit()?;
    Ok(refusals)
}
