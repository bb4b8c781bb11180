//! Taking up the firings that an earlier run, or a lost answer of the store, left open in the journal.

use std::sync::Arc;

use super::dispatch;
use super::inner::Core;
use crate::firing::FiringState;
use crate::store::StoreError;

/// Takes up every open firing that no part of the engine carries. The ledger knows them on return; launches go on
/// behind it, as dispatch has room.
pub(super) async fn adopt(core: &Arc<Core>) -> Result<(), StoreError> {
    let open = core.store.unfinished().await;
    core.note_read(&open);
    let now = core.clock.now();
    let mut to_dispatch = Vec::new();
    for firing in open? {
        if !core.in_hand.lock().insert(firing.id.clone()) {
            continue;
        }
        core.ledger.enter(&firing, now);
        if firing.state == FiringState::Launched {
            core.watched.lock().insert(firing.id.clone(), firing);
            core.watch_more.notify_one();
        } else {
            to_dispatch.push(firing);
        }
    }
    if !to_dispatch.is_empty() {
        tracing::info!(firings = to_dispatch.len(), "taking up firings that an earlier run left open");
        let task_core = Arc::clone(core);
        core.spawn(async move {
            for firing in to_dispatch {
                if task_core.stop.is_cancelled() {
                    break;
                }
                dispatch::enqueue(&task_core, firing).await;
            }
        });
    }
    Ok(())
}
