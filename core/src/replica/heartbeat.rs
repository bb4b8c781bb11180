//! Showing that this replica lives, and stopping it when that could not be shown.

use std::sync::Arc;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::Crew;
use super::records::{Beat, replica_register};
use super::shard_owner::Leave;
use crate::fault::{self, FaultKind};
use crate::store::StoreError;

/// For how long the register of a replica that fell stays in the store at least.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);

/// Writes this replica's register.
#[derive(Debug)]
pub(super) struct Heartbeat {
    register: String,
    beats: u64,
    /// The register's version, as far as it is known.
    version: Option<u64>,
    /// Another process that writes the same register: its newest version, and since when that is unchanged.
    rival: Option<(u64, Instant)>,
}

impl Heartbeat {
    pub(super) fn new(crew: &Crew) -> Self {
        Self { register: replica_register(&crew.options.id), beats: 0, version: None, rival: None }
    }

    /// Beats until the replica has ended.
    pub(super) async fn run(mut self, crew: Arc<Crew>) {
        let mut next = Instant::now() + crew.options.timing.beat;
        loop {
            tokio::select! {
                biased;
                () = crew.ended.cancelled() => return,
                () = crew.beat_now.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            }
            next = Instant::now() + crew.options.timing.beat;
            let beat = self.beat(&crew).await;
            crew.note(
                beat.err().map(|error| format!("no sign of life could be written: {}", fault::chain(&error))),
            );
        }
    }

    /// Writes one sign of life, and renews the lease when it is written.
    pub(super) async fn beat(&mut self, crew: &Crew) -> Result<(), StoreError> {
        let timing = &crew.options.timing;
        loop {
            let began = Instant::now();
            let write = async { self.write(crew).await };
            let Ok(written) = tokio::time::timeout(timing.patience, write).await else {
                let message = format!("the store did not answer within {} s", timing.patience.as_secs());
                return Err(StoreError::fault(FaultKind::Unavailable, message));
            };
            match written {
                Ok(version) => {
                    self.version = Some(version);
                    self.rival = None;
                    crew.commons.lease.renew(began + timing.lease);
                    return Ok(());
                }
                Err(StoreError::Conflict(_)) => self.learn(crew).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn write(&mut self, crew: &Crew) -> Result<u64, StoreError> {
        self.beats += 1;
        let beat = Beat {
            id: crew.options.id.clone(),
            life: crew.life.clone(),
            address: crew.options.address.clone(),
            started: crew.started,
            leaving: crew.leaving.is_cancelled(),
            beat: self.beats,
        };
        let text = serde_json::to_string(&beat).expect("a sign of life is plain data");
        let now = crew.engine.clock.now();
        let expires = now.saturating_add(REMEMBERED).ok();
        crew.store.write(&self.register, &text, self.version, expires).await
    }

    /// Finds out why the register has another version than it should.
    ///
    /// A process of the same name that was started later wins: this one comes back when that one has fallen silent.
    async fn learn(&mut self, crew: &Crew) -> Result<(), StoreError> {
        let stored = crew.store.read(&self.register).await?;
        let Some(stored) = stored else {
            self.version = None;
            return Ok(());
        };
        let beat: Option<Beat> = serde_json::from_str(&stored.value).ok();
        let ours = beat.as_ref().is_none_or(|beat| beat.life == crew.life);
        // At the first beat what is there is of an earlier life, or of one that has to give way.
        if ours || self.version.is_none() && self.rival.is_none() {
            self.version = Some(stored.version);
            return Ok(());
        }
        let since = match self.rival {
            Some((version, since)) if version == stored.version => since,
            Some(_) | None => Instant::now(),
        };
        self.rival = Some((stored.version, since));
        if since.elapsed() >= crew.options.timing.dead_after {
            self.version = Some(stored.version);
            return Ok(());
        }
        let address = beat.map(|beat| beat.address).unwrap_or_default();
        let message = format!(
            "another process at {address} is replica \"{}\" too; give each its own ECSS_REPLICA",
            crew.options.id
        );
        Err(StoreError::fault(FaultKind::Config, message))
    }
}

/// Leaves every shard when the lease has expired: others are about to take them over.
pub(super) async fn guard(crew: Arc<Crew>) {
    let watch = async {
        loop {
            let term = crew.commons.lease.term();
            crew.commons.lease.expiry(term).await;
            let left = crew.leave_all(&Leave::Forsaken);
            if left > 0 {
                tracing::warn!(
                    shards = left,
                    "this replica was not heard of in time and leaves its shards to others"
                );
            }
            crew.commons.lease.renewal().await;
            crew.look_now.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = crew.ended.cancelled() => {}
        () = watch => {}
    }
}
