//! The task that writes: group commit, and what is done when a segment's fate is unknown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ecs_scheduler_core::{FaultKind, StoreError, fault};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{Command, text};
use crate::compaction::Upkeep;
use crate::lifecycle::Gate;
use crate::log::{Created, Log};
use crate::log_op::Entry;
use crate::materialized_state::State;
use crate::segment::{describe, encode, segment_name};

/// A segment of this size in bytes takes up no further operations.
const FULL: usize = 2 << 20;

/// Attempts at one segment before its operations are answered with an error.
const ATTEMPTS: u32 = 4;

/// The wait before the second attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// What writes. Whoever waits is answered by it.
#[derive(Debug)]
pub(super) struct Scribe {
    pub(super) gate: Arc<Gate>,
    pub(super) log: Arc<dyn Log>,
    pub(super) state: Arc<State>,
    pub(super) id: Uuid,
    pub(super) next: Arc<AtomicU64>,
    pub(super) doubt: Option<Doubt>,
    pub(super) upkeep: Upkeep,
}

/// A segment of which nobody knows whether it was written. It is tried again to the letter before anything else is: at its
/// position there is this segment or a stranger's, never another one of ours.
#[derive(Debug)]
pub(super) struct Doubt {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// Why a segment was not written.
enum Unwritten {
    /// It surely was not.
    Surely(StoreError),
    /// It may have been.
    Perhaps(StoreError),
}

impl Scribe {
    /// Writes until nobody can put anything into the queue any more.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(first) = commands.recv().await {
            let mut size = first.text.get().len();
            let mut batch = vec![first];
            while size < FULL
                && let Ok(command) = commands.try_recv()
            {
                size += command.text.get().len();
                batch.push(command);
            }
            self.commit(batch).await;
            if let Some(entry) = self.upkeep.overflow(&self.state) {
                self.prune(entry).await;
            }
            self.upkeep.consider(&self.log, &self.state, self.id, self.position() - 1);
        }
        self.upkeep.finish().await;
    }

    fn position(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    async fn prune(&mut self, entry: Entry) {
        let Ok(text) = text(&entry) else { return };
        let (answer, outcome) = oneshot::channel();
        self.commit(vec![Command { entry, text, answer }]).await;
        match outcome.await {
            Ok(Ok(effect)) => {
                tracing::info!("{} rows of history went: the journal is full", effect.into_count())
            }
            Ok(Err(error)) => tracing::warn!("could not remove old history: {}", fault::chain(&error)),
            Err(_) => {}
        }
    }

    async fn commit(&mut self, batch: Vec<Command>) {
        if let Err(error) = self.settle_doubt().await {
            return refuse(batch, &error);
        }
        let mut texts = Vec::with_capacity(batch.len());
        let mut operations = Vec::with_capacity(batch.len());
        for Command { entry, text, answer } in batch {
            texts.push(text);
            operations.push((entry, answer));
        }
        let bytes = encode(self.id, self.position(), &texts);
        let (error, perhaps) = match self.append(&bytes).await {
            Ok(()) => {
                let position = self.advance(bytes.len());
                for (entry, answer) in operations {
                    // Whoever does not wait any more does not want to know.
                    let _ = answer.send(self.state.apply(position, entry).await);
                }
                return;
            }
            Err(Unwritten::Surely(error)) => (error, false),
            Err(Unwritten::Perhaps(error)) => (error, true),
        };
        let mut entries = Vec::new();
        for (entry, answer) in operations {
            entries.push(entry);
            let _ = answer.send(Err(copy(&error)));
        }
        self.doubt = perhaps.then_some(Doubt { bytes, entries });
    }

    /// Notes that the segment at the position was written; returns that position.
    fn advance(&mut self, size: usize) -> u64 {
        self.upkeep.count(size);
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// Learns what became of the segment that is in doubt, by trying it again.
    async fn settle_doubt(&mut self) -> Result<(), StoreError> {
        let Some(Doubt { bytes, entries }) = self.doubt.take() else { return Ok(()) };
        match self.append(&bytes).await {
            Ok(()) => {
                let position = self.advance(bytes.len());
                for entry in entries {
                    // Its caller was told that nobody knows.
                    let _ = self.state.apply(position, entry).await;
                }
                Ok(())
            }
            Err(Unwritten::Surely(error) | Unwritten::Perhaps(error)) => {
                self.doubt = Some(Doubt { bytes, entries });
                Err(error)
            }
        }
    }

    async fn append(&self, bytes: &[u8]) -> Result<(), Unwritten> {
        self.gate.still_ours().map_err(Unwritten::Surely)?;
        let name = segment_name(self.position());
        let (mut attempt, mut pause) = (1, PAUSE);
        loop {
            match self.log.create(&name, bytes.to_vec()).await {
                Ok(Created::New) => return Ok(()),
                Ok(Created::Exists) => return self.compare(&name, bytes).await,
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tracing::warn!(name, attempt, "{}; trying again", fault::chain(&error));
                    tokio::time::sleep(pause).await;
                    attempt += 1;
                    pause *= 2;
                }
                Err(error) if error.is_transient() || attempt > 1 => return Err(Unwritten::Perhaps(error)),
                Err(error) => return Err(Unwritten::Surely(error)),
            }
        }
    }

    /// Tells whether what is at the position is this segment.
    async fn compare(&self, name: &str, bytes: &[u8]) -> Result<(), Unwritten> {
        let found = self.log.read(name).await.map_err(Unwritten::Perhaps)?;
        if found.as_deref() == Some(bytes) {
            return Ok(());
        }
        let by = describe(&self.gate.site, name, found.as_deref());
        Err(Unwritten::Surely(self.gate.lose(&by)))
    }
}

fn refuse(batch: Vec<Command>, error: &StoreError) {
    for command in batch {
        let _ = command.answer.send(Err(copy(error)));
    }
}

/// Says the same to one more caller.
fn copy(error: &StoreError) -> StoreError {
    let kind = if let StoreError::Fault { kind, .. } = error { *kind } else { FaultKind::Bug };
    match std::error::Error::source(error) {
        None => StoreError::fault(kind, error.to_string()),
        Some(cause) => StoreError::caused(kind, error.to_string(), fault::chain(cause)),
    }
}
