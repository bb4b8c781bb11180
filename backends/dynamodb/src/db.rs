//! Calls to DynamoDB: in batches that it accepts, retried when it throttles, until the result is known.

mod commit;
mod query;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{Backoff, FaultKind, StoreError};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::backoff;
use crate::codec::{Attributes, ItemReader, number};
use crate::keys::{ItemKey, StoreTable};

pub(crate) use commit::Committed;
pub(crate) use query::{BY_AGE, BY_OUTCOME, BY_STATE, Index, PartitionQuery, RECENT};

/// The maximum number of items of one BatchGetItem.
///
/// # Source
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const MAX_BATCH_GET: usize = 100;

/// The maximum number of reads of one call that are sent concurrently.
pub(crate) const CONCURRENT_READS: usize = 8;

/// Returns the remedy when the text is DynamoDB's message that an item is too large.
fn item_size_hint(message_text: &str) -> Option<&'static str> {
    message_text.to_ascii_lowercase().contains("item size").then_some(
        "; an item of DynamoDB has at most 400 KB: reduce the job's document, or the number of tasks of a firing",
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
    pub(crate) fn name(&self, table: StoreTable) -> &str {
        match table {
            StoreTable::Jobs => &self.jobs,
            StoreTable::Journal => &self.journal,
        }
    }

    /// Returns a reader of an item of the journal.
    pub(crate) fn reader<'a>(&'a self, item: &'a Attributes) -> ItemReader<'a> {
        ItemReader::new(&self.journal, item)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn ensure_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::SeqCst) { Err(self.closed_error()) } else { Ok(()) }
    }

    /// Returns the error of a call to the closed store.
    pub(crate) fn closed_error(&self) -> StoreError {
        let message = format!("the DynamoDB store of table \"{}\" is closed", self.jobs);
        StoreError::fault(FaultKind::Unavailable, message)
    }

    /// Returns the message for a call that failed. `action` is the attempt: `read the jobs`.
    pub(crate) fn could_not(&self, action: &str) -> String {
        format!("could not {action} (DynamoDB tables \"{}\" and \"{}\")", self.jobs, self.journal)
    }

    /// Converts a fault, and adds the remedy where AWS's own message does not name it.
    fn to_store_error(&self, fault: Fault) -> StoreError {
        let remedy = if fault.kind() == FaultKind::NotFound {
            "; a table is missing: restore it, or restart the scheduler to create it"
        } else {
            fault.service_message().and_then(item_size_hint).unwrap_or_default()
        };
        let (kind, message) = (fault.kind(), format!("{fault}{remedy}"));
        match std::error::Error::source(&fault) {
            Some(cause) => StoreError::with_source(kind, message, cause.to_string()),
            None => StoreError::fault(kind, message),
        }
    }

    /// Sends a request, and sends it again after a transient fault as long as `backoff` has time left.
    async fn send<T, E, F>(
        &self,
        action: &str,
        backoff: &mut Backoff,
        request: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        loop {
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let fault = Fault::from_sdk(error, self.could_not(action));
            if !fault.kind().is_transient() || !backoff.wait().await {
                return Err(self.to_store_error(fault));
            }
        }
    }

    /// Reads one item, consistently.
    pub(crate) async fn get(&self, action: &str, key: ItemKey) -> Result<Option<Attributes>, StoreError> {
        Ok(self.get_all(action, [key.clone()]).await?.remove(&key))
    }

    /// Reads those items that exist, consistently.
    pub(crate) async fn get_all(
        &self,
        action: &str,
        keys: impl IntoIterator<Item = ItemKey>,
    ) -> Result<HashMap<ItemKey, Attributes>, StoreError> {
        self.ensure_open()?;
        let keys: Vec<ItemKey> = keys.into_iter().collect::<HashSet<_>>().into_iter().collect();
        let reads: Vec<_> = keys.chunks(MAX_BATCH_GET).map(|batch| self.get_batch(action, batch)).collect();
        let found = futures::stream::iter(reads).buffer_unordered(CONCURRENT_READS);
        let found = found.try_fold(HashMap::new(), |mut all, batch| {
            all.extend(batch);
            std::future::ready(Ok(all))
        });
        found.await
    }

    async fn get_batch(
        &self,
        action: &str,
        keys: &[ItemKey],
    ) -> Result<HashMap<ItemKey, Attributes>, StoreError> {
        let mut found = HashMap::with_capacity(keys.len());
        let mut remaining = self.batch_request(keys)?;
        let mut backoff = backoff::for_reads();
        while !remaining.is_empty() {
            let request = || self.client.batch_get_item().set_request_items(Some(remaining.clone())).send();
            let answer = self.send(action, &mut backoff, request).await?;
            for (table, items) in answer.responses.unwrap_or_default() {
                let table = if table == self.jobs { StoreTable::Jobs } else { StoreTable::Journal };
                let keyed =
                    items.into_iter().filter_map(|item| Some((ItemKey::from_item(table, &item)?, item)));
                found.extend(keyed);
            }
            remaining = answer.unprocessed_keys.unwrap_or_default();
            if !remaining.is_empty() && !backoff.wait().await {
                let message = format!("{}: DynamoDB kept throttling the reads", self.could_not(action));
                return Err(StoreError::fault(FaultKind::Throttled, message));
            }
        }
        Ok(found)
    }

    fn batch_request(&self, keys: &[ItemKey]) -> Result<HashMap<String, KeysAndAttributes>, StoreError> {
        let mut request = HashMap::new();
        for table in [StoreTable::Jobs, StoreTable::Journal] {
            let table_keys: Vec<Attributes> =
                keys.iter().filter(|key| key.table == table).map(ItemKey::attributes).collect();
            if table_keys.is_empty() {
                continue;
            }
            let table_request =
                KeysAndAttributes::builder().set_keys(Some(table_keys)).consistent_read(true).build();
            let table_request = table_request.map_err(|error| {
                StoreError::with_source(FaultKind::Bug, "could not build a BatchGetItem", error)
            })?;
            request.insert(self.name(table).to_owned(), table_request);
        }
        Ok(request)
    }

    /// Reserves this many decision ids, and returns the first. A lost answer leaves a gap.
    pub(crate) async fn reserve_ids(&self, count: usize) -> Result<u64, StoreError> {
        self.ensure_open()?;
        let request = || {
            let update = self.client.update_item().table_name(&self.journal);
            update
                .set_key(Some(ItemKey::table_info("ids").attributes()))
                .update_expression("ADD #next :count")
                .expression_attribute_names("#next", "next")
                .expression_attribute_values(":count", number(count))
                .return_values(ReturnValue::UpdatedNew)
                .send()
        };
        let answer = self.send("reserve decision ids", &mut backoff::for_writes(), request).await?;
        let last: u64 = self.reader(&answer.attributes.unwrap_or_default()).number("next")?;
        Ok(last + 1 - count as u64)
    }

    /// Checks that the jobs' table can be written, by removing a job that cannot exist.
    pub(crate) async fn check_delete_permission(&self) -> Result<(), StoreError> {
        self.ensure_open()?;
        let key =
            Attributes::from([(crate::keys::JOB_ID.to_owned(), AttributeValue::S("no job".to_owned()))]);
        let answer = self.client.delete_item().table_name(&self.jobs).set_key(Some(key)).send().await;
        answer
            .map(drop)
            .map_err(|error| self.to_store_error(Fault::from_sdk(error, self.could_not("write the jobs"))))
    }
}
