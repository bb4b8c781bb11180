//! What waits for the writer, and what of it goes into the next transaction.

use super::Command;

#[cfg(test)]
mod tests;

/// How many transactions in a row may pass over what can wait: some tens of milliseconds.
const PATIENCE: usize = 32;

/// What is written before what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// Intents, and all that a client waits for.
    First,
    /// Notes of calls that are about to be made: each call waits for its own.
    Next,
    /// Notes of what came of a call.
    Later,
}

const RANKS: usize = 3;

/// A command on its way to the writer.
pub(super) struct Order {
    pub(super) rank: Rank,
    pub(super) command: Box<dyn Command>,
}

/// Commands that the writer has taken out of its queue. Bounded: see [`Self::has_room`].
pub(super) struct Pile {
    bound: usize,
    ranks: [Vec<Box<dyn Command>>; RANKS],
    passed_over: usize,
}

impl Pile {
    /// Makes a pile of at most so many commands of each rank.
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, ranks: [const { Vec::new() }; RANKS], passed_over: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranks.iter().all(Vec::is_empty)
    }

    pub(super) fn has_room(&self) -> bool {
        self.ranks.iter().all(|rank| rank.len() < self.bound)
    }

    pub(super) fn put(&mut self, order: Order) {
        self.ranks[order.rank as usize].push(order.command);
    }

    /// Takes what is written next: the first rank that is not empty, and all of it when there is no more room, or when
    /// what can wait has been passed over often.
    pub(super) fn take(&mut self) -> Vec<Box<dyn Command>> {
        if !self.has_room() || self.passed_over >= PATIENCE {
            return self.take_all();
        }
        let Some(first) = self.ranks.iter_mut().find(|rank| !rank.is_empty()) else { return Vec::new() };
        let taken = std::mem::take(first);
        self.passed_over = if self.is_empty() { 0 } else { self.passed_over + 1 };
        taken
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Vec<Box<dyn Command>> {
        self.passed_over = 0;
        self.ranks.iter_mut().flat_map(std::mem::take).collect()
    }
}
