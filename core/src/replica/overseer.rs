//! Looking at who owns what, again and again, and doing what follows from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use tokio::time::Instant;

use super::Crew;
use super::post::Leave;
use super::records::{Deed, FLEET, Holder, shard_register};
use super::spread::{self, Plan, View};
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
        let manned: BTreeSet<Shard> = self.posts.lock().keys().copied().collect();
        let began = Instant::now();
        let read = tokio::time::timeout(self.options.timing.patience, self.store.registers(FLEET)).await;
        let registers = read.unwrap_or_else(|_| {
            Err(StoreError::fault(FaultKind::Unavailable, "the store did not answer in time"))
        })?;
        self.roster.lock().take_in(&registers, began, Instant::now());
        if !self.commons.leash.holds() || self.leaving.is_cancelled() {
            return Ok(());
        }
        self.reconcile(&manned);
        let (plan, claims) = self.plan();
        for shard in &plan.hand_over {
            let post = self.posts.lock().get(shard).cloned();
            if post.is_some_and(|post| post.leave(Leave::HandOver)) {
                tracing::info!(%shard, "handing a shard over");
            }
        }
        join_all(claims.into_iter().map(|claim| self.claim(claim))).await;
        Ok(())
    }

    /// Brings what this replica does in line with what the registers say. `manned` are the shards that had a post when
    /// the look began: what it saw of those that have been left since is old.
    fn reconcile(self: &Arc<Self>, manned: &BTreeSet<Shard>) {
        for shard in Shard::all() {
            let (version, owner) = {
                let roster = self.roster.lock();
                let (version, owner) = roster.owner(shard, self.options.timing.dead_after);
                (version, owner.cloned())
            };
            let mine = owner == Some(self.holder());
            let post = self.posts.lock().get(&shard).cloned();
            match (post, version) {
                // Owned without knowing: the answer to a claim was lost, or an engine stopped by itself.
                (None, Some(version)) if mine && !manned.contains(&shard) => self.man(shard, version),
                (Some(post), version)
                    if manned.contains(&shard) && version.is_some_and(|v| v > post.version) =>
                {
                    if post.leave(Leave::Forsaken) {
                        tracing::warn!(%shard, "a shard was taken over by another replica");
                    }
                }
                (Some(_) | None, _) => {}
            }
        }
    }

    fn plan(&self) -> (Plan, Vec<Claim>) {
        let dead_after = self.options.timing.dead_after;
        let roster = self.roster.lock();
        let posts = self.posts.lock();
        let mine: Vec<Shard> =
            posts.values().filter(|post| !post.is_going()).map(|post| post.shard).collect();
        let mut view = View { me: &self.options.id, live: Default::default(), free: Vec::new(), mine };
        for (id, member) in roster.members() {
            if !member.beat.leaving && roster.lives(member, dead_after) {
                view.live.insert(id.clone(), 0);
            }
        }
        for shard in Shard::all() {
            match roster.owner(shard, dead_after).1 {
                Some(owner) if owner.life != self.life => {
                    view.live.entry(owner.id.clone()).and_modify(|owned| *owned += 1);
                }
                _ if posts.contains_key(&shard) => {}
                Some(_) => {}
                None => view.free.push(shard),
            }
        }
        view.live.insert(self.options.id.clone(), view.mine.len());
        let plan = spread::plan(&view);
        let claims = plan.take.iter().map(|shard| (*shard, roster.owner(*shard, dead_after).0)).collect();
        (plan, claims)
    }

    /// Takes a shard over, if nobody is faster.
    async fn claim(self: &Arc<Self>, (shard, version): Claim) {
        let deed = Deed { owner: Some(self.holder()) };
        let text = serde_json::to_string(&deed).expect("a deed is plain data");
        let register = shard_register(shard);
        let write = self.store.write(&register, &text, version, None);
        match tokio::time::timeout(self.options.timing.patience, write).await {
            Ok(Ok(version)) if self.commons.leash.holds() => self.man(shard, version),
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
