//! Copies items into a store: compares existing items, adds missing ones, and reads all back.
//!
//! A store imports in order, and each item as a whole, so an interrupted transfer leaves the first part of the source
//! in the target. The next run finds that part equal, line by line, and continues after it. It needs no record of its
//! progress, and copies nothing twice. Any other content of the target is refused before anything is written, because
//! the first difference is found before the end of the target.

use ecs_scheduler_core::store::MAX_PAGE;
use ecs_scheduler_core::{ImportBatch, JournalEntry, Store, StoreError, StoredJob};
use serde::Serialize;

use super::checksum::{Checksum, Counts};
use super::reader::{StoreReader, TransferSource};
use super::record::TransferItem;
use crate::error::CommandError;

/// The result of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferReport {
    /// The content of the source.
    pub source: Counts,
    /// The part that the target already had.
    pub present: Counts,
    /// The added part; in a dry run, the missing part.
    pub added: Counts,
    /// The SHA-256 of all lines.
    pub sha256: String,
    /// Whether the target was read back and found equal; never so in a dry run.
    pub verified: bool,
}

/// Options of a transfer.
pub struct TransferOptions<'a> {
    /// The name of the target in messages.
    pub target: &'a str,
    /// Compares, and writes nothing.
    pub dry_run: bool,
    /// Called with the number of processed items.
    pub progress: &'a dyn Fn(Stage, u64),
}

/// The current phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Items are compared and written.
    Moving,
    /// The target is read back.
    Verifying,
}

/// Copies the content of the source into the target.
///
/// # Errors
///
/// Fails if source or target cannot be read, if the target has other content (then nothing is written), if it cannot be
/// written, and if the verification finds a difference.
pub async fn copy_items(
    source: &mut dyn TransferSource,
    target: &dyn Store,
    options: &TransferOptions<'_>,
) -> Result<TransferReport, CommandError> {
    let mut present = StoreReader::open(target).await?;
    let mut old = Checksum::default();
    let mut all = Checksum::default();
    let mut writer = Writer { target, options, batch: CopyBatch::None, added: Counts::default() };
    let mut held = present.next().await?;
    while let Some(item) = source.next().await? {
        let line = all.add(&item)?;
        if let Some(there) = held.take() {
            if old.add(&there)? != line {
                return Err(target_differs(options.target, &there, &item));
            }
            held = present.next().await?;
            (options.progress)(Stage::Moving, 1);
        } else {
            writer.add(item).await?;
        }
    }
    if let Some(extra) = held {
        return Err(target_has_more(options.target, &extra));
    }
    writer.flush().await?;
    let transfer = TransferReport {
        source: all.counts(),
        present: old.counts(),
        added: writer.added,
        sha256: all.sha256(),
        verified: !options.dry_run,
    };
    if transfer.verified {
        verify(target, &transfer, options).await?;
    }
    Ok(transfer)
}

/// Reads a store from its beginning to its end.
///
/// # Errors
///
/// Fails when it cannot be read.
pub async fn compute_checksum(
    source: &mut dyn TransferSource,
    progress: &dyn Fn(),
) -> Result<Checksum, CommandError> {
    let mut checksum = Checksum::default();
    while let Some(item) = source.next().await? {
        checksum.add(&item)?;
        progress();
    }
    Ok(checksum)
}

async fn verify(
    target: &dyn Store,
    moved: &TransferReport,
    options: &TransferOptions<'_>,
) -> Result<(), CommandError> {
    let mut reader = StoreReader::open(target).await?;
    let read = compute_checksum(&mut reader, &|| (options.progress)(Stage::Verifying, 1)).await?;
    if (read.counts(), read.sha256()) == (moved.source, moved.sha256.clone()) {
        return Ok(());
    }
    Err(CommandError::failed(format!(
        "verification of {} failed: {} were copied, {} were read back, and the hashes are {} and {}; keep the \
         source, and repeat the command with an empty target",
        options.target,
        moved.source,
        read.counts(),
        moved.sha256,
        read.sha256()
    )))
}

fn target_differs(target: &str, there: &TransferItem, item: &TransferItem) -> CommandError {
    let (there, item) = (there.name(), item.name());
    let what = if there == item {
        format!("another version of {there}")
    } else {
        format!("{there} in the place of {item}")
    };
    CommandError::failed(format!("{target} contains {what}; nothing is overwritten: name an empty target"))
}

fn target_has_more(target: &str, extra: &TransferItem) -> CommandError {
    CommandError::failed(format!(
        "{target} contains {}, which the source does not have; nothing is overwritten: name an empty target",
        extra.name()
    ))
}

/// Items of one kind that are written together.
enum CopyBatch {
    None,
    Jobs(Vec<StoredJob>),
    History(Vec<JournalEntry>),
}

struct Writer<'a> {
    target: &'a dyn Store,
    options: &'a TransferOptions<'a>,
    batch: CopyBatch,
    added: Counts,
}

impl Writer<'_> {
    async fn add(&mut self, item: TransferItem) -> Result<(), CommandError> {
        self.added.add(&item);
        match (item, &mut self.batch) {
            (TransferItem::Job(job), CopyBatch::Jobs(jobs)) if jobs.len() < MAX_PAGE.get() => jobs.push(job),
            (TransferItem::Entry(entry), CopyBatch::History(entries)) if entries.len() < MAX_PAGE.get() => {
                entries.push(*entry);
            }
            (TransferItem::Job(job), _) => {
                self.flush().await?;
                self.batch = CopyBatch::Jobs(vec![job]);
            }
            (TransferItem::Entry(entry), _) => {
                self.flush().await?;
                self.batch = CopyBatch::History(vec![*entry]);
            }
            (TransferItem::Register { name, value }, _) => {
                self.flush().await?;
                self.write_register(&name, &value).await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), CommandError> {
        let (count, batch) = match std::mem::replace(&mut self.batch, CopyBatch::None) {
            CopyBatch::None => return Ok(()),
            CopyBatch::Jobs(jobs) => (jobs.len(), ImportBatch::Jobs(jobs)),
            CopyBatch::History(entries) => (entries.len(), ImportBatch::History(entries)),
        };
        if !self.options.dry_run {
            self.target.import(batch).await.map_err(|error| self.unwritable(error))?;
        }
        (self.options.progress)(Stage::Moving, count as u64);
        Ok(())
    }

    async fn write_register(&self, name: &str, value: &str) -> Result<(), CommandError> {
        if !self.options.dry_run {
            let written = self.target.put_register(name, value, None, None).await;
            written.map_err(|error| self.unwritable(error))?;
        }
        (self.options.progress)(Stage::Moving, 1);
        Ok(())
    }

    fn unwritable(&self, error: StoreError) -> CommandError {
        let remedy = "correct this and repeat the command: it continues where it stopped";
        CommandError::caused(format!("could not write to {}; {remedy}", self.options.target), error)
    }
}
