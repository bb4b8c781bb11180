//! What waits for the writer, and what of it goes into the next transaction.

use super::Command;

#[cfg(test)]
mod tests;

/// How many transactions in a row may pass over what can wait: some tens of milliseconds.
const PATIENCE: usize = 32;

/// Whether something may wait until nothing else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Intents, and all that a client waits for.
    First,
    /// Notes of what came of intents.
    Later,
}

/// A command on its way to the writer.
pub(super) struct Order {
    pub(super) rank: Rank,
    pub(super) command: Box<dyn Command>,
}

/// Commands that the writer has taken out of its queue. Bounded: see [`Self::has_room`].
pub(super) struct Pile {
    bound: usize,
    first: Vec<Box<dyn Command>>,
    later: Vec<Box<dyn Command>>,
    passed_over: usize,
}

impl Pile {
    /// Makes a pile of at most so many commands of each rank.
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, first: Vec::new(), later: Vec::new(), passed_over: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.later.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.first.len() < self.bound && self.later.len() < self.bound
    }

    pub(super) fn put(&mut self, order: Order) {
        match order.rank {
            Rank::First => self.first.push(order.command),
            Rank::Later => self.later.push(order.command),
        }
    }

    /// Takes what is written next: what comes first, and the rest too when nothing comes first, when there is no more
    /// room for it, or when it has been passed over often.
    pub(super) fn take(&mut self) -> Vec<Box<dyn Command>> {
        let passes_over =
            !self.first.is_empty() && self.later.len() < self.bound && self.passed_over < PATIENCE;
        if !passes_over {
            return self.take_all();
        }
        self.passed_over += usize::from(!self.later.is_empty());
        std::mem::take(&mut self.first)
    }

    /// Takes everything.
    pub(super) fn take_all(&mut self) -> Vec<Box<dyn Command>> {
        self.passed_over = 0;
        let mut all = std::mem::take(&mut self.first);
        all.append(&mut self.later);
        all
    }
}
