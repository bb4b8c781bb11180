//! Periodic removal of the files of ended tasks, of old tokens and of excess logs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::context::Context;

/// How often expired files are removed.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(10);

/// Removes expired files periodically, until the task is dropped.
pub(crate) async fn run_cleanup(context: &Arc<Context>) {
    let mut tick = tokio::time::interval(CLEANUP_INTERVAL);
    loop {
        tick.tick().await;
        let context = context.clone();
        if let Err(error) =
            tokio::task::spawn_blocking(move || remove_expired(&context, Instant::now())).await
        {
            tracing::warn!(%error, "the cleanup of task files panicked");
        }
    }
}

/// Removes expired files: task folders first, because a record without folders starts nothing after a restart.
pub(crate) fn remove_expired(context: &Context, now: Instant) {
    let (keep, keep_for) = (context.options.keep_ended, context.options.keep_for);
    let names = context.tasks.lock().prune_tasks(now, keep, keep_for);
    let tokens = context.tasks.lock().prune_tokens(now);
    let folders = names.iter().map(|name| context.data.task_dir(name).remove());
    let records = tokens.iter().map(|token| context.data.remove_launch(token));
    let logs = std::iter::once_with(|| context.data.enforce_log_cap(context.options.logs_cap));
    for error in folders.chain(records).chain(logs).filter_map(Result::err) {
        tracing::warn!(%error, "could not remove the files of an ended task");
    }
}
