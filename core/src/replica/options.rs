//! The options of a replica: id, address and timing.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::JobUid;

/// A replica's name: 1 to 64 of `0-9A-Za-z_.-`. Live replicas of a scheduler must have different names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicaId(Arc<str>);

impl ReplicaId {
    /// Makes a replica id of a name.
    ///
    /// # Errors
    ///
    /// Fails when it is empty, longer than 64 characters, or holds other characters.
    pub fn new(name: &str) -> Result<Self, InvalidReplicaId> {
        let fine = |c: u8| c.is_ascii_alphanumeric() || b"_.-".contains(&c);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(fine) {
            return Err(InvalidReplicaId);
        }
        Ok(Self(name.into()))
    }

    /// Makes a random unique name.
    #[must_use]
    pub fn random() -> Self {
        let name = JobUid::random().to_string();
        Self(name[..12].into())
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ReplicaId {
    type Err = InvalidReplicaId;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

/// The name is not a valid replica id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a replica's name is 1 to 64 letters, digits, \"_\", \".\" or \"-\"")]
pub struct InvalidReplicaId;

/// The options of a replica.
#[derive(Debug, Clone)]
pub struct ReplicaOptions {
    /// Its name.
    pub id: ReplicaId,
    /// The URL at which the others reach its API: `http://10.0.0.7:5000`.
    pub address: String,
    /// Its intervals and timeouts.
    pub timing: Timing,
}

/// Intervals and timeouts, the same for all replicas of a scheduler. With the defaults a failover takes less than ten
/// seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The interval between heartbeats; 1.5 s.
    pub heartbeat_interval: Duration,
    /// How long a replica may launch after its last successful heartbeat, counted from the start of the write; 5 s. More than
    /// two slow writes, less than `dead_after`.
    pub lease: Duration,
    /// How long another replica's heartbeat must be unchanged before its shards are taken over; 5.5 s.
    pub dead_after: Duration,
    /// The interval at which a replica reads the cluster's registers; 0.5 s.
    pub reconcile_interval: Duration,
    /// The interval at which it polls edits and the brake; 0.3 s.
    pub poll_interval: Duration,
    /// How long running calls may take to end before a shard is handed over; 2 s. The new owner retries slower calls with the
    /// same token.
    pub drain_timeout: Duration,
    /// The timeout of one call to the store; 4 s.
    pub store_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(1_500),
            lease: Duration::from_secs(5),
            dead_after: Duration::from_millis(5_500),
            reconcile_interval: Duration::from_millis(500),
            poll_interval: Duration::from_millis(300),
            drain_timeout: Duration::from_secs(2),
            store_timeout: Duration::from_secs(4),
        }
    }
}
