//! Removing what is old: found by an index of ages, removed under the condition that it is as it was read.

use ecs_scheduler_core::{Retention, StoreError};

use crate::db::{BY_AGE, Committed, Query};
use crate::item::{Item, number};
use crate::keys::{self, Key, MARK, SHARDS, SPREAD, Table};
use crate::limits::ACTIONS;
use crate::mark::Mark;
use crate::row::Row;
use crate::shared::Shared;
use crate::words::Clause;
use crate::write::Write;

const WHAT: &str = "remove old history";

/// Rows that are removed by one transaction, two writes each.
const TOGETHER: usize = ACTIONS / 2;

/// Removes old rows, then registers that expired; returns how many went.
pub(crate) async fn prune(shared: &Shared, retention: Retention) -> Result<usize, StoreError> {
    shared.db.ensure_open()?;
    let mut removed = 0;
    for partition in (0..SHARDS).map(keys::rows).chain((0..SPREAD).map(keys::expiring)) {
        let mut from = None;
        loop {
            let left = retention.batch.saturating_sub(removed);
            if left == 0 {
                return Ok(removed);
            }
            let old = Clause::Below(BY_AGE.range, number(retention.before.as_millisecond()));
            let query = Query::by(BY_AGE, partition.clone()).only(old).limit(left.min(1_000));
            let page = shared.db.page(WHAT, &query, from).await?;
            removed += remove(shared, &page.items, retention).await?;
            match page.next {
                None => break,
                next => from = next,
            }
        }
    }
    Ok(removed)
}

/// Removes those of the items that may go.
async fn remove(shared: &Shared, items: &[Item], retention: Retention) -> Result<usize, StoreError> {
    let db = &shared.db;
    let keys = items.iter().filter_map(|item| Key::of(Table::Journal, item));
    let items = db.get_all(WHAT, keys).await?;
    let mut removals = Vec::with_capacity(items.len());
    for (key, item) in items {
        if key.hash.starts_with("registers#") {
            let version: u64 = db.reader(&item).number("version")?;
            removals.push(vec![Write::delete(key).given("version", number(version))]);
        } else if key.range == MARK {
            let mark = Mark::read(db.reader(&item))?;
            let old = mark.tail.as_ref().is_some_and(|tail| tail.draft.observed < retention.before);
            if old {
                let to = Mark { tail: None, ..mark.clone() };
                removals.push(vec![mark.settle(&to)?]);
            }
        } else {
            let row = Row::read(db.reader(&item))?;
            if row.record.draft.observed < retention.before && !row.is_open() {
                removals.push(row.delete());
            }
        }
    }
    let mut removed = 0;
    for some in removals.chunks(TOGETHER) {
        let writes: Vec<Write> = some.iter().flatten().cloned().collect();
        if db.commit(WHAT, writes).await? == Committed::Done {
            removed += some.len();
            continue;
        }
        // Something was written meanwhile: the others go one by one, and that one stays until the next time.
        for writes in some {
            removed += usize::from(db.commit(WHAT, writes.clone()).await? == Committed::Done);
        }
    }
    Ok(removed)
}
