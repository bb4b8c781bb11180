//! Prices of calls, for the meter's estimate: list prices of the largest regions, in dollars.

#[cfg(test)]
mod tests;

/// One SQS request.
///
/// # Source
///
/// <https://aws.amazon.com/sqs/pricing/>: 0.40 dollars a million requests to a standard queue, beyond the free million.
const DOLLARS_PER_SQS_REQUEST: f64 = 0.40 / 1_000_000.0;

/// One SNS request.
///
/// # Source
///
/// <https://aws.amazon.com/sns/pricing/>: 0.50 dollars a million requests, beyond the free million; deliveries are extra.
const DOLLARS_PER_SNS_REQUEST: f64 = 0.50 / 1_000_000.0;

/// One metric of a GetMetricData call.
///
/// # Source
///
/// <https://aws.amazon.com/cloudwatch/pricing/>: 0.01 dollars a thousand metrics requested.
const DOLLARS_PER_METRIC: f64 = 0.01 / 1_000.0;

/// One S3 request that writes or lists, in S3 Standard.
///
/// # Source
///
/// <https://aws.amazon.com/s3/pricing/>: 0.005 dollars a thousand PUT, COPY, POST and LIST requests; DELETE is free.
const DOLLARS_PER_S3_WRITE: f64 = 0.005 / 1_000.0;

/// One S3 request that reads, in S3 Standard.
///
/// # Source
///
/// <https://aws.amazon.com/s3/pricing/>: 0.0004 dollars a thousand GET requests.
const DOLLARS_PER_S3_READ: f64 = 0.0004 / 1_000.0;

/// Returns the price of one unit of an operation: a call, or a metric for `GetMetricData`. Calls to ECS and STS are
/// free.
pub(crate) fn unit_price(service: &str, operation: &str) -> f64 {
    match (service, operation) {
        ("SQS", _) => DOLLARS_PER_SQS_REQUEST,
        ("SNS", "Publish") => DOLLARS_PER_SNS_REQUEST,
        ("CloudWatch", "GetMetricData") => DOLLARS_PER_METRIC,
        ("S3", "PutObject" | "ListObjectsV2" | "CreateBucket") => DOLLARS_PER_S3_WRITE,
        ("S3", "GetObject") => DOLLARS_PER_S3_READ,
        _ => 0.0,
    }
}

/// Tells whether an operation is billed by the units that [`Meter::record_units`](crate::Meter::record_units) records, not by the
/// call.
pub(crate) fn is_billed_by_unit(operation: &str) -> bool {
    operation == "GetMetricData"
}
