//! Looking at who owns what, again and again, and doing what follows from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use tokio::time::Instant;

use super::Crew;
use super::assignment::{self, Plan, View};
use super::records::{FLEET, Holder, Ownership, shard_register};
use super::shard_owner::Leave;
use crate::fault::{self, FaultKind};
use crate::store::{Shard, StoreError};

/// Looks until the replica leaves.
pub(super) async fn run(crew: Arc<Crew>) {
    loop {
        tokio::select! {
            biased;
            () = crew.leaving.cancelled() => return,
            () = crew.look_now.notified() => {}
            () = tokio::time::sleep(crew.options.timing.look) => {}
        }
        if let Err(error) = crew.look().await {
            tracing::warn!(error = %fault::chain(&error), "could not see what other replicas own");
        }
    }
}

/// A shard that is to be taken, and the version that its register has.
type Claim = (Shard, Option<u64>);

impl Crew {
    /// Looks once: leaves what was lost, takes what is free, hands over what is too much.
    pub(super) async fn look(self: &Arc<Self>) -> Result<(), StoreError> {
        let before: BTreeSet<Shard> = self.owned.lock().keys().copied().collect();
        let began = Instant::now();
        let read = tokio::time::timeout(self.options.timing.patience, self.store.registers(FLEET)).await;
        let registers = read.unwrap_or_else(|_| {
            Err(StoreError::fault(FaultKind::Unavailable, "the store did not answer in time"))
        })?;
        self.peers.lock().take_in(&registers, began, Instant::now());
        if !self.commons.lease.holds() || self.leaving.is_cancelled() {
            return Ok(());
        }
        let again = self.reconcile(&before);
        let (plan, claims) = self.plan();
        for shard in &plan.hand_over {
            let owned = self.owned.lock().get(shard).cloned();
            if owned.is_some_and(|owned| owned.leave(Leave::HandOver)) {
                tracing::info!(%shard, "handing a shard over");
            }
        }
        join_all(claims.into_iter().chain(again).map(|claim| self.claim(claim))).await;
        Ok(())
    }

    /// Brings what this replica does in line with what the registers say. `before` are the shards that were owned when
    /// the look began: what it saw of those that have been left since is old. Returns shards to claim once more: under the
    /// version that the register has, writes of an engine that has stopped may still be under way.
    fn reconcile(self: &Arc<Self>, before: &BTreeSet<Shard>) -> Vec<Claim> {
        let mut again = Vec::new();
        for shard in Shard::all() {
            let (version, owner) = {
                let peers = self.peers.lock();
                let (version, owner) = peers.owner(shard, self.options.timing.dead_after);
                (version, owner.cloned())
            };
            let mine = owner == Some(self.holder());
            let owned = self.owned.lock().get(&shard).cloned();
            match (owned, version) {
                // Owned without knowing: the answer to a claim was lost, or an engine stopped by itself.
                (None, Some(_)) if mine && !before.contains(&shard) => again.push((shard, version)),
                (Some(owned), version)
                    if before.contains(&shard) && version.is_some_and(|v| v > owned.version) =>
                {
                    if owned.leave(Leave::Forsaken) {
                        tracing::warn!(%shard, "a shard was taken over by another replica");
                    }
                }
                (Some(_) | None, _) => {}
            }
        }
        again
    }

    fn plan(&self) -> (Plan, Vec<Claim>) {
        let dead_after = self.options.timing.dead_after;
        let peers = self.peers.lock();
        let owned = self.owned.lock();
        let mine: Vec<Shard> =
            owned.values().filter(|owned| !owned.is_going()).map(|owned| owned.shard).collect();
        let mut view = View { me: &self.options.id, live: Default::default(), free: Vec::new(), mine };
        for (id, member) in peers.members() {
            if !member.beat.leaving && peers.lives(member, dead_after) {
                view.live.insert(id.clone(), 0);
            }
        }
        for shard in Shard::all() {
            match peers.owner(shard, dead_after).1 {
                Some(owner) if owner.life != self.life => {
                    view.live.entry(owner.id.clone()).and_modify(|owned| *owned += 1);
                }
                _ if owned.contains_key(&shard) => {}
                Some(_) => {}
                None => view.free.push(shard),
            }
        }
        view.live.insert(self.options.id.clone(), view.mine.len());
        let plan = assignment::plan(&view);
        let claims = plan.take.iter().map(|shard| (*shard, peers.owner(*shard, dead_after).0)).collect();
        (plan, claims)
    }

    /// Takes a shard over, if nobody is faster.
    async fn claim(self: &Arc<Self>, (shard, version): Claim) {
        let ownership = Ownership { owner: Some(self.holder()) };
        let text = serde_json::to_string(&ownership).expect("an ownership is plain data");
        let register = shard_register(shard);
        let write = self.store.write(&register, &text, version, None);
        match tokio::time::timeout(self.options.timing.patience, write).await {
            Ok(Ok(version)) if self.commons.lease.holds() => self.own(shard, version),
            // Too late to be sure: the next look tells whose it is.
            Ok(Ok(_) | Err(StoreError::Conflict(_))) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::warn!(%shard, error = %fault::chain(&error), "a shard could not be taken over");
            }
        }
    }

    fn holder(&self) -> Holder {
        Holder { id: self.options.id.clone(), life: self.life.clone() }
    }
}
