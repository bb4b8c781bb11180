//! Who a replica is, and how long things take.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::JobUid;

/// A replica's name: 1 to 64 of `0-9A-Za-z_.-`. No two live replicas of a scheduler may have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicaId(Arc<str>);

impl ReplicaId {
    /// Checks a name.
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

    /// Makes up a name that nobody else has.
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

/// A name that no replica can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a replica's name is 1 to 64 letters, digits, \"_\", \".\" or \"-\"")]
pub struct InvalidReplicaId;

/// Who a replica is, and how long things take.
#[derive(Debug, Clone)]
pub struct ReplicaOptions {
    /// Its name.
    pub id: ReplicaId,
    /// Where the others reach its API: `http://10.0.0.7:5000`.
    pub address: String,
    /// How long things take.
    pub timing: Timing,
}

/// How long things take; the same for all replicas of a scheduler. The defaults take over within ten seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How often a replica shows that it lives; 1.5 s.
    pub beat: Duration,
    /// For how long after the last such write that succeeded, counted from its beginning, it may launch; 5 s. More than
    /// two slow writes, less than `dead_after`.
    pub lease: Duration,
    /// For how long another replica must not have been seen to write before its jobs are taken over; 5.5 s.
    pub dead_after: Duration,
    /// How often a replica looks at what the others own; 0.5 s.
    pub look: Duration,
    /// How often it asks for edits and for the brake; 0.3 s.
    pub news: Duration,
    /// How long calls under way may take to end before a shard is handed over; 2 s. What takes longer is repeated by
    /// the new owner, with the same token.
    pub farewell: Duration,
    /// How long one call to the store may take before it counts as lost; 4 s.
    pub patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat: Duration::from_millis(1_500),
            lease: Duration::from_secs(5),
            dead_after: Duration::from_millis(5_500),
            look: Duration::from_millis(500),
            news: Duration::from_millis(300),
            farewell: Duration::from_secs(2),
            patience: Duration::from_secs(4),
        }
    }
}
