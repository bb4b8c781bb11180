//! Opening: the newest snapshot, and the segments behind it.

use ecs_scheduler_core::{StoreError, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use crate::error::Site;
use crate::group_commit::text;
use crate::log::{Created, Log};
use crate::log_op::Entry;
use crate::materialized_state::State;
use crate::segment::{decode, encode, segment_name, segment_position};
use crate::snapshot;

/// Segments that are read at once.
const AT_ONCE: usize = 32;

/// Another process may remove old segments while they are read here, each time for a newer snapshot.
const TRIES: usize = 5;

/// Positions that may be taken by somebody else before this process has one.
const CLAIM_TRIES: usize = 100;

/// A log that was read.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What it adds up to.
    pub(crate) state: State,
    /// The next free position.
    pub(crate) next: u64,
    /// How many segments lie behind the newest snapshot.
    pub(crate) segments: u64,
    /// Their size in bytes.
    pub(crate) bytes: u64,
}

/// Reads the log, and claims it for this process.
///
/// # Errors
///
/// Fails when the log cannot be read or written, when an object is damaged, missing or of a newer format, or when another
/// process keeps taking the positions.
pub(crate) async fn open(
    log: &dyn Log,
    site: &Site,
    writer: Uuid,
    at: Timestamp,
) -> Result<Opened, StoreError> {
    let mut opened = load(log, site).await?;
    let claim = Entry::Claim { at, process: std::process::id() };
    let entries = [text(&claim)?];
    for _ in 0..CLAIM_TRIES {
        let bytes = encode(writer, opened.next, &entries);
        let name = segment_name(opened.next);
        if log.create(&name, bytes).await? == Created::New {
            opened.apply(vec![claim], 0).await;
            return Ok(opened);
        }
        // Somebody else's, or this very claim, whose answer was lost and that was tried again.
        let found = log.read(&name).await?.ok_or_else(|| site.missing(&name))?;
        let segment = decode(site, &name, &found)?;
        opened.apply(segment.entries, found.len()).await;
        if segment.writer == writer {
            return Ok(opened);
        }
    }
    let by = format!("it took {CLAIM_TRIES} positions while this one began");
    Err(StoreError::fault(ecs_scheduler_core::FaultKind::Config, site.taken(&by)))
}

impl Opened {
    async fn apply(&mut self, entries: Vec<Entry>, bytes: usize) {
        for entry in entries {
            // One that does not fit the state did nothing when it was written either.
            let _ = self.state.apply(self.next, entry).await;
        }
        self.next += 1;
        self.segments += 1;
        self.bytes += bytes as u64;
    }
}

/// Reads the log.
///
/// # Errors
///
/// Fails when it cannot be read, or when an object is damaged, missing or of a newer format.
pub(crate) async fn load(log: &dyn Log, site: &Site) -> Result<Opened, StoreError> {
    let mut missing = None;
    for _ in 0..TRIES {
        match attempt(log, site).await? {
            Ok(opened) => return Ok(opened),
            Err(name) => missing = Some(name),
        }
    }
    Err(site.missing(&missing.expect("every try that failed names what it missed")))
}

/// Reads everything, or names an object that is not there.
async fn attempt(log: &dyn Log, site: &Site) -> Result<Result<Opened, String>, StoreError> {
    let names = log.names("").await?;
    let (state, base) = match snapshot::newest(&names) {
        None => (State::default(), 0),
        Some(position) => match snapshot::read(log, site, position).await? {
            None => return Ok(Err(format!("a part of the snapshot at {position}"))),
            Some(state) => (state, position),
        },
    };
    let behind: Vec<u64> =
        names.iter().filter_map(|name| segment_position(name)).filter(|at| *at > base).collect();
    if let Some((_, gap)) = behind.iter().zip(base + 1..).find(|(found, wanted)| *found != wanted) {
        return Ok(Err(segment_name(gap)));
    }
    let mut opened = Opened { state, next: base + 1, segments: 0, bytes: 0 };
    let reads = behind.into_iter().map(|at| async move {
        let name = segment_name(at);
        log.read(&name).await.map(|bytes| (name, bytes))
    });
    let mut reads = futures::stream::iter(reads).buffered(AT_ONCE);
    while let Some((name, bytes)) = reads.try_next().await? {
        let Some(bytes) = bytes else { return Ok(Err(name)) };
        let segment = decode(site, &name, &bytes)?;
        opened.apply(segment.entries, bytes.len()).await;
    }
    Ok(Ok(opened))
}
