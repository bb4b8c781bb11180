//! Puts the write-ahead log back into the file, beside the writer, so that no caller waits for it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, StoreError};
use rusqlite::{Connection, OpenFlags};

use crate::error::fault;
use crate::file_identity::Presence;

/// Size of the log, in bytes, at which it is put back.
const FULL: i64 = 16 << 20;

/// How often the thread looks whether the store's files are still there.
const LOOK: Duration = Duration::from_secs(2);
/// The writer rests when it has committed nothing for so long.
const REST: Duration = Duration::from_millis(20);
/// So many commits are waited for at most before the log is put back while the writer works: a second at the longest.
const PATIENCE: usize = 50;

/// A thread that puts the log back when it is told that it has grown.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    bell: Option<Bell>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the thread; a ring while it works counts for the time after.
#[derive(Debug, Clone)]
pub(crate) struct Bell(SyncSender<()>);

impl Bell {
    /// Tells how many bytes the log has.
    pub(crate) fn ring(&self, bytes: i64) {
        if bytes >= FULL {
            // A full channel means that the thread will look anyway, a closed one that it has ended.
            let _ = self.0.try_send(());
        }
    }
}

impl Checkpointer {
    pub(crate) fn start(path: &Path, presence: Presence) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .and_then(|connection| connection.busy_timeout(Duration::from_secs(5)).map(|()| connection))
            .map_err(|error| fault("open", path, error))?;
        let (sender, rung) = sync_channel(1);
        let of = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("sqlite-checkpoint".to_owned())
            .spawn(move || put_back(&connection, &rung, &of, &presence))
            .map_err(|error| {
                StoreError::caused(
                    FaultKind::Unavailable,
                    format!("could not start a thread for {path:?}"),
                    error,
                )
            })?;
        Ok(Self { bell: Some(Bell(sender)), thread: Some(thread) })
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone().expect("the bell is there until the thread is stopped")
    }

    /// Ends the thread; every other bell must be gone.
    pub(crate) fn stop(&mut self) {
        self.bell = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that puts back the log panicked");
        }
    }
}

fn put_back(connection: &Connection, rung: &Receiver<()>, path: &PathBuf, presence: &Presence) {
    let mut missing = false;
    loop {
        match rung.recv_timeout(LOOK) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => {
                missing = tell(presence, missing);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        wait_for_rest(rung);
        if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!(%error, ?path, "could not put the log of the store back into it");
        }
    }
}

/// Says once that the store's files are not where they were, and once that they are again; tells which.
fn tell(presence: &Presence, missing: bool) -> bool {
    let checked = presence.check();
    match &checked {
        Err(error) if !missing => tracing::error!("{error}; nothing is launched until then"),
        Ok(()) if missing => tracing::info!("the files of the store are there again"),
        Ok(()) | Err(_) => {}
    }
    checked.is_err()
}

/// Waits until the writer rests: to put the log back keeps the disk busy, and in a busy moment commits wait for it.
fn wait_for_rest(rung: &Receiver<()>) {
    for _ in 0..PATIENCE {
        if rung.recv_timeout(REST).is_err() {
            return;
        }
    }
}
