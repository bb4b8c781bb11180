//! The deadline of a call to a store.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;

use super::StoreError;
use crate::fault::FaultKind;

/// Returns the answer of a store, or a fault when the store panics or does not answer in time. A write that ends so may still
/// have its effect.
pub(crate) async fn answer_within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(deadline, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(StoreError::fault(FaultKind::Bug, "the store panicked")),
        Err(_) => {
            let message = format!("the store did not answer within {} s", deadline.as_secs());
            Err(StoreError::fault(FaultKind::Unavailable, message))
        }
    }
}
