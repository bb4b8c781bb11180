//! The writer thread: one transaction holds every command that waits.
//!
//! SQLite allows one writer, and a durable commit costs a wait for the disk. So every writing call becomes a command
//! in the queue of a group commit, whose thread owns the writing connection. A command that is refused (the name exists,
//! the revision differs) has written nothing. When SQLite itself fails, the transaction is rolled back and each command
//! runs again in a transaction of its own, so that one command cannot fail the others.
//!
//! Records of launches wait while settlements do, and records of launch results wait while other launches are about to
//! begin: in a busy second every firing is durable before the disk writes the result of the first one, and a task starts
//! before the start of the previous task is recorded.

use std::path::Path;
use std::sync::Arc;

use ecs_scheduler_core::store::group_commit::{
    BatchRequest, BatchResult, BatchWriter, GroupCommit, Priority,
};
use ecs_scheduler_core::{FaultKind, StoreError};
use parking_lot::Mutex;

use crate::error::{TxError, closed_error};
use crate::row_cache::RowCache;
use crate::writer_conn::WriterConn;

/// The callers' handle of the writer thread. Dropping it waits for the end of the thread, so that the next process to open
/// the file finds it unlocked.
#[derive(Debug)]
pub(crate) struct WriterThread(GroupCommit<WriteCommand>);

impl WriterThread {
    /// Starts the writer thread.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses another thread.
    pub(crate) fn start(conn: WriterConn, cache: Arc<RowCache>, path: &Path) -> Result<Self, StoreError> {
        let writer = CommandWriter { conn, cache };
        let started = GroupCommit::spawn_thread("sqlite-writer", writer, closed_error(path));
        started.map(Self).map_err(|error| {
            let message = format!("could not start the writer thread of the store {path:?}");
            StoreError::with_source(FaultKind::Unavailable, message, error)
        })
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
        mut work: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut WriterConn) -> Result<T, TxError> + Send + 'static,
    {
        let result = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&result);
        let run = Box::new(move |conn: &mut WriterConn| {
            *slot.lock() = Some(work(conn)?);
            Ok(())
        });
        self.0.submit(WriteCommand { priority, run }).await?;
        let result = result.lock().take();
        Ok(result.expect("a committed command has a result"))
    }

    /// Writes all waiting commands, checkpoints the log and ends the thread.
    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    /// Tells whether [`Self::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// The statements of one write.
type WriteStatements = dyn FnMut(&mut WriterConn) -> Result<(), TxError> + Send;

/// A write in the open transaction. After a rollback it runs again.
struct WriteCommand {
    priority: Priority,
    run: Box<WriteStatements>,
}

impl BatchRequest for WriteCommand {
    type Response = ();
    type BatchSize = ();

    fn admit(&self, _: &mut ()) -> bool {
        true
    }

    fn priority(&self) -> Priority {
        self.priority
    }
}

/// Runs commands on the writing connection.
struct CommandWriter {
    conn: WriterConn,
    cache: Arc<RowCache>,
}

impl BatchWriter for CommandWriter {
    type Request = WriteCommand;

    async fn write(&mut self, commands: &mut [WriteCommand]) -> BatchResult<WriteCommand> {
        match self.run_transaction(commands) {
            Ok(results) => {
                self.cache.apply(self.conn.take_changes());
                Ok(results)
            }
            Err(failure) => {
                self.conn.roll_back();
                Err(failure.into_store_error("write to", self.conn.path()))
            }
        }
    }

    /// A large command may fail because the disk is full, which is transient, while the others have room.
    fn splits(&self, _: &StoreError) -> bool {
        true
    }

    /// A panic leaves the caches of the connection in an unknown state.
    fn recover(&mut self) -> bool {
        false
    }

    async fn finish(mut self) {
        self.conn.finish();
    }
}

impl CommandWriter {
    /// Runs a batch in one transaction; returns the error of each command that was refused.
    fn run_transaction(
        &mut self,
        commands: &mut [WriteCommand],
    ) -> Result<Vec<Result<(), StoreError>>, TxError> {
        let mut results = Vec::with_capacity(commands.len());
        self.conn.begin()?;
        for command in commands {
            results.push(match (command.run)(&mut self.conn) {
                Ok(()) => Ok(()),
                Err(TxError::Refused(error)) => Err(error),
                Err(failure) => return Err(failure),
            });
        }
        self.conn.commit()?;
        Ok(results)
    }
}
