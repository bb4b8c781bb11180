//! Opening: replays the newest snapshot and the segments after it, and claims the log for this process.

use ecs_scheduler_core::{StoreError, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use crate::error::Location;
use crate::log::{CreateResult, ObjectLog};
use crate::log_op::LogOp;
use crate::materialized_state::MaterializedState;
use crate::segment::{decode, encode, segment_name, segment_position};
use crate::snapshot;

/// The maximum number of segments that are read concurrently.
const CONCURRENT_READS: usize = 32;

/// The maximum number of replays. Another process may remove segments during a replay, after it has written a newer
/// snapshot.
const MAX_REPLAYS: usize = 5;

/// The maximum number of positions that another process may occupy before this process stops with an error.
const MAX_CLAIM_ATTEMPTS: usize = 100;

/// A log that was replayed.
#[derive(Debug)]
pub(crate) struct ReplayedLog {
    /// The state that the log makes.
    pub(crate) state: MaterializedState,
    /// The next free position.
    pub(crate) next_position: u64,
    /// The number of segments after the newest snapshot.
    pub(crate) segments: u64,
    /// The size of these segments in bytes.
    pub(crate) bytes: u64,
}

/// Replays the log, and claims it for this process by a segment that begins a new epoch.
///
/// # Errors
///
/// Fails when the log cannot be read or written, when an object is damaged, missing or of a newer format, or when
/// another process keeps occupying the positions.
pub(crate) async fn claim_log(
    log: &dyn ObjectLog,
    location: &Location,
    writer: Uuid,
    at: Timestamp,
) -> Result<ReplayedLog, StoreError> {
    let mut replayed = replay(log, location).await?;
    let epoch = LogOp::BeginEpoch { at, process: std::process::id() };
    let op = epoch.encode()?;
    for _ in 0..MAX_CLAIM_ATTEMPTS {
        let bytes = encode(writer, replayed.next_position, &[&op]);
        let name = segment_name(replayed.next_position);
        if log.create(&name, bytes).await? == CreateResult::Created {
            replayed.apply(vec![epoch], 0).await;
            return Ok(replayed);
        }
        // The segment is of another process, or it is this claim: an earlier attempt wrote it, and its answer was lost.
        let found = log.read(&name).await?.ok_or_else(|| location.missing(&name))?;
        let segment = decode(location, &name, &found)?;
        replayed.apply(segment.ops, found.len()).await;
        if segment.writer == writer {
            return Ok(replayed);
        }
    }
    let by = format!("it took {MAX_CLAIM_ATTEMPTS} positions while this process started");
    Err(StoreError::fault(ecs_scheduler_core::FaultKind::Config, location.written_by_another(&by)))
}

impl ReplayedLog {
    async fn apply(&mut self, ops: Vec<LogOp>, bytes: usize) {
        for op in ops {
            // An operation that fails now also failed, without effect, when it was written.
            let _ = self.state.apply(self.next_position, op).await;
        }
        self.next_position += 1;
        self.segments += 1;
        self.bytes += bytes as u64;
    }
}

/// Replays the log.
///
/// # Errors
///
/// Fails when it cannot be read, or when an object is damaged, missing or of a newer format.
pub(crate) async fn replay(log: &dyn ObjectLog, location: &Location) -> Result<ReplayedLog, StoreError> {
    let mut missing = None;
    for _ in 0..MAX_REPLAYS {
        match try_replay(log, location).await? {
            Ok(replayed) => return Ok(replayed),
            Err(name) => missing = Some(name),
        }
    }
    Err(location.missing(&missing.expect("every failed replay names the missing object")))
}

/// Reads all objects and applies their operations, or returns the name of a missing object.
async fn try_replay(
    log: &dyn ObjectLog,
    location: &Location,
) -> Result<Result<ReplayedLog, String>, StoreError> {
    let names = log.names("").await?;
    let (state, base) = match snapshot::newest(&names) {
        None => (MaterializedState::default(), 0),
        Some(position) => match snapshot::read(log, location, position).await? {
            None => return Ok(Err(format!("a part of the snapshot at {position}"))),
            Some(state) => (state, position),
        },
    };
    let positions: Vec<u64> =
        names.iter().filter_map(|name| segment_position(name)).filter(|at| *at > base).collect();
    if let Some((_, gap)) = positions.iter().zip(base + 1..).find(|(found, wanted)| *found != wanted) {
        return Ok(Err(segment_name(gap)));
    }
    let mut replayed = ReplayedLog { state, next_position: base + 1, segments: 0, bytes: 0 };
    let reads = positions.into_iter().map(|at| async move {
        let name = segment_name(at);
        log.read(&name).await.map(|bytes| (name, bytes))
    });
    let mut reads = futures::stream::iter(reads).buffered(CONCURRENT_READS);
    while let Some((name, bytes)) = reads.try_next().await? {
        let Some(bytes) = bytes else { return Ok(Err(name)) };
        let segment = decode(location, &name, &bytes)?;
        replayed.apply(segment.ops, bytes.len()).await;
    }
    Ok(Ok(replayed))
}
