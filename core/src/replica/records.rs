//! What replicas write into registers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ReplicaId;
use crate::store::Shard;

/// The beginning of the names of all registers of the fleet, so that one call reads them.
pub(super) const FLEET: &str = "fleet/";
const REPLICA: &str = "fleet/replica/";
const SHARD: &str = "fleet/shard/";

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beat {
    pub(super) id: ReplicaId,
    /// Tells this life of the replica from others under the same id.
    pub(super) life: String,
    pub(super) address: String,
    pub(super) started: Timestamp,
    /// It takes no shards any more and hands over those that it has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) leaving: bool,
    /// Counts, so that no two are equal.
    pub(super) beat: u64,
}

/// Who owns a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ownership {
    /// Absent when the owner has handed it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<Holder>,
}

/// One life of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) id: ReplicaId,
    pub(super) life: String,
}

/// What a register of the fleet is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Replica(ReplicaId),
    Shard(Shard),
}

impl Subject {
    /// Reads a register's name; nothing for one that a newer version may have written.
    pub(super) fn of(register: &str) -> Option<Self> {
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
