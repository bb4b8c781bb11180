//! Queries, page by page.

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::StoreError;

use super::Db;
use crate::backoff::Patience;
use crate::codec::{Item, text};
use crate::expression::{Clause, Words};

/// An index of our own table. All are sparse and hold keys only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) hash: &'static str,
    pub(crate) range: &'static str,
}

/// Every decision, by number.
pub(crate) const RECENT: Index = Index { name: "recent", hash: "r", range: "n" };
/// Decisions of one outcome, by number.
pub(crate) const BY_OUTCOME: Index = Index { name: "by-outcome", hash: "o", range: "n" };
/// Firings in one state, by their decision's number.
pub(crate) const BY_STATE: Index = Index { name: "by-state", hash: "s", range: "n" };
/// What may be removed one day, by the time from which that may be.
pub(crate) const BY_AGE: Index = Index { name: "by-age", hash: "a", range: "t" };

/// What to read of one partition.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// Of the table itself where absent, and then as it is at this moment.
    index: Option<Index>,
    keys: Vec<Clause>,
    filter: Vec<Clause>,
    backwards: bool,
    limit: Option<usize>,
}

/// A part of an answer.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    /// Where the next page begins, if there may be one.
    pub(crate) next: Option<Item>,
}

impl Query {
    /// Reads a partition of our own table.
    pub(crate) fn of(partition: String) -> Self {
        let keys = vec![Clause::Equals("pk", text(partition))];
        Self { index: None, keys, filter: Vec::new(), backwards: false, limit: None }
    }

    /// Reads a partition of an index.
    pub(crate) fn by(index: Index, partition: String) -> Self {
        let keys = vec![Clause::Equals(index.hash, text(partition))];
        Self { index: Some(index), keys, filter: Vec::new(), backwards: false, limit: None }
    }

    /// Reads only what has such a sort key.
    pub(crate) fn only(mut self, clause: Clause) -> Self {
        self.keys.push(clause);
        self
    }

    /// Leaves out what does not hold; it is read all the same.
    pub(crate) fn filter(mut self, clause: Clause) -> Self {
        self.filter.push(clause);
        self
    }

    /// Reads from the greatest sort key on.
    pub(crate) fn backwards(mut self) -> Self {
        self.backwards = true;
        self
    }

    /// Reads at most so many items a page.
    pub(crate) fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit.max(1));
        self
    }
}

impl Db {
    /// Reads a page.
    pub(crate) async fn page(
        &self,
        what: &str,
        query: &Query,
        from: Option<Item>,
    ) -> Result<Page, StoreError> {
        self.ensure_open()?;
        let mut words = Words::default();
        let (keys, filter) = (words.condition(&query.keys), words.condition(&query.filter));
        let (names, values) = words.into_parts();
        let mut patience = Patience::for_reads();
        loop {
            let asked = self
                .client
                .query()
                .table_name(&self.journal)
                .set_index_name(query.index.map(|index| index.name.to_owned()))
                .consistent_read(query.index.is_none())
                .set_key_condition_expression(keys.clone())
                .set_filter_expression(filter.clone())
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(values.clone())
                .scan_index_forward(!query.backwards)
                .set_limit(query.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
                .set_exclusive_start_key(from.clone());
            match asked.send().await {
                Ok(answer) => {
                    let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
                    return Ok(Page { items: answer.items.unwrap_or_default(), next });
                }
                Err(error) => {
                    let fault = Fault::of(error, self.failed(what));
                    if !fault.kind().is_transient() || !patience.wait().await {
                        return Err(self.explain(fault));
                    }
                }
            }
        }
    }

    /// Reads all pages.
    pub(crate) async fn all(&self, what: &str, query: &Query) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let page = self.page(what, query, from).await?;
            items.extend(page.items);
            match page.next {
                None => return Ok(items),
                next => from = next,
            }
        }
    }

    /// Reads every name in one part of the Python version's table.
    pub(crate) async fn names(&self, part: i32, parts: i32) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        let mut from: Option<Item> = None;
        let mut patience = Patience::for_reads();
        loop {
            let asked = self.client.scan().table_name(&self.jobs).consistent_read(true);
            let asked =
                asked.projection_expression("#id").expression_attribute_names("#id", crate::keys::JOB_ID);
            let asked = asked.segment(part).total_segments(parts).set_exclusive_start_key(from.clone());
            match asked.send().await {
                Ok(answer) => {
                    let found = answer.items.unwrap_or_default().into_iter();
                    names.extend(found.filter_map(|mut item| match item.remove(crate::keys::JOB_ID) {
                        Some(AttributeValue::S(name)) => Some(name),
                        _ => None,
                    }));
                    match answer.last_evaluated_key.filter(|key| !key.is_empty()) {
                        None => return Ok(names),
                        next => from = next,
                    }
                    patience = Patience::for_reads();
                }
                Err(error) => {
                    let fault = Fault::of(error, self.failed("list the jobs"));
                    if !fault.kind().is_transient() || !patience.wait().await {
                        return Err(self.explain(fault));
                    }
                }
            }
        }
    }
}
