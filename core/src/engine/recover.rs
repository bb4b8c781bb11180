//! Recovery: resumes firings that an earlier run, or a lost answer of the store, left open in the journal.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use tokio::time::Instant;

use super::dispatch;
use super::inner::EngineInner;
use crate::budget::Labels;
use crate::firing::{Firing, FiringState};
use crate::id::{JobId, JobUid};
use crate::store::StoreError;

/// Resumes every open firing that no part of the engine works on. On return, the task tracker knows their tasks; launches
/// follow in the background, as dispatch has room.
pub(super) async fn resume_open_firings(engine: &Arc<EngineInner>) -> Result<(), StoreError> {
    let (began, search) = (Instant::now(), engine.in_flight.begin_search());
    let open = engine.store.open_firings().await?;
    let labels = labels_of_jobs(engine, &open).await?;
    let now = engine.clock.now();
    let mut to_dispatch = Vec::new();
    for firing in open {
        if !search.claim(&firing.id) {
            continue;
        }
        engine.process.budgets.bind(engine.number, &firing, labels.get(&firing.uid), now);
        engine.record_tasks(&firing, now);
        if firing.state == FiringState::Launched {
            engine.edited.lock().insert(firing.job.clone());
            engine.monitored.lock().insert(firing.id.clone(), firing);
            engine.monitor_wakeup.notify_one();
        } else {
            to_dispatch.push(firing);
        }
    }
    engine.process.budgets.end_search(engine.number, began);
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

/// The number of jobs that are read at once.
const JOBS_PER_READ: usize = 1_000;

/// Reads the labels of the jobs of open firings, if there are budgets to count them towards. Jobs that were removed or are invalid
/// are left out.
async fn labels_of_jobs(
    engine: &EngineInner,
    open: &[Firing],
) -> Result<HashMap<JobUid, Labels>, StoreError> {
    let mut labels = HashMap::new();
    if engine.process.budgets.is_empty() {
        return Ok(labels);
    }
    let ids: BTreeSet<&JobId> = open.iter().map(|firing| &firing.job).collect();
    let ids: Vec<JobId> = ids.into_iter().cloned().collect();
    for ids in ids.chunks(JOBS_PER_READ) {
        for (_, cached) in engine.load_jobs(ids).await? {
            if let Ok(job) = &cached.job {
                labels.insert(cached.uid, job.labels.clone());
            }
        }
    }
    Ok(labels)
}
