//! Timeouts of connections, responses and operations.

use std::time::Duration;

/// The timeouts of calls to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterTimeouts {
    /// For a connection to a node.
    pub connect: Duration,
    /// For one response.
    pub response: Duration,
    /// The first pause after all nodes were tried, or after a node asked for fewer calls; doubled each time.
    pub backoff: Duration,
    /// For one operation with all its attempts.
    pub operation: Duration,
}

impl Default for ClusterTimeouts {
    /// 3 s for a connection, 15 s for a response, a first backoff of 100 ms, and 45 s in all.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            response: Duration::from_secs(15),
            backoff: Duration::from_millis(100),
            operation: Duration::from_secs(45),
        }
    }
}
