//! Recovery: resumes firings that an earlier run, or a lost answer of the store, left open in the journal.

use std::sync::Arc;

use super::dispatch;
use super::inner::EngineInner;
use crate::firing::FiringState;
use crate::store::StoreError;

/// Resumes every open firing that no part of the engine works on. On return, the task tracker knows their tasks; launches
/// follow in the background, as dispatch has room.
pub(super) async fn resume_open_firings(engine: &Arc<EngineInner>) -> Result<(), StoreError> {
    let search = engine.in_flight.begin_search();
    let open = engine.store.open_firings().await?;
    let now = engine.clock.now();
    let mut to_dispatch = Vec::new();
    for firing in open {
        if !search.claim(&firing.id) {
            continue;
        }
        engine.task_tracker.record_firing(&firing, now);
        if firing.state == FiringState::Launched {
            engine.edited.lock().insert(firing.job.clone());
            engine.monitored.lock().insert(firing.id.clone(), firing);
            engine.monitor_wakeup.notify_one();
        } else {
            to_dispatch.push(firing);
        }
    }
    if !to_dispatch.is_empty() {
        tracing::info!(firings = to_dispatch.len(), "resuming firings that an earlier run left open");
        let task_engine = Arc::clone(engine);
        engine.spawn(async move {
            for firing in to_dispatch {
                if task_engine.stop.is_cancelled() {
                    break;
                }
                dispatch::enqueue(&task_engine, firing).await;
            }
        });
    }
    Ok(())
}
