//! Moving a firing to its next state.

use ecs_scheduler_core::{Advance, DecisionId, Firing, StoreError};
use uuid::Uuid;

use crate::backoff::Patience;
use crate::context::Shared;
use crate::db::Committed;
use crate::job_meta::crowded;
use crate::journal_writer::Lane;
use crate::keys::Key;
use crate::row::{Row, row_of};
use crate::write::Write;

/// Moves a firing.
pub(crate) async fn advance(shared: &Shared, lane: &Lane, advance: Advance) -> Result<(), StoreError> {
    let stamp = Uuid::new_v4().simple().to_string();
    let mut patience = Patience::for_writes();
    loop {
        let row = find(shared, &advance.to).await?;
        // Who finds his own stamp wrote it, and lost the answer.
        if row.stamp == stamp {
            return Ok(());
        }
        let stored = row.firing.as_ref().expect("a firing's row has a firing");
        advance.check(stored.state)?;
        let mut to = row.clone();
        to.version += 1;
        to.stamp.clone_from(&stamp);
        if let Some(outcome) = advance.outcome {
            to.record.draft.outcome = outcome;
        }
        let grown = advance.to.tasks.len() > stored.tasks.len();
        let firing = Firing { decision: row.record.id, ..advance.to.clone() };
        let mut writes = row.advance(&Row { firing: Some(firing), ..to })?;
        if grown {
            writes.extend(note_run(shared, &advance.to).await?);
        }
        if lane.commit(&shared.db, "move a firing", writes).await? == Committed::Done {
            return Ok(());
        }
        if !patience.wait().await {
            return Err(crowded(&format!("move firing \"{}\"", advance.to.id)));
        }
    }
}

/// Finds a firing's row: where the firing says that it is, else where its name leads to.
async fn find(shared: &Shared, firing: &Firing) -> Result<Row, StoreError> {
    if firing.decision != DecisionId::default()
        && let Some(row) = read(shared, Key::row(&firing.job, firing.decision)).await?
        && row.firing.as_ref().is_some_and(|stored| stored.id == firing.id)
    {
        return Ok(row);
    }
    let missing = || StoreError::NotFound(format!("firing \"{}\"", firing.id));
    let place = shared.db.get("find a firing", Key::firing(&firing.id)).await?.ok_or_else(missing)?;
    read(shared, row_of(shared.db.reader(&place))?)
        .await?
        .filter(|row| row.firing.is_some())
        .ok_or_else(missing)
}

/// Reads a row.
pub(crate) async fn read(shared: &Shared, key: Key) -> Result<Option<Row>, StoreError> {
    let item = shared.db.get("read a firing", key).await?;
    item.map(|item| Row::read(shared.db.reader(&item))).transpose()
}

/// Notes the tasks that a firing has started in its job, if that is still the same and no younger run is noted.
async fn note_run(shared: &Shared, firing: &Firing) -> Result<Option<Write>, StoreError> {
    let Some(mark) = shared.mark(&firing.job).await? else { return Ok(None) };
    let mut progress = mark.progress.clone();
    progress.note_run(firing);
    if mark.uid != firing.uid || progress == mark.progress {
        return Ok(None);
    }
    mark.note_run(&progress).map(Some)
}
