//! What calls cost, for the estimate that the meter reports. List prices of the largest regions, in dollars.

#[cfg(test)]
mod tests;

/// One SQS request.
///
/// # Source
///
/// <https://aws.amazon.com/sqs/pricing/>: 0.40 dollars a million requests to a standard queue, beyond the free million.
const SQS_REQUEST: f64 = 0.40 / 1_000_000.0;

/// One metric of a GetMetricData call.
///
/// # Source
///
/// <https://aws.amazon.com/cloudwatch/pricing/>: 0.01 dollars a thousand metrics requested.
const METRIC: f64 = 0.01 / 1_000.0;

/// Returns what one unit of an operation costs: a call, or a metric for `GetMetricData`. Calls to ECS and STS are free.
pub(crate) fn dollars(service: &str, operation: &str) -> f64 {
    match (service, operation) {
        ("SQS", _) => SQS_REQUEST,
        ("CloudWatch", "GetMetricData") => METRIC,
        _ => 0.0,
    }
}

/// Tells whether an operation is billed by the units that [`Meter::charge`](crate::Meter::charge) notes, not by the call.
pub(crate) fn by_unit(operation: &str) -> bool {
    operation == "GetMetricData"
}
