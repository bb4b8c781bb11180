//! The assignment of shards to replicas: a pure function of the cluster's registers.
//!
//! Every replica computes the same quotas from the same registers, without coordination. A balanced assignment never
//! changes, so that shards do not flap.

use std::collections::BTreeMap;

use super::ReplicaId;
use crate::store::Shard;

#[cfg(test)]
mod tests;

/// The cluster as one replica sees it.
#[derive(Debug, Clone)]
pub(super) struct ClusterView<'a> {
    pub(super) me: &'a ReplicaId,
    /// The live replicas that are not leaving, this one included, and how many shards each owns.
    pub(super) live: BTreeMap<ReplicaId, usize>,
    /// Shards whose owner is dead or missing, by number.
    pub(super) free: Vec<Shard>,
    /// Shards that this replica owns and is not handing over, by number.
    pub(super) mine: Vec<Shard>,
}

/// The next moves of a replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rebalance {
    pub(super) acquire: Vec<Shard>,
    pub(super) hand_over: Vec<Shard>,
}

/// Computes one replica's next moves.
pub(super) fn rebalance(view: &ClusterView<'_>) -> Rebalance {
    let Some((quota, rank)) = quota(view) else { return Rebalance::default() };
    let take = quota.saturating_sub(view.mine.len()).min(view.free.len());
    let over = view.mine.len().saturating_sub(quota);
    // Each replica starts at another offset of the free shards, so that two seldom claim the same one.
    let offset = if view.free.is_empty() { 0 } else { view.free.len() * rank / view.live.len() };
    let mut free = view.free.clone();
    free.rotate_left(offset);
    free.truncate(take);
    Rebalance { acquire: free, hand_over: view.mine.iter().rev().take(over).copied().collect() }
}

/// Returns how many shards this replica must own, and its rank among the live replicas.
///
/// The remainder of the division goes to the replicas that already own most, so that it does not move.
fn quota(view: &ClusterView<'_>) -> Option<(usize, usize)> {
    let rank = view.live.keys().position(|id| id == view.me)?;
    let (each, left_over) =
        (usize::from(Shard::COUNT) / view.live.len(), usize::from(Shard::COUNT) % view.live.len());
    let mut order: Vec<(&ReplicaId, usize)> = view.live.iter().map(|(id, owned)| (id, *owned)).collect();
    order.sort_by(|(a, owned_a), (b, owned_b)| owned_b.cmp(owned_a).then_with(|| a.cmp(b)));
    let index = order.iter().position(|(id, _)| *id == view.me)?;
    Some((each + usize::from(index < left_over), rank))
}
