//! Snapshots: the whole state at a position, in parts, with a manifest that is written last.
//!
//! A snapshot without its manifest does not count. Nothing is removed before the manifest is there, so there is a complete
//! way to the state at every moment. Names of parts carry their writer, so what a process left half-written is in nobody's way.

use std::io::{Read, Write};

use ecs_scheduler_core::memory::{Image, NamedRegister};
use ecs_scheduler_core::{DecisionId, FaultKind, JournalEntry, StoreError, StoredJob};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::documents::DocumentVersion;
use crate::error::Site;
use crate::log::Log;
use crate::materialized_state::{Notes, State};
use crate::segment::{FORMAT, refuse_newer};

const SNAPSHOT: &str = "snapshot-";

/// The size of a part in bytes before it is compressed.
const PART: usize = 4 << 20;

/// Parts that are read or written at once.
const AT_ONCE: usize = 8;

/// Names the manifest of the snapshot at a position.
fn manifest_name(position: u64) -> String {
    format!("{SNAPSHOT}{position:016}")
}

/// Returns the position of a snapshot by the name of its manifest or of one of its parts.
pub(crate) fn snapshot_position(name: &str) -> Option<u64> {
    name.strip_prefix(SNAPSHOT)?.split('-').next()?.parse().ok()
}

/// Finds the newest complete snapshot among names.
pub(crate) fn newest(names: &[String]) -> Option<u64> {
    let manifests = names.iter().filter(|name| name.len() == manifest_name(0).len());
    manifests.filter_map(|name| snapshot_position(name)).max()
}

/// What a snapshot consists of.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    writer: Uuid,
    position: u64,
    parts: Vec<String>,
    /// How many lines all parts have.
    lines: usize,
    newest: DecisionId,
    claims: Vec<u64>,
}

/// One line of a part.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Job { job: StoredJob, version: DocumentVersion },
    Row(Box<JournalEntry>),
    Register(NamedRegister),
}

/// Writes a snapshot; returns its size in bytes.
///
/// # Errors
///
/// Fails when a part or the manifest could not be written. What was written does not count.
pub(crate) async fn write(
    log: &dyn Log,
    writer: Uuid,
    position: u64,
    image: Image,
    notes: Notes,
) -> Result<u64, StoreError> {
    let newest = image.newest;
    let claims = notes.claims.clone();
    let encoding = tokio::task::spawn_blocking(move || encode(image, &notes)).await;
    let (parts, lines) = encoding
        .map_err(|panicked| StoreError::caused(FaultKind::Bug, "writing a snapshot panicked", panicked))??;
    let tag = &writer.simple().to_string()[..8];
    let names: Vec<String> =
        (0..parts.len()).map(|part| format!("{}-{tag}-{part:05}", manifest_name(position))).collect();
    let size: usize = parts.iter().map(Vec::len).sum();
    let parts = names.clone().into_iter().zip(parts);
    let creations = parts.map(|(name, part)| async move { log.create(&name, part).await });
    futures::stream::iter(creations).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
    let manifest = Manifest { format: FORMAT, writer, position, parts: names, lines, newest, claims };
    let manifest = serde_json::to_vec(&manifest).expect("names and numbers make JSON");
    // One that is there already says the same: the state at a position is the same for everyone.
    log.create(&manifest_name(position), manifest).await?;
    Ok(size as u64)
}

fn encode(image: Image, notes: &Notes) -> Result<(Vec<Vec<u8>>, usize), StoreError> {
    let jobs = image.jobs.into_iter().map(|job| {
        let version = notes.versions.get(&job.id).cloned().expect("every job's document has a noted version");
        Line::Job { job, version }
    });
    let rows = image.history.into_iter().map(|row| Line::Row(Box::new(row)));
    let registers = image.registers.into_iter().map(Line::Register);
    let (mut parts, mut lines, mut part) = (Vec::new(), 0, Vec::new());
    for line in jobs.chain(rows).chain(registers) {
        serde_json::to_writer(&mut part, &line).map_err(|error| {
            StoreError::caused(FaultKind::Bug, "could not write a snapshot as JSON", error)
        })?;
        part.push(b'\n');
        lines += 1;
        if part.len() >= PART {
            parts.push(compress(&part));
            part.clear();
        }
    }
    parts.push(compress(&part));
    Ok((parts, lines))
}

fn compress(part: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(part).and_then(|()| encoder.finish()).expect("memory can be written")
}

/// Reads the snapshot at a position, if all of it is there.
///
/// # Errors
///
/// Fails when an object is damaged or of a newer format.
pub(crate) async fn read(log: &dyn Log, site: &Site, position: u64) -> Result<Option<State>, StoreError> {
    let name = manifest_name(position);
    let Some(bytes) = log.read(&name).await? else { return Ok(None) };
    refuse_newer(site, &name, &bytes)?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| site.damaged(&name, error))?;
    let reads = manifest.parts.into_iter();
    let reads = reads.map(|part| async move { log.read(&part).await.map(|bytes| (part, bytes)) });
    let mut reads = futures::stream::iter(reads).buffered(AT_ONCE);
    let (mut image, mut notes) = (Image { newest: manifest.newest, ..Image::default() }, Notes::default());
    notes.claims = manifest.claims;
    let mut lines = 0;
    while let Some((part, bytes)) = reads.try_next().await? {
        let Some(bytes) = bytes else { return Ok(None) };
        lines += decode(&bytes, &mut image, &mut notes).map_err(|error| site.damaged(&part, error))?;
    }
    if lines != manifest.lines {
        let found = format!("its parts have {lines} lines in place of {}", manifest.lines);
        return Err(site.damaged(&name, found));
    }
    Ok(Some(State::of(image, notes)))
}

fn decode(bytes: &[u8], image: &mut Image, notes: &mut Notes) -> std::io::Result<usize> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut text)?;
    let mut lines = 0;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line)? {
            Line::Job { job, version } => {
                notes.versions.insert(job.id.clone(), version);
                image.jobs.push(job);
            }
            Line::Row(row) => image.history.push(*row),
            Line::Register(register) => image.registers.push(register),
        }
        lines += 1;
    }
    Ok(lines)
}
