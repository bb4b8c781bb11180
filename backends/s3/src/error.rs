//! S3's errors in the words of [`StoreError`], with what a person can do about them.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, StoreError};

use crate::bucket::NOT_IMPLEMENTED;

/// Features that a server must have that is not AWS's.
pub(crate) const CONDITIONS: &str = "the store needs conditional writes (If-None-Match and If-Match of PutObject): use a server that has them, or another store";

/// Makes a fault of what the SDK returned.
pub(crate) fn fault<E>(error: SdkError<E, HttpResponse>, attempted: &str, action: &str) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let (moved, unknown) = (is_status(&error, 301), is_status(&error, NOT_IMPLEMENTED));
    let region = error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region"));
    let region = region.map_or_else(|| "its region".to_owned(), str::to_owned);
    let fault = Fault::of(error, attempted);
    let (kind, remedy) = if moved {
        (FaultKind::Config, format!("the bucket is in another region; set AWS_REGION to {region}"))
    } else if unknown {
        (FaultKind::Config, format!("the server does not know what it is asked for; {CONDITIONS}"))
    } else if fault.code() == Some("NoSuchBucket") {
        (FaultKind::NotFound, "there is no such bucket; it is created when the scheduler starts".to_owned())
    } else if fault.code() == Some("AccessDenied") {
        let policies = "in the policy of the scheduler's role, and in the bucket's own policy if it has one";
        (FaultKind::Denied, format!("allow {action} {policies}"))
    } else {
        return fault;
    };
    let words =
        format!("{}: {}", fault.code().unwrap_or("no code"), fault.words().unwrap_or("no explanation"));
    Fault::new(kind, format!("{attempted}; {remedy}")).because(words)
}

/// Tells whether the condition of a conditional write did not hold: there is something, nothing, or another version.
pub(crate) fn condition_failed<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    // A condition on an object that is gone is answered by `NoSuchKey`.
    matches!(code, Some("PreconditionFailed" | "NoSuchKey")) || is_status(error, 412)
}

/// Tells whether the answer had this status.
pub(crate) fn is_status<E>(error: &SdkError<E, HttpResponse>, status: u16) -> bool {
    error.raw_response().is_some_and(|answer| answer.status().as_u16() == status)
}

/// Tells whether another conditional write of the same key was under way: nothing was written, and trying again helps.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
pub(crate) fn is_race<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("ConditionalRequestConflict")
}

/// Says that a document was changed in between.
pub(crate) fn conflict(key: &str) -> StoreError {
    StoreError::Conflict(format!("object \"{key}\""))
}
