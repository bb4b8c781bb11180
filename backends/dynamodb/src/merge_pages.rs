//! Reading several partitions of an index as one list, newest first.

use std::collections::VecDeque;

use ecs_scheduler_core::{DecisionId, StoreError};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::codec::{Item, number};
use crate::db::{Db, Index, Query, READS};
use crate::expression::Clause;
use crate::keys::{Key, Table};

/// The least keys that are read at once of one partition.
const LEAST: usize = 8;

/// A decision that an index tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) id: DecisionId,
    /// Where it was when the index was written.
    pub(crate) key: Key,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Streams<'a> {
    db: &'a Db,
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    query: Query,
    buffer: VecDeque<Hit>,
    from: Option<Item>,
    done: bool,
}

impl<'a> Streams<'a> {
    /// Reads these partitions from behind `before`. About so many will be wanted.
    pub(crate) fn new(
        db: &'a Db,
        index: Index,
        partitions: impl Iterator<Item = String>,
        before: Option<DecisionId>,
        wanted: usize,
    ) -> Self {
        let partitions: Vec<String> = partitions.collect();
        let page = (wanted * 2 / partitions.len().max(1)).max(LEAST);
        let stream = |partition| {
            let query = Query::by(index, partition).backwards().limit(page);
            let query = match before {
                Some(before) => query.only(Clause::Below(index.range, number(before.0))),
                None => query,
            };
            Stream { query, buffer: VecDeque::new(), from: None, done: false }
        };
        Self { db, streams: partitions.into_iter().map(stream).collect() }
    }

    /// Returns the next ones, newest first; fewer than asked for at the end only.
    pub(crate) async fn next(&mut self, count: usize) -> Result<Vec<Hit>, StoreError> {
        let mut hits: Vec<Hit> = Vec::with_capacity(count);
        while hits.len() < count {
            let db = self.db;
            let empty = self.streams.iter_mut().filter(|stream| stream.buffer.is_empty() && !stream.done);
            let fills: Vec<_> = empty.map(|stream| stream.fill(db)).collect();
            futures::stream::iter(fills).buffer_unordered(READS).try_collect::<()>().await?;
            // A page may be empty and yet not be the last.
            if self.streams.iter().any(|stream| stream.buffer.is_empty() && !stream.done) {
                continue;
            }
            let newest = self.streams.iter_mut().max_by_key(|stream| stream.buffer.front().map(|hit| hit.id));
            match newest.and_then(|stream| stream.buffer.pop_front()) {
                None => return Ok(hits),
                Some(hit) => hits.push(hit),
            }
        }
        Ok(hits)
    }
}

impl Stream {
    async fn fill(&mut self, db: &Db) -> Result<(), StoreError> {
        let page = db.page("read the history", &self.query, self.from.take()).await?;
        for item in page.items {
            let id = DecisionId(db.reader(&item).number("n")?);
            self.buffer.extend(Key::of(Table::Journal, &item).map(|key| Hit { id, key }));
        }
        self.done = page.next.is_none();
        self.from = page.next;
        Ok(())
    }
}
