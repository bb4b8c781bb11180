//! Conversion of S3's errors, with a remedy for each.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use ecs_scheduler_backend_aws::Fault;
use ecs_scheduler_core::{FaultKind, StoreError, Subject};

/// The status that a server answers when it does not support a header.
pub(crate) const NOT_IMPLEMENTED: u16 = 501;

/// The features that a server other than AWS's must support.
pub(crate) const REQUIRED_FEATURES: &str = "the store needs conditional writes (If-None-Match and If-Match of PutObject): use a server that has them, or another store";

/// Converts an error of the SDK. `action` is the permission that the call needs.
pub(crate) fn to_fault<E>(error: SdkError<E, HttpResponse>, attempted: &str, action: &str) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let (moved, unsupported) = (is_status(&error, 301), is_status(&error, NOT_IMPLEMENTED));
    let region = error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region"));
    let region = region.map_or_else(|| "its region".to_owned(), str::to_owned);
    let fault = Fault::from_sdk(error, attempted);
    let (kind, remedy) = if moved {
        (FaultKind::Config, format!("the bucket is in another region; set AWS_REGION to {region}"))
    } else if unsupported {
        (FaultKind::Config, format!("the server does not support the request; {REQUIRED_FEATURES}"))
    } else if fault.code() == Some("NoSuchBucket") {
        (FaultKind::NotFound, "there is no such bucket; it is created when the scheduler starts".to_owned())
    } else if fault.code() == Some("AccessDenied") {
        let policies = "in the policy of the scheduler's role, and in the bucket's own policy if it has one";
        (FaultKind::Denied, format!("allow {action} {policies}"))
    } else {
        return fault;
    };
    Fault::new(kind, format!("{attempted}; {remedy}")).with_source(fault.service_answer())
}

/// Returns whether the precondition of a write did not hold: an object exists, does not exist, or has another tag.
pub(crate) fn condition_failed<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    // S3 answers a precondition on an object that does not exist by `NoSuchKey`.
    matches!(code, Some("PreconditionFailed" | "NoSuchKey")) || is_status(error, 412)
}

/// Returns whether the answer had this status.
pub(crate) fn is_status<E>(error: &SdkError<E, HttpResponse>, status: u16) -> bool {
    error.raw_response().is_some_and(|answer| answer.status().as_u16() == status)
}

/// Returns whether a concurrent conditional write of the same key caused the error. Nothing was written, and a retry may succeed.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
pub(crate) fn is_write_race<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("ConditionalRequestConflict")
}

/// Returns the error for a document that was modified concurrently.
pub(crate) fn conflict(key: &str) -> StoreError {
    StoreError::Conflict(Subject::Object(key.to_owned()))
}
