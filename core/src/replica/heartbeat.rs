//! The heartbeat of this replica, and the release of its shards when its lease expires.

use std::sync::Arc;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::ReplicaInner;
use super::records::{Beat, replica_register};
use super::shard_owner::Release;
use crate::fault::{self, FaultKind};
use crate::store::{StoreError, answer_within};

/// The minimum time for which a failed replica's register stays in the store.
const REGISTER_TTL: SignedDuration = SignedDuration::from_hours(1);

/// Writes this replica's heartbeat register.
#[derive(Debug)]
pub(super) struct Heartbeat {
    register: String,
    beats: u64,
    /// The register's version, if it is known.
    version: Option<u64>,
    /// Another process that writes the same register: the newest version, and since when it is unchanged.
    rival: Option<(u64, Instant)>,
}

impl Heartbeat {
    pub(super) fn new(inner: &ReplicaInner) -> Self {
        Self { register: replica_register(&inner.options.id), beats: 0, version: None, rival: None }
    }

    /// Writes heartbeats until the replica has ended.
    pub(super) async fn run(mut self, inner: Arc<ReplicaInner>) {
        let mut next = Instant::now() + inner.options.timing.heartbeat_interval;
        loop {
            tokio::select! {
                biased;
                () = inner.ended.cancelled() => return,
                () = inner.heartbeat_now.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
            next = Instant::now() + inner.options.timing.heartbeat_interval;
            let beat = self.beat(&inner).await;
            inner.set_fault(
                beat.err().map(|error| format!("could not write the heartbeat: {}", fault::chain(&error))),
            );
        }
    }

    /// Writes one heartbeat, and renews the lease.
    pub(super) async fn beat(&mut self, inner: &ReplicaInner) -> Result<(), StoreError> {
        let timing = &inner.options.timing;
        loop {
            let began = Instant::now();
            match answer_within(timing.store_timeout, self.write(inner)).await {
                Ok(version) => {
                    self.version = Some(version);
                    self.rival = None;
                    inner.commons.lease.renew(began + timing.lease);
                    return Ok(());
                }
                Err(StoreError::Conflict(_)) => self.resolve_conflict(inner).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn write(&mut self, inner: &ReplicaInner) -> Result<u64, StoreError> {
        self.beats += 1;
        let beat = Beat {
            id: inner.options.id.clone(),
            incarnation: inner.incarnation.clone(),
            address: inner.options.address.clone(),
            started: inner.started,
            leaving: inner.leaving.is_cancelled(),
            beat: self.beats,
        };
        let text = serde_json::to_string(&beat).expect("a heartbeat is plain data");
        let now = inner.engine.clock.now();
        let expires = now.saturating_add(REGISTER_TTL).ok();
        inner.store.put_register(&self.register, &text, self.version, expires).await
    }

    /// Finds out why the register has an unexpected version.
    ///
    /// A later process with the same replica id wins: this one returns after the other's heartbeat has stopped.
    async fn resolve_conflict(&mut self, inner: &ReplicaInner) -> Result<(), StoreError> {
        let stored = inner.store.get_register(&self.register).await?;
        let Some(stored) = stored else {
            self.version = None;
            return Ok(());
        };
        let beat: Option<Beat> = serde_json::from_str(&stored.value).ok();
        let ours = beat.as_ref().is_none_or(|beat| beat.incarnation == inner.incarnation);
        // At the first heartbeat the register is of an earlier process, or of one that must give way.
        if ours || self.version.is_none() && self.rival.is_none() {
            self.version = Some(stored.version);
            return Ok(());
        }
        let since = match self.rival {
            Some((version, since)) if version == stored.version => since,
            Some(_) | None => Instant::now(),
        };
        self.rival = Some((stored.version, since));
        if since.elapsed() >= inner.options.timing.dead_after {
            self.version = Some(stored.version);
            return Ok(());
        }
        let address = beat.map(|beat| beat.address).unwrap_or_default();
        let message = format!(
            "another process at {address} is replica \"{}\" too; give each its own ECSS_REPLICA",
            inner.options.id
        );
        Err(StoreError::fault(FaultKind::Config, message))
    }
}

/// Releases every shard when the lease has expired: other replicas are about to take over.
pub(super) async fn watch_lease(inner: Arc<ReplicaInner>) {
    let watch = async {
        loop {
            let term = inner.commons.lease.term();
            inner.commons.lease.expiry(term).await;
            let left = inner.release_all(&Release::Lost);
            if left > 0 {
                tracing::warn!(shards = left, "the lease expired; releasing all shards to other replicas");
            }
            inner.commons.lease.renewal().await;
            inner.reconcile_now.notify_one();
        }
    };
    inner.ended.run_until_cancelled(watch).await;
}
