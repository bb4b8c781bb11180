//! The one thread that writes.
//!
//! SQLite allows one writer, and a durable commit costs a wait for the disk. So every writing call becomes a command in
//! a bounded queue; the thread takes all that wait, runs them in one transaction, commits once and answers all. A
//! command that is refused (a name that is taken, another revision) has written nothing. When SQLite itself fails, the
//! transaction is rolled back and each command is run again in one of its own, so that one cannot fail the others.
//!
//! Notes of launches wait while intents do, and notes of what came of a launch while others are about to be made
//! (`pile`): in a busy second every intent is durable before the disk is asked to remember what came of the first, and
//! a task starts before the start of the one before it is written down.

mod commit_queue;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ecs_scheduler_core::{FaultKind, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Failure, closed};
use crate::row_cache::Shelf;
use crate::writer_conn::Desk;

use commit_queue::{Order, Pile};

pub(crate) use commit_queue::Rank;

/// How many commands wait at most; callers wait for a place.
const QUEUE: usize = 512;

/// Something to be written, and someone who waits for the answer.
trait Command: Send {
    /// Runs it within the open transaction; once more, when that was rolled back.
    fn run(&mut self, desk: &mut Desk) -> Result<(), Failure>;
    /// Tells the caller what became of it.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Call<T, F> {
    work: F,
    result: Option<T>,
    /// The work goes back with the answer: to drop a round of firings is not the writer's business.
    reply: oneshot::Sender<(Result<T, StoreError>, F)>,
}

impl<T: Send, F: FnMut(&mut Desk) -> Result<T, Failure> + Send> Command for Call<T, F> {
    fn run(&mut self, desk: &mut Desk) -> Result<(), Failure> {
        self.result = Some((self.work)(desk)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { work, result, reply } = *self;
        let answer = committed.map(|()| result.expect("a command that was committed has a result"));
        // A caller that no longer waits does not need the answer.
        drop(reply.send((answer, work)));
    }
}

/// The callers' end of the queue.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Order>,
    closing: Arc<AtomicBool>,
    path: PathBuf,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses another thread.
    pub(crate) fn start(desk: Desk, shelf: Arc<Shelf>, path: PathBuf) -> Result<Self, StoreError> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let closing = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&closing);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || serve(desk, &shelf, waiting, &stop))
            .map_err(|error| {
                StoreError::caused(
                    FaultKind::Unavailable,
                    format!("could not start the writer of {path:?}"),
                    error,
                )
            })?;
        Ok(Self { queue, closing, path, thread: Some(thread) })
    }

    /// Has `work` run by the thread, and waits until what it wrote is durable.
    pub(crate) async fn call<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Desk) -> Result<T, Failure> + Send + 'static,
    {
        self.order(Rank::First, work).await
    }

    /// The same, in the order of ranks.
    pub(crate) async fn order<T, F>(&self, rank: Rank, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Desk) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let command = Box::new(Call { work, result: None, reply });
        self.queue.send(Order { rank, command }).await.map_err(|_| closed(&self.path))?;
        let (answer, _work) = answer.await.map_err(|_| closed(&self.path))?;
        answer
    }

    /// Has the thread write what waits, put the log back into the file, and end.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        let closing = Arc::clone(&self.closing);
        let stop = move |_: &mut Desk| {
            closing.store(true, Ordering::Release);
            Ok(())
        };
        self.call(stop).await?;
        self.queue.closed().await;
        Ok(())
    }

    /// Tells whether [`Self::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // With its last sender gone the queue ends, and the thread with it. It is waited for, so that whoever opens the
        // file next finds it unlocked.
        let (nowhere, _) = mpsc::channel(1);
        self.queue = nowhere;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(path = ?self.path, "the writer of the store panicked");
        }
    }
}

fn serve(mut desk: Desk, shelf: &Shelf, mut waiting: mpsc::Receiver<Order>, closing: &AtomicBool) {
    let mut pile = Pile::new(QUEUE);
    while !closing.load(Ordering::Acquire) {
        if pile.is_empty() {
            let Some(order) = waiting.blocking_recv() else { break };
            pile.put(order);
        }
        while pile.has_room()
            && let Ok(order) = waiting.try_recv()
        {
            pile.put(order);
        }
        write(&mut desk, shelf, &mut pile.take());
    }
    write(&mut desk, shelf, &mut pile.take_all());
    desk.finish();
    // Dropped after the file: callers that wait for the queue's end may open it at once.
    drop(desk);
    drop(waiting);
}

/// Writes a batch in one transaction, or, when that fails, each command in one of its own.
fn write(desk: &mut Desk, shelf: &Shelf, batch: &mut Vec<Box<dyn Command>>) {
    if batch.is_empty() {
        return;
    }
    let failure = match transact(desk, batch) {
        Ok(refusals) => {
            shelf.publish(desk.take_changes());
            for (command, refusal) in batch.drain(..).zip(refusals) {
                command.answer(refusal.map_or(Ok(()), Err));
            }
            return;
        }
        Err(failure) => failure,
    };
    desk.roll_back();
    if batch.len() > 1 {
        for command in batch.drain(..) {
            write(desk, shelf, &mut vec![command]);
        }
    } else if let Some(command) = batch.pop() {
        command.answer(Err(failure.into_store_error("write to", desk.path())));
    }
}

/// Runs a batch in one transaction; the answer holds the error of each command that was refused.
fn transact(desk: &mut Desk, batch: &mut [Box<dyn Command>]) -> Result<Vec<Option<StoreError>>, Failure> {
    let mut refusals = Vec::with_capacity(batch.len());
    desk.begin()?;
    for command in batch {
        refusals.push(match command.run(desk) {
            Ok(()) => None,
            Err(Failure::Refused(error)) => Some(error),
            Err(failure) => return Err(failure),
        });
    }
    desk.commit()?;
    Ok(refusals)
}
