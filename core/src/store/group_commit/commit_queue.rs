//! The requests that wait for the writer, and the choice of those that go into the next batch.

use std::collections::VecDeque;

use super::{BatchRequest, Priority, ResponseSender};

#[cfg(test)]
mod tests;

/// How many batches in a row may defer requests of a lower priority: some tens of milliseconds for a local disk.
const MAX_DEFERRALS: usize = 32;

const PRIORITIES: usize = Priority::Low as usize + 1;

/// A request, and the caller that waits for the response.
pub(super) struct QueuedRequest<R: BatchRequest> {
    pub(super) request: R,
    pub(super) reply: ResponseSender<R>,
}

/// Requests that the runner has received and not yet written, by priority; bounded by [`Self::has_room`].
pub(super) struct CommitQueue<R: BatchRequest> {
    capacity: usize,
    by_priority: [VecDeque<QueuedRequest<R>>; PRIORITIES],
    deferrals: usize,
}

impl<R: BatchRequest> CommitQueue<R> {
    /// Makes a queue of at most `capacity` requests of each priority.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, by_priority: [const { VecDeque::new() }; PRIORITIES], deferrals: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_priority.iter().all(VecDeque::is_empty)
    }

    pub(super) fn has_room(&self) -> bool {
        self.by_priority.iter().all(|requests| requests.len() < self.capacity)
    }

    pub(super) fn push(&mut self, queued: QueuedRequest<R>) {
        self.by_priority[queued.request.priority() as usize].push_back(queued);
    }

    /// Removes and returns the next batch: requests of the highest priority that has any. The batch takes requests of every
    /// priority, the lowest first, when there is no room left, or when those of a lower priority were deferred
    /// [`MAX_DEFERRALS`] times.
    pub(super) fn pop_batch(&mut self) -> Vec<QueuedRequest<R>> {
        let takes_all = !self.has_room() || self.deferrals >= MAX_DEFERRALS;
        let mut batch = Vec::new();
        let mut size = R::BatchSize::default();
        if takes_all {
            // Stops at the first queue that does not fit into the batch.
            self.by_priority.iter_mut().rev().all(|requests| move_fitting(requests, &mut size, &mut batch));
        } else if let Some(highest) = self.by_priority.iter_mut().find(|requests| !requests.is_empty()) {
            move_fitting(highest, &mut size, &mut batch);
        }
        self.deferrals = if takes_all || self.is_empty() { 0 } else { self.deferrals + 1 };
        batch
    }
}

/// Moves requests into a batch, the oldest first, until the batch is full; returns whether it still has room.
fn move_fitting<R: BatchRequest>(
    requests: &mut VecDeque<QueuedRequest<R>>,
    size: &mut R::BatchSize,
    batch: &mut Vec<QueuedRequest<R>>,
) -> bool {
    while let Some(next) = requests.front() {
        let fits = next.request.admit(size);
        if !fits && !batch.is_empty() {
            return false;
        }
        batch.extend(requests.pop_front());
    }
    true
}
