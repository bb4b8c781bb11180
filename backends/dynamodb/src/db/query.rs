//! Queries and scans, page by page.

use aws_sdk_dynamodb::types::AttributeValue;
use ecs_scheduler_core::StoreError;

use super::Db;
use crate::backoff;
use crate::codec::{Attributes, text};
use crate::expression::{Condition, ExpressionBuilder};
use crate::keys::JOB_ID;

/// An index of the journal. All indexes are sparse and hold keys only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) hash: &'static str,
    pub(crate) range: &'static str,
}

/// All decisions, by id.
pub(crate) const RECENT: Index = Index { name: "recent", hash: "r", range: "n" };
/// Decisions of one outcome, by id.
pub(crate) const BY_OUTCOME: Index = Index { name: "by-outcome", hash: "o", range: "n" };
/// Firings in one state, by the id of their decision.
pub(crate) const BY_STATE: Index = Index { name: "by-state", hash: "s", range: "n" };
/// Items that pruning may remove, by the time from which it may.
pub(crate) const BY_AGE: Index = Index { name: "by-age", hash: "a", range: "t" };

/// A query of one partition.
#[derive(Debug, Clone)]
pub(crate) struct PartitionQuery {
    /// The index; the table itself when absent, which is then read consistently.
    index: Option<Index>,
    key_conditions: Vec<Condition>,
    filter: Vec<Condition>,
    descending: bool,
    limit: Option<usize>,
}

/// A page of items.
#[derive(Debug, Default)]
pub(crate) struct ItemPage {
    pub(crate) items: Vec<Attributes>,
    /// The start of the next page, if there may be one.
    pub(crate) next: Option<Attributes>,
}

impl PartitionQuery {
    /// Queries a partition of the journal.
    pub(crate) fn of_table(partition: String) -> Self {
        let key_conditions = vec![Condition::Equals("pk", text(partition))];
        Self { index: None, key_conditions, filter: Vec::new(), descending: false, limit: None }
    }

    /// Queries a partition of an index.
    pub(crate) fn of_index(index: Index, partition: String) -> Self {
        let key_conditions = vec![Condition::Equals(index.hash, text(partition))];
        Self { index: Some(index), key_conditions, filter: Vec::new(), descending: false, limit: None }
    }

    /// Reads only the sort keys that meet this condition.
    pub(crate) fn key_condition(mut self, condition: Condition) -> Self {
        self.key_conditions.push(condition);
        self
    }

    /// Omits items that do not meet this condition. They are read and billed all the same.
    pub(crate) fn filter(mut self, condition: Condition) -> Self {
        self.filter.push(condition);
        self
    }

    /// Reads from the greatest sort key downwards.
    pub(crate) fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Sets the most items of a page.
    pub(crate) fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit.max(1));
        self
    }
}

impl Db {
    /// Reads a page.
    pub(crate) async fn query_page(
        &self,
        action: &str,
        query: &PartitionQuery,
        from: Option<Attributes>,
    ) -> Result<ItemPage, StoreError> {
        self.ensure_open()?;
        let mut builder = ExpressionBuilder::default();
        let (key_conditions, filter) =
            (builder.condition(&query.key_conditions), builder.condition(&query.filter));
        let (names, values) = builder.into_parts();
        let request = self
            .client
            .query()
            .table_name(&self.journal)
            .set_index_name(query.index.map(|index| index.name.to_owned()))
            .consistent_read(query.index.is_none())
            .set_key_condition_expression(key_conditions)
            .set_filter_expression(filter)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .scan_index_forward(!query.descending)
            .set_limit(query.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .set_exclusive_start_key(from);
        let answer = self.send(action, &mut backoff::for_reads(), || request.clone().send()).await?;
        let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
        Ok(ItemPage { items: answer.items.unwrap_or_default(), next })
    }

    /// Reads all pages.
    pub(crate) async fn query_all(
        &self,
        action: &str,
        query: &PartitionQuery,
    ) -> Result<Vec<Attributes>, StoreError> {
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let page = self.query_page(action, query, from).await?;
            items.extend(page.items);
            match page.next {
                None => return Ok(items),
                next => from = next,
            }
        }
    }

    /// Reads all names in one segment of the Python version's table.
    pub(crate) async fn scan_job_names(
        &self,
        segment: i32,
        segments: i32,
    ) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        let request = self.client.scan().table_name(&self.jobs).consistent_read(true);
        let request = request.projection_expression("#id").expression_attribute_names("#id", JOB_ID);
        let request = request.segment(segment).total_segments(segments);
        let mut from: Option<Attributes> = None;
        loop {
            let request = || request.clone().set_exclusive_start_key(from.clone()).send();
            let answer = self.send("list the jobs", &mut backoff::for_reads(), request).await?;
            let found = answer.items.unwrap_or_default().into_iter();
            names.extend(found.filter_map(|mut item| match item.remove(JOB_ID) {
                Some(AttributeValue::S(name)) => Some(name),
                _ => None,
            }));
            match answer.last_evaluated_key.filter(|key| !key.is_empty()) {
                None => return Ok(names),
                next => from = next,
            }
        }
    }
}
