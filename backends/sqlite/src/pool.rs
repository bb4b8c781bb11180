//! The pool of read connections; one blocking call at a time uses each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ecs_scheduler_core::{FaultKind, StoreError};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::connection::configure_connection;
use crate::error::{closed_error, store_error};

/// A fixed number of read connections.
#[derive(Debug)]
pub(crate) struct ReadPool {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    path: PathBuf,
    is_snapshot: bool,
}

impl ReadPool {
    /// Opens `size` connections to a file that is already open for writing.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be opened.
    pub(crate) fn open(path: &Path, size: usize) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            configure_connection(&connection)?;
            Ok(connection)
        };
        let connections = (0..size).map(|_| open()).collect::<Result<_, _>>();
        Ok(Self::new(path, connections.map_err(|error| store_error("open", path, error))?, false))
    }

    /// Makes a pool of one connection whose content does not change between reads.
    pub(crate) fn of_snapshot(path: &Path, connection: Connection) -> Self {
        Self::new(path, vec![connection], true)
    }

    fn new(path: &Path, connections: Vec<Connection>, is_snapshot: bool) -> Self {
        for connection in &connections {
            connection.set_prepared_statement_cache_capacity(32);
        }
        let permits = Arc::new(Semaphore::new(connections.len()));
        Self { idle: Arc::new(Mutex::new(connections)), permits, path: path.to_owned(), is_snapshot }
    }

    /// Runs `read` on a thread that may block, in one transaction, so that it sees one state of the file.
    pub(crate) async fn run<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed_error(&self.path))?;
        let (idle, is_snapshot) = (Arc::clone(&self.idle), self.is_snapshot);
        let reading = tokio::task::spawn_blocking(move || {
            let Some(connection) = idle.lock().pop() else { return Ok(None) };
            let begun = (!is_snapshot).then(|| connection.unchecked_transaction()).transpose();
            let result = begun.and_then(|_transaction| read(&connection));
            if !permit.semaphore().is_closed() {
                idle.lock().push(connection);
            }
            drop(permit);
            result.map(Some)
        });
        match reading.await {
            Ok(Ok(Some(value))) => Ok(value),
            Ok(Ok(None)) => Err(closed_error(&self.path)),
            Ok(Err(error)) => Err(store_error("read from", &self.path, error)),
            Err(panicked) => {
                let message = format!("a read of the store {:?} panicked", self.path);
                Err(StoreError::with_source(FaultKind::Bug, message, panicked))
            }
        }
    }

    /// Tells whether [`Self::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    /// Closes the connections; later calls fail.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }
}
