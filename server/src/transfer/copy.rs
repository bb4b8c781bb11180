//! Putting items into a store: what is there already is compared, what is missing is added, and all is read back.
//!
//! A store takes over in order and never half a thing, so an interrupted transfer leaves a beginning of the source in the
//! target. Run again, it finds that beginning equal line by line and goes on behind it; no note of how far it came is
//! needed, and nothing can be there twice. Any other content of the target is refused before anything is written: the
//! first difference shows before the end of the target is reached.

use ecs_scheduler_core::store::MOST_ROWS;
use ecs_scheduler_core::{Adoption, JournalEntry, Store, StoreError, StoredJob};
use serde::Serialize;

use super::checksum::{Counts, Tally};
use super::reader::{Source, StoreReader};
use super::record::Item;
use crate::cli::error::CommandError;

/// What a transfer did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// What the source holds.
    pub source: Counts,
    /// What of it the target had already.
    pub present: Counts,
    /// What was added, or, in a dry run, would be.
    pub added: Counts,
    /// The SHA-256 of all lines.
    pub sha256: String,
    /// Whether the target was read back and found equal; never so in a dry run.
    pub verified: bool,
}

/// How a transfer is made.
pub struct Manner<'a> {
    /// What the target is called in messages.
    pub target: &'a str,
    /// Compares, and writes nothing.
    pub dry_run: bool,
    /// Called with the number of items, as they are dealt with.
    pub progress: &'a dyn Fn(Stage, u64),
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Items are compared and written.
    Moving,
    /// The target is read back.
    Verifying,
}

/// Brings a store to hold what the source gives.
///
/// # Errors
///
/// Fails when either cannot be read, when the target holds anything else (nothing is written then), when it cannot be
/// written, and when it holds something else at the end.
pub async fn transfer(
    source: &mut dyn Source,
    target: &dyn Store,
    manner: &Manner<'_>,
) -> Result<Transfer, CommandError> {
    let mut present = StoreReader::open(target).await?;
    let mut old = Tally::default();
    let mut all = Tally::default();
    let mut writer = Writer { target, manner, batch: Batch::None, added: Counts::default() };
    let mut held = present.next().await?;
    while let Some(item) = source.next().await? {
        let line = all.add(&item)?;
        if let Some(there) = held.take() {
            if old.add(&there)? != line {
                return Err(occupied(manner.target, &there, &item));
            }
            held = present.next().await?;
            (manner.progress)(Stage::Moving, 1);
        } else {
            writer.add(item).await?;
        }
    }
    if let Some(extra) = held {
        return Err(holds_more(manner.target, &extra));
    }
    writer.flush().await?;
    let transfer = Transfer {
        source: all.counts(),
        present: old.counts(),
        added: writer.added,
        sha256: all.sha256(),
        verified: !manner.dry_run,
    };
    if transfer.verified {
        verify(target, &transfer, manner).await?;
    }
    Ok(transfer)
}

/// Reads a store from its beginning to its end.
///
/// # Errors
///
/// Fails when it cannot be read.
pub async fn read_through(source: &mut dyn Source, progress: &dyn Fn()) -> Result<Tally, CommandError> {
    let mut tally = Tally::default();
    while let Some(item) = source.next().await? {
        tally.add(&item)?;
        progress();
    }
    Ok(tally)
}

async fn verify(target: &dyn Store, moved: &Transfer, manner: &Manner<'_>) -> Result<(), CommandError> {
    let mut reader = StoreReader::open(target).await?;
    let read = read_through(&mut reader, &|| (manner.progress)(Stage::Verifying, 1)).await?;
    if (read.counts(), read.sha256()) == (moved.source, moved.sha256.clone()) {
        return Ok(());
    }
    Err(CommandError::failed(format!(
        "{} does not hold what was moved to it: {} were moved, {} were read back, and the hashes are {} and {}; \
         keep the source, and begin anew with an empty target",
        manner.target,
        moved.source,
        read.counts(),
        moved.sha256,
        read.sha256()
    )))
}

fn occupied(target: &str, there: &Item, item: &Item) -> CommandError {
    let (there, item) = (there.name(), item.name());
    let what = if there == item {
        format!("{there}, which is not the same there")
    } else {
        format!("{there} where {item} would be")
    };
    CommandError::failed(format!("{target} holds {what}; nothing is overwritten: name an empty target"))
}

fn holds_more(target: &str, extra: &Item) -> CommandError {
    CommandError::failed(format!(
        "{target} holds {}, which the source does not have; nothing is overwritten: name an empty target",
        extra.name()
    ))
}

/// Items of one kind that are written together.
enum Batch {
    None,
    Jobs(Vec<StoredJob>),
    History(Vec<JournalEntry>),
}

struct Writer<'a> {
    target: &'a dyn Store,
    manner: &'a Manner<'a>,
    batch: Batch,
    added: Counts,
}

impl Writer<'_> {
    async fn add(&mut self, item: Item) -> Result<(), CommandError> {
        self.added.add(&item);
        match (item, &mut self.batch) {
            (Item::Job(job), Batch::Jobs(jobs)) if jobs.len() < MOST_ROWS.get() => jobs.push(job),
            (Item::Entry(entry), Batch::History(entries)) if entries.len() < MOST_ROWS.get() => {
                entries.push(*entry);
            }
            (Item::Job(job), _) => {
                self.flush().await?;
                self.batch = Batch::Jobs(vec![job]);
            }
            (Item::Entry(entry), _) => {
                self.flush().await?;
                self.batch = Batch::History(vec![*entry]);
            }
            (Item::Register { name, value }, _) => {
                self.flush().await?;
                self.write_register(&name, &value).await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), CommandError> {
        let (count, adoption) = match std::mem::replace(&mut self.batch, Batch::None) {
            Batch::None => return Ok(()),
            Batch::Jobs(jobs) => (jobs.len(), Adoption::Jobs(jobs)),
            Batch::History(entries) => (entries.len(), Adoption::History(entries)),
        };
        if !self.manner.dry_run {
            self.target.adopt(adoption).await.map_err(|error| self.unwritable(error))?;
        }
        (self.manner.progress)(Stage::Moving, count as u64);
        Ok(())
    }

    async fn write_register(&self, name: &str, value: &str) -> Result<(), CommandError> {
        if !self.manner.dry_run {
            let written = self.target.write(name, value, None, None).await;
            written.map_err(|error| self.unwritable(error))?;
        }
        (self.manner.progress)(Stage::Moving, 1);
        Ok(())
    }

    fn unwritable(&self, error: StoreError) -> CommandError {
        let remedy = "when that is mended, repeat the command: it goes on where it stopped";
        CommandError::caused(format!("could not write to {}; {remedy}", self.manner.target), error)
    }
}
