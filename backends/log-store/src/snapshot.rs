//! Snapshots: the whole state at a position, in parts, with a manifest that is written last.
//!
//! A snapshot without a manifest is ignored. Segments are removed only after the manifest is durable, so the state can
//! be restored at every moment. The names of parts contain their writer, so the parts of a process that crashed do not
//! block another one.

use std::io::{Read, Write};

use ecs_scheduler_core::memory::{MemorySnapshot, NamedRegister};
use ecs_scheduler_core::{DecisionId, FaultKind, JournalEntry, StoreError, StoredJob};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::documents::DocumentVersion;
use crate::error::Location;
use crate::log::ObjectLog;
use crate::materialized_state::{MaterializedState, Sidecar};
use crate::segment::{FORMAT, refuse_newer};

const SNAPSHOT: &str = "snapshot-";

/// A part of this size in bytes, before compression, takes no further records.
const MAX_PART_BYTES: usize = 4 << 20;

/// The maximum number of parts that are read or written concurrently.
const CONCURRENT_PARTS: usize = 8;

/// Returns the name of the manifest of the snapshot at a position.
fn manifest_name(position: u64) -> String {
    format!("{SNAPSHOT}{position:016}")
}

/// Returns the position of a snapshot from the name of its manifest or of one of its parts.
pub(crate) fn snapshot_position(name: &str) -> Option<u64> {
    name.strip_prefix(SNAPSHOT)?.split('-').next()?.parse().ok()
}

/// Returns the position of the newest complete snapshot among these names.
pub(crate) fn newest(names: &[String]) -> Option<u64> {
    let manifests = names.iter().filter(|name| name.len() == manifest_name(0).len());
    manifests.filter_map(|name| snapshot_position(name)).max()
}

/// The manifest of a snapshot: its parts and their content.
#[derive(Debug, Serialize, Deserialize)]
struct SnapshotManifest {
    format: u32,
    writer: Uuid,
    position: u64,
    parts: Vec<String>,
    /// The number of records in all parts.
    #[serde(rename = "lines")]
    records: usize,
    newest: DecisionId,
    #[serde(rename = "claims")]
    epochs: Vec<u64>,
}

/// One record, a line of a part.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum SnapshotRecord {
    Job { job: StoredJob, version: DocumentVersion },
    Row(Box<JournalEntry>),
    Register(NamedRegister),
}

/// Writes a snapshot; returns its size in bytes.
///
/// # Errors
///
/// Fails when a part or the manifest could not be written. The snapshot is then ignored.
pub(crate) async fn write(
    log: &dyn ObjectLog,
    writer: Uuid,
    position: u64,
    image: MemorySnapshot,
    sidecar: Sidecar,
) -> Result<u64, StoreError> {
    let newest = image.newest;
    let epochs = sidecar.epochs.clone();
    let encoding = tokio::task::spawn_blocking(move || encode(image, &sidecar)).await;
    let (parts, records) = encoding.map_err(|panicked| {
        StoreError::with_source(FaultKind::Bug, "writing a snapshot panicked", panicked)
    })??;
    let tag = &writer.simple().to_string()[..8];
    let names: Vec<String> =
        (0..parts.len()).map(|part| format!("{}-{tag}-{part:05}", manifest_name(position))).collect();
    let size: usize = parts.iter().map(Vec::len).sum();
    let parts = names.clone().into_iter().zip(parts);
    let creations = parts.map(|(name, part)| async move { log.create(&name, part).await });
    futures::stream::iter(creations).buffer_unordered(CONCURRENT_PARTS).try_collect::<Vec<_>>().await?;
    let manifest =
        SnapshotManifest { format: FORMAT, writer, position, parts: names, records, newest, epochs };
    let manifest = serde_json::to_vec(&manifest).expect("names and numbers make JSON");
    // An existing manifest has the same content, because the state at a position is the same for every process.
    log.create(&manifest_name(position), manifest).await?;
    Ok(size as u64)
}

fn encode(image: MemorySnapshot, sidecar: &Sidecar) -> Result<(Vec<Vec<u8>>, usize), StoreError> {
    let jobs = image.jobs.into_iter().map(|job| {
        let version =
            sidecar.versions.get(&job.id).cloned().expect("every job's document has a recorded version");
        SnapshotRecord::Job { job, version }
    });
    let rows = image.history.into_iter().map(|row| SnapshotRecord::Row(Box::new(row)));
    let registers = image.registers.into_iter().map(SnapshotRecord::Register);
    let (mut parts, mut records, mut part) = (Vec::new(), 0, Vec::new());
    for record in jobs.chain(rows).chain(registers) {
        serde_json::to_writer(&mut part, &record).map_err(|error| {
            StoreError::with_source(FaultKind::Bug, "could not encode a snapshot as JSON", error)
        })?;
        part.push(b'\n');
        records += 1;
        if part.len() >= MAX_PART_BYTES {
            parts.push(compress(&part));
            part.clear();
        }
    }
    parts.push(compress(&part));
    Ok((parts, records))
}

fn compress(part: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(part).and_then(|()| encoder.finish()).expect("memory can be written")
}

/// Reads the snapshot at a position; `None` when an object of it is missing.
///
/// # Errors
///
/// Fails when an object is damaged or of a newer format.
pub(crate) async fn read(
    log: &dyn ObjectLog,
    location: &Location,
    position: u64,
) -> Result<Option<MaterializedState>, StoreError> {
    let name = manifest_name(position);
    let Some(bytes) = log.read(&name).await? else { return Ok(None) };
    refuse_newer(location, &name, &bytes)?;
    let manifest: SnapshotManifest =
        serde_json::from_slice(&bytes).map_err(|error| location.damaged(&name, error))?;
    let reads = manifest.parts.into_iter();
    let reads = reads.map(|part| async move { log.read(&part).await.map(|bytes| (part, bytes)) });
    let mut reads = futures::stream::iter(reads).buffered(CONCURRENT_PARTS);
    let (mut image, mut sidecar) =
        (MemorySnapshot { newest: manifest.newest, ..MemorySnapshot::default() }, Sidecar::default());
    sidecar.epochs = manifest.epochs;
    let mut records = 0;
    while let Some((part, bytes)) = reads.try_next().await? {
        let Some(bytes) = bytes else { return Ok(None) };
        records +=
            decode(&bytes, &mut image, &mut sidecar).map_err(|error| location.damaged(&part, error))?;
    }
    if records != manifest.records {
        let found = format!("its parts have {records} records in place of {}", manifest.records);
        return Err(location.damaged(&name, found));
    }
    Ok(Some(MaterializedState::from_snapshot(image, sidecar)))
}

fn decode(bytes: &[u8], image: &mut MemorySnapshot, sidecar: &mut Sidecar) -> std::io::Result<usize> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut text)?;
    let mut records = 0;
    for record in text.split(|byte| *byte == b'\n').filter(|record| !record.is_empty()) {
        match serde_json::from_slice(record)? {
            SnapshotRecord::Job { job, version } => {
                sidecar.versions.insert(job.id.clone(), version);
                image.jobs.push(job);
            }
            SnapshotRecord::Row(row) => image.history.push(*row),
            SnapshotRecord::Register(register) => image.registers.push(register),
        }
        records += 1;
    }
    Ok(records)
}
