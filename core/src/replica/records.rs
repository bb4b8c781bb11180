//! The records that replicas write into registers. Their fields are a stored format.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ReplicaId;
use crate::store::Shard;

/// The common prefix of the cluster's registers, so that one call reads them all.
pub(super) const FLEET: &str = "fleet/";
const REPLICA: &str = "fleet/replica/";
const SHARD: &str = "fleet/shard/";

/// The heartbeat of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beat {
    pub(super) id: ReplicaId,
    /// Distinguishes this process from others with the same replica id.
    #[serde(rename = "life")]
    pub(super) incarnation: String,
    pub(super) address: String,
    pub(super) started: Timestamp,
    /// The replica acquires no more shards, and hands over its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) leaving: bool,
    /// A counter, so that no two heartbeats are equal.
    pub(super) beat: u64,
}

/// The owner of a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ShardOwnership {
    /// Absent when the owner has handed it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<Holder>,
}

/// One process of a replica: its id and incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) id: ReplicaId,
    #[serde(rename = "life")]
    pub(super) incarnation: String,
}

/// The object of a cluster register, parsed from its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RegisterName {
    Replica(ReplicaId),
    Shard(Shard),
}

impl RegisterName {
    /// Parses a register's name; `None` for the names of newer versions.
    pub(super) fn parse(register: &str) -> Option<Self> {
        if let Some(id) = register.strip_prefix(REPLICA) {
            return ReplicaId::new(id).ok().map(Self::Replica);
        }
        let number = register.strip_prefix(SHARD)?.parse().ok()?;
        Shard::new(number).map(Self::Shard)
    }
}

pub(super) fn replica_register(id: &ReplicaId) -> String {
    format!("{REPLICA}{id}")
}

pub(super) fn shard_register(shard: Shard) -> String {
    format!("{SHARD}{shard}")
}
