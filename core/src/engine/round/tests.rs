use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use serde_json::value::to_raw_value;

use super::*;
use crate::clock::Clock;
use crate::engine::lease::Lease;
use crate::engine::process::ProcessState;
use crate::engine::{Engine, EngineOptions};
use crate::launcher::tests::DenyingLauncher;
use crate::memory::MemoryStore;
use crate::registry::TriggerRegistry;
use crate::store::{JobStore as _, NewJob};

const PERMITS: u32 = 2;

/// A clock that moves with tokio's virtual time, from the epoch.
#[derive(Debug)]
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::try_from(self.0.elapsed()).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn round_waits_for_a_permit_and_returns_it() {
    let clock = Arc::new(PausedClock(tokio::time::Instant::now()));
    let store = Arc::new(MemoryStore::default());
    let document = to_raw_value(&json!({"taskDefinition": "report", "schedule": "*"})).unwrap();
    let id = JobId::new("report").unwrap();
    store.create(NewJob { id, uid: JobUid::random(), document, at: clock.now() }).await.unwrap();
    let options = EngineOptions { deciding: PERMITS as usize, ..EngineOptions::default() };
    let process = ProcessState::new(&options, Lease::endless());
    let permits = process.limits.deciding.acquire_many(PERMITS).await.unwrap();
    let launcher = Arc::new(DenyingLauncher);
    let registry = Arc::new(TriggerRegistry::new());
    let engine = Engine { options, store, launcher, registry, clock };
    let engine = engine.start_with(Arc::clone(&process), Vec::new(), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(engine.firings(), 0, "other rounds hold all permits");
    drop(permits);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(engine.firings() > 0);
    assert_eq!(process.limits.deciding.available_permits(), PERMITS as usize);
    assert!(engine.stop(Duration::from_secs(5)).await);
}
