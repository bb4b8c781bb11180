//! Calls to DynamoDB: in the sizes that it takes, again when it asks for patience, and with an answer that is certain.

mod commit;
mod query;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, StoreError};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::backoff::Patience;
use crate::codec::{Item, Reader, number};
use crate::keys::{Key, Table};

pub(crate) use commit::Committed;
pub(crate) use query::{BY_AGE, BY_OUTCOME, BY_STATE, Index, Query, RECENT};

/// Items that one BatchGetItem may ask for.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const BATCH_GET: usize = 100;

/// Reads of one call that are under way at once.
pub(crate) const READS: usize = 8;

/// Says what to do when DynamoDB says that an item is too large.
fn too_large(words: &str) -> Option<&'static str> {
    words.to_ascii_lowercase().contains("item size").then_some(
        "; an item of DynamoDB has at most 400 KB: make the job's document, or the number of tasks of a firing, smaller",
    )
}

/// The two tables, and the client that reaches them.
#[derive(Debug)]
pub(crate) struct Db {
    pub(crate) client: Client,
    pub(crate) jobs: String,
    pub(crate) journal: String,
    closed: AtomicBool,
}

impl Db {
    pub(crate) fn new(client: Client, jobs: String) -> Self {
        let journal = format!("{jobs}-journal");
        Self { client, jobs, journal, closed: AtomicBool::new(false) }
    }

    /// Returns the real name of a table.
    pub(crate) fn name(&self, table: Table) -> &str {
        match table {
            Table::Jobs => &self.jobs,
            Table::Journal => &self.journal,
        }
    }

    /// Reads an item of our own table.
    pub(crate) fn reader<'a>(&'a self, item: &'a Item) -> Reader<'a> {
        Reader::new(&self.journal, item)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn ensure_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            let message = format!("the DynamoDB store of table \"{}\" is closed", self.jobs);
            return Err(StoreError::fault(FaultKind::Unavailable, message));
        }
        Ok(())
    }

    /// Makes the error of a call. `what` says what was attempted: `read the jobs`.
    pub(crate) fn failed(&self, what: &str) -> String {
        format!("could not {what} (DynamoDB tables \"{}\" and \"{}\")", self.jobs, self.journal)
    }

    /// Says what to do about a failure that AWS's own code does not say enough about.
    fn explain(&self, fault: Fault) -> StoreError {
        let remedy = if fault.kind() == FaultKind::NotFound {
            "; a table is missing: restore it, or restart to have it created anew"
        } else {
            fault.words().and_then(too_large).unwrap_or_default()
        };
        let (kind, message) = (fault.kind(), format!("{fault}{remedy}"));
        match std::error::Error::source(&fault) {
            Some(cause) => StoreError::caused(kind, message, cause.to_string()),
            None => StoreError::fault(kind, message),
        }
    }

    /// Reads one item as it is at this moment.
    pub(crate) async fn get(&self, what: &str, key: Key) -> Result<Option<Item>, StoreError> {
        Ok(self.get_all(what, [key.clone()]).await?.remove(&key))
    }

    /// Reads items as they are at this moment, those that exist.
    pub(crate) async fn get_all(
        &self,
        what: &str,
        keys: impl IntoIterator<Item = Key>,
    ) -> Result<HashMap<Key, Item>, StoreError> {
        self.ensure_open()?;
        let keys: Vec<Key> = keys.into_iter().collect::<HashSet<_>>().into_iter().collect();
        let reads: Vec<_> = keys.chunks(BATCH_GET).map(|some| self.get_some(what, some)).collect();
        let found = futures::stream::iter(reads).buffer_unordered(READS);
        let found = found.try_fold(HashMap::new(), |mut all, some| {
            all.extend(some);
            std::future::ready(Ok(all))
        });
        found.await
    }

    async fn get_some(&self, what: &str, keys: &[Key]) -> Result<HashMap<Key, Item>, StoreError> {
        let mut found = HashMap::with_capacity(keys.len());
        let mut wanted = self.wanted(keys)?;
        let mut patience = Patience::for_reads();
        while !wanted.is_empty() {
            let answer = self.client.batch_get_item().set_request_items(Some(wanted.clone())).send().await;
            match answer {
                Ok(answer) => {
                    for (table, items) in answer.responses.unwrap_or_default() {
                        let table = if table == self.jobs { Table::Jobs } else { Table::Journal };
                        let keyed = items.into_iter().filter_map(|item| Some((Key::of(table, &item)?, item)));
                        found.extend(keyed);
                    }
                    wanted = answer.unprocessed_keys.unwrap_or_default();
                    if wanted.is_empty() || patience.wait().await {
                        continue;
                    }
                    let message = format!("{}: it keeps asking for fewer reads", self.failed(what));
                    return Err(StoreError::fault(FaultKind::Throttled, message));
                }
                Err(error) => {
                    let fault = Fault::of(error, self.failed(what));
                    if !fault.kind().is_transient() || !patience.wait().await {
                        return Err(self.explain(fault));
                    }
                }
            }
        }
        Ok(found)
    }

    fn wanted(&self, keys: &[Key]) -> Result<HashMap<String, KeysAndAttributes>, StoreError> {
        let mut wanted = HashMap::new();
        for table in [Table::Jobs, Table::Journal] {
            let of_table: Vec<Item> =
                keys.iter().filter(|key| key.table == table).map(Key::attributes).collect();
            if of_table.is_empty() {
                continue;
            }
            let asked = KeysAndAttributes::builder().set_keys(Some(of_table)).consistent_read(true).build();
            let asked = asked.map_err(|error| {
                StoreError::caused(FaultKind::Bug, "could not make a BatchGetItem", error)
            })?;
            wanted.insert(self.name(table).to_owned(), asked);
        }
        Ok(wanted)
    }

    /// Takes so many numbers of decisions, and returns the first. An answer that is lost leaves a gap.
    pub(crate) async fn reserve(&self, count: usize) -> Result<u64, StoreError> {
        self.ensure_open()?;
        let what = "take numbers for decisions";
        let mut patience = Patience::for_writes();
        loop {
            let answer = self
                .client
                .update_item()
                .table_name(&self.journal)
                .set_key(Some(Key::keeper("ids").attributes()))
                .update_expression("ADD #next :count")
                .expression_attribute_names("#next", "next")
                .expression_attribute_values(":count", number(count))
                .return_values(ReturnValue::UpdatedNew)
                .send()
                .await;
            match answer {
                Ok(answer) => {
                    let attributes = answer.attributes.unwrap_or_default();
                    let last: u64 = self.reader(&attributes).number("next")?;
                    return Ok(last + 1 - count as u64);
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

    /// Removes a job that cannot exist, to see that the jobs' table can be written.
    pub(crate) async fn try_delete(&self) -> Result<(), StoreError> {
        self.ensure_open()?;
        let key = Item::from([(crate::keys::JOB_ID.to_owned(), AttributeValue::S("no job".to_owned()))]);
        let answer = self.client.delete_item().table_name(&self.jobs).set_key(Some(key)).send().await;
        answer.map(drop).map_err(|error| self.explain(Fault::of(error, self.failed("write the jobs"))))
    }
}
