//! A probe of servers other than AWS's: do they honour the preconditions of writes? If not, two schedulers could launch the same
//! tasks.

use ecs_scheduler_core::{FaultKind, StoreError};

use crate::bucket::{Precondition, S3Bucket, WriteResult};
use crate::error::REQUIRED_FEATURES;

/// The name of the object that the probe writes, in the folder of the log.
const NAME: &str = "probe";
/// An entity tag that no object has.
const UNUSED_TAG: &str = "\"00000000000000000000000000000000\"";

/// Writes an object under preconditions that do not hold.
///
/// # Errors
///
/// Fails when the server ignores one of them.
pub(crate) async fn probe(bucket: &S3Bucket, folder: &str) -> Result<(), StoreError> {
    let key = format!("{folder}{NAME}");
    let write = async |condition| bucket.put(&key, Vec::new(), condition).await;
    // The first write succeeds when the object does not exist yet.
    let kept = matches!(write(Precondition::Absent).await?, WriteResult::Refused)
        || matches!(write(Precondition::Absent).await?, WriteResult::Refused);
    if !kept {
        return Err(ignored(bucket, &key, "If-None-Match"));
    }
    match write(Precondition::Tag(UNUSED_TAG)).await? {
        WriteResult::Refused => Ok(()),
        WriteResult::Done(_) => Err(ignored(bucket, &key, "If-Match")),
    }
}

fn ignored(bucket: &S3Bucket, key: &str, condition: &str) -> StoreError {
    let message = format!(
        "the server of bucket \"{}\" ignores the condition {condition} (it overwrote \"{key}\"), so two schedulers could launch \
         the same tasks; {REQUIRED_FEATURES}",
        bucket.name
    );
    StoreError::fault(FaultKind::Config, message)
}
