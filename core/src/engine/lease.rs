//! For how long a process may launch without having shown that it lives.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Holds until a moment that is put off again and again, in terms of this process' own monotonic clock.
///
/// It is asked right before every launch, so that a process that was frozen launches nothing when it wakes up. A lease
/// that expired and is renewed begins a new term: what was begun in the old one has ended.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Absent: for ever.
    state: Option<Mutex<State>>,
    renewed: Notify,
}

#[derive(Debug, Clone, Copy)]
struct State {
    until: Instant,
    term: u64,
}

impl Lease {
    /// Holds for ever: nobody else can take the jobs over.
    pub(crate) fn endless() -> Self {
        Self { state: None, renewed: Notify::new() }
    }

    /// Does not hold before it is renewed for the first time.
    pub(crate) fn expired() -> Self {
        let state = State { until: Instant::now(), term: 0 };
        Self { state: Some(Mutex::new(state)), renewed: Notify::new() }
    }

    /// Returns the term, which counts how often it was renewed after it had expired.
    pub(crate) fn term(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.lock().term)
    }

    /// Tells whether it holds now.
    pub(crate) fn holds(&self) -> bool {
        self.holds_since(self.term())
    }

    /// Tells whether it holds now and has done so without a break since that term began.
    pub(crate) fn holds_since(&self, term: u64) -> bool {
        self.state.as_ref().is_none_or(|state| {
            let state = *state.lock();
            state.term == term && Instant::now() < state.until
        })
    }

    /// Lets it hold until this moment at least.
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
