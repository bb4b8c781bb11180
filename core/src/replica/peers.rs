//! The state of the cluster as this replica last read it, timed by its own monotonic clock.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::ReplicaId;
use super::records::{Beat, Holder, RegisterName, ShardOwnership};
use crate::store::{Register, Shard};

#[cfg(test)]
mod tests;

/// The replicas and shard owners of the last snapshot of the registers.
#[derive(Debug, Default)]
pub(super) struct Peers {
    members: BTreeMap<ReplicaId, PeerMember>,
    ownerships: BTreeMap<Shard, (u64, ShardOwnership)>,
    /// When the newest read began; its contents are not older.
    snapshot_began: Option<Instant>,
}

/// A replica in the last snapshot.
#[derive(Debug, Clone)]
pub(super) struct PeerMember {
    version: u64,
    pub(super) beat: Beat,
    /// When the newest version was first seen, at the end of that read.
    pub(super) changed: Instant,
}

impl Peers {
    /// Applies a snapshot of the registers, whose read began and ended at these moments.
    ///
    /// A change of a register counts from the end of the read that saw it, and its absence up to the beginning of a
    /// later read: a slow read never declares a live replica dead.
    pub(super) fn apply_snapshot(
        &mut self,
        registers: &[(String, Register)],
        began: Instant,
        ended: Instant,
    ) {
        self.snapshot_began = Some(began);
        let mut seen = BTreeMap::new();
        self.ownerships.clear();
        for (name, register) in registers {
            match RegisterName::parse(name) {
                Some(RegisterName::Replica(id)) => {
                    let known = self.members.remove(&id).filter(|member| member.version == register.version);
                    let member = known.or_else(|| {
                        let beat = serde_json::from_str(&register.value).ok()?;
                        Some(PeerMember { version: register.version, beat, changed: ended })
                    });
                    seen.extend(member.map(|member| (id, member)));
                }
                Some(RegisterName::Shard(shard)) => {
                    // An unreadable register has no owner: it is rewritten, under a new fence.
                    let ownership = serde_json::from_str(&register.value).unwrap_or_default();
                    self.ownerships.insert(shard, (register.version, ownership));
                }
                None => {}
            }
        }
        self.members = seen;
    }

    /// Tells whether a replica was live at the beginning of the newest read, as far as is known.
    pub(super) fn lives(&self, member: &PeerMember, dead_after: Duration) -> bool {
        self.snapshot_began.is_none_or(|began| began.saturating_duration_since(member.changed) < dead_after)
    }

    /// Iterates over the known replicas, by name.
    pub(super) fn members(&self) -> impl Iterator<Item = (&ReplicaId, &PeerMember)> {
        self.members.iter()
    }

    pub(super) fn member(&self, id: &ReplicaId) -> Option<&PeerMember> {
        self.members.get(id)
    }

    /// Returns the version of a shard's register, and the shard's owner if that replica is live.
    pub(super) fn owner(&self, shard: Shard, dead_after: Duration) -> (Option<u64>, Option<&Holder>) {
        let version = self.ownerships.get(&shard).map(|(version, _)| *version);
        let owner = self.holder(shard).filter(|owner| {
            // A restarted replica does not own the shards of its previous process.
            let member =
                self.members.get(&owner.id).filter(|member| member.beat.incarnation == owner.incarnation);
            member.is_some_and(|member| self.lives(member, dead_after))
        });
        (version, owner)
    }

    /// Returns the owner of a shard, live or dead.
    pub(super) fn holder(&self, shard: Shard) -> Option<&Holder> {
        self.ownerships.get(&shard)?.1.owner.as_ref()
    }
}
