//! Advancing a firing to its next state.

use ecs_scheduler_core::{Advance, DecisionId, Firing, FiringState, StoreError};
use uuid::Uuid;

use crate::backoff;
use crate::context::StoreContext;
use crate::db::Committed;
use crate::error::contention;
use crate::journal_writer::JournalWriter;
use crate::keys::ItemKey;
use crate::read_rows::RowWithoutLists;
use crate::row::{DecisionRow, row_key};
use crate::write::Write;

/// The number of tasks up to which each call that starts some is recorded in the job's last run.
const FEW_TASKS: usize = 100;

/// Advances a firing.
pub(crate) async fn advance(
    context: &StoreContext,
    writer: &JournalWriter,
    advance: Advance,
) -> Result<(), StoreError> {
    let write_id = Uuid::new_v4().simple().to_string();
    let mut backoff = backoff::for_writes();
    loop {
        let RowWithoutLists { row, started } = find_row(context, &advance.to).await?;
        // An earlier attempt has succeeded, and its answer was lost.
        if row.write_id == write_id {
            return Ok(());
        }
        let stored = row.firing.as_ref().expect("a firing's row has a firing");
        advance.check(stored.state)?;
        let mut to = row.clone();
        to.version += 1;
        to.write_id.clone_from(&write_id);
        if let Some(outcome) = advance.outcome {
            to.record.draft.outcome = outcome;
        }
        let records_run = records_run(stored.state, started, &advance.to);
        let firing = Firing { decision: row.record.id, ..advance.to.clone() };
        let mut writes = row.advance(&DecisionRow { firing: Some(firing), ..to })?;
        if records_run {
            writes.extend(record_run(context, &advance.to).await?);
        }
        if writer.commit(&context.db, "advance a firing", writes).await? == Committed::Done {
            return Ok(());
        }
        if !backoff.wait().await {
            return Err(contention(&format!("advance firing \"{}\"", advance.to.id)));
        }
    }
}

/// Finds a firing's row: under the decision that the firing names, otherwise by the firing's id.
async fn find_row(context: &StoreContext, firing: &Firing) -> Result<RowWithoutLists, StoreError> {
    if firing.decision != DecisionId::default()
        && let Some(row) = context.row_without_lists(ItemKey::row(&firing.job, firing.decision)).await?
        && row.row.firing.as_ref().is_some_and(|stored| stored.id == firing.id)
    {
        return Ok(row);
    }
    let missing = || StoreError::NotFound((&firing.id).into());
    let pointer = context.db.get("find a firing", ItemKey::firing(&firing.id)).await?.ok_or_else(missing)?;
    let row = context.row_without_lists(row_key(context.db.reader(&pointer))?).await?;
    row.filter(|row| row.row.firing.is_some()).ok_or_else(missing)
}

/// Tells whether the tasks of a firing are recorded as the job's last run now. While more than [`FEW_TASKS`] are started, that is when
/// their number has passed a power of two, and at the end: each record has all of them.
fn records_run(from: FiringState, before: usize, to: &Firing) -> bool {
    let (after, is_launching) = (to.tasks.len(), to.state == FiringState::Launching);
    let ends_launch = from == FiringState::Launching && !is_launching && after > FEW_TASKS;
    let is_next = after <= FEW_TASKS || !is_launching || before.checked_ilog2() < after.checked_ilog2();
    ends_launch || (after > before && is_next)
}

/// Returns the write that records a firing's tasks in its job, unless the job is another one or has a newer run.
async fn record_run(context: &StoreContext, firing: &Firing) -> Result<Option<Write>, StoreError> {
    let Some(meta) = context.meta(&firing.job).await? else { return Ok(None) };
    let mut progress = meta.progress.clone();
    progress.record_run(firing);
    if meta.uid != firing.uid || progress == meta.progress {
        return Ok(None);
    }
    meta.record_run(&progress).map(Some)
}
