//! Pruning: finds old items by an index of their age, and removes them under the condition that they are as they were
//! read.
//!
//! The newest decisions of a job stay in the index whatever their age, and reading them costs money. So a sweep
//! continues where the previous call ended, and a sweep that found many of them is not repeated within a day.

use std::collections::HashMap;

use ecs_scheduler_core::{JobId, PrunedJobs, Retention, StoreError, Timestamp};
use jiff::SignedDuration;

use crate::codec::{Attributes, number, text};
use crate::context::StoreContext;
use crate::db::{BY_AGE, Committed, PartitionQuery};
use crate::expression::Condition;
use crate::job_meta::JobMeta;
use crate::keys::{self, ItemKey, META_KEY, PARTS, SHARDS, StoreTable};
use crate::limits::MAX_WRITES;
use crate::write::Write;

const ACTION: &str = "remove old history";

/// The writes that remove most rows. One whose firing has further parts takes more, and a transaction of its own.
const WRITES_PER_REMOVAL: usize = 2;
/// Rows that one transaction removes.
const REMOVALS_PER_TRANSACTION: usize = MAX_WRITES / WRITES_PER_REMOVAL;
/// A sweep that found more old rows that are kept is not repeated within a day.
const MANY_KEPT_ROWS: usize = 1_000;
/// The maximum number of jobs whose oldest kept decision is cached during a sweep.
const MAX_CACHED_JOBS: usize = 16_384;
/// The pause after a sweep that found many kept rows.
const PAUSE: SignedDuration = SignedDuration::from_hours(24);

/// The position and the cache of a sweep over the history.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    shard: u8,
    from: Option<Attributes>,
    /// The oldest decision of each job that is kept.
    oldest_kept_ids: HashMap<JobId, u64>,
    /// The number of old rows that were found and are kept.
    kept_rows: usize,
    /// The next sweep begins after this time.
    pause_until: Option<Timestamp>,
}

/// Removes old rows, then expired registers; returns how many were removed.
pub(crate) async fn prune(
    context: &StoreContext,
    sweep: &mut Sweep,
    retention: Retention,
) -> Result<usize, StoreError> {
    context.db.ensure_open()?;
    if let PrunedJobs::Only(job) = &retention.jobs {
        return prune_job(context, job, &retention).await;
    }
    let mut removed = 0;
    // A longer pause was set while the clock was ahead.
    let latest_pause = retention.now.saturating_add(PAUSE).unwrap_or(Timestamp::MAX);
    if sweep.pause_until.is_none_or(|pause_until| pause_until <= retention.now || pause_until > latest_pause)
    {
        while sweep.shard < SHARDS {
            let Some(remaining) = retention.batch.checked_sub(removed).filter(|remaining| *remaining > 0)
            else {
                return Ok(removed);
            };
            removed += sweep.prune_page(context, &retention, remaining).await?;
        }
        let pause_until = (sweep.kept_rows > MANY_KEPT_ROWS).then_some(latest_pause);
        *sweep = Sweep { pause_until, ..Sweep::default() };
    }
    prune_registers(context, &retention, removed).await
}

impl Sweep {
    /// Removes the prunable rows of the next page.
    async fn prune_page(
        &mut self,
        context: &StoreContext,
        retention: &Retention,
        remaining: usize,
    ) -> Result<usize, StoreError> {
        let old = Condition::Below(BY_AGE.range, number(retention.before.as_millisecond()));
        let query = PartitionQuery::of_index(BY_AGE, keys::shard_rows(self.shard))
            .key_condition(old)
            .limit(remaining.min(1_000));
        let page = context.db.query_page(ACTION, &query, self.from.clone()).await?;
        let mut prunable = Vec::with_capacity(page.items.len());
        for key in page.items.iter().filter_map(|item| ItemKey::from_item(StoreTable::Journal, item)) {
            if self.is_prunable(context, retention, &key).await? {
                prunable.push(key);
            } else {
                self.kept_rows += 1;
            }
        }
        let removed =
            if prunable.is_empty() { 0 } else { remove_items(context, prunable, retention).await? };
        self.from = page.next;
        if self.from.is_none() {
            self.shard += 1;
        }
        Ok(removed)
    }

    /// Returns whether a row is not one of the newest decisions of an existing job, and not of a job with a rule of its own.
    async fn is_prunable(
        &mut self,
        context: &StoreContext,
        retention: &Retention,
        key: &ItemKey,
    ) -> Result<bool, StoreError> {
        let job = keys::job_of(&key.hash);
        if job.as_ref().is_some_and(|job| !retention.jobs.contains(job)) {
            return Ok(false);
        }
        let keep = retention.keep;
        let Some(job) = job.filter(|_| keep > 0) else { return Ok(true) };
        if key.range == META_KEY {
            return Ok(false);
        }
        let oldest_kept = match self.oldest_kept_ids.get(&job) {
            Some(oldest_kept) => *oldest_kept,
            None => {
                let oldest_kept = read_oldest_kept(context, &job, keep).await?;
                if self.oldest_kept_ids.len() == MAX_CACHED_JOBS {
                    self.oldest_kept_ids.clear();
                }
                *self.oldest_kept_ids.entry(job).or_insert(oldest_kept)
            }
        };
        Ok(key.range.parse::<u64>().is_ok_and(|id| id < oldest_kept))
    }
}

/// Removes old rows of a job that exists, oldest first; returns how many were removed.
async fn prune_job(context: &StoreContext, job: &JobId, retention: &Retention) -> Result<usize, StoreError> {
    if context.meta(job).await?.is_none() {
        return Ok(0);
    }
    let oldest_kept = match retention.keep {
        0 => u64::MAX,
        keep => read_oldest_kept(context, job, keep).await?,
    };
    let query = PartitionQuery::of_table(keys::history(job))
        .key_condition(Condition::Below("sk", text(keys::padded(oldest_kept))))
        .limit(retention.batch.min(1_000));
    let mut from = None;
    loop {
        let page = context.db.query_page(ACTION, &query, from).await?;
        let mut old = Vec::new();
        let mut is_past_old = false;
        for item in page.items.iter().filter(|item| is_row(item)) {
            let Some(row) = context.decode_row(ACTION, item.clone()).await? else { continue };
            let is_old = row.record.draft.observed < retention.before;
            if is_old && !row.is_open() {
                old.push(row.key());
            }
            is_past_old |= retention.is_recent(row.record.draft.observed);
        }
        let removed = if old.is_empty() { 0 } else { remove_items(context, old, retention).await? };
        if removed > 0 || is_past_old || page.next.is_none() {
            return Ok(removed);
        }
        from = page.next;
    }
}

/// Tells whether an item of a job's history is a row.
fn is_row(item: &Attributes) -> bool {
    ItemKey::from_item(StoreTable::Journal, item).is_some_and(|key| key.range != META_KEY)
}

/// Reads the id of the oldest decision of a job that is kept; `u64::MAX` when no row of the job is kept.
async fn read_oldest_kept(context: &StoreContext, job: &JobId, keep: usize) -> Result<u64, StoreError> {
    let query = PartitionQuery::of_table(keys::history(job)).descending().limit(keep + 1);
    let (mut newest, mut from) = (Vec::new(), None);
    while newest.len() <= keep {
        let page = context.db.query_page(ACTION, &query, from).await?;
        newest.extend(page.items);
        match page.next {
            None => break,
            next => from = next,
        }
    }
    let mut newest = newest.iter();
    let meta = newest.next().filter(|item| {
        ItemKey::from_item(StoreTable::Journal, item).is_some_and(|key| key.range == META_KEY)
    });
    let Some(meta) = meta else { return Ok(u64::MAX) };
    // The newest decision may have no row of its own yet.
    let rows = if JobMeta::read(context.db.reader(meta))?.open_decision.is_some() { keep - 1 } else { keep };
    let Some(last) = rows.checked_sub(1) else { return Ok(u64::MAX) };
    let oldest = newest.nth(last).and_then(|item| ItemKey::from_item(StoreTable::Journal, item));
    Ok(oldest.and_then(|key| key.range.parse().ok()).unwrap_or(0))
}

/// Removes expired registers up to the batch size; returns the total with the items that were removed before.
async fn prune_registers(
    context: &StoreContext,
    retention: &Retention,
    mut removed: usize,
) -> Result<usize, StoreError> {
    for part in 0..PARTS {
        let mut from = None;
        loop {
            let remaining = retention.batch.saturating_sub(removed);
            if remaining == 0 {
                return Ok(removed);
            }
            let expired = Condition::Below(BY_AGE.range, number(retention.now.as_millisecond()));
            let query = PartitionQuery::of_index(BY_AGE, keys::expiring_registers(part))
                .key_condition(expired)
                .limit(remaining.min(1_000));
            let page = context.db.query_page(ACTION, &query, from).await?;
            let keys =
                page.items.iter().filter_map(|item| ItemKey::from_item(StoreTable::Journal, item)).collect();
            removed += remove_items(context, keys, retention).await?;
            match page.next {
                None => break,
                next => from = next,
            }
        }
    }
    Ok(removed)
}

/// Reads the items again, and removes those that are still old.
async fn remove_items(
    context: &StoreContext,
    keys: Vec<ItemKey>,
    retention: &Retention,
) -> Result<usize, StoreError> {
    let db = &context.db;
    let items = db.get_all(ACTION, keys).await?;
    let mut removals = Vec::with_capacity(items.len());
    for (key, item) in items {
        if key.hash.starts_with("registers#") {
            let version: u64 = db.reader(&item).number("version")?;
            removals.push(vec![Write::delete(key).if_equals("version", number(version))]);
        } else if key.range == META_KEY {
            let meta = JobMeta::read(db.reader(&item))?;
            let old = meta.open_decision.as_ref().is_some_and(|open| open.draft.observed < retention.before);
            if old {
                let to = JobMeta { open_decision: None, ..meta.clone() };
                removals.push(vec![meta.settle(&to)?]);
            }
        } else if let Some(row) = context.decode_row(ACTION, item).await?
            && row.record.draft.observed < retention.before
            && !row.is_open()
        {
            removals.push(row.delete());
        }
    }
    let (small, large): (Vec<_>, Vec<_>) =
        removals.into_iter().partition(|writes| writes.len() <= WRITES_PER_REMOVAL);
    let mut removed = 0;
    for batch in small.chunks(REMOVALS_PER_TRANSACTION).chain(large.chunks(1)) {
        let writes: Vec<Write> = batch.iter().flatten().cloned().collect();
        if db.commit(ACTION, writes).await? == Committed::Done {
            removed += batch.len();
            continue;
        }
        // One of the items was written meanwhile. The others are removed one by one, and that one stays until the next
        // sweep.
        for writes in batch {
            removed += usize::from(db.commit(ACTION, writes.clone()).await? == Committed::Done);
        }
    }
    Ok(removed)
}
