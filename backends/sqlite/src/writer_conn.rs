//! The connection of the writer thread, with its metadata cache and the last assigned row numbers.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ecs_scheduler_core::{JobId, StoreError};
use lru::LruCache;
use rusqlite::{Connection, OptionalExtension};

use crate::checkpoint::Checkpointer;
use crate::codec::{JobMeta, meta_columns, read_meta_and_key};
use crate::connection::page_size;
use crate::error::{TxError, store_error};
use crate::file_identity::FileIdentities;
use crate::lock::Lock;
use crate::row_cache::CacheChange;

/// Number of job metadata rows that the writer caches.
const META_CACHE_CAPACITY: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("it is not zero");
/// Size of the write-ahead log, in bytes, at which the writer waits for a checkpoint.
const MAX_LOG_BYTES: i64 = 256 << 20;

const SELECT_META: &str = concat!(
    "SELECT ",
    meta_columns!(),
    ", m.folds, (SELECT json_extract(ledger, '$.explanation') FROM journal WHERE seq = m.head AND m.folds IS NOT NULL) \
     FROM jobs j JOIN marks m ON m.no = j.rowid WHERE j.id = ?1 AND m.broken = 0"
);

/// The connection of the writer thread. Its caches are valid within the open transaction and dropped by a rollback.
#[derive(Debug)]
pub(crate) struct WriterConn {
    pub(crate) connection: Connection,
    pub(crate) meta_cache: LruCache<JobId, JobMeta>,
    /// The changes of the open transaction, for the row cache.
    pub(crate) changes: Vec<CacheChange>,
    pub(crate) sequences: Sequences,
    committed: Sequences,
    checkpointer: Checkpointer,
    log_bytes: Arc<AtomicI64>,
    /// Bytes of a page.
    pub(crate) page_size: i64,
    path: PathBuf,
    files: FileIdentities,
    /// Released after everything above is dropped.
    _lock: Lock,
}

/// The last numbers that were assigned to rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sequences {
    /// The newest decision.
    pub(crate) seq: u64,
    /// The newest job's rowid.
    pub(crate) no: i64,
}

impl WriterConn {
    pub(crate) fn new(
        mut connection: Connection,
        sequences: Sequences,
        path: PathBuf,
        lock: Lock,
    ) -> Result<Self, StoreError> {
        connection.set_prepared_statement_cache_capacity(64);
        let files = FileIdentities::record(&path);
        let checkpointer = Checkpointer::start(&path, files.clone())?;
        let page_size: i64 =
            page_size(&connection).map_err(|error| store_error("read the page size of", &path, error))?;
        let log_bytes = Arc::new(AtomicI64::new(0));
        let (log_size, trigger) = (Arc::clone(&log_bytes), checkpointer.trigger());
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            let bytes = i64::from(pages) * page_size;
            log_size.store(bytes, Ordering::Relaxed);
            trigger.report_log_size(bytes);
            Ok(())
        };
        connection
            .wal_hook(Some(hook))
            .map_err(|error| store_error("watch the write-ahead log of", &path, error))?;
        let meta_cache = LruCache::new(META_CACHE_CAPACITY);
        let (committed, changes) = (sequences, Vec::new());
        Ok(Self {
            connection,
            meta_cache,
            changes,
            sequences,
            committed,
            checkpointer,
            log_bytes,
            page_size,
            path,
            files,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn begin(&mut self) -> Result<(), TxError> {
        self.files.verify()?;
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> Result<(), TxError> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.committed = self.sequences;
        if self.log_bytes.load(Ordering::Relaxed) > MAX_LOG_BYTES {
            self.log_bytes.store(0, Ordering::Relaxed);
            self.checkpoint("RESTART");
        }
        Ok(())
    }

    /// Rolls back the open transaction, unless SQLite has done so already, and drops the caches that it filled.
    pub(crate) fn roll_back(&mut self) {
        self.meta_cache.clear();
        self.changes.clear();
        self.sequences = self.committed;
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, path = ?self.path, "could not roll back a transaction of the store");
        }
    }

    /// Returns the changes of the committed transaction.
    pub(crate) fn take_changes(&mut self) -> Vec<CacheChange> {
        std::mem::take(&mut self.changes)
    }

    /// Stops the checkpoint thread, then checkpoints and truncates the log. Logs that a file was deleted, moved or
    /// replaced meanwhile.
    pub(crate) fn finish(&mut self) {
        if let Err(error) = self.files.verify() {
            tracing::error!("{error}");
        }
        if let Err(error) =
            self.connection.wal_hook(None::<fn(&mut rusqlite::hooks::Wal, i32) -> rusqlite::Result<()>>)
        {
            tracing::warn!(%error, path = ?self.path, "could not remove the hook of the write-ahead log");
        }
        self.checkpointer.stop();
        self.checkpoint("TRUNCATE");
    }

    fn checkpoint(&self, mode: &str) {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        if let Err(error) = self.connection.query_row(&sql, [], |_| Ok(())) {
            tracing::warn!(%error, path = ?self.path, "WAL checkpoint failed");
        }
    }
}

/// Returns a job's metadata from the writer's cache, or reads it from the file and caches it.
pub(crate) fn cached_meta<'m>(
    connection: &Connection,
    cache: &'m mut LruCache<JobId, JobMeta>,
    id: &JobId,
) -> Result<Option<&'m mut JobMeta>, TxError> {
    if !cache.contains(id) {
        let mut statement = connection.prepare_cached(SELECT_META)?;
        let Some(meta) = statement.query_row([id.as_str()], read_meta_and_key).optional()? else {
            return Ok(None);
        };
        cache.put(id.clone(), meta);
    }
    Ok(cache.get_mut(id))
}
