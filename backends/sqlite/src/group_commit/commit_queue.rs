//! The commands that wait for the writer, and the choice of those that go into the next transaction.

use ecs_scheduler_core::StoreError;

use crate::error::TxError;
use crate::writer_conn::WriterConn;

#[cfg(test)]
mod tests;

/// How many transactions in a row may defer commands of a lower priority: some tens of milliseconds.
const MAX_DEFERRALS: usize = 32;

/// A write and the caller that waits for its result.
pub(super) trait WriteCommand: Send {
    /// Runs the write in the open transaction. After a rollback it runs again.
    fn run(&mut self, conn: &mut WriterConn) -> Result<(), TxError>;
    /// Sends the result to the caller.
    fn reply(self: Box<Self>, committed: Result<(), StoreError>);
}

/// The order in which commands are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Settlements, and every write that a client waits for.
    High,
    /// Records of launches that are about to begin: each launch waits for its own record.
    Medium,
    /// Records of launch results.
    Low,
}

const PRIORITIES: usize = 3;

/// A command on its way to the writer.
pub(super) struct QueuedCommand {
    pub(super) priority: Priority,
    pub(super) command: Box<dyn WriteCommand>,
}

/// Commands that the writer has received and not yet written, by priority; bounded by [`Self::has_room`].
pub(super) struct CommitQueue {
    capacity: usize,
    by_priority: [Vec<Box<dyn WriteCommand>>; PRIORITIES],
    deferrals: usize,
}

impl CommitQueue {
    /// Makes a queue of at most `capacity` commands of each priority.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, by_priority: [const { Vec::new() }; PRIORITIES], deferrals: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_priority.iter().all(Vec::is_empty)
    }

    pub(super) fn has_room(&self) -> bool {
        self.by_priority.iter().all(|commands| commands.len() < self.capacity)
    }

    pub(super) fn push(&mut self, queued: QueuedCommand) {
        self.by_priority[queued.priority as usize].push(queued.command);
    }

    /// Removes and returns the next batch: the commands of the highest priority that has any. All commands are the
    /// batch when there is no room left, or when commands of a lower priority were deferred [`MAX_DEFERRALS`] times.
    pub(super) fn pop_batch(&mut self) -> Vec<Box<dyn WriteCommand>> {
        if !self.has_room() || self.deferrals >= MAX_DEFERRALS {
            return self.pop_all();
        }
        let Some(highest) = self.by_priority.iter_mut().find(|commands| !commands.is_empty()) else {
            return Vec::new();
        };
        let batch = std::mem::take(highest);
        self.deferrals = if self.is_empty() { 0 } else { self.deferrals + 1 };
        batch
    }

    /// Removes and returns all commands, highest priority first.
    pub(super) fn pop_all(&mut self) -> Vec<Box<dyn WriteCommand>> {
        self.deferrals = 0;
        self.by_priority.iter_mut().flat_map(std::mem::take).collect()
    }
}
