use std::time::Duration;

use serde_json::json;
use serde_json::value::to_raw_value;

use super::*;
use crate::clock::Clock;
use crate::engine::lease::Lease;
use crate::engine::process::Commons;
use crate::engine::{Engine, EngineOptions};
use crate::memory::MemoryStore;
use crate::registry::TriggerRegistry;
use crate::store::{JobStore as _, NewJob};
use crate::testing::{ChaosLauncher, SimClock};

const TURNS: u32 = 2;

#[tokio::test(start_paused = true)]
async fn a_round_is_decided_when_it_has_a_turn_and_gives_it_back() {
    let clock = Arc::new(SimClock::at(Timestamp::UNIX_EPOCH));
    let store = Arc::new(MemoryStore::default());
    let document = to_raw_value(&json!({"taskDefinition": "report", "schedule": "*"})).unwrap();
    let id = JobId::new("report").unwrap();
    store.create(NewJob { id, uid: JobUid::random(), document, at: clock.now() }).await.unwrap();
    let options = EngineOptions { deciding: TURNS as usize, ..EngineOptions::default() };
    let commons = Commons::new(&options, Lease::endless());
    let turns = commons.deciding.acquire_many(TURNS).await.unwrap();
    let launcher = Arc::new(ChaosLauncher::new(Arc::clone(&clock) as Arc<dyn Clock>, 0));
    let registry = Arc::new(TriggerRegistry::new());
    let engine = Engine { options, store, launcher, registry, clock };
    let engine = engine.start_among(Arc::clone(&commons)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(engine.firings(), 0, "others decide");
    drop(turns);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(engine.firings() > 0);
    assert_eq!(commons.deciding.available_permits(), TURNS as usize);
    assert!(engine.stop(Duration::from_secs(5)).await);
}
