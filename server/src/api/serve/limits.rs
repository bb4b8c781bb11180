//! The limits of connections.

use std::time::Duration;

/// The longest time between two sweeps for overdue connections.
const MAX_SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// The most connections of one server.
const MAX_CONNECTIONS: u64 = 512;

/// The limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Open at once; 512, or half of the descriptors that the process may have.
    pub connections: usize,
    /// From the first byte of a request, or from the start of a connection, to the end of the head; 10 s.
    pub head: Duration,
    /// Without a byte of a body or without one taken of an answer; 10 s.
    pub stalled: Duration,
    /// For an answer of known length as a whole, beside the time that its length takes at `answer_rate`; 30 s.
    pub answer: Duration,
    /// Bytes a second at which a client must at least take an answer; 8 KiB, so that 4 MiB, the longest page, may take nine minutes.
    pub answer_rate: u64,
    /// Between two requests; 75 s, which is longer than load balancers keep a connection.
    pub idle: Duration,
}

impl ConnectionLimits {
    /// Returns the limits of a process that may have so many descriptors. The other half is for the store and the launcher.
    #[must_use]
    pub fn for_descriptors(descriptors: u64) -> Self {
        let connections = usize::try_from((descriptors / 2).clamp(1, MAX_CONNECTIONS)).unwrap_or(usize::MAX);
        Self {
            connections,
            head: Duration::from_secs(10),
            stalled: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            answer_rate: 8 * 1024,
            idle: Duration::from_secs(75),
        }
    }

    /// Returns how long an answer of this many bytes may take as a whole.
    pub(super) fn response_time(&self, length: u64) -> Duration {
        self.answer.saturating_add(Duration::from_secs(length / self.answer_rate.max(1)))
    }

    /// How often to look for overdue connections, so that none lasts much longer than it may.
    pub(super) fn sweep_interval(&self) -> Duration {
        let shortest = self.head.min(self.stalled).min(self.answer).min(self.idle);
        (shortest / 4).clamp(Duration::from_millis(10), MAX_SWEEP_INTERVAL)
    }
}
