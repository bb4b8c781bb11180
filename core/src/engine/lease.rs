//! The lease of a process: how long it may launch without a heartbeat.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Holds until a moment that each renewal moves further, by the monotonic clock of this process.
///
/// It is checked right before every launch, so that a process that was frozen launches nothing when it wakes up. A lease
/// that expired and is renewed starts a new term; work of the old term must end.
#[derive(Debug)]
pub(crate) struct Lease {
    /// None: the lease never expires.
    state: Option<Mutex<State>>,
    renewed: Notify,
}

#[derive(Debug, Clone, Copy)]
struct State {
    until: Instant,
    term: u64,
}

impl Lease {
    /// Makes a lease that never expires: no other process can take over the jobs.
    pub(crate) fn endless() -> Self {
        Self { state: None, renewed: Notify::new() }
    }

    /// Makes a lease that has expired; it holds after the first renewal.
    pub(crate) fn expired() -> Self {
        let state = State { until: Instant::now(), term: 0 };
        Self { state: Some(Mutex::new(state)), renewed: Notify::new() }
    }

    /// Returns the term: the number of renewals after an expiry.
    pub(crate) fn term(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.lock().term)
    }

    /// Returns whether it holds now.
    pub(crate) fn holds(&self) -> bool {
        self.holds_since(self.term())
    }

    /// Returns whether it holds now and has not expired since that term began.
    pub(crate) fn holds_since(&self, term: u64) -> bool {
        self.state.as_ref().is_none_or(|state| {
            let state = *state.lock();
            state.term == term && Instant::now() < state.until
        })
    }

    /// Renews it until this moment, or later.
    pub(crate) fn renew(&self, to: Instant) {
        if let Some(state) = &self.state {
            let mut state = state.lock();
            state.term += u64::from(Instant::now() >= state.until);
            state.until = to.max(state.until);
        }
        self.renewed.notify_one();
    }

    /// Waits until that term has ended.
    pub(crate) async fn expiry(&self, term: u64) {
        let Some(state) = &self.state else { return std::future::pending().await };
        while self.holds_since(term) {
            let until = state.lock().until;
            tokio::time::sleep_until(until).await;
        }
    }

    /// Waits until it holds.
    pub(crate) async fn renewal(&self) {
        while !self.holds() {
            self.renewed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
