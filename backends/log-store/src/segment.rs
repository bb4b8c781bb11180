//! The encoding of segments: JSON with the number of the format, the writer, the position and the operations.

use ecs_scheduler_core::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::Location;
use crate::log_op::LogOp;

/// The format of segments and snapshots that this version writes, and the newest one that it reads. Since format 2, settlements
/// name the revision that they were decided by. Since format 3, pruning keeps the newest decisions of each job.
pub(crate) const FORMAT: u32 = 3;

const SEGMENT: &str = "segment-";

/// Returns the name of the segment at a position.
pub(crate) fn segment_name(position: u64) -> String {
    format!("{SEGMENT}{position:016}")
}

/// Returns the position of a segment; `None` for the name of another object.
pub(crate) fn segment_position(name: &str) -> Option<u64> {
    name.strip_prefix(SEGMENT)?.parse().ok()
}

/// A decoded segment.
#[derive(Debug, Deserialize)]
pub(crate) struct LogSegment {
    /// The process that wrote the segment.
    pub(crate) writer: Uuid,
    position: u64,
    /// The operations in their order.
    #[serde(rename = "entries")]
    pub(crate) ops: Vec<LogOp>,
}

/// A segment to encode.
#[derive(Serialize)]
struct SegmentBody<'a> {
    format: u32,
    writer: Uuid,
    position: u64,
    #[serde(rename = "entries")]
    ops: &'a [&'a RawValue],
}

/// The part of segments and manifests that every format has.
#[derive(Deserialize)]
struct FormatHeader {
    format: u32,
}

/// Encodes a segment.
pub(crate) fn encode(writer: Uuid, position: u64, ops: &[&RawValue]) -> Vec<u8> {
    serde_json::to_vec(&SegmentBody { format: FORMAT, writer, position, ops })
        .expect("names, numbers and JSON make JSON")
}

/// Decodes a segment.
///
/// # Errors
///
/// Fails when the segment is damaged, has another position than its name, or is of a newer format.
pub(crate) fn decode(location: &Location, name: &str, bytes: &[u8]) -> Result<LogSegment, StoreError> {
    refuse_newer(location, name, bytes)?;
    let segment: LogSegment = serde_json::from_slice(bytes).map_err(|error| location.damaged(name, error))?;
    if Some(segment.position) != segment_position(name) {
        return Err(location.damaged(name, format!("its content has position {}", segment.position)));
    }
    Ok(segment)
}

/// Refuses an object of a newer format.
///
/// # Errors
///
/// Fails when the format is newer, or when it cannot be decoded.
pub(crate) fn refuse_newer(location: &Location, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let header: FormatHeader =
        serde_json::from_slice(bytes).map_err(|error| location.damaged(name, error))?;
    if header.format > FORMAT {
        return Err(location.newer(name, header.format, FORMAT));
    }
    Ok(())
}

/// Describes the writer of a segment, as far as its content tells.
pub(crate) fn describe_writer(location: &Location, name: &str, bytes: Option<&[u8]>) -> String {
    let Some(segment) = bytes.and_then(|bytes| decode(location, name, bytes).ok()) else {
        return format!("it took \"{name}\"");
    };
    let claim = segment.ops.iter().find_map(|op| {
        let LogOp::BeginEpoch { at, process } = op else { return None };
        Some(format!("process {process}, since {at}; it took \"{name}\""))
    });
    claim.unwrap_or_else(|| format!("writer {}; it took \"{name}\"", segment.writer.simple()))
}
