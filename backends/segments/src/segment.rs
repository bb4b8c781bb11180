//! How segments look: JSON, with the number of the format, who wrote it, its position, and operations.

use ecs_scheduler_core::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::Site;
use crate::log_op::Entry;

/// The newest format of segments and snapshots that this version reads, and the one that it writes. Since 2, settlements
/// ask for the revision that they were decided by; since 3, pruning leaves the newest decisions of each job.
pub(crate) const FORMAT: u32 = 3;

const SEGMENT: &str = "segment-";

/// Names the segment at a position.
pub(crate) fn segment_name(position: u64) -> String {
    format!("{SEGMENT}{position:016}")
}

/// Returns the position of a segment by its name, if it is one.
pub(crate) fn segment_position(name: &str) -> Option<u64> {
    name.strip_prefix(SEGMENT)?.parse().ok()
}

/// A segment as it was read.
#[derive(Debug, Deserialize)]
pub(crate) struct Segment {
    /// The process that wrote it.
    pub(crate) writer: Uuid,
    position: u64,
    /// What it did.
    pub(crate) entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    writer: Uuid,
    position: u64,
    entries: &'a [Box<RawValue>],
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Writes a segment.
pub(crate) fn encode(writer: Uuid, position: u64, entries: &[Box<RawValue>]) -> Vec<u8> {
    serde_json::to_vec(&Written { format: FORMAT, writer, position, entries })
        .expect("names, numbers and JSON make JSON")
}

/// Reads a segment.
///
/// # Errors
///
/// Fails when it is damaged, has another position than its name says, or is of a newer format.
pub(crate) fn decode(site: &Site, name: &str, bytes: &[u8]) -> Result<Segment, StoreError> {
    refuse_newer(site, name, bytes)?;
    let segment: Segment = serde_json::from_slice(bytes).map_err(|error| site.damaged(name, error))?;
    if Some(segment.position) != segment_position(name) {
        return Err(site.damaged(name, format!("it says that it has position {}", segment.position)));
    }
    Ok(segment)
}

/// Refuses what a later version wrote.
///
/// # Errors
///
/// Fails when the format is a newer one, or when it cannot be made out.
pub(crate) fn refuse_newer(site: &Site, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let head: Head = serde_json::from_slice(bytes).map_err(|error| site.damaged(name, error))?;
    if head.format > FORMAT {
        return Err(site.newer(name, head.format, FORMAT));
    }
    Ok(())
}

/// Says who wrote a segment, as far as that can be made out.
pub(crate) fn describe(site: &Site, name: &str, bytes: Option<&[u8]>) -> String {
    let Some(segment) = bytes.and_then(|bytes| decode(site, name, bytes).ok()) else {
        return format!("it took \"{name}\"");
    };
    let claim = segment.entries.iter().find_map(|entry| {
        let Entry::Claim { at, process } = entry else { return None };
        Some(format!("process {process}, since {at}; it took \"{name}\""))
    });
    claim.unwrap_or_else(|| format!("writer {}; it took \"{name}\"", segment.writer.simple()))
}
