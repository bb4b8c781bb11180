//! Opening: the options, and the steps from the log and the documents to a store.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ecs_scheduler_core::{Clock, MemoryStore, StoreError, SystemClock};
use uuid::Uuid;

use crate::compaction::Compactor;
use crate::documents::Documents;
use crate::error::Location;
use crate::external_edits::find_external_edits;
use crate::import::complete_import;
use crate::jobs::JobEditor;
use crate::lifecycle::Lifecycle;
use crate::log::ObjectLog;
use crate::log_writer::LogWriter;
use crate::replay::{ReplayedLog, claim_log, replay};
use crate::store::LogStore;

/// The options of a log store.
#[derive(Debug, Clone)]
pub struct LogStoreOptions {
    /// Tells when documents of other programs were imported.
    pub clock: Arc<dyn Clock>,
    /// The number of finished decisions that are kept in memory with their firings, about 3 KiB each; 50,000 by default. When an
    /// eighth more are finished, the oldest are pruned, whatever their age.
    pub max_rows: NonZeroUsize,
    /// A snapshot is taken after this many segments; 2,000 by default. Opening reads at most this many segments, and more after a
    /// snapshot that failed.
    pub snapshot_every: NonZeroUsize,
}

impl Default for LogStoreOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            max_rows: NonZeroUsize::new(50_000).expect("it is not zero"),
            snapshot_every: NonZeroUsize::new(2_000).expect("it is not zero"),
        }
    }
}

impl LogStore {
    /// Opens a store: replays the log, claims it for this process, and imports other programs' edits of the documents.
    ///
    /// `kind` is the store's kind for lists and logs. `location` names the log in messages: `bucket "jobs"`. A process that wrote to
    /// this log before stops at its next write or check.
    ///
    /// # Errors
    ///
    /// Fails, with the location and the remedy, when the log or the documents cannot be read or written, or when an object of the
    /// log is damaged, missing or of a newer format.
    pub async fn open(
        kind: &'static str,
        location: impl Into<String>,
        log: Arc<dyn ObjectLog>,
        documents: Arc<dyn Documents>,
        options: LogStoreOptions,
    ) -> Result<Self, StoreError> {
        let lifecycle = Arc::new(Lifecycle::new(Location { name: location.into() }));
        let (id, at) = (Uuid::new_v4(), options.clock.now());
        let replayed = claim_log(&*log, &lifecycle.location, id, at).await?;
        let ReplayedLog { state, next_position, segments, bytes } = replayed;
        let state = Arc::new(state);
        let compactor =
            Compactor::new(options.snapshot_every.get() as u64, options.max_rows.get(), segments, bytes);
        let writer = LogWriter::start(
            Arc::clone(&lifecycle),
            Arc::clone(&log),
            Arc::clone(&state),
            id,
            next_position,
            compactor,
        );
        let editor =
            JobEditor::new(Arc::clone(&lifecycle), documents, state, Arc::new(writer), options.clock);
        complete_import(&editor).await?;
        let edits = find_external_edits(&*editor.documents, &editor.state, at).await?;
        editor.writer.commit_all(edits).await?;
        Ok(Self::new(kind, lifecycle, log, editor))
    }

    /// Reads the current state of a store. The log is neither claimed nor written, so a running scheduler is not disturbed. Changes
    /// of the returned store are not written anywhere.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), except for errors of writing.
    pub async fn open_read_only(
        location: impl Into<String>,
        log: &dyn ObjectLog,
        documents: &dyn Documents,
        clock: &dyn Clock,
    ) -> Result<MemoryStore, StoreError> {
        let location = Location { name: location.into() };
        let ReplayedLog { state, next_position, .. } = replay(log, &location).await?;
        for op in find_external_edits(documents, &state, clock.now()).await? {
            state.apply(next_position, op).await?;
        }
        Ok(state.memory)
    }
}
