//! Reconciles the owned shards with the cluster's registers, periodically.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use tokio::time::Instant;

use super::ReplicaInner;
use super::assignment::{self, ClusterView, Rebalance};
use super::records::{FLEET, Holder, ShardOwnership, shard_register};
use super::shard_owner::Release;
use crate::fault;
use crate::store::{Shard, StoreError, answer_within};

/// Reconciles until the replica leaves.
pub(super) async fn run(inner: Arc<ReplicaInner>) {
    loop {
        tokio::select! {
            biased;
            () = inner.leaving.cancelled() => return,
            () = inner.reconcile_now.notified() => {}
            () = tokio::time::sleep(inner.options.timing.reconcile_interval) => {}
        }
        if let Err(error) = inner.refresh().await {
            tracing::warn!(error = %fault::chain(&error), "could not read the shard owners");
        }
    }
}

/// A shard to acquire, and the version of its register.
type ShardClaim = (Shard, Option<u64>);

impl ReplicaInner {
    /// Reads the registers once: releases lost shards, claims free ones, and hands over surplus ones.
    pub(super) async fn refresh(self: &Arc<Self>) -> Result<(), StoreError> {
        let before: BTreeSet<Shard> = self.owned.lock().keys().copied().collect();
        let began = Instant::now();
        let registers = answer_within(self.options.timing.store_timeout, self.store.registers(FLEET)).await?;
        self.peers.lock().apply_snapshot(&registers, began, Instant::now());
        if !self.commons.lease.holds() || self.leaving.is_cancelled() {
            return Ok(());
        }
        let reclaims = self.reconcile(&before);
        let (plan, claims) = self.plan();
        for shard in &plan.hand_over {
            let owned = self.owned.lock().get(shard).cloned();
            if owned.is_some_and(|owned| owned.begin_release(Release::HandOver)) {
                tracing::info!(%shard, "handing over a shard");
            }
        }
        join_all(claims.into_iter().chain(reclaims).map(|claim| self.claim(claim))).await;
        Ok(())
    }

    /// Compares the owned shards with the registers. `before` are the shards that were owned when the read began: its result
    /// is outdated for shards released since. Returns shards to claim again, under a new version: writes of a stopped engine
    /// under the old one may still be in progress.
    fn reconcile(self: &Arc<Self>, before: &BTreeSet<Shard>) -> Vec<ShardClaim> {
        let mut reclaims = Vec::new();
        for shard in Shard::all() {
            let (version, owner) = {
                let peers = self.peers.lock();
                let (version, owner) = peers.owner(shard, self.options.timing.dead_after);
                (version, owner.cloned())
            };
            let mine = owner == Some(self.holder());
            let owned = self.owned.lock().get(&shard).cloned();
            match (owned, version) {
                // Owned without knowing it: the answer to a claim was lost, or an engine stopped on its own.
                (None, Some(_)) if mine && !before.contains(&shard) => reclaims.push((shard, version)),
                (Some(owned), version)
                    if before.contains(&shard) && version.is_some_and(|v| v > owned.version) =>
                {
                    if owned.begin_release(Release::Lost) {
                        tracing::warn!(%shard, "a shard was taken over by another replica");
                    }
                }
                (Some(_) | None, _) => {}
            }
        }
        reclaims
    }

    fn plan(&self) -> (Rebalance, Vec<ShardClaim>) {
        let dead_after = self.options.timing.dead_after;
        let peers = self.peers.lock();
        let owned = self.owned.lock();
        let mine: Vec<Shard> =
            owned.values().filter(|owned| !owned.is_releasing()).map(|owned| owned.shard).collect();
        let mut view = ClusterView { me: &self.options.id, live: Default::default(), free: Vec::new(), mine };
        for (id, member) in peers.members() {
            if !member.beat.leaving && peers.lives(member, dead_after) {
                view.live.insert(id.clone(), 0);
            }
        }
        for shard in Shard::all() {
            match peers.owner(shard, dead_after).1 {
                Some(owner) if owner.incarnation != self.incarnation => {
                    view.live.entry(owner.id.clone()).and_modify(|owned| *owned += 1);
                }
                _ if owned.contains_key(&shard) => {}
                Some(_) => {}
                None => view.free.push(shard),
            }
        }
        view.live.insert(self.options.id.clone(), view.mine.len());
        let plan = assignment::rebalance(&view);
        let claims = plan.acquire.iter().map(|shard| (*shard, peers.owner(*shard, dead_after).0)).collect();
        (plan, claims)
    }

    /// Claims a shard; fails silently when another replica is faster.
    async fn claim(self: &Arc<Self>, (shard, version): ShardClaim) {
        let ownership = ShardOwnership { owner: Some(self.holder()) };
        let text = serde_json::to_string(&ownership).expect("an ownership is plain data");
        let register = shard_register(shard);
        let write = self.store.put_register(&register, &text, version, None);
        match tokio::time::timeout(self.options.timing.store_timeout, write).await {
            Ok(Ok(version)) if self.commons.lease.holds() => self.acquire(shard, version),
            // The outcome is uncertain: the next read tells the owner.
            Ok(Ok(_) | Err(StoreError::Conflict(_))) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::warn!(%shard, error = %fault::chain(&error), "could not take over a shard");
            }
        }
    }

    fn holder(&self) -> Holder {
        Holder { id: self.options.id.clone(), incarnation: self.incarnation.clone() }
    }
}
