//! What a replica has seen of the others, by its own monotonic clock.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::ReplicaId;
use super::records::{Beat, Holder, Ownership, Subject};
use crate::store::{Register, Shard};

#[cfg(test)]
mod tests;

/// Everything seen so far.
#[derive(Debug, Default)]
pub(super) struct Peers {
    members: BTreeMap<ReplicaId, Member>,
    ownerships: BTreeMap<Shard, (u64, Ownership)>,
    /// When the newest look began: what was read is not older.
    looked: Option<Instant>,
}

/// A replica as it was last seen.
#[derive(Debug, Clone)]
pub(super) struct Member {
    version: u64,
    pub(super) beat: Beat,
    /// When the newest version was seen for the first time, at the end of that look.
    pub(super) changed: Instant,
}

impl Peers {
    /// Takes in a look at the registers, which began and ended at these moments.
    ///
    /// A register counts as changed at the end of the look that saw it, and as unchanged up to the beginning of a later
    /// one: however long a look takes, nobody is taken for dead too early.
    pub(super) fn take_in(&mut self, registers: &[(String, Register)], began: Instant, ended: Instant) {
        self.looked = Some(began);
        let mut seen = BTreeMap::new();
        self.ownerships.clear();
        for (name, register) in registers {
            match Subject::of(name) {
                Some(Subject::Replica(id)) => {
                    let known = self.members.remove(&id).filter(|member| member.version == register.version);
                    let member = known.or_else(|| {
                        let beat = serde_json::from_str(&register.value).ok()?;
                        Some(Member { version: register.version, beat, changed: ended })
                    });
                    seen.extend(member.map(|member| (id, member)));
                }
                Some(Subject::Shard(shard)) => {
                    // What cannot be read has no owner: it is written anew, under a new fence.
                    let ownership = serde_json::from_str(&register.value).unwrap_or_default();
                    self.ownerships.insert(shard, (register.version, ownership));
                }
                None => {}
            }
        }
        self.members = seen;
    }

    /// Tells whether a replica lived at the beginning of the newest look, as far as can be known.
    pub(super) fn lives(&self, member: &Member, dead_after: Duration) -> bool {
        self.looked.is_none_or(|looked| looked.saturating_duration_since(member.changed) < dead_after)
    }

    /// Lists the replicas that were seen, by name.
    pub(super) fn members(&self) -> impl Iterator<Item = (&ReplicaId, &Member)> {
        self.members.iter()
    }

    pub(super) fn member(&self, id: &ReplicaId) -> Option<&Member> {
        self.members.get(id)
    }

    /// Returns the version of a shard's register, and who owns it as far as that replica lives.
    pub(super) fn owner(&self, shard: Shard, dead_after: Duration) -> (Option<u64>, Option<&Holder>) {
        let version = self.ownerships.get(&shard).map(|(version, _)| *version);
        let owner = self.holder(shard).filter(|owner| {
            // A replica that began another life has given up what it owned in the one before.
            let member = self.members.get(&owner.id).filter(|member| member.beat.life == owner.life);
            member.is_some_and(|member| self.lives(member, dead_after))
        });
        (version, owner)
    }

    /// Returns who owns a shard, dead or alive.
    pub(super) fn holder(&self, shard: Shard) -> Option<&Holder> {
        self.ownerships.get(&shard)?.1.owner.as_ref()
    }
}
