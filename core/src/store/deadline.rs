//! The deadline of a call to a store.

use std::time::Duration;

use super::StoreError;
use crate::fault::FaultKind;

/// Returns the answer of a store, or a fault when the store does not answer in time. A write without an answer may
/// still have its effect.
pub(crate) async fn answer_within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| {
        let message = format!("the store did not answer within {} s", deadline.as_secs());
        Err(StoreError::fault(FaultKind::Unavailable, message))
    })
}
