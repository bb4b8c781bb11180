//! Transactions: all writes or none, retried with the same token until the result is known.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, StoreError};
use uuid::Uuid;

use super::{Db, item_size_hint};
use crate::backoff;
use crate::error::contention;
use crate::write::Write;

/// The result of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Committed {
    /// All writes are durable.
    Done,
    /// Nothing was written, because the conditions of the writes with these indices did not hold. An emulator without
    /// tokens also answers so when an earlier attempt has succeeded and its answer was lost. The caller then finds its
    /// own write id on the item.
    Refused(Vec<usize>),
}

/// The reason why DynamoDB canceled a transaction.
enum Cancellation {
    /// The conditions of the writes with these indices did not hold.
    Refused(Vec<usize>),
    /// The reason is transient.
    Retry,
    /// DynamoDB never accepts one of the writes; its message.
    Permanent(String),
}

impl Db {
    /// Commits all writes or none, at most [`MAX_WRITES`](crate::limits::MAX_WRITES).
    ///
    /// Each attempt has the same token, so DynamoDB answers a repeated request as it answered the first one.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>: `ClientRequestToken`.
    pub(crate) async fn commit(&self, action: &str, writes: Vec<Write>) -> Result<Committed, StoreError> {
        self.ensure_open()?;
        let items = writes.into_iter().map(|write| {
            let table = self.name(write.key().table);
            write.into_item(table)
        });
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let token = Uuid::new_v4().simple().to_string();
        let mut backoff = backoff::for_writes();
        loop {
            let attempt = self.client.transact_write_items().set_transact_items(Some(items.clone()));
            let Err(error) = attempt.client_request_token(&token).send().await else {
                return Ok(Committed::Done);
            };
            let cancellation = classify(&error);
            let fault = Fault::from_sdk(error, self.could_not(action));
            let conflicts = match cancellation {
                Some(Cancellation::Refused(writes)) => return Ok(Committed::Refused(writes)),
                Some(Cancellation::Permanent(message)) => return Err(self.permanent_error(action, message)),
                Some(Cancellation::Retry) => true,
                None if !fault.kind().is_transient() => return Err(self.to_store_error(fault)),
                None => false,
            };
            if !backoff.wait().await {
                return Err(if conflicts { contention(action) } else { self.to_store_error(fault) });
            }
        }
    }
}

impl Db {
    /// Returns the error for a write that DynamoDB never accepts.
    fn permanent_error(&self, action: &str, message: String) -> StoreError {
        let remedy = item_size_hint(&message).unwrap_or_default();
        StoreError::with_source(FaultKind::Config, format!("{}{remedy}", self.could_not(action)), message)
    }
}

/// Classifies a canceled transaction; `None` for any other error.
fn classify(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<Cancellation> {
    let error = error.as_service_error()?;
    if error.is_transaction_in_progress_exception() {
        return Some(Cancellation::Retry);
    }
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else { return None };
    let codes: Vec<&str> =
        canceled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
    let with = |code: &str| -> Vec<usize> {
        codes.iter().enumerate().filter(|(_, is)| **is == code).map(|(index, _)| index).collect()
    };
    let refused = with("ConditionalCheckFailed");
    if !refused.is_empty() {
        return Some(Cancellation::Refused(refused));
    }
    let is_transient = |code: &str| {
        matches!(code, "None" | "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
    };
    let permanent =
        canceled.cancellation_reasons().iter().find(|reason| !is_transient(reason.code().unwrap_or("None")));
    Some(permanent.map_or(Cancellation::Retry, |reason| {
        Cancellation::Permanent(format!(
            "{}: {}",
            reason.code().unwrap_or_default(),
            reason.message().unwrap_or_default()
        ))
    }))
}
