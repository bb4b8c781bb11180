//! The writer's connection, and what it remembers between commands.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ecs_scheduler_core::{JobId, StoreError};
use lru::LruCache;
use rusqlite::{Connection, OptionalExtension};

use crate::checkpoint::Checkpointer;
use crate::codec::{self, Mark, mark_columns};
use crate::error::Failure;
use crate::file_identity::Presence;
use crate::lock::Lock;
use crate::open::page_size;
use crate::row_cache::Change;

/// Marks remembered by the writer.
const MARKS: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("it is not zero");
/// Size of the log, in bytes, at which the writer waits for it to be put back into the file.
const LOG_LIMIT: i64 = 256 << 20;

const BY_NAME: &str = concat!(
    "SELECT ",
    mark_columns!(),
    " FROM jobs j JOIN marks m ON m.no = j.rowid WHERE j.id = ?1 AND m.broken = 0"
);

/// What the writer works with. What it remembers is true within the open transaction, and forgotten with it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) connection: Connection,
    pub(crate) marks: LruCache<JobId, Mark>,
    pub(crate) changes: Vec<Change>,
    pub(crate) counters: Counters,
    committed: Counters,
    checkpointer: Checkpointer,
    log_bytes: Arc<AtomicI64>,
    /// Bytes of a page.
    pub(crate) page: i64,
    path: PathBuf,
    presence: Presence,
    /// Released when everything above is gone.
    _lock: Lock,
}

/// The numbers given last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    /// The newest decision.
    pub(crate) seq: u64,
    /// The newest job's rowid.
    pub(crate) no: i64,
}

impl Desk {
    pub(crate) fn new(
        mut connection: Connection,
        counters: Counters,
        path: PathBuf,
        lock: Lock,
    ) -> Result<Self, StoreError> {
        connection.set_prepared_statement_cache_capacity(64);
        let presence = Presence::note(&path);
        let checkpointer = Checkpointer::start(&path, presence.clone())?;
        let page: i64 = page_size(&connection)
            .map_err(|error| crate::error::fault("read the size of pages of", &path, error))?;
        let log_bytes = Arc::new(AtomicI64::new(0));
        let (noted, bell) = (Arc::clone(&log_bytes), checkpointer.bell());
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            let bytes = i64::from(pages) * page;
            noted.store(bytes, Ordering::Relaxed);
            bell.ring(bytes);
            Ok(())
        };
        connection
            .wal_hook(Some(hook))
            .map_err(|error| crate::error::fault("watch the log of", &path, error))?;
        let marks = LruCache::new(MARKS);
        let (committed, changes) = (counters, Vec::new());
        Ok(Self {
            connection,
            marks,
            changes,
            counters,
            committed,
            checkpointer,
            log_bytes,
            page,
            path,
            presence,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        self.presence.check()?;
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.committed = self.counters;
        if self.log_bytes.load(Ordering::Relaxed) > LOG_LIMIT {
            self.log_bytes.store(0, Ordering::Relaxed);
            self.put_back("RESTART");
        }
        Ok(())
    }

    /// Undoes the open transaction, if SQLite has not done so already, and forgets what was true in it only.
    pub(crate) fn roll_back(&mut self) {
        self.marks.clear();
        self.changes.clear();
        self.counters = self.committed;
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, path = ?self.path, "could not roll back a transaction of the store");
        }
    }

    /// Returns the changes of the transaction that was committed.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Puts the log back into the file and truncates it, as the last thing.
    pub(crate) fn finish(&mut self) {
        if let Err(error) =
            self.connection.wal_hook(None::<fn(&mut rusqlite::hooks::Wal, i32) -> rusqlite::Result<()>>)
        {
            tracing::warn!(%error, path = ?self.path, "could not unhook the log of the store");
        }
        self.checkpointer.stop();
        self.put_back("TRUNCATE");
    }

    fn put_back(&self, mode: &str) {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        if let Err(error) = self.connection.query_row(&sql, [], |_| Ok(())) {
            tracing::warn!(%error, path = ?self.path, "could not put the log of the store back into it");
        }
    }
}

/// Finds a job's mark in the writer's memory, else in the file.
pub(crate) fn find<'m>(
    connection: &Connection,
    marks: &'m mut LruCache<JobId, Mark>,
    id: &JobId,
) -> Result<Option<&'m mut Mark>, Failure> {
    if !marks.contains(id) {
        let mut statement = connection.prepare_cached(BY_NAME)?;
        let Some(mark) = statement.query_row([id.as_str()], codec::mark).optional()? else { return Ok(None) };
        marks.put(id.clone(), mark);
    }
    Ok(marks.get_mut(id))
}
