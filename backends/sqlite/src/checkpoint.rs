//! Checkpoints: a thread beside the writer copies the write-ahead log into the file, so that no caller waits for it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, StoreError};
use rusqlite::{Connection, OpenFlags};

use crate::error::store_error;
use crate::file_identity::FileIdentities;

/// Size of the log, in bytes, at which it is checkpointed.
const CHECKPOINT_BYTES: i64 = 16 << 20;

/// How often the thread checks that the store's files are still there.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// The writer counts as idle after so long without a commit.
const IDLE_TIMEOUT: Duration = Duration::from_millis(20);
/// Maximum number of commits that defer a checkpoint while the writer is busy: one second at most.
const MAX_DEFERRALS: usize = 50;

/// The handle of the checkpoint thread.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    trigger: Option<CheckpointTrigger>,
    thread: Option<JoinHandle<()>>,
}

/// Wakes the checkpoint thread; a signal that arrives during a checkpoint starts another one after it.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointTrigger(SyncSender<()>);

impl CheckpointTrigger {
    /// Wakes the thread when the log has reached [`CHECKPOINT_BYTES`].
    pub(crate) fn report_log_size(&self, bytes: i64) {
        if bytes >= CHECKPOINT_BYTES {
            // A full channel means that the thread has a signal already, a closed one that it has ended.
            let _ = self.0.try_send(());
        }
    }
}

impl Checkpointer {
    /// Starts the thread, with a connection of its own.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be opened or the system refuses another thread.
    pub(crate) fn start(path: &Path, files: FileIdentities) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .and_then(|connection| connection.busy_timeout(Duration::from_secs(5)).map(|()| connection))
            .map_err(|error| store_error("open", path, error))?;
        let (sender, signals) = sync_channel(1);
        let store_path = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("sqlite-checkpoint".to_owned())
            .spawn(move || run_checkpoints(&connection, &signals, &store_path, &files))
            .map_err(|error| {
                StoreError::with_source(
                    FaultKind::Unavailable,
                    format!("could not start the checkpoint thread of the store {path:?}"),
                    error,
                )
            })?;
        Ok(Self { trigger: Some(CheckpointTrigger(sender)), thread: Some(thread) })
    }

    pub(crate) fn trigger(&self) -> CheckpointTrigger {
        self.trigger.clone().expect("the trigger exists until the thread is stopped")
    }

    /// Ends the thread; every other trigger must be dropped before.
    pub(crate) fn stop(&mut self) {
        self.trigger = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread of the store panicked");
        }
    }
}

fn run_checkpoints(connection: &Connection, signals: &Receiver<()>, path: &PathBuf, files: &FileIdentities) {
    let mut missing = false;
    loop {
        match signals.recv_timeout(FILE_CHECK_INTERVAL) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                missing = log_missing_files(files, missing);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        wait_until_idle(signals);
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!(%error, ?path, "WAL checkpoint failed");
        }
    }
}

/// Logs once that a file of the store is missing, and once that all are back; returns whether one is missing.
fn log_missing_files(files: &FileIdentities, missing: bool) -> bool {
    let verified = files.verify();
    match &verified {
        Err(error) if !missing => tracing::error!("{error}; nothing is launched until then"),
        Ok(()) if missing => tracing::info!("the files of the store are back"),
        Ok(()) | Err(_) => {}
    }
    verified.is_err()
}

/// Waits until the writer is idle: a checkpoint keeps the disk busy, and commits would wait for it.
fn wait_until_idle(signals: &Receiver<()>) {
    for _ in 0..MAX_DEFERRALS {
        if signals.recv_timeout(IDLE_TIMEOUT).is_err() {
            return;
        }
    }
}
