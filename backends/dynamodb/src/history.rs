//! Reading the history: decisions and firings.

use std::collections::HashMap;

use ecs_scheduler_core::{
    DecisionId, DecisionQuery, DecisionRecord, Firing, FiringId, FiringQuery, FiringState, JobId, StoreError,
};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::codec::{Attributes, text};
use crate::context::StoreContext;
use crate::db::{BY_OUTCOME, BY_STATE, CONCURRENT_READS, PartitionQuery, RECENT};
use crate::expression::Condition;
use crate::job_meta::JobMeta;
use crate::keys::{self, ItemKey, META_KEY, PARTS, SHARDS};
use crate::merge_pages::{IndexEntry, MergedPages};
use crate::row::{DecisionRow, row_key};

const ACTION: &str = "read the history";

/// The maximum number of index entries whose rows are read concurrently.
const MAX_INDEX_ENTRIES: usize = 100;

/// Reads decisions, newest first.
pub(crate) async fn decisions(
    context: &StoreContext,
    query: &DecisionQuery,
) -> Result<Vec<DecisionRecord>, StoreError> {
    let limit = query.limit.get();
    let matches =
        |record: &DecisionRecord| query.outcome.is_none_or(|outcome| record.draft.outcome == outcome);
    if let Some(job) = &query.job {
        let open = open_decision_of(context, job).await?;
        let open = open.filter(|open| matches(open) && query.before.is_none_or(|before| open.id < before));
        let filter = query.outcome.map(|outcome| Condition::Equals("outcome", text(outcome.as_str())));
        let rows = read_rows(context, job, query.before, filter, limit).await?;
        let mut records: Vec<_> = open.into_iter().chain(rows.into_iter().map(|row| row.record)).collect();
        // The open decision may have got a row of its own after it was read.
        records.sort_by_key(|record| std::cmp::Reverse(record.id));
        records.dedup_by_key(|record| record.id);
        records.truncate(limit);
        return Ok(records);
    }
    let mut pages = match query.outcome {
        None => MergedPages::new(&context.db, RECENT, (0..SHARDS).map(keys::shard_rows), query.before, limit),
        Some(outcome) => {
            let partitions = (0..SHARDS).map(|shard| keys::outcome(outcome, shard));
            MergedPages::new(&context.db, BY_OUTCOME, partitions, query.before, limit)
        }
    };
    let mut records = Vec::new();
    while records.len() < limit {
        let entries = pages.next(MAX_INDEX_ENTRIES.min(limit - records.len())).await?;
        if entries.is_empty() {
            break;
        }
        records.extend(
            read_entries(context, &entries).await?.into_iter().map(|(record, _)| record).filter(&matches),
        );
    }
    Ok(records)
}

/// Reads firings, newest first.
pub(crate) async fn firings(context: &StoreContext, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
    let limit = query.limit.get();
    let before = match &query.before {
        None => query.before_decision,
        Some(firing) => match find_row_key(context, firing).await? {
            None => return Ok(Vec::new()),
            Some(key) => {
                key.range.parse().ok().map(DecisionId).into_iter().chain(query.before_decision).min()
            }
        },
    };
    let matches = |firing: &Firing| query.state.is_none_or(|state| firing.state == state);
    if let Some(id) = &query.id {
        let row = match find_row_key(context, id).await? {
            None => None,
            Some(key) => context.row(key).await?,
        };
        let belongs_to_job = |firing: &Firing| query.job.as_ref().is_none_or(|job| firing.job == *job);
        let older = |firing: &Firing| before.is_none_or(|before| firing.decision < before);
        let firing = row.and_then(|row| row.firing);
        return Ok(firing
            .filter(|firing| matches(firing) && belongs_to_job(firing) && older(firing))
            .into_iter()
            .collect());
    }
    if let Some(job) = &query.job {
        return firings_of_job(context, job, before, query.state, limit).await;
    }
    let states = match query.state {
        Some(state) => vec![state],
        None => FiringState::ALL.to_vec(),
    };
    let partitions =
        states.into_iter().flat_map(|state| (0..PARTS).map(move |part| keys::state(state, part)));
    let mut pages = MergedPages::new(&context.db, BY_STATE, partitions, before, limit);
    let mut firings: Vec<Firing> = Vec::new();
    while firings.len() < limit {
        let entries = pages.next(MAX_INDEX_ENTRIES.min(limit - firings.len())).await?;
        if entries.is_empty() {
            break;
        }
        let rows = read_entries(context, &entries).await?;
        firings.extend(rows.into_iter().filter_map(|(_, firing)| firing).filter(&matches));
    }
    // A firing that was advanced meanwhile may be listed in both of its states.
    firings.dedup_by_key(|firing| firing.decision);
    Ok(firings)
}

async fn firings_of_job(
    context: &StoreContext,
    job: &JobId,
    before: Option<DecisionId>,
    state: Option<FiringState>,
    limit: usize,
) -> Result<Vec<Firing>, StoreError> {
    let mut firings = Vec::new();
    let mut before = before;
    while firings.len() < limit {
        let rows = read_rows(context, job, before, Some(Condition::Present("firing")), limit).await?;
        let Some(last) = rows.last() else { break };
        before = Some(last.record.id);
        let in_state = |firing: &Firing| state.is_none_or(|state| firing.state == state);
        firings.extend(rows.into_iter().filter_map(|row| row.firing).filter(in_state));
    }
    firings.truncate(limit);
    Ok(firings)
}

/// Reads all open firings of these shards, oldest first, consistently.
pub(crate) async fn open_firings(
    context: &StoreContext,
    shards: impl Iterator<Item = u8>,
) -> Result<Vec<Firing>, StoreError> {
    let db = &context.db;
    let queries: Vec<PartitionQuery> =
        shards.map(|shard| PartitionQuery::of_table(keys::open_firings(shard))).collect();
    let reads: Vec<_> = queries.iter().map(|query| db.query_all("read open firings", query)).collect();
    let entries: Vec<Vec<Attributes>> =
        futures::stream::iter(reads).buffer_unordered(CONCURRENT_READS).try_collect().await?;
    let mut keys = Vec::new();
    for entry in entries.iter().flatten() {
        let (job, id) = (db.reader(entry).text("job")?, db.reader(entry).text("sk")?);
        let job = JobId::new(job).map_err(|_| db.reader(entry).corrupt("job", "does not name a job"))?;
        let id = id.parse().map_err(|_| db.reader(entry).corrupt("sk", "is not a number"))?;
        keys.push(ItemKey::row(&job, DecisionId(id)));
    }
    let items = db.get_all("read open firings", keys).await?;
    let rows = context.decode_rows("read open firings", items.into_values()).await?;
    let mut firings: Vec<Firing> =
        rows.into_iter().filter(DecisionRow::is_open).filter_map(|row| row.firing).collect();
    firings.sort_by_key(|firing| firing.decision);
    Ok(firings)
}

/// Finds the key of a firing's row.
async fn find_row_key(context: &StoreContext, firing: &FiringId) -> Result<Option<ItemKey>, StoreError> {
    let pointer = context.db.get("find a firing", ItemKey::firing(firing)).await?;
    pointer.map(|pointer| row_key(context.db.reader(&pointer))).transpose()
}

/// Reads the open decision of a job.
async fn open_decision_of(context: &StoreContext, job: &JobId) -> Result<Option<DecisionRecord>, StoreError> {
    let meta = context.meta(job).await?;
    Ok(meta.and_then(|meta| meta.open_decision_record()))
}

/// Reads rows of a job, newest first.
async fn read_rows(
    context: &StoreContext,
    job: &JobId,
    before: Option<DecisionId>,
    filter: Option<Condition>,
    limit: usize,
) -> Result<Vec<DecisionRow>, StoreError> {
    let below = before.map_or_else(|| META_KEY.to_owned(), |before| keys::padded(before.0));
    let query = PartitionQuery::of_table(keys::history(job))
        .key_condition(Condition::Below("sk", text(below)))
        .descending();
    let query = match filter {
        // Filtered rows count for the limit of a page, so pages must not be small.
        Some(filter) => query.filter(filter),
        None => query.limit(limit),
    };
    let mut rows = Vec::new();
    let mut from = None;
    loop {
        let page = context.db.query_page(ACTION, &query, from).await?;
        rows.extend(context.decode_rows(ACTION, page.items).await?);
        if rows.len() >= limit || page.next.is_none() {
            rows.truncate(limit);
            return Ok(rows);
        }
        from = page.next;
    }
}

/// Reads the rows of index entries, consistently, in the order of the entries.
async fn read_entries(
    context: &StoreContext,
    entries: &[IndexEntry],
) -> Result<Vec<(DecisionRecord, Option<Firing>)>, StoreError> {
    let db = &context.db;
    let items = db.get_all(ACTION, entries.iter().map(|entry| entry.key.clone())).await?;
    let mut records = decode_records(context, items).await?;
    // A decision that was open when the index was written may have a row of its own now.
    let moved =
        entries.iter().filter(|entry| entry.key.range == META_KEY && !records.contains_key(&entry.id));
    let moved = moved.filter_map(|entry| Some(ItemKey::row(&keys::job_of(&entry.key.hash)?, entry.id)));
    records.extend(decode_records(context, db.get_all(ACTION, moved).await?).await?);
    Ok(entries.iter().filter_map(|entry| records.remove(&entry.id)).collect())
}

type Records = HashMap<DecisionId, (DecisionRecord, Option<Firing>)>;

async fn decode_records(
    context: &StoreContext,
    items: HashMap<ItemKey, Attributes>,
) -> Result<Records, StoreError> {
    let mut records = HashMap::with_capacity(items.len());
    for (key, item) in items {
        if key.range == META_KEY {
            let record = JobMeta::read(context.db.reader(&item))?.open_decision_record();
            records.extend(record.map(|record| (record.id, (record, None))));
        } else {
            let row = context.decode_row(ACTION, item).await?;
            records.extend(row.map(|row| (row.record.id, (row.record, row.firing))));
        }
    }
    Ok(records)
}
