//! Counts and a SHA-256 checksum of transferred items.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::record::TransferItem;
use crate::error::CommandError;

/// Numbers of items by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Jobs.
    pub jobs: u64,
    /// Decisions.
    pub decisions: u64,
    /// Decisions with a firing.
    pub firings: u64,
    /// Registers.
    pub registers: u64,
}

impl Counts {
    /// Counts an item.
    pub fn add(&mut self, item: &TransferItem) {
        match item {
            TransferItem::Job(_) => self.jobs += 1,
            TransferItem::Entry(entry) => {
                self.decisions += 1;
                self.firings += u64::from(entry.firing.is_some());
            }
            TransferItem::Register { .. } => self.registers += 1,
        }
    }

    /// Returns how many items there are: a firing is part of its decision.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.jobs + self.decisions + self.registers
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { jobs, decisions, firings, registers } = self;
        let plural = |count: &u64| if *count == 1 { "" } else { "s" };
        write!(
            f,
            "{jobs} job{}, {decisions} decision{}, {firings} firing{}, {registers} register{}",
            plural(jobs),
            plural(decisions),
            plural(firings),
            plural(registers)
        )
    }
}

/// Counts items and hashes their lines, in order.
#[derive(Debug, Clone, Default)]
pub struct Checksum {
    counts: Counts,
    hash: Sha256,
}

impl Checksum {
    /// Adds an item; returns its line.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written as JSON.
    pub fn add(&mut self, item: &TransferItem) -> Result<String, CommandError> {
        self.counts.add(item);
        let line = item.to_line(self.counts.decisions)?;
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        Ok(line)
    }

    /// Returns how many there were.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the SHA-256 of all lines, each with a line feed behind it, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(self.hash.clone())
    }
}

/// Writes a finished hash in hexadecimal.
pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
