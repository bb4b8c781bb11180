//! Writes what ended tasks have freed, so that other replicas can use it.

use std::sync::Arc;
use std::time::Duration;

use super::budgets::MAX_AGE;
use super::inner::EngineInner;
use super::store_waits::STORE_RETRY;
use crate::fault;

/// How long ends of tasks are gathered before the register is written.
const GATHER: Duration = Duration::from_secs(1);

/// Reads the use of budgets and, with several replicas, writes it when tasks have ended, until the engine stops.
pub(super) async fn run(engine: Arc<EngineInner>) {
    let stop = engine.stop.clone();
    stop.run_until_cancelled(follow(&engine)).await;
}

async fn follow(engine: &EngineInner) {
    let budgets = &engine.process.budgets;
    loop {
        if let Err(error) = engine.store.sync_budgets(engine.clock.now()).await {
            tracing::warn!(error = %fault::chain(&error), "could not write the use of budgets; retrying");
            tokio::time::sleep(STORE_RETRY).await;
            continue;
        }
        // A single process knows its own tasks, and writes them with the next reservation. After a crash, all that it had reserved
        // counts as used in the hour and the day.
        if !budgets.is_shared() && !budgets.count_past() {
            return;
        }
        // Another engine of the process, or a reservation, may write them meanwhile.
        while !budgets.is_dirty() {
            // Reservations that were given up are dropped by a write, and the metrics show what other replicas use.
            if tokio::time::timeout(MAX_AGE, budgets.changed()).await.is_err() {
                break;
            }
            tokio::time::sleep(GATHER).await;
        }
    }
}
