//! Reading decisions and firings.

use std::collections::HashMap;

use ecs_scheduler_core::{
    DecisionId, DecisionQuery, DecisionRecord, Firing, FiringId, FiringQuery, FiringState, JobId, StoreError,
};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::advance::read as read_row;
use crate::codec::{Item, text};
use crate::context::Shared;
use crate::db::{BY_OUTCOME, BY_STATE, Db, Query, READS, RECENT};
use crate::expression::Clause;
use crate::job_meta::Mark;
use crate::keys::{self, Key, MARK, SHARDS, SPREAD};
use crate::merge_pages::{Hit, Streams};
use crate::row::{Row, row_of};

const WHAT: &str = "read the history";

/// Rows that are read at once when an index tells of them.
const TOGETHER: usize = 100;

/// Reads decisions, newest first.
pub(crate) async fn decisions(
    shared: &Shared,
    query: &DecisionQuery,
) -> Result<Vec<DecisionRecord>, StoreError> {
    let limit = query.limit.get();
    let fits = |record: &DecisionRecord| query.outcome.is_none_or(|outcome| record.draft.outcome == outcome);
    if let Some(job) = &query.job {
        let tail = tail_of(shared, job).await?;
        let tail = tail.filter(|tail| fits(tail) && query.before.is_none_or(|before| tail.id < before));
        let filter = query.outcome.map(|outcome| Clause::Equals("outcome", text(outcome.as_str())));
        let rows = rows_of(shared, job, query.before, filter, limit).await?;
        let mut records: Vec<_> = tail.into_iter().chain(rows.into_iter().map(|row| row.record)).collect();
        // The tail may have got a row of its own after it was read.
        records.sort_by_key(|record| std::cmp::Reverse(record.id));
        records.dedup_by_key(|record| record.id);
        records.truncate(limit);
        return Ok(records);
    }
    let mut streams = match query.outcome {
        None => Streams::new(&shared.db, RECENT, (0..SHARDS).map(keys::rows), query.before, limit),
        Some(outcome) => {
            let partitions = (0..SHARDS).map(|shard| keys::outcome(outcome, shard));
            Streams::new(&shared.db, BY_OUTCOME, partitions, query.before, limit)
        }
    };
    let mut records = Vec::new();
    while records.len() < limit {
        let hits = streams.next(TOGETHER.min(limit - records.len())).await?;
        if hits.is_empty() {
            break;
        }
        records.extend(found(shared, &hits).await?.into_iter().map(|(record, _)| record).filter(&fits));
    }
    Ok(records)
}

/// Reads firings, newest first.
pub(crate) async fn firings(shared: &Shared, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
    let limit = query.limit.get();
    let before = match &query.before {
        None => None,
        Some(firing) => match row_key(shared, firing).await? {
            None => return Ok(Vec::new()),
            Some(key) => key.range.parse().ok().map(DecisionId),
        },
    };
    let fits = |firing: &Firing| query.state.is_none_or(|state| firing.state == state);
    if let Some(id) = &query.id {
        let row = match row_key(shared, id).await? {
            None => None,
            Some(key) => read_row(shared, key).await?,
        };
        let of_job = |firing: &Firing| query.job.as_ref().is_none_or(|job| firing.job == *job);
        let older = |firing: &Firing| before.is_none_or(|before| firing.decision < before);
        let firing = row.and_then(|row| row.firing);
        return Ok(firing
            .filter(|firing| fits(firing) && of_job(firing) && older(firing))
            .into_iter()
            .collect());
    }
    if let Some(job) = &query.job {
        return of_job(shared, job, before, query.state, limit).await;
    }
    let states = match query.state {
        Some(state) => vec![state],
        None => FiringState::ALL.to_vec(),
    };
    let partitions =
        states.into_iter().flat_map(|state| (0..SPREAD).map(move |part| keys::state(state, part)));
    let mut streams = Streams::new(&shared.db, BY_STATE, partitions, before, limit);
    let mut firings: Vec<Firing> = Vec::new();
    while firings.len() < limit {
        let hits = streams.next(TOGETHER.min(limit - firings.len())).await?;
        if hits.is_empty() {
            break;
        }
        let rows = found(shared, &hits).await?;
        firings.extend(rows.into_iter().filter_map(|(_, firing)| firing).filter(&fits));
    }
    // One that moved meanwhile may have been seen in both of its states.
    firings.dedup_by_key(|firing| firing.decision);
    Ok(firings)
}

async fn of_job(
    shared: &Shared,
    job: &JobId,
    before: Option<DecisionId>,
    state: Option<FiringState>,
    limit: usize,
) -> Result<Vec<Firing>, StoreError> {
    let mut firings = Vec::new();
    let mut before = before;
    while firings.len() < limit {
        let rows = rows_of(shared, job, before, Some(Clause::Present("firing")), limit).await?;
        let Some(last) = rows.last() else { break };
        before = Some(last.record.id);
        let in_state = |firing: &Firing| state.is_none_or(|state| firing.state == state);
        firings.extend(rows.into_iter().filter_map(|row| row.firing).filter(in_state));
    }
    firings.truncate(limit);
    Ok(firings)
}

/// Reads every open firing that `wanted` names, oldest first, as it is at this moment.
pub(crate) async fn unfinished(
    shared: &Shared,
    shards: impl Iterator<Item = u8>,
) -> Result<Vec<Firing>, StoreError> {
    let db = &shared.db;
    let queries: Vec<Query> = shards.map(|shard| Query::of(keys::open(shard))).collect();
    let reads: Vec<_> = queries.iter().map(|query| db.all("read open firings", query)).collect();
    let notes: Vec<Vec<Item>> = futures::stream::iter(reads).buffer_unordered(READS).try_collect().await?;
    let mut keys = Vec::new();
    for note in notes.iter().flatten() {
        let (job, id) = (db.reader(note).text("job")?, db.reader(note).text("sk")?);
        let job = JobId::new(job).map_err(|_| db.reader(note).corrupt("job", "names no job"))?;
        let id = id.parse().map_err(|_| db.reader(note).corrupt("sk", "is no number"))?;
        keys.push(Key::row(&job, DecisionId(id)));
    }
    let items = db.get_all("read open firings", keys).await?;
    let rows: Vec<Row> = items.values().map(|item| Row::read(db.reader(item))).collect::<Result<_, _>>()?;
    let mut firings: Vec<Firing> =
        rows.into_iter().filter(Row::is_open).filter_map(|row| row.firing).collect();
    firings.sort_by_key(|firing| firing.decision);
    Ok(firings)
}

/// Finds the row of a firing.
async fn row_key(shared: &Shared, firing: &FiringId) -> Result<Option<Key>, StoreError> {
    let place = shared.db.get("find a firing", Key::firing(firing)).await?;
    place.map(|place| row_of(shared.db.reader(&place))).transpose()
}

/// Reads the decision of a job that has no row of its own yet.
async fn tail_of(shared: &Shared, job: &JobId) -> Result<Option<DecisionRecord>, StoreError> {
    let mark = shared.mark(job).await?;
    Ok(mark.and_then(|mark| mark.tail_record()))
}

/// Reads rows of a job, newest first.
async fn rows_of(
    shared: &Shared,
    job: &JobId,
    before: Option<DecisionId>,
    filter: Option<Clause>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let below = before.map_or_else(|| MARK.to_owned(), |before| keys::padded(before.0));
    let query = Query::of(keys::history(job)).only(Clause::Below("sk", text(below))).backwards();
    let query = match filter {
        // What is left out is read too, so pages are not to be small.
        Some(filter) => query.filter(filter),
        None => query.limit(limit),
    };
    let mut rows = Vec::new();
    let mut from = None;
    loop {
        let page = shared.db.page(WHAT, &query, from).await?;
        for item in page.items {
            rows.push(Row::read(shared.db.reader(&item))?);
        }
        if rows.len() >= limit || page.next.is_none() {
            rows.truncate(limit);
            return Ok(rows);
        }
        from = page.next;
    }
}

/// Reads what an index tells of, as it is at this moment, in the order of the index.
pub(crate) async fn found(
    shared: &Shared,
    hits: &[Hit],
) -> Result<Vec<(DecisionRecord, Option<Firing>)>, StoreError> {
    let db = &shared.db;
    let items = db.get_all(WHAT, hits.iter().map(|hit| hit.key.clone())).await?;
    let mut records = known(db, items)?;
    // What was a tail when the index was written may have a row of its own now.
    let moved = hits.iter().filter(|hit| hit.key.range == MARK && !records.contains_key(&hit.id));
    let moved = moved.filter_map(|hit| Some(Key::row(&keys::job_of(&hit.key.hash)?, hit.id)));
    records.extend(known(db, db.get_all(WHAT, moved).await?)?);
    Ok(hits.iter().filter_map(|hit| records.remove(&hit.id)).collect())
}

type Records = HashMap<DecisionId, (DecisionRecord, Option<Firing>)>;

fn known(db: &Db, items: HashMap<Key, Item>) -> Result<Records, StoreError> {
    let mut records = HashMap::with_capacity(items.len());
    for (key, item) in items {
        if key.range == MARK {
            let tail = Mark::read(db.reader(&item))?.tail_record();
            records.extend(tail.map(|tail| (tail.id, (tail, None))));
        } else {
            let row = Row::read(db.reader(&item))?;
            records.insert(row.record.id, (row.record, row.firing));
        }
    }
    Ok(records)
}
