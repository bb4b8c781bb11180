//! The limits of connections.

use std::time::Duration;

/// The longest time between two sweeps for overdue connections.
const MAX_SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of connections of one server.
const MAX_CONNECTIONS: u64 = 512;

/// The limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The maximum number of open connections; 512, or half of the process's descriptors.
    pub connections: usize,
    /// The time limit from the start of a connection, or from the first byte of a request, to the end of the head; 10
    /// s.
    pub head: Duration,
    /// The time limit without progress of a body or an answer; 10 s.
    pub stalled: Duration,
    /// The time limit of an answer of known length, in addition to the time of its length at `answer_rate`; 30 s.
    pub answer: Duration,
    /// The minimum rate of a client, in bytes per second; 8 KiB, so that 4 MiB, the longest page, may take nine
    /// minutes.
    pub answer_rate: u64,
    /// The time limit between two requests; 75 s, longer than load balancers keep a connection.
    pub idle: Duration,
}

impl ConnectionLimits {
    /// Returns the limits of a process with this number of descriptors. The other half is for the store and the
    /// launcher.
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

    /// Returns the time limit of an answer of this many bytes.
    pub(super) fn response_time(&self, length: u64) -> Duration {
        self.answer.saturating_add(Duration::from_secs(length / self.answer_rate.max(1)))
    }

    /// Returns the interval of sweeps for overdue connections, so that none exceeds its limit by much.
    pub(super) fn sweep_interval(&self) -> Duration {
        let shortest = self.head.min(self.stalled).min(self.answer).min(self.idle);
        (shortest / 4).clamp(Duration::from_millis(10), MAX_SWEEP_INTERVAL)
    }
}
