//! Removing what is old: found by an index of ages, removed under the condition that it is as it was read.
//!
//! A job's newest decisions stay in the index however old they are, and looking at them costs money. So a sweep goes on where the
//! call before ended, and one that met many of them is not repeated before a day has passed.

use std::collections::HashMap;

use ecs_scheduler_core::{JobId, Retention, StoreError, Timestamp};
use jiff::SignedDuration;

use crate::codec::{Item, number};
use crate::context::Shared;
use crate::db::{BY_AGE, Committed, Query};
use crate::expression::Clause;
use crate::job_meta::Mark;
use crate::keys::{self, Key, MARK, SHARDS, SPREAD, Table};
use crate::limits::ACTIONS;
use crate::row::Row;
use crate::write::Write;

const WHAT: &str = "remove old history";

/// Rows that are removed by one transaction, two writes each.
const TOGETHER: usize = ACTIONS / 2;
/// Old rows that stay, from which on a sweep is not repeated within a day.
const MANY: usize = 1_000;
/// Jobs whose oldest kept decision is remembered during a sweep.
const REMEMBERED: usize = 16_384;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Where a sweep over the history is.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    shard: u8,
    from: Option<Item>,
    /// The oldest decision of each job that stays.
    kept: HashMap<JobId, u64>,
    /// How many old rows stay.
    stayed: usize,
    /// Until when no other sweep begins.
    rest: Option<Timestamp>,
}

/// Removes old rows, then registers that expired; returns how many went.
pub(crate) async fn prune(shared: &Shared, retention: Retention) -> Result<usize, StoreError> {
    shared.db.ensure_open()?;
    let mut sweep = shared.sweep.lock().await;
    let mut removed = 0;
    // A longer rest was begun by a clock that was ahead.
    let most = retention.now.saturating_add(DAY).unwrap_or(Timestamp::MAX);
    if sweep.rest.is_none_or(|rest| rest <= retention.now || rest > most) {
        while sweep.shard < SHARDS {
            let Some(left) = retention.batch.checked_sub(removed).filter(|left| *left > 0) else {
                return Ok(removed);
            };
            removed += sweep.step(shared, retention, left).await?;
        }
        let rest = (sweep.stayed > MANY).then_some(most);
        *sweep = Sweep { rest, ..Sweep::default() };
    }
    forget(shared, retention, removed).await
}

impl Sweep {
    /// Removes what may go of the next page.
    async fn step(
        &mut self,
        shared: &Shared,
        retention: Retention,
        left: usize,
    ) -> Result<usize, StoreError> {
        let old = Clause::Below(BY_AGE.range, number(retention.before.as_millisecond()));
        let query = Query::by(BY_AGE, keys::rows(self.shard)).only(old).limit(left.min(1_000));
        let page = shared.db.page(WHAT, &query, self.from.clone()).await?;
        let mut going = Vec::with_capacity(page.items.len());
        for key in page.items.iter().filter_map(|item| Key::of(Table::Journal, item)) {
            if self.may_go(shared, retention.keep, &key).await? {
                going.push(key);
            } else {
                self.stayed += 1;
            }
        }
        let removed = if going.is_empty() { 0 } else { remove(shared, going, retention).await? };
        self.from = page.next;
        if self.from.is_none() {
            self.shard += 1;
        }
        Ok(removed)
    }

    /// Tells whether this is not one of the newest decisions of a job that exists.
    async fn may_go(&mut self, shared: &Shared, keep: usize, key: &Key) -> Result<bool, StoreError> {
        let Some(job) = keys::job_of(&key.hash).filter(|_| keep > 0) else { return Ok(true) };
        if key.range == MARK {
            return Ok(false);
        }
        let kept = match self.kept.get(&job) {
            Some(kept) => *kept,
            None => {
                let kept = oldest_kept(shared, &job, keep).await?;
                if self.kept.len() == REMEMBERED {
                    self.kept.clear();
                }
                *self.kept.entry(job).or_insert(kept)
            }
        };
        Ok(key.range.parse::<u64>().is_ok_and(|id| id < kept))
    }
}

/// Returns the oldest of a job's newest decisions; of a job that was removed none is kept.
async fn oldest_kept(shared: &Shared, job: &JobId, keep: usize) -> Result<u64, StoreError> {
    let query = Query::of(keys::history(job)).backwards().limit(keep + 1);
    let (mut newest, mut from) = (Vec::new(), None);
    while newest.len() <= keep {
        let page = shared.db.page(WHAT, &query, from).await?;
        newest.extend(page.items);
        match page.next {
            None => break,
            next => from = next,
        }
    }
    let mut newest = newest.iter();
    let mark =
        newest.next().filter(|item| Key::of(Table::Journal, item).is_some_and(|key| key.range == MARK));
    let Some(mark) = mark else { return Ok(u64::MAX) };
    // The newest decision may have no row of its own yet.
    let rows = if Mark::read(shared.db.reader(mark))?.tail.is_some() { keep - 1 } else { keep };
    let Some(last) = rows.checked_sub(1) else { return Ok(u64::MAX) };
    let kept = newest.nth(last).and_then(|item| Key::of(Table::Journal, item));
    Ok(kept.and_then(|key| key.range.parse().ok()).unwrap_or(0))
}

/// Removes registers that expired, as far as the batch reaches; returns how many went with those before.
async fn forget(shared: &Shared, retention: Retention, mut removed: usize) -> Result<usize, StoreError> {
    for part in 0..SPREAD {
        let mut from = None;
        loop {
            let left = retention.batch.saturating_sub(removed);
            if left == 0 {
                return Ok(removed);
            }
            let expired = Clause::Below(BY_AGE.range, number(retention.now.as_millisecond()));
            let query = Query::by(BY_AGE, keys::expiring(part)).only(expired).limit(left.min(1_000));
            let page = shared.db.page(WHAT, &query, from).await?;
            let keys = page.items.iter().filter_map(|item| Key::of(Table::Journal, item)).collect();
            removed += remove(shared, keys, retention).await?;
            match page.next {
                None => break,
                next => from = next,
            }
        }
    }
    Ok(removed)
}

/// Removes those of the items that may go.
async fn remove(shared: &Shared, keys: Vec<Key>, retention: Retention) -> Result<usize, StoreError> {
    let db = &shared.db;
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
