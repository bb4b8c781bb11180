//! The deliveries of all shards, as the store has them.

use super::outbox::{FailedDelivery, Outbox, PendingDelivery};
use crate::store::{Shard, Store, StoreError};

/// The beginning of the names of the registers.
pub(crate) const NOTIFICATIONS: &str = "notifications/";

/// The deliveries of all shards.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Deliveries {
    /// Notifications that are to be delivered, oldest first.
    pub pending: Vec<PendingDelivery>,
    /// Notifications that could not be delivered, newest first; the newest twenty of each shard.
    pub failed: Vec<FailedDelivery>,
}

/// Reads the deliveries of all shards.
///
/// # Errors
///
/// Fails when the store cannot be read.
pub async fn read_deliveries(store: &dyn Store) -> Result<Deliveries, StoreError> {
    let names: Vec<String> = Shard::all().map(register_of).collect();
    let reads = names.iter().map(|name| store.get_register(name));
    let mut all = Deliveries::default();
    for register in futures::future::try_join_all(reads).await?.into_iter().flatten() {
        let outbox = Outbox::parse(&register.value);
        all.pending.extend(outbox.pending);
        all.failed.extend(outbox.failed);
    }
    all.pending.sort_by_key(|pending| pending.notification.at);
    all.failed.sort_by_key(|failed| std::cmp::Reverse(failed.at));
    Ok(all)
}

/// Returns the name of the register of a shard.
pub(crate) fn register_of(shard: Shard) -> String {
    format!("{NOTIFICATIONS}{shard}")
}
