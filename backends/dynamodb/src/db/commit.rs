//! Transactions: all of it or nothing, and the same request again until its outcome is known.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, StoreError};
use uuid::Uuid;

use super::{Db, too_large};
use crate::backoff::Patience;
use crate::write::Write;

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Committed {
    /// All of it is durable.
    Done,
    /// Nothing was written, because these of its writes found something else than they were given. An emulator that
    /// knows no tokens may say so too when an earlier attempt was successful and its answer lost: whoever asked finds
    /// his own stamp then.
    Refused(Vec<usize>),
}

/// What to do about a failed attempt.
enum Verdict {
    Refused(Vec<usize>),
    Again,
    /// DynamoDB takes one of the writes never: its words.
    Lasting(String),
}

impl Db {
    /// Writes all of it or nothing. At most [`ACTIONS`](crate::limits::ACTIONS) writes.
    ///
    /// Each attempt carries the same token, so that DynamoDB answers the second as it would have answered the first.
    ///
    /// # Source
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>: `ClientRequestToken`.
    pub(crate) async fn commit(&self, what: &str, writes: Vec<Write>) -> Result<Committed, StoreError> {
        self.ensure_open()?;
        let named = writes.into_iter().map(|write| {
            let table = self.name(write.key().table);
            write.into_item(table)
        });
        let items = named.collect::<Result<Vec<_>, _>>()?;
        let token = Uuid::new_v4().simple().to_string();
        let mut patience = Patience::for_writes();
        loop {
            let attempt = self.client.transact_write_items().set_transact_items(Some(items.clone()));
            let Err(error) = attempt.client_request_token(&token).send().await else {
                return Ok(Committed::Done);
            };
            let verdict = judge(&error);
            let fault = Fault::of(error, self.failed(what));
            let crowded = match verdict {
                Some(Verdict::Refused(writes)) => return Ok(Committed::Refused(writes)),
                Some(Verdict::Lasting(words)) => return Err(self.refused(what, words)),
                Some(Verdict::Again) => true,
                None if !fault.kind().is_transient() => return Err(self.explain(fault)),
                None => false,
            };
            if !patience.wait().await {
                return Err(if crowded { crate::job_meta::crowded(what) } else { self.explain(fault) });
            }
        }
    }
}

impl Db {
    /// Says that DynamoDB takes one of the writes never.
    fn refused(&self, what: &str, words: String) -> StoreError {
        let remedy = too_large(&words).unwrap_or_default();
        StoreError::caused(FaultKind::Config, format!("{}{remedy}", self.failed(what)), words)
    }
}

/// Judges an answer that says more than its kind does.
fn judge(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Option<Verdict> {
    let error = error.as_service_error()?;
    if error.is_transaction_in_progress_exception() {
        return Some(Verdict::Again);
    }
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else { return None };
    let codes: Vec<&str> =
        canceled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
    let with = |code: &str| -> Vec<usize> {
        codes.iter().enumerate().filter(|(_, is)| **is == code).map(|(place, _)| place).collect()
    };
    let refused = with("ConditionalCheckFailed");
    if !refused.is_empty() {
        return Some(Verdict::Refused(refused));
    }
    let passes = |code: &str| {
        matches!(code, "None" | "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
    };
    let lasting =
        canceled.cancellation_reasons().iter().find(|reason| !passes(reason.code().unwrap_or("None")));
    Some(lasting.map_or(Verdict::Again, |reason| {
        Verdict::Lasting(format!(
            "{}: {}",
            reason.code().unwrap_or_default(),
            reason.message().unwrap_or_default()
        ))
    }))
}
