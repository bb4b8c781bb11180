//! Which shards a replica is to take and to hand over: a pure function of what it sees.
//!
//! Every replica computes the same quotas from the same registers, without asking anyone. With as many shards as fit
//! none moves, so that there is nothing to flap.

use std::collections::BTreeMap;

use super::ReplicaId;
use crate::store::Shard;

#[cfg(test)]
mod tests;

/// What a replica sees.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    pub(super) me: &'a ReplicaId,
    /// The replicas that live and do not leave, this one among them, and how many shards each owns.
    pub(super) live: BTreeMap<ReplicaId, usize>,
    /// Shards whose owner is dead, or that have none, by number.
    pub(super) free: Vec<Shard>,
    /// Shards that this replica owns and has not begun to hand over, by number.
    pub(super) mine: Vec<Shard>,
}

/// What a replica is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) take: Vec<Shard>,
    pub(super) hand_over: Vec<Shard>,
}

/// Plans one replica's next moves.
pub(super) fn plan(view: &View<'_>) -> Plan {
    let Some((quota, rank)) = quota(view) else { return Plan::default() };
    let take = quota.saturating_sub(view.mine.len()).min(view.free.len());
    let over = view.mine.len().saturating_sub(quota);
    // Each begins at another place of what is free, so that two seldom want the same.
    let begin = if view.free.is_empty() { 0 } else { view.free.len() * rank / view.live.len() };
    let mut free = view.free.clone();
    free.rotate_left(begin);
    free.truncate(take);
    Plan { take: free, hand_over: view.mine.iter().rev().take(over).copied().collect() }
}

/// Returns how many shards this replica is to own, and its place among the live.
///
/// What does not divide evenly goes to those that own most already: they have it.
fn quota(view: &View<'_>) -> Option<(usize, usize)> {
    let rank = view.live.keys().position(|id| id == view.me)?;
    let (each, left_over) =
        (usize::from(Shard::COUNT) / view.live.len(), usize::from(Shard::COUNT) % view.live.len());
    let mut order: Vec<(&ReplicaId, usize)> = view.live.iter().map(|(id, owned)| (id, *owned)).collect();
    order.sort_by(|(a, owned_a), (b, owned_b)| owned_b.cmp(owned_a).then_with(|| a.cmp(b)));
    let place = order.iter().position(|(id, _)| *id == view.me)?;
    Some((each + usize::from(place < left_over), rank))
}
