//! Whether a server that is not AWS's keeps the conditions of writes. One that ignores them would let two schedulers launch twice.

use ecs_scheduler_core::{FaultKind, StoreError};

use crate::bucket::{Bucket, Condition, Outcome};
use crate::error::CONDITIONS;

/// The name of the object that is written, in the folder of the log.
const NAME: &str = "probe";
/// An entity tag that no object has.
const NOBODYS: &str = "\"00000000000000000000000000000000\"";

/// Writes an object under conditions that do not hold.
///
/// # Errors
///
/// Fails when one of them is written all the same.
pub(crate) async fn probe(bucket: &Bucket, folder: &str) -> Result<(), StoreError> {
    let key = format!("{folder}{NAME}");
    let write = async |condition| bucket.put(&key, Vec::new(), condition).await;
    // The first is written where there is no such object yet.
    let kept = matches!(write(Condition::Absent).await?, Outcome::Refused)
        || matches!(write(Condition::Absent).await?, Outcome::Refused);
    if !kept {
        return Err(ignored(bucket, &key, "If-None-Match"));
    }
    match write(Condition::Tag(NOBODYS)).await? {
        Outcome::Refused => Ok(()),
        Outcome::Done(_) => Err(ignored(bucket, &key, "If-Match")),
    }
}

fn ignored(bucket: &Bucket, key: &str, condition: &str) -> StoreError {
    let message = format!(
        "the server of bucket \"{}\" ignores the condition {condition} (it overwrote \"{key}\"), so two schedulers could launch \
         the same twice; {CONDITIONS}",
        bucket.name
    );
    StoreError::fault(FaultKind::Config, message)
}
